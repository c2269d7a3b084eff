//! The extra columns of an application's table: for `readdress migrate columns`.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, TransactionTrait};

use super::layout::Layout;
use super::{Database, DatabaseError, ddl, survey};

/// While a change of the table waits for its lock, everybody else waits behind it.
const LOCK: Duration = Duration::from_secs(3);

/// The statements that add what is missing, in the order in which they are run.
///
/// # Errors
///
/// Passes on what the database says; also if there is no such table.
pub async fn missing(db: &Database, layout: &Layout) -> Result<Vec<String>, DatabaseError> {
    let columns = survey::column_names(db, layout).await?;
    if columns.is_empty() {
        let table = ddl::table(db.get_database_backend(), layout);
        return Err(DbErr::Custom(format!("there is no table {table}")).into());
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
/// Passes on what the database says; after 3 s of waiting for the table, that it is locked.
pub async fn add_missing(db: &Database, statements: &[String]) -> Result<(), DatabaseError> {
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
