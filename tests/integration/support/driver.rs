//! What the driver is told and tells: every statement that it sends, and the plans that PostgreSQL
//! sends back where it is set up to (`auto_explain`).
//!
//! Its log is off in the service, so the service gets a connection of the same options with the log
//! on.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use readdress::users::Database;
use sea_orm::sqlx::{self, ConnectOptions};
use sea_orm::{DbBackend, SqlxMySqlConnector, SqlxPostgresConnector, SqlxSqliteConnector};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Statements of connections that are [`counted`].
const STATEMENTS: &str = "sqlx::query";
/// What PostgreSQL says beside its answers.
const NOTICES: &str = "sqlx::postgres::notice";

static HEARD: LazyLock<Mutex<Heard>> = LazyLock::new(|| {
    tracing_subscriber::registry()
        .with(Listener)
        .try_init()
        .expect("nothing else listens in this process");
    Mutex::default()
});
/// One test at a time.
static TURN: AsyncMutex<()> = AsyncMutex::const_new(());

#[derive(Default)]
struct Heard {
    statements: Vec<String>,
    plans: Vec<String>,
}

struct Listener;

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        [STATEMENTS, NOTICES].contains(&metadata.target())
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        if event.metadata().target() == STATEMENTS {
            // The beginning alone, where there is more.
            let whole = Some(said.statement.trim()).filter(|whole| !whole.is_empty());
            let statement = whole.unwrap_or(&said.summary).to_owned();
            heard().statements.push(statement);
        } else if said.message.contains("plan:") {
            heard().plans.push(said.message);
        }
    }
}

#[derive(Default)]
struct Said {
    summary: String,
    statement: String,
    message: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        let part = match field.name() {
            "summary" => &mut self.summary,
            "db.statement" => &mut self.statement,
            "message" => &mut self.message,
            _ => return,
        };
        value.clone_into(part);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn heard() -> std::sync::MutexGuard<'static, Heard> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is heard while a test has its turn.
pub struct Ear(#[expect(dead_code, reason = "ends the turn when dropped")] MutexGuard<'static, ()>);

#[expect(clippy::unused_self, reason = "only who has the turn hears")]
impl Ear {
    /// Waits for its turn.
    pub async fn listen() -> Self {
        let turn = TURN.lock().await;
        LazyLock::force(&HEARD);
        Self(turn)
    }

    /// Leaves out what was heard so far.
    pub fn forget(&self) {
        *heard() = Heard::default();
    }

    /// The statements that a [`counted`] connection has sent.
    pub async fn statements(&self) -> Vec<String> {
        // SQLite's own thread logs a statement after it has answered.
        tokio::time::sleep(Duration::from_millis(50)).await;
        heard().statements.clone()
    }

    /// The plans that PostgreSQL followed.
    pub fn plans(&self) -> Vec<String> {
        heard().plans.clone()
    }
}

/// A connection of the same options, whose statements are counted.
pub async fn counted(pool: &Database) -> Database {
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
