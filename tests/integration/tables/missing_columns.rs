//! What the service does, and says, without the columns that an application's table can lack.

use serde_json::json;

use super::{activate_link, add, mail_of, make_people_with, people};
use crate::support::app::PASSWORD;
use crate::support::{Engine, Options, TestApp};

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];

/// Ann, in a table with those columns besides.
async fn app(engine: Engine, more: &str, options: Options) -> Option<TestApp> {
    let database = engine.database().await?;
    make_people_with(&database, "integer", "varchar(254) NOT NULL UNIQUE", more).await;
    add(&database, "1", "ann@example.com").await;
    Some(TestApp::beside(database, &people(), options).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_nonce_a_change_works_and_nothing_is_offered_that_would_not() {
    for engine in ENGINES {
        // A window could be remembered here, but not by links that can be used twice.
        let Some(app) = app(engine, ", undo_opened_at bigint", Options::default()).await else {
            continue;
        };
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        app.request(&ann.access, PASSWORD).await.ok(202);
        let first = app.mail_to("ann@example.com");
        assert!(first.find_token("cancel-email-change").is_none());
        assert!(
            first.text.contains("change your password now"),
            "{}",
            first.text
        );
        let confirm = first.token("new-email");
        app.confirm(&confirm, PASSWORD, "ann@new.example")
            .await
            .ok(202);
        app.confirm(&confirm, PASSWORD, "ann@new.example")
            .await
            .ok(202);
        let activate = app.mail_to("ann@new.example").token("email-activation");
        assert_eq!(app.state_of(&activate).await, "usable");
        assert_eq!(app.activate(&activate).await.field("status"), "activated");
        assert_eq!(
            app.activate(&activate).await.field("status"),
            "already_active"
        );
        assert_eq!(mail_of(&app, "1").await, "ann@new.example");

        let notice = app.mail_to("ann@example.com");
        assert!(notice.find_token("undo-email-change").is_none());
        assert!(
            notice.text.contains("write to those who run"),
            "{}",
            notice.text
        );
        assert!(
            !notice.text.contains("not the first change"),
            "{}",
            notice.text
        );
        app.confirm(&confirm, PASSWORD, "eve@new.example")
            .await
            .problem(410, "link_used");
        for (step, body) in [
            ("cancel", json!({ "token": confirm })),
            ("undo", json!({ "token": confirm, "password": PASSWORD })),
        ] {
            let answer = app.post(&format!("/v1/email-change/{step}"), body).await;
            answer.problem(404, "not_found");
        }
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_nonce_a_new_password_kills_every_link() {
    for engine in ENGINES {
        let Some(app) = app(engine, "", Options::default()).await else {
            continue;
        };
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        let confirm = app.mail_to("ann@example.com").token("new-email");
        let table = super::quote(engine, "People");
        app.database
            .execute(&format!("UPDATE {table} SET secret = 'another'"))
            .await;
        app.activate(&activate).await.problem(410, "link_used");
        app.confirm(&confirm, PASSWORD, "ann@new.example")
            .await
            .problem(410, "link_used");
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_nonce_alone_a_change_can_be_cancelled_but_not_undone() {
    for engine in ENGINES {
        let Some(app) = app(engine, ", email_change_nonce bigint", Options::default()).await else {
            continue;
        };
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        let cancel = app.mail_to("ann@example.com").token("cancel-email-change");
        app.cancel(&cancel).await.ok(200);
        app.activate(&activate).await.problem(410, "link_used");
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        app.activate(&activate).await.ok(200);
        assert!(
            app.mail_to("ann@example.com")
                .find_token("undo-email-change")
                .is_none()
        );
        let undo = json!({ "token": activate, "password": PASSWORD });
        app.post("/v1/email-change/undo", undo)
            .await
            .problem(404, "not_found");
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_column_the_limit_of_an_account_is_kept_in_memory() {
    let options =
        Options::limited(|quotas| quotas.passwords = Some("2/1h".parse().expect("a quota")));
    let columns = ", email_change_nonce bigint, undo_opened_at bigint";
    let app = app(Engine::Sqlite, columns, options).await.expect("SQLite");
    let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
    app.request(&ann.access, "wrong")
        .await
        .problem(403, "wrong_password");
    app.request(&ann.access, "wrong")
        .await
        .problem(403, "wrong_password");
    let limited = app.request(&ann.access, PASSWORD).await;
    limited.problem(429, "rate_limited");
    assert_eq!(limited.retry_after(), 1_800);
    app.close().await;
}
