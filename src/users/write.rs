//! Running one write, so that it is either known to be done or never happens.

use std::time::Duration;

use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder, UpdateStatement};
use sea_orm::{DbBackend, DbErr, RuntimeErr, sqlx};
use sea_query_sqlx::SqlxBinder;
use sqlx::AssertSqlSafe;

use super::connection::STATEMENT;
use super::{DatabaseError, Users};
use crate::deadline::Deadline;

/// For the way to the database and back.
const TRAVEL: Duration = Duration::from_millis(250);

impl Users {
    /// Runs a write and says how many rows it changed.
    ///
    /// It begins only if enough of the deadline is left for the database to finish it or to give it
    /// up, and then it is waited for: nothing is written after the caller was told that nothing
    /// was. (`sea-orm` takes a connection and runs the statement in one step, within which the two
    /// waits cannot be told apart.)
    pub(super) async fn write(
        &self,
        statement: &UpdateStatement,
        deadline: Deadline,
    ) -> Result<u64, DatabaseError> {
        let begin_by = deadline.keeping(STATEMENT + TRAVEL);
        macro_rules! run {
            ($pool:ident, $builder:expr) => {{
                let acquired = begin_by.bound(self.db.$pool().acquire()).await?;
                let mut connection = acquired.map_err(failed)?;
                let (sql, values) = statement.build_sqlx($builder);
                let query = sqlx::query_with(AssertSqlSafe(sql), values);
                let done = deadline.bound(query.execute(&mut *connection)).await?;
                Ok(done.map_err(failed)?.rows_affected())
            }};
        }
        match self.db.get_database_backend() {
            DbBackend::Postgres => run!(get_postgres_connection_pool, PostgresQueryBuilder),
            _ => run!(get_sqlite_connection_pool, SqliteQueryBuilder),
        }
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
