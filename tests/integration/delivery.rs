//! Mail and database as they are in the world: warm, stale, slow, silent, gone.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::support::app::{PASSWORD, TestApp};
use crate::support::{Fault, Options, story};

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
        let take = if app.database.url.starts_with("sqlite") {
            "UPDATE users SET updated_at = updated_at"
        } else {
            "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"
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
