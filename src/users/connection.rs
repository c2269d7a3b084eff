//! Connecting to the database, with the waits bounded on both sides.
//!
//! A statement that we stop waiting for is still the database's: it would be carried out as soon as
//! whatever held it up lets go, long after the caller was told that nothing has changed. So the
//! database itself gives up first, after [`STATEMENT`].
//!
//! PostgreSQL is told so in the startup packet. A `SET` after connecting would, behind a pooler in
//! transaction mode, stick to whichever server connection happened to run it; `SET LOCAL` needs a
//! transaction, and with it two more round trips a statement. A pooler that knows no such startup
//! parameter refuses it or drops it: then the role has to carry the setting, and whether it does is
//! asked before anything is served. Statements are prepared under names that a driver counts up for
//! each connection, so a pooler that does not keep them apart is refused too: what one service
//! prepared would be carried out for another. MariaDB and MySQL are told by a `SET` on each new connection;
//! SQLite's only wait is for its lock.

use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    Statement, TryGetableMany,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection, Executor};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use super::layout::Owner;
use super::tls::TlsError;

/// The longest wait for a free connection; the default of 30 s would outlive the request.
const ACQUIRE: Duration = Duration::from_secs(2);
/// The longest that connecting may take with every question asked at its beginning: a pooler that has
/// no connection to spare lets us in, and then waits.
const ANSWER: Duration = Duration::from_secs(8);
/// The longest a statement may take in the database, its waits for locks included.
pub(super) const STATEMENT: Duration = Duration::from_millis(1_500);
/// A connection that rested longer is tried before it is used; a fresher one costs no round trip.
const RESTED: Duration = Duration::from_secs(1);

/// "protocol violation" (postgresql.org/docs/current/errcodes-appendix.html): what a pooler says to
/// startup parameters that it does not pass on.
const UNKNOWN_STARTUP_PARAMETER: &str = "08P01";

/// "duplicate prepared statement" and "invalid SQL statement name" (the same page): a server connection
/// holds what another client prepared, or has lost what we did.
const NOT_OURS: [&str; 2] = ["42P05", "26000"];

/// "invalid authorization specification", "invalid password", "invalid catalog name" and
/// "insufficient privilege" (the same page).
const NOT_LET_IN: [&str; 2] = ["28000", "28P01"];
const NO_DATABASE: &str = "3D000";
const DENIED: &str = "42501";

/// `ER_ACCESS_DENIED_ERROR`, `ER_DBACCESS_DENIED_ERROR` and `ER_BAD_DB_ERROR`; of a table and of a
/// column: `ER_TABLEACCESS_DENIED_ERROR`, `ER_COLUMNACCESS_DENIED_ERROR`
/// (mariadb.com/docs/server/reference/error-codes).
const MYSQL_NOT_LET_IN: [u16; 2] = [1045, 1044];
const MYSQL_NO_DATABASE: u16 = 1049;
const MYSQL_DENIED: [u16; 2] = [1142, 1143];

/// "lock not available" (of PostgreSQL); `ER_LOCK_WAIT_TIMEOUT`; sqlite.org/rescode.html#busy
const LOCKED: [&str; 2] = ["55P03", "5"];
const MYSQL_LOCKED: u16 = 1205;

/// sqlite.org/rescode.html#cantopen, #readonly
const SQLITE_CANTOPEN: &str = "14";
const SQLITE_READONLY: &str = "8";

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionOptions {
    /// The most connections held at once.
    pub max_connections: u32,
    /// What they are for.
    pub purpose: Purpose,
    /// Whose table it is that they lead to: of an application's SQLite file nothing is changed.
    pub owner: Owner,
}

/// What connections are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Serving people: no statement outlives the request that waits for it.
    Serve,
    /// Looking at the table: statements take as long as they take.
    Look,
    /// Migrating: the same, for migrations wait for each other; and a SQLite file that does not
    /// exist is made.
    Migrate,
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
    /// Somebody lets us in, and then says nothing.
    #[error(
        "it takes connections and answers nothing: behind a pooler, there may be no connection to spare"
    )]
    Silent,
    /// Nobody here knows a machine of that name.
    #[error("the host in the URL has no address here: its name is not known")]
    UnknownHost,
    /// It answers, and there is no encrypted connection.
    #[error("{0}")]
    Tls(TlsError),
    /// There is no such SQLite file, or it is not ours to open.
    #[error("the file is not there or cannot be opened: `readdress migrate up` makes it")]
    NoFile,
    /// A replica that follows another server.
    #[error("this server only reads: it is a standby, or was set to; name the primary")]
    Standby,
    /// What stands between us and the database does not pass on the limit of a statement.
    #[error(
        "statements have no time limit: set one for the role, `ALTER ROLE {0} SET statement_timeout = '{ms}ms'`, and reconnect the pooler",
        ms = STATEMENT.as_millis()
    )]
    Unlimited(String),
    /// What stands between us and the database hands prepared statements from one client to another.
    #[error(
        "prepared statements are not kept apart by the pooler: PgBouncer does from 1.21 on, with max_prepared_statements above 0; any other way, give the service a pool in session mode"
    )]
    Mixed,
    /// User or password is wrong, or the server's rules keep this user or machine out.
    #[error("the database does not let us in: user, password or its own rules")]
    NotLetIn,
    /// The server has no database of that name.
    #[error("the server has no database of that name")]
    NoDatabase,
    /// The database says no.
    #[error("{0}")]
    Refused(DbErr),
}

