//! How many statements each step sends to the database: the price of every layer between a step and
//! its row, on a table whose index keeps the address unique.
//! (That each of them finds its row through an index: `tables/plans.rs`.)

use readdress::users::{self, Layout, Users};

use crate::support::app::{PASSWORD, TestApp};
use crate::support::driver::{Ear, counted};
use crate::support::{Answer, Engine, Options};

/// Runs a step, which must succeed with at most so many statements.
async fn at_most(most: usize, step: &str, on: (&Ear, Engine), work: impl Future<Output = Answer>) {
    let (ear, engine) = on;
    ear.forget();
    let answer = work.await;
    assert!(answer.status.is_success(), "{step}: {}", answer.text);
    let sent = ear.statements().await;
    assert!(!sent.is_empty(), "{step} on {engine:?}: nothing is counted");
    assert!(sent.len() <= most, "{step} on {engine:?}: {sent:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_sends_no_more_statements_than_it_promises() {
    let ear = Ear::listen().await;
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        let Some(database) = engine.database().await else {
            continue;
        };
        let migrated = readdress_migrations::up(&database.pool).await;
        migrated.expect("migrates");
        let survey = users::survey(&database.pool, &Layout::own(), false).await;
        let table = survey.expect("a database").table.expect("a table");
        let pool = counted(&database.pool).await;
        let users = Users::new(pool.clone(), table);
        let mut options = Options::default();
        options.quotas.passwords = Some("100/1m".parse().expect("a quota"));
        let app = TestApp::start(options, database, users).await;
        every_step(&app, &ear).await;
        app.close().await;
        pool.close().await.expect("closes");
    }
}

async fn every_step(app: &TestApp, ear: &Ear) {
    let on = (ear, app.database.engine);
    app.add_user("taken@example.com", PASSWORD).await;
    let ann = app.person("ann@example.com").await;
    at_most(1, "me", on, app.me(&ann.access)).await;
    at_most(2, "request", on, app.request(&ann.access, PASSWORD)).await;
    let first = app.mail_to("ann@example.com");
    let (confirm, cancel) = (first.token("new-email"), first.token("cancel-email-change"));
    at_most(1, "inspect", on, app.inspect(&confirm)).await;
    let taken = app.confirm(&confirm, PASSWORD, "taken@example.com");
    at_most(4, "confirm of a taken address", on, taken).await;
    at_most(2, "cancel", on, app.cancel(&cancel)).await;

    let confirm = app.confirm_link(&ann).await;
    let free = app.confirm(&confirm, PASSWORD, "ann@new.example");
    at_most(4, "confirm", on, free).await;
    let activate = app.mail_to("ann@new.example").token("email-activation");
    at_most(3, "activate", on, app.activate(&activate)).await;
    at_most(1, "activate again", on, app.activate(&activate)).await;
    let undo = app.mail_to("ann@example.com").token("undo-email-change");
    at_most(1, "inspect an undo link", on, app.inspect(&undo)).await;
    at_most(2, "undo", on, app.undo(&undo, PASSWORD)).await;
}
