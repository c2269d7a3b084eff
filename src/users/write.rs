//! Running one write, so that it is either known to be done or never happens.

use std::time::Duration;

use sea_orm::sea_query::{
    MysqlQueryBuilder, PostgresQueryBuilder, SqliteQueryBuilder, UpdateStatement,
};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait, sqlx,
};
use sea_query_sqlx::SqlxBinder;
use sqlx::AssertSqlSafe;

use super::connection::STATEMENT;
use super::{DatabaseError, UserId, Users, owner};
use crate::boundary;
use crate::deadline::Deadline;

/// For the way to the database and back.
const TRAVEL: Duration = Duration::from_millis(250);
/// How often a transaction that lost to another one is begun anew.
const TRIES: usize = 3;
/// `serialization_failure` (in MariaDB and MySQL also a deadlock) and, in PostgreSQL,
/// `deadlock_detected`.
const LOST: [&str; 2] = ["40001", "40P01"];

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
        boundary::pass().await;
        let begin_by = deadline.keeping(STATEMENT + TRAVEL);
        macro_rules! run {
            ($pool:ident, $builder:expr) => {{
                let acquired = begin_by.bound(Box::pin(self.db.$pool().acquire())).await?;
                let mut connection = acquired.map_err(failed)?;
                let (sql, values) = statement.build_sqlx($builder);
                let query = sqlx::query_with(AssertSqlSafe(sql), values);
                let done = deadline.bound(query.execute(&mut *connection)).await?;
                boundary::pass().await;
                Ok(done.map_err(failed)?.rows_affected())
            }};
        }
        match self.db.get_database_backend() {
            DbBackend::Postgres => run!(get_postgres_connection_pool, PostgresQueryBuilder),
            DbBackend::MySql => run!(get_mysql_connection_pool, MysqlQueryBuilder),
            _ => run!(get_sqlite_connection_pool, SqliteQueryBuilder),
        }
    }

    /// The same where no index keeps an address unique: looks first, in one serialisable
    /// transaction with the write. `None` if somebody else has the address.
    ///
    /// (Two statements, because MySQL refuses an `UPDATE` that reads its own table.) It is ours to
    /// commit, so what was given up never happens.
    pub(super) async fn write_if_free(
        &self,
        statement: &UpdateStatement,
        email: &str,
        asking: &UserId,
        deadline: Deadline,
    ) -> Result<Option<u64>, DatabaseError> {
        boundary::pass().await;
        let options = TransactionOptions {
            isolation_level: match self.db.get_database_backend() {
                DbBackend::Sqlite => None,
                _ => Some(IsolationLevel::Serializable),
            },
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let deadline = deadline.keeping(TRAVEL);
        let mut tries = 1..=TRIES;
        loop {
            let transaction = deadline
                .bound(self.db.begin_with_options(options))
                .await??;
            let work = self.look_and_write(transaction, statement, email, asking);
            match deadline.bound(work).await? {
                Err(DatabaseError::Failed(error)) if has_lost(&error) && tries.next().is_some() => {
                }
                done => return done,
            }
        }
    }

    async fn look_and_write(
        &self,
        transaction: DatabaseTransaction,
        statement: &UpdateStatement,
        email: &str,
        asking: &UserId,
    ) -> Result<Option<u64>, DatabaseError> {
        let select = self.select_having(email, None);
        let having = self.read_having(&transaction.query_all(&select).await?, email)?;
        if owner(having, asking).is_some_and(|owner| owner != *asking) {
            return Ok(None);
        }
        let written = transaction.execute(statement).await?.rows_affected();
        transaction.commit().await?;
        boundary::pass().await;
        Ok(Some(written))
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

fn has_lost(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };
    let Some(error) = error.as_database_error() else {
        return false;
    };
    error.code().is_some_and(|code| LOST.contains(&&*code))
}
