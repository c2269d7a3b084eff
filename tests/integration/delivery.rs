//! Mail and database as they are in the world: warm, stale, slow, silent, gone.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::{Engine, Fault, Options, story};

/// What nobody may wait longer than, with a little for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_connection_is_used_again() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    app.change(&ann, "ann@new.example").await;
    assert!(
        app.smtp.connections() <= 2,
        "four mails, {} connections",
        app.smtp.connections()
    );
    app.close().await;
}

/// RFC 2920: what a refusal means must not depend on when the next command was said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_sent_commands_at_once_only_if_it_offers_that_and_understood_all_the_same() {
    for offered in [true, false] {
        let app = TestApp::on_sqlite(Options::default()).await;
        if !offered {
            app.smtp.one_by_one();
        }
        let ann = app.person("ann@example.com").await;
        let confirm = app.confirm_link(&ann).await;
        for (fault, status, code) in [
            (
                Fault::RefuseSender("550 5.1.1 you?"),
                503,
                "mail_unavailable",
            ),
            (
                Fault::RefuseRecipient("550 5.1.1 gone"),
                422,
                "undeliverable",
            ),
            (
                Fault::RefuseRecipient("450 4.7.1 later"),
                503,
                "mail_unavailable",
            ),
            (Fault::AnswerData("550 5.1.1 gone"), 503, "mail_unavailable"),
            (
                Fault::RefuseMessage("554 5.6.0 spam"),
                503,
                "mail_unavailable",
            ),
        ] {
            let before = app.mails().len();
            app.smtp.fault(fault);
            let refused = app.confirm(&confirm, PASSWORD, "ann@new.example").await;
            refused.problem(status, code);
            assert_eq!(app.mails().len(), before, "a mail went out all the same");
        }
        app.smtp.fault(None);
        app.change(&ann, "ann@new.example").await;
        assert_eq!(app.smtp.pipelined() > 0, offered);
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_went_stale_is_replaced_without_a_word() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    app.request(&ann.access, PASSWORD).await.ok(202);
    app.smtp.fault(Fault::HangUpWhenIdle);
    app.request(&ann.access, PASSWORD).await.ok(202);
    assert_eq!((app.mails().len(), app.smtp.connections()), (2, 2));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_falls_silent_is_given_up_in_time_and_holds_nothing_up() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let activate = app.activate_link(&ann, "ann@new.example").await;
    app.smtp.fault(Fault::Stall);
    let began = Instant::now();
    let (answer, elapsed_elsewhere) = tokio::join!(app.activate(&activate), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        assert_eq!(app.state_of(&activate).await, "usable");
        began.elapsed()
    });
    answer.problem(503, "mail_unavailable");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(
        elapsed_elsewhere < Duration::from_secs(1),
        "{elapsed_elsewhere:?}"
    );
    app.smtp.fault(None);
    app.activate(&activate).await.ok(200);
    app.close().await;
}

story! {
    async fn a_locked_database_is_given_up_in_time_and_the_same_link_still_works(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        let lock = app.database.pool.begin().await.expect("a transaction");
        let take = match app.database.engine {
            Engine::Postgres => "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
            // There, a lock on the table ends with the transaction's first statement.
            Engine::Sqlite | Engine::MariaDb => "UPDATE users SET updated_at = updated_at",
        };
        lock.execute_unprepared(take).await.expect("locked");
        let began = Instant::now();
        let answer = app.activate(&activate).await;
        answer.problem(503, "database_unavailable");
        assert!(answer.retry_after() > 0);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        lock.rollback().await.expect("unlocked");
        app.activate(&activate).await.ok(200);
        assert_eq!(app.email_of(&ann).await, "ann@new.example");
    }
}

story! {
    async fn a_write_that_was_given_up_does_not_happen_later(app) {
        for (mail, took) in [(Duration::ZERO, "the request's whole time"), (Duration::from_millis(6_500), "what the mail left of it")] {
            let ann = app.person(&format!("ann{}@example.com", mail.as_secs())).await;
            let wanted = format!("ann{}@new.example", mail.as_secs());
            let activate = app.activate_link(&ann, &wanted).await;
            let before = app.state().await;
            let lock = app.database.pool.begin().await.expect("a transaction");
            // The rows and no more: the step reads as ever, and waits with its write alone.
            lock.execute_unprepared("UPDATE users SET updated_at = updated_at").await.expect("locked");
            app.smtp.fault(Fault::Slow(mail));
            let began = Instant::now();
            app.activate(&activate).await.problem(503, "database_unavailable");
            assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
            lock.rollback().await.expect("unlocked");
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(app.state().await, before, "written after {took} was over");
            app.smtp.fault(None);
            app.activate(&activate).await.ok(200);
        }
    }
}

story! {
    async fn an_answer_that_accepts_no_message_is_not_taken_for_one(app) {
        let ann = app.person("ann@example.com").await;
        let activate = app.activate_link(&ann, "ann@new.example").await;
        let wrong = [Fault::AnswerData("250 2.0.0 kept"), Fault::RefuseMessage("354 and what else?"), Fault::RefuseRecipient("354 go on")];
        for fault in wrong {
            app.smtp.fault(fault);
            app.activate(&activate).await.problem(503, "mail_unavailable");
            assert_eq!(app.email_of(&ann).await, "ann@example.com");
        }
        app.smtp.fault(None);
        app.activate(&activate).await.ok(200);
    }
}

story! {
    async fn who_hangs_up_in_the_middle_of_a_cancel_or_an_undo_has_stopped_nothing(app) {
        for step in ["cancel", "undo"] {
            let old = format!("{step}@example.com");
            let ann = app.person(&old).await;
            let token = if step == "cancel" {
                app.links_of_request(&ann).await.1
            } else {
                app.change(&ann, &format!("{step}@new.example")).await.expect("an undo link")
            };
            let before = app.mails().len();
            let lock = app.database.pool.begin().await.expect("a transaction");
            lock.execute_unprepared("UPDATE users SET updated_at = updated_at").await.expect("locked");
            let post = app.http.post(format!("{}/v1/email-change/{step}", app.url)).header("Content-Type", "application/json");
            let body = if step == "cancel" { json!({ "token": token }) } else { json!({ "token": token, "password": PASSWORD }) };
            // Long enough for the password, too short for the write.
            let hung_up = post.body(body.to_string()).timeout(Duration::from_millis(700)).send().await;
            assert!(hung_up.is_err_and(|error| error.is_timeout()));
            lock.rollback().await.expect("unlocked");
            let told = app.mails_after(before + 1).await.pop().expect("a mail");
            assert_eq!(told.to, old);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_that_nothing_depends_on_do_not_pile_up_behind_a_silent_server() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let (_, cancel) = app.links_of_request(&ann).await;
    app.smtp.fault(Fault::Stall);
    for _ in 0..300 {
        app.cancel(&cancel).await.ok(200);
    }
    app.smtp.fault(None);
    tokio::time::sleep(Duration::from_secs(9)).await;
    let mails = app.mails().len();
    assert!((200..=257).contains(&mails), "{mails} mails");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_outlives_its_caller_is_sent_before_the_service_ends() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let (_, cancel) = app.links_of_request(&ann).await;
    let before = app.mails().len();
    app.smtp.fault(Fault::Slow(Duration::from_secs(2)));
    app.cancel(&cancel).await.ok(200);
    assert_eq!(app.mails().len(), before, "it is on its way");
    app.flow.finish().await;
    assert_eq!(app.mails().len(), before + 1);
    app.close().await;
}
