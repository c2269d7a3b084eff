//! The users table: the only state there is.
//!
//! It decides whether a link still holds, so every write is one guarded statement that compares
//! everything the decision was based on, byte for byte. `sea-orm` lives here and in `migrations`.

mod charge;
mod columns;
mod connection;
mod ddl;
mod discreet;
mod layout;
mod look;
mod survey;
mod table;
mod tls;
mod write;

use std::fmt;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, SqlErr};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use columns::{ColumnsError, add_missing, missing};
pub use connection::{ConnectError, ConnectionOptions, Purpose, connect};
pub use layout::{Extra, Layout, Owner, Preset};
pub use look::{clock_ahead, missing_rights, sample_hashes};
/// A pool of connections.
pub use sea_orm::DatabaseConnection as Database;
pub use survey::{Survey, survey};
pub use table::Table;
pub use tls::TlsError;

use crate::deadline::Deadline;
use crate::email_address::{EmailAddress, same_address};
use crate::random;

/// A user's id, as text whatever the column's type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(pub(crate) String);

impl UserId {
    /// The id as it stands in a token's `sub`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A row as it was read. Guarded writes compare it whole.
#[derive(Clone)]
pub struct User {
    /// The primary key.
    pub id: UserId,
    /// The current address, as stored.
    pub email: String,
    /// The password hash, as stored.
    pub password_hash: Zeroizing<String>,
    /// Part of every fingerprint; `None` where a row was made without one.
    pub nonce: Option<i64>,
    /// The change that opened the undo window, in Unix seconds.
    pub undo_opened_at: Option<i64>,
}

#[cfg(test)]
impl User {
    pub(crate) fn for_tests(
        id: &str,
        email: &str,
        password_hash: &str,
        nonce: Option<i64>,
    ) -> Self {
        Self {
            id: UserId(id.to_owned()),
            email: email.to_owned(),
            password_hash: Zeroizing::new(password_hash.to_owned()),
            nonce,
            undo_opened_at: None,
        }
    }
}

/// What a guarded write puts in place of what was read.
pub struct Change<'a> {
    /// The new address, if the address changes.
    pub email: Option<&'a str>,
    /// The nonce of the new state.
    pub nonce: i64,
    /// The undo window of the new state.
    pub undo_opened_at: Option<i64>,
}

/// How a guarded write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Exactly this row was changed.
    Done,
    /// The row is no longer what was read.
    Stale,
    /// Another account has the address.
    EmailTaken,
}

/// The database did not do what was asked. Nothing is known to have changed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It refused, or could not be reached. Says why in the database's words, but for those that
    /// may be a person's.
    #[error("the database failed: {}", discreet::words(.0))]
    Failed(DbErr),
    /// It did not answer in time.
    #[error("the database did not answer in time")]
    TimedOut(#[from] crate::deadline::TimedOut),
    /// No random nonce could be drawn for a new row.
    #[error(transparent)]
    Random(#[from] random::RandomError),
}

impl From<DbErr> for DatabaseError {
    fn from(error: DbErr) -> Self {
        Self::Failed(error)
    }
}

/// The users table. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    db: Database,
    table: Arc<Table>,
}

impl Users {
    /// The table in that database, as it was [surveyed](survey()).
    #[must_use]
    pub fn new(db: Database, table: Table) -> Self {
        Self {
            db,
            table: Arc::new(table),
        }
    }

    /// Whether every column takes this address that it is written to. One that is cut short is
    /// somebody else's.
    #[must_use]
    pub fn takes(&self, email: &EmailAddress) -> bool {
        let length = email.as_str().len();
        self.table
            .longest_address
            .is_none_or(|longest| usize::try_from(longest).is_ok_and(|longest| length <= longest))
    }

    /// Whether links are single-use and can be cancelled: whether there is a nonce.
    #[must_use]
    pub fn keep_nonce(&self) -> bool {
        self.table.nonce.is_some()
    }

    /// Whether a change can be undone: whether its window is remembered.
    #[must_use]
    pub fn keep_undo(&self) -> bool {
        self.table.undo_opened_at.is_some()
    }

    /// Whether the limit on password checks of an account is kept here, across replicas.
    #[must_use]
    pub fn keep_passwords(&self) -> bool {
        self.table.passwords_tat.is_some()
    }