/// Connects and proves that the database answers.
///
/// Our own SQLite file is put into WAL mode: readers never wait for the one writer. That stays in
/// the file, so the mode of an application's is its own business.
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
        .test_before_acquire_if_idle_for(RESTED)
        .sqlx_logging(false)
        .set_application_name("readdress")
        // Poolers refuse this startup parameter; we read no floating-point number.
        .map_sqlx_postgres_opts(|postgres| postgres.extra_float_digits(None))
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .create_if_missing(options.purpose == Purpose::Migrate)
                .busy_timeout(STATEMENT);
            match options.owner {
                Owner::Readdress => sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal),
                Owner::Application => sqlite,
            }
        });
    let limited = options.purpose == Purpose::Serve;
    connect.map_sqlx_mysql_pool_opts(move |pool| {
        pool.after_connect(move |connection, _| {
            Box::pin(async move {
                let session = AssertSqlSafe(mysql_session(limited));
                connection.execute(session).await.map(drop)
            })
        })
    });
    let answered = timeout(ANSWER, async {
        let opened = if limited {
            open_limited(connect).await
        } else {
            open(connect).await
        };
        let db = match opened {
            Ok(db) => db,
            Err(error) => return Err(explain(error, &parsed).await),
        };
        assert_fit(&db, limited).await.map(|()| db)
    });
    answered.await.unwrap_or(Err(ConnectError::Silent))
}

/// Asks the server about itself, and whatever stands between us and it.
async fn assert_fit(db: &DatabaseConnection, limited: bool) -> Result<(), ConnectError> {
    match db.get_database_backend() {
        DbBackend::Postgres => {
            assert_postgres(db, limited).await?;
            // Every command looks before it does anything else.
            if limited {
                Ok(())
            } else {
                assert_kept_apart(db).await
            }
        }
        DbBackend::MySql => assert_mysql(db).await,
        _ => Ok(()),
    }
}

/// Lazily, and then asked: what `connect` itself opened would not be back in the pool when it returns,
/// and the first statement would open a second connection.
async fn open(mut options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    options.connect_lazy(true);
    let db = Database::connect(options).await?;
    db.ping().await?;
    Ok(db)
}

/// With the limit of a statement in the startup packet, or without if that is refused.
async fn open_limited(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    let mut limited = options.clone();
    limited.statement_timeout(STATEMENT);
    match open(limited).await {
        Err(error) if code_of(&error).as_deref() == Some(UNKNOWN_STARTUP_PARAMETER) => {
            open(options).await
        }
        opened => opened,
    }
}

/// Strict, whatever the server is: otherwise it cuts what is too long for its column, and the address
/// that is written is one that nobody has proven.
///
/// A lock is waited for in whole seconds. `max_statement_time` is MariaDB's alone (the comment is
/// code to it); MySQL bounds no write but by its wait for locks.
fn mysql_session(limited: bool) -> String {
    const STRICT: &str =
        "SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES')";
    if !limited {
        return STRICT.to_owned();
    }
    let locks = STATEMENT.as_secs();
    let whole = STATEMENT.as_secs_f64();
    format!(
        "{STRICT}, innodb_lock_wait_timeout = {locks}, lock_wait_timeout = {locks} /*M! , max_statement_time = {whole} */"
    )
}

/// Asks whether the server writes, and what limit it really keeps.
async fn assert_postgres(db: &DatabaseConnection, limited: bool) -> Result<(), ConnectError> {
    const SQL: &str = "SELECT CAST(current_user AS text), CAST(setting AS bigint), \
                       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' \
                       FROM pg_settings WHERE name = 'statement_timeout'";
    let Some((role, milliseconds, reads_only)) = ask::<(String, i64, bool)>(db, SQL).await? else {
        return Ok(());
    };
    if reads_only {
        return Err(ConnectError::Standby);
    }
    let limit = i64::try_from(STATEMENT.as_millis()).unwrap_or(i64::MAX);
    if limited && !(1..=limit).contains(&milliseconds) {
        return Err(ConnectError::Unlimited(role));
    }
    Ok(())
}

