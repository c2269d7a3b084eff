//! Connecting to the database, with the waits bounded.

use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};

/// The longest wait for a free connection; the default of 30 s would outlive the request.
const ACQUIRE: Duration = Duration::from_secs(2);

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions {
    /// The most connections held at once.
    pub max_connections: u32,
    /// Whether a SQLite file that does not exist is made.
    pub create_if_missing: bool,
}

/// Connects and proves that the database answers.
///
/// A SQLite file is put into WAL mode: readers never wait for the one writer.
///
/// # Errors
///
/// Passes on what the driver says.
pub async fn connect(url: &str, options: ConnectionOptions) -> Result<DatabaseConnection, DbErr> {
    let mut connect = ConnectOptions::new(url);
    connect
        .max_connections(options.max_connections)
        .connect_timeout(ACQUIRE)
        .acquire_timeout(ACQUIRE)
        .sqlx_logging(false)
        .set_application_name("readdress")
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(options.create_if_missing)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal)
                .busy_timeout(ACQUIRE)
        });
    let db = Database::connect(connect).await?;
    db.ping().await?;
    Ok(db)
}