    /// The active user of that id.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn find(&self, id: &str, deadline: Deadline) -> Result<Option<User>, DatabaseError> {
        let Some(asked) = self.table.id_value(id) else {
            return Ok(None);
        };
        let mut select = self.table.select();
        select
            .and_where(self.table.id_is(&asked))
            .and_where_option(self.table.is_active());
        let found = deadline.bound(self.db.query_one(&select)).await??;
        let found = found.map(|row| self.table.read(&row)).transpose()?;
        // A collation may find another text than was asked for.
        Ok(found.filter(|user| self.table.id_value(user.id.as_str()).as_ref() == Some(&asked)))
    }

    /// The active user of that address, by ASCII case folding. Where several have it, the one who
    /// has it exactly as typed; otherwise nobody.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn find_by_email(
        &self,
        typed: &str,
        deadline: Deadline,
    ) -> Result<Option<User>, DatabaseError> {
        let typed = typed.trim();
        if typed.contains('\0') {
            return Ok(None);
        }
        let mut having = self.having(typed, self.table.is_active(), deadline).await?;
        if having.len() > 1 {
            having.retain(|user| user.email == typed);
        }
        Ok(having.pop().filter(|_| having.is_empty()))
    }

    /// Whose address that is, inactive or not: somebody else's, if anybody else has it.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn owner_of(
        &self,
        email: &EmailAddress,
        asking: &UserId,
        deadline: Deadline,
    ) -> Result<Option<UserId>, DatabaseError> {
        let having = self.having(email.as_str(), None, deadline).await?;
        Ok(owner(having, asking))
    }

    /// Everybody whose address that is.
    async fn having(
        &self,
        email: &str,
        condition: Option<Expr>,
        deadline: Deadline,
    ) -> Result<Vec<User>, DatabaseError> {
        let select = self.select_having(email, condition);
        let rows = deadline.bound(self.db.query_all(&select)).await??;
        self.read_having(&rows, email)
    }

    fn select_having(&self, email: &str, condition: Option<Expr>) -> SelectStatement {
        let mut select = self.table.select();
        select
            .and_where(self.table.address_may_be(&email.to_ascii_lowercase()))
            .and_where_option(condition);
        select
    }

    fn read_having(&self, rows: &[QueryResult], email: &str) -> Result<Vec<User>, DatabaseError> {
        let users: Result<Vec<User>, DbErr> = rows.iter().map(|row| self.table.read(row)).collect();
        let mut users = users?;
        users.retain(|user| same_address(&user.email, email));
        Ok(users)
    }

    /// The guarded write: changes exactly the row that was read, or nothing.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`]; then nothing was changed, unless the connection broke before the database
    /// could say so.
    pub async fn replace(
        &self,
        read: &User,
        change: &Change<'_>,
        deadline: Deadline,
    ) -> Result<Replaced, DatabaseError> {
        let Some(id) = self.table.id_value(read.id.as_str()) else {
            return Ok(Replaced::Stale);
        };
        let statement = self.table.replace(&id, read, change);
        let written = match change.email {
            Some(email) if !self.table.unique => {
                // In a box, as the pool's futures are: every step's future, which is moved as a whole some
                // times, would be larger by theirs.
                let write = Box::pin(self.write_if_free(&statement, email, &read.id, deadline));
                let Some(written) = write.await? else {
                    return Ok(Replaced::EmailTaken);
                };
                Ok(written)
            }
            _ => self.write(&statement, deadline).await,
        };
        match written {
            Ok(0) => Ok(Replaced::Stale),
            Ok(_) => Ok(Replaced::Done),
            Err(DatabaseError::Failed(error)) if is_unique_violation(&error) => {
                Ok(Replaced::EmailTaken)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a user to our own table; `false` if the address is taken.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn add(
        &self,
        email: &EmailAddress,
        password_hash: &str,
        deadline: Deadline,
    ) -> Result<bool, DatabaseError> {
        let id = Uuid::now_v7().to_string();
        let Some(id) = self.table.id_value(&id) else {
            unreachable!("the ids of our own table are UUIDs")
        };
        let layout = &self.table.layout;
        let mut insert = Query::insert();
        insert
            .into_table(self.table.target())
            .columns(
                [
                    &layout.id,
                    &layout.email,
                    &layout.password,
                    &layout.nonce.name,
                ]
                .map(|column| table::name(column)),
            )
            .values_panic([
                id.into(),
                email.as_str().into(),
                password_hash.into(),
                random::nonce()?.into(),
            ]);
        match deadline.bound(self.db.execute(&insert)).await? {
            Ok(_) => Ok(true),
            Err(error) if is_unique_violation(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Connections of the pool: in use, idle, and the most there can be.
    #[must_use]
    pub fn pool(&self) -> [u32; 3] {
        macro_rules! state {
            ($pool:ident) => {{
                let pool = self.db.$pool();
                let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
                let used = pool.size().saturating_sub(idle);
                [used, idle, pool.options().get_max_connections()]
            }};
        }
        match self.db.get_database_backend() {
            DbBackend::Postgres => state!(get_postgres_connection_pool),
            DbBackend::MySql => state!(get_mysql_connection_pool),
            _ => state!(get_sqlite_connection_pool),
        }
    }

    /// Whether the database answers and the table still has every column we need: for readiness.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if it does not.
    pub async fn probe(&self, deadline: Deadline) -> Result<(), DatabaseError> {
        deadline
            .bound(self.db.query_one(&self.table.probe()))
            .await??;
        Ok(())
    }
}

/// Somebody else, if anybody else is among them.
fn owner(having: Vec<User>, asking: &UserId) -> Option<UserId> {
    let mut ids = having.into_iter().map(|user| user.id);
    let first = ids.next()?;
    if first == *asking {
        ids.next().or(Some(first))
    } else {
        Some(first)
    }
}

fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_into_the_log_as_it_is() {
        let id = UserId("019aa2b4-0000-7000-8000-000000000001".to_owned());
        assert_eq!(id.to_string(), id.as_str());
    }

    #[test]
    fn an_owner_is_somebody_else_if_there_is_anybody_else() {
        let rows = |ids: &[&str]| -> Vec<User> {
            ids.iter()
                .map(|id| User::for_tests(id, "ann@example.com", "x", None))
                .collect()
        };
        let me = UserId("me".to_owned());
        let found = |ids: &[&str]| owner(rows(ids), &me).map(|id| id.0);
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["me"]).as_deref(), Some("me"));
        assert_eq!(found(&["you"]).as_deref(), Some("you"));
        assert_eq!(found(&["me", "you"]).as_deref(), Some("you"));
        assert_eq!(found(&["you", "me"]).as_deref(), Some("you"));
    }
}