/// Asks whether a second connection may prepare its first statement, under the name that the first
/// connection's has.
async fn assert_kept_apart(db: &DatabaseConnection) -> Result<(), ConnectError> {
    let options = db.get_postgres_connection_pool().connect_options();
    let prepare = async {
        let mut second = options.connect().await?;
        second.execute(sqlx::query("SELECT 1")).await?;
        second.close().await
    };
    match timeout(ACQUIRE, prepare).await {
        Ok(Err(sqlx::Error::Database(said)))
            if said.code().is_some_and(|code| NOT_OURS.contains(&&*code)) =>
        {
            Err(ConnectError::Mixed)
        }
        // Nothing is mixed by a pooler in session mode that has no second one to give.
        _ => Ok(()),
    }
}

async fn assert_mysql(db: &DatabaseConnection) -> Result<(), ConnectError> {
    match ask::<(i64,)>(db, "SELECT CAST(@@GLOBAL.read_only AS SIGNED)").await? {
        Some((0,)) | None => Ok(()),
        Some(_) => Err(ConnectError::Standby),
    }
}

async fn ask<T: TryGetableMany>(
    db: &DatabaseConnection,
    sql: &str,
) -> Result<Option<T>, ConnectError> {
    let question = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(question).await;
    let row = row.map_err(|error| match code_of(&error) {
        Some(code) if NOT_OURS.contains(&code.as_str()) => ConnectError::Mixed,
        _ => ConnectError::Refused(error),
    })?;
    let read = row.map(|row| T::try_get_many_by_index(&row).map_err(DbErr::from));
    read.transpose().map_err(ConnectError::Refused)
}

fn default_port(url: &Url) -> u16 {
    if url.scheme() == "mysql" { 3306 } else { 5432 }
}

/// What the database said itself, if it said anything.
fn said(error: &DbErr) -> Option<&dyn DatabaseError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => cause.as_database_error(),
        _ => None,
    }
}

fn code_of(error: &DbErr) -> Option<String> {
    Some(said(error)?.code()?.into_owned())
}

/// MariaDB's and MySQL's own number, which tells more apart than their SQLSTATE.
fn mysql_number(error: &DbErr) -> Option<u16> {
    let said = said(error)?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(said.number())
}

/// Whether the database refuses for want of rights.
pub(super) fn denied(error: &DbErr) -> bool {
    if let Some(number) = mysql_number(error) {
        return MYSQL_DENIED.contains(&number);
    }
    code_of(error).is_some_and(|code| code == DENIED || code == SQLITE_READONLY)
}

/// Whether something else held for too long what a statement needed.
pub(super) fn locked(error: &DbErr) -> bool {
    if let Some(number) = mysql_number(error) {
        return number == MYSQL_LOCKED;
    }
    code_of(error).is_some_and(|code| LOCKED.contains(&code.as_str()))
}

/// The pool tries again until its time is over and then says no more than that, and of a wait for
/// the network it says as little; what stands behind is found by asking once more, plainly.
async fn explain(error: DbErr, url: &Url) -> ConnectError {
    let DbErr::Conn(RuntimeErr::SqlxError(cause)) = &error else {
        return ConnectError::Refused(error);
    };
    match &**cause {
        sqlx::Error::Configuration(_) => ConnectError::Url,
        sqlx::Error::Database(_) => refused(error),
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
            match reach(url).await {
                Err(unreached) => unreached,
                Ok(()) => TlsError::of(cause)
                    .map_or_else(|| ConnectError::Refused(error.clone()), ConnectError::Tls),
            }
        }
        _ => ConnectError::Refused(error),
    }
}

/// Whether anybody listens where the URL leads. A socket in the file system is not asked.
async fn reach(url: &Url) -> Result<(), ConnectError> {
    let host = url.host_str().filter(|host| !host.contains('%'));
    let Some(host) = host.filter(|_| url.scheme() != "sqlite") else {
        return Ok(());
    };
    let host = host.trim_matches(['[', ']']);
    let port = url.port().unwrap_or(default_port(url));
    let addresses = lookup_host((host, port)).await;
    let addresses: Vec<_> = addresses.map_err(|_| ConnectError::UnknownHost)?.collect();
    match timeout(ACQUIRE, TcpStream::connect(&*addresses)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(ConnectError::Unreachable(error)),
        Err(late) => Err(ConnectError::Unreachable(late.into())),
    }
}

fn refused(error: DbErr) -> ConnectError {
    let code = code_of(&error).unwrap_or_default();
    match mysql_number(&error) {
        Some(number) if MYSQL_NOT_LET_IN.contains(&number) => ConnectError::NotLetIn,
        Some(MYSQL_NO_DATABASE) => ConnectError::NoDatabase,
        None if NOT_LET_IN.contains(&code.as_str()) => ConnectError::NotLetIn,
        None if code == NO_DATABASE => ConnectError::NoDatabase,
        None if code == SQLITE_CANTOPEN => ConnectError::NoFile,
        _ => ConnectError::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_port_leads_to_the_usual_one() {
        for (url, port) in [
            ("postgres://db.example/app", 5432),
            ("postgresql://db.example/app", 5432),
            ("mysql://db.example/app", 3306),
        ] {
            assert_eq!(default_port(&Url::parse(url).expect("a URL")), port);
        }
    }
}
