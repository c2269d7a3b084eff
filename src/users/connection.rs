//! Connecting to the database, with the waits bounded.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};
use tokio::net::TcpStream;
use url::Url;

/// The longest wait for a free connection; the default of 30 s would outlive the request.
const ACQUIRE: Duration = Duration::from_secs(2);

/// sqlite.org/rescode.html#cantopen
const SQLITE_CANTOPEN: &str = "14";

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions {
    /// The most connections held at once.
    pub max_connections: u32,
    /// Whether a SQLite file that does not exist is made.
    pub create_if_missing: bool,
}

/// Why there is no connection. Never repeats the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Scheme, host, port or an option is not what the driver reads.
    #[error("the URL cannot be read: check its scheme, host, port and options")]
    Url,
    /// Nobody answers there.
    #[error("nobody answers there ({0})")]
    Unreachable(std::io::Error),
    /// There is no such SQLite file, or it is not ours to open.
    #[error("the file is not there or cannot be opened: `readdress migrate up` makes it")]
    NoFile,
    /// The database says no.
    #[error("{0}")]
    Refused(DbErr),
}

/// Connects and proves that the database answers.
///
/// A SQLite file is put into WAL mode: readers never wait for the one writer.
///
/// # Errors
///
/// [`ConnectError`].
pub async fn connect(
    url: &str,
    options: ConnectionOptions,
) -> Result<DatabaseConnection, ConnectError> {
    let parsed = Url::parse(url).map_err(|_| ConnectError::Url)?;
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
    let connected = match Database::connect(connect).await {
        Ok(db) => db.ping().await.map(|()| db),
        Err(error) => Err(error),
    };
    match connected {
        Ok(db) => Ok(db),
        Err(error) => Err(explain(error, &parsed).await),
    }
}

/// The pool tries again until its time is over and then says no more than that; what stands behind
/// it is found by asking once more, plainly.
async fn explain(error: DbErr, url: &Url) -> ConnectError {
    let DbErr::Conn(RuntimeErr::SqlxError(cause)) = &error else {
        return ConnectError::Refused(error);
    };
    match &**cause {
        sqlx::Error::Configuration(_) => ConnectError::Url,
        sqlx::Error::PoolTimedOut => {
            let host = url
                .host_str()
                .unwrap_or("localhost")
                .trim_matches(['[', ']']);
            match TcpStream::connect((host, url.port().unwrap_or(5432))).await {
                Err(unreachable) => ConnectError::Unreachable(unreachable),
                Ok(_) => ConnectError::Refused(error),
            }
        }
        sqlx::Error::Database(said) if said.code().as_deref() == Some(SQLITE_CANTOPEN) => {
            ConnectError::NoFile
        }
        _ => ConnectError::Refused(error),
    }
}
