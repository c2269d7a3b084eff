//! How many statements each step sends to the database: the price of every layer between a step and
//! its row, on a table whose index keeps the address unique.
//!
//! They are counted where the driver sends them. Its log is off in the service, so the service gets
//! a connection of the same options with the log on.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use readdress::users::{self, Database, Layout, Users};
use sea_orm::sqlx::{self, ConnectOptions};
use sea_orm::{DbBackend, SqlxMySqlConnector, SqlxPostgresConnector, SqlxSqliteConnector};
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::{Answer, Engine, Options};

/// What the driver has sent. Only the connection of [`counted`] tells it.
static SENT: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| {
    tracing_subscriber::registry()
        .with(Listener)
        .try_init()
        .expect("nothing else listens in this process");
    Mutex::default()
});

struct Listener;

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Summary(String);
        impl Visit for Summary {
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "summary" {
                    value.clone_into(&mut self.0);
                }
            }
            fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
        }
        let mut summary = Summary(String::new());
        event.record(&mut summary);
        sent().push(summary.0);
    }
}

fn sent() -> std::sync::MutexGuard<'static, Vec<String>> {
    SENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection of the same options, whose statements are counted.
async fn counted(pool: &Database) -> Database {
    macro_rules! with_log {
        ($get:ident, $options:ty, $connector:ty, $from:ident) => {{
            let options = pool.$get().connect_options().as_ref().clone();
            // However long one takes.
            let options = options
                .log_statements("info".parse().expect("a level"))
                .log_slow_statements("info".parse().expect("a level"), Duration::MAX);
            // One, so that none is opened, and set up, within a step.
            let pool = <$options>::new().max_connections(1).connect_with(options);
            let pool = pool.await;
            <$connector>::$from(pool.expect("it connects"))
        }};
    }
    match pool.get_database_backend() {
        DbBackend::Postgres => with_log!(
            get_postgres_connection_pool,
            sqlx::postgres::PgPoolOptions,
            SqlxPostgresConnector,
            from_sqlx_postgres_pool
        ),
        DbBackend::MySql => with_log!(
            get_mysql_connection_pool,
            sqlx::mysql::MySqlPoolOptions,
            SqlxMySqlConnector,
            from_sqlx_mysql_pool
        ),
        _ => with_log!(
            get_sqlite_connection_pool,
            sqlx::sqlite::SqlitePoolOptions,
            SqlxSqliteConnector,
            from_sqlx_sqlite_pool
        ),
    }
}

/// Runs a step, which must succeed with at most so many statements.
async fn at_most(most: usize, step: &str, engine: Engine, work: impl Future<Output = Answer>) {
    sent().clear();
    let answer = work.await;
    assert!(answer.status.is_success(), "{step}: {}", answer.text);
    // SQLite's own thread logs a statement after it has answered.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let sent = sent().clone();
    assert!(!sent.is_empty(), "{step} on {engine:?}: nothing is counted");
    assert!(sent.len() <= most, "{step} on {engine:?}: {sent:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_sends_no_more_statements_than_it_promises() {
    LazyLock::force(&SENT);
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
        every_step(&app, engine).await;
        app.close().await;
        pool.close().await.expect("closes");
    }
}

async fn every_step(app: &TestApp, engine: Engine) {
    app.add_user("taken@example.com", PASSWORD).await;
    let ann = app.person("ann@example.com").await;
    at_most(1, "me", engine, app.me(&ann.access)).await;
    at_most(2, "request", engine, app.request(&ann.access, PASSWORD)).await;
    let first = app.mail_to("ann@example.com");
    let (confirm, cancel) = (first.token("new-email"), first.token("cancel-email-change"));
    at_most(1, "inspect", engine, app.inspect(&confirm)).await;
    let taken = app.confirm(&confirm, PASSWORD, "taken@example.com");
    at_most(4, "confirm of a taken address", engine, taken).await;
    at_most(2, "cancel", engine, app.cancel(&cancel)).await;

    let confirm = app.confirm_link(&ann).await;
    let free = app.confirm(&confirm, PASSWORD, "ann@new.example");
    at_most(4, "confirm", engine, free).await;
    let activate = app.mail_to("ann@new.example").token("email-activation");
    at_most(3, "activate", engine, app.activate(&activate)).await;
    at_most(1, "activate again", engine, app.activate(&activate)).await;
    let undo = app.mail_to("ann@example.com").token("undo-email-change");
    at_most(1, "inspect an undo link", engine, app.inspect(&undo)).await;
    at_most(2, "undo", engine, app.undo(&undo, PASSWORD)).await;
}
