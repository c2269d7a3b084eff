//! The users table: the only state there is.
//!
//! It decides whether a link still holds, so every write is one guarded statement that compares
//! everything the decision was based on, byte for byte. `sea-orm` lives here and in `migrations`.

mod charge;
mod connection;
mod write;

use std::fmt;

use sea_orm::sea_query::{
    Expr, ExprTrait, IntoCondition, Query, SelectStatement, SimpleExpr, UpdateStatement,
};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, SqlErr, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

pub use connection::{ConnectError, ConnectionOptions, Purpose, connect};
/// A pool of connections.
pub use sea_orm::DatabaseConnection as Database;

use crate::deadline::Deadline;
use crate::email_address::EmailAddress;
use crate::random;

const TABLE: &str = "users";
const ID: &str = "id";
const EMAIL: &str = "email";
const PASSWORD_HASH: &str = "password_hash";
const NONCE: &str = "email_change_nonce";
const UNDO_OPENED_AT: &str = "undo_opened_at";
const PASSWORDS_TAT: &str = "passwords_tat";
const UPDATED_AT: &str = "updated_at";

/// Every column the service reads or writes.
pub const COLUMNS: [&str; 7] = [
    ID,
    EMAIL,
    PASSWORD_HASH,
    NONCE,
    UNDO_OPENED_AT,
    PASSWORDS_TAT,
    UPDATED_AT,
];

/// A user's id, as text whatever the column's type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserId(String);

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
    /// It refused, or could not be reached.
    #[error("the database failed")]
    Failed(#[from] DbErr),
    /// It did not answer in time.
    #[error("the database did not answer in time")]
    TimedOut(#[from] crate::deadline::TimedOut),
    /// No random nonce could be drawn for a new row.
    #[error(transparent)]
    Random(#[from] random::RandomError),
}

/// The users table. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    db: Database,
}

impl Users {
    /// The table in that database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// The user of that id.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn find(&self, id: &str, deadline: Deadline) -> Result<Option<User>, DatabaseError> {
        let Some(id) = self.id_value(id) else {
            return Ok(None);
        };
        self.one(select_user().and_where(Expr::col(ID).eq(id)), deadline)
            .await
    }

    /// The user of that address, by ASCII case folding. Our own table holds canonical addresses
    /// only, so the folded text is found through the plain unique index.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn find_by_email(
        &self,
        typed: &str,
        deadline: Deadline,
    ) -> Result<Option<User>, DatabaseError> {
        let folded = typed.trim().to_ascii_lowercase();
        self.one(
            select_user().and_where(Expr::col(EMAIL).eq(folded)),
            deadline,
        )
        .await
    }

    /// Whose address that is.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn owner_of(
        &self,
        email: &EmailAddress,
        deadline: Deadline,
    ) -> Result<Option<UserId>, DatabaseError> {
        Ok(self
            .find_by_email(email.as_str(), deadline)
            .await?
            .map(|owner| owner.id))
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
        let Some(id) = self.id_value(read.id.as_str()) else {
            return Ok(Replaced::Stale);
        };
        let mut statement = update(&id);
        statement
            .value(NONCE, change.nonce)
            .value(UNDO_OPENED_AT, change.undo_opened_at)
            .value(UPDATED_AT, Expr::current_timestamp())
            .cond_where(is(EMAIL, Some(read.email.as_str())))
            .cond_where(is(PASSWORD_HASH, Some(read.password_hash.as_str())))
            .cond_where(is(NONCE, read.nonce))
            .cond_where(is(UNDO_OPENED_AT, read.undo_opened_at));
        if let Some(email) = change.email {
            statement.value(EMAIL, email);
        }
        match self.write(&statement, deadline).await {
            Ok(0) => Ok(Replaced::Stale),
            Ok(_) => Ok(Replaced::Done),
            Err(DatabaseError::Failed(error)) if is_unique_violation(&error) => {
                Ok(Replaced::EmailTaken)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds a user; `false` if the address is taken.
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
        let Some(id) = self.id_value(&id) else {
            unreachable!("a UUID is a valid id")
        };
        let mut insert = Query::insert();
        insert
            .into_table(TABLE)
            .columns([ID, EMAIL, PASSWORD_HASH, NONCE])
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

    /// Whether the database answers and the table has every column we need: for readiness and
    /// `check`.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`] if it does not.
    pub async fn probe(&self, deadline: Deadline) -> Result<(), DatabaseError> {
        let mut probe = Query::select();
        // Qualified: SQLite takes a bare name that it does not know for a text.
        probe
            .columns(COLUMNS.map(|column| (TABLE, column)))
            .from(TABLE)
            .limit(0);
        deadline.bound(self.db.query_one(&probe)).await??;
        Ok(())
    }

    async fn one(
        &self,
        select: &SelectStatement,
        deadline: Deadline,
    ) -> Result<Option<User>, DatabaseError> {
        let row = deadline.bound(self.db.query_one(select)).await??;
        Ok(row.map(|row| read_user(&row)).transpose()?)
    }

    /// The id in the column's own type: PostgreSQL refuses to compare a uuid with text. `None` if
    /// the text cannot be an id of this table.
    fn id_value(&self, id: &str) -> Option<Value> {
        let uuid = Uuid::try_parse(id).ok()?;
        Some(match self.db.get_database_backend() {
            DbBackend::Postgres => uuid.into(),
            _ => uuid.to_string().into(),
        })
    }
}

fn select_user() -> SelectStatement {
    let mut select = Query::select();
    select
        .expr_as(Expr::col(ID).cast_as("text"), ID)
        .columns([EMAIL, PASSWORD_HASH, NONCE, UNDO_OPENED_AT])
        .from(TABLE);
    select
}

fn read_user(row: &QueryResult) -> Result<User, DbErr> {
    Ok(User {
        id: UserId(row.try_get("", ID)?),
        email: row.try_get("", EMAIL)?,
        password_hash: Zeroizing::new(row.try_get("", PASSWORD_HASH)?),
        nonce: row.try_get("", NONCE)?,
        undo_opened_at: row.try_get("", UNDO_OPENED_AT)?,
    })
}

fn update(id: &Value) -> UpdateStatement {
    let mut update = Query::update();
    update.table(TABLE).and_where(Expr::col(ID).eq(id.clone()));
    update
}

/// A NULL-safe comparison with a value that is known: NULL is a value too.
fn is<V: Into<Value>>(column: &'static str, value: Option<V>) -> impl IntoCondition {
    let column = Expr::col(column);
    let comparison: SimpleExpr = match value {
        Some(value) => column.eq(Expr::val(value)),
        None => column.is_null(),
    };
    comparison
}

fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}
