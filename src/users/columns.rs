//! The extra columns of an application's table: for `readdress migrate columns`.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, TransactionTrait};

use super::connection::{denied, locked};
use super::layout::Layout;
use super::{Database, ddl, survey};

/// While a change of the table waits for its lock, everybody else waits behind it.
const LOCK: Duration = Duration::from_secs(3);

/// Why columns are not added; each says what mends it.
#[derive(Debug, thiserror::Error)]
pub enum ColumnsError {
    /// Or this user does not see it.
    #[error(
        "there is no table {0} that this database user can see: set READDRESS_USERS_TABLE to its name, with the schema in front (schema.table) if it is not in the search path; or grant the right to read it"
    )]
    NoTable(String),
    /// Something else held the table.
    #[error(
        "{0} was held by something else for {secs} s, and everybody waits behind a change of a table that waits: run this again when less is going on; it adds what is still missing. A transaction that was left open holds a table, too (PostgreSQL: pg_stat_activity; MariaDB: SHOW PROCESSLIST)",
        secs = LOCK.as_secs()
    )]
    Locked(String),
    /// Only who owns a table may change it.
    #[error(
        "this database user may not change {0}: run the statements above as the user who owns it, or this command with that user in READDRESS_DATABASE_URL"
    )]
    Denied(String),
    /// Anything else.
    #[error("the columns were not added, look into the database's own log: {0}")]
    Database(#[from] DbErr),
}

/// The statements that add what is missing, in the order in which they are run.
///
/// # Errors
///
/// [`ColumnsError`].
pub async fn missing(db: &Database, layout: &Layout) -> Result<Vec<String>, ColumnsError> {
    let columns = survey::column_names(db, layout).await?;
    if columns.is_empty() {
        return Err(ColumnsError::NoTable(name(db, layout)));
    }
    let statements = layout
        .extras()
        .into_iter()
        .filter(|(extra, _)| !columns.contains(&extra.name))
        .map(|(extra, _)| ddl::add_column(db.get_database_backend(), layout, &extra.name));
    Ok(statements.collect())
}

/// Runs those statements: all or none, except in MariaDB and MySQL, which know no transaction around
/// a change of a table.
///
/// # Errors
///
/// [`ColumnsError`]; after 3 s of waiting for the table, that it is locked.
pub async fn add_missing(
    db: &Database,
    layout: &Layout,
    statements: &[String],
) -> Result<(), ColumnsError> {
    run(db, statements).await.map_err(|error| {
        if locked(&error) {
            ColumnsError::Locked(name(db, layout))
        } else if denied(&error) {
            ColumnsError::Denied(name(db, layout))
        } else {
            error.into()
        }
    })
}

fn name(db: &Database, layout: &Layout) -> String {
    ddl::table(db.get_database_backend(), layout)
}

async fn run(db: &Database, statements: &[String]) -> Result<(), DbErr> {
    let transaction = db.begin().await?;
    let wait = match db.get_database_backend() {
        DbBackend::Postgres => Some(format!("SET LOCAL lock_timeout = '{}s'", LOCK.as_secs())),
        DbBackend::MySql => Some(format!(
            "SET SESSION lock_wait_timeout = {}",
            LOCK.as_secs()
        )),
        _ => None,
    };
    for statement in wait.iter().chain(statements) {
        transaction.execute_unprepared(statement).await?;
    }
    transaction.commit().await?;
    Ok(())
}
