//! The users table as it was found: its names in every statement, each value in its column's own
//! type, and comparisons that mean what they say whatever the collation.

use sea_orm::sea_query::{
    Alias, CaseStatement, DynIden, Expr, ExprTrait, Func, IntoIden, IntoTableRef, Query,
    SelectStatement, TableRef, UpdateStatement,
};
use sea_orm::{DbBackend, DbErr, QueryResult, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::layout::{Layout, Owner};
use super::{Change, User, UserId};

/// What a selected id is called; the other columns keep their names.
const ID: &str = "user_id";

/// A table that can be used.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) backend: DbBackend,
    pub(super) layout: Layout,
    pub(super) id: Id,
    /// What a text has to be cast to before it is compared with the address through an index.
    pub(super) email_cast: Option<Cast>,
    /// The longest address that every column takes which an address is written to.
    pub(super) longest_address: Option<u32>,
    pub(super) address: AddressKey,
    /// Whether the index on the address leaves out rows without one.
    pub(super) address_partial: bool,
    /// Whether no two rows can have the same folded address.
    pub(super) unique: bool,
    pub(super) active: Option<Active>,
    pub(super) nonce: Option<String>,
    pub(super) undo_opened_at: Option<String>,
    pub(super) passwords_tat: Option<String>,
}

/// Whether an account is active.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) name: String,
    /// PostgreSQL takes no number for a boolean.
    pub(super) is_boolean: bool,
}

/// The primary key.
#[derive(Clone, Debug)]
pub(super) struct Id {
    pub(super) kind: IdKind,
    pub(super) cast: Option<Cast>,
}

/// A type of PostgreSQL's that a text does not become by itself. It may be an extension's, in a
/// schema that is not in the search path: then neither is its `=`.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    /// Quoted.
    pub(super) schema: String,
    pub(super) name: String,
}

/// What an id is stored as. As text, a uuid is always written in lower case with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdKind {
    Integer,
    Unsigned,
    /// A type of its own.
    Uuid,
    Text,
    /// A text of 32 characters: a uuid without hyphens, if it is one.
    UuidOf32Digits,
    /// 16 bytes.
    UuidBytes,
}

/// Through which expression an address is found by its folded form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AddressKey {
    /// The column, which holds lower case only or compares without case.
    Column,
    /// The column, compared without case (SQLite).
    NoCase,
    /// The folded column.
    Folded(Fold),
    /// A column computed from it in lower case.
    Computed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Lower,
    Upper,
}

impl Table {
    /// The id in the column's own type; `None` if the text cannot be an id of this table.
    /// PostgreSQL refuses to compare a uuid with a text, MariaDB takes any text for the number 0.
    pub(super) fn id_value(&self, id: &str) -> Option<Value> {
        let uuid = || Uuid::try_parse(id).ok();
        match self.id.kind {
            IdKind::Integer => id.parse::<i64>().ok().map(Value::from),
            IdKind::Unsigned => id.parse::<u64>().ok().map(Value::from),
            IdKind::Uuid if self.backend == DbBackend::Postgres => uuid().map(Value::from),
            IdKind::Uuid => uuid().map(|uuid| uuid.to_string().into()),
            IdKind::UuidBytes => uuid().map(|uuid| uuid.as_bytes().to_vec().into()),
            IdKind::UuidOf32Digits if uuid().is_some() => {
                uuid().map(|uuid| uuid.simple().to_string().into())
            }
            IdKind::Text | IdKind::UuidOf32Digits => {
                (!id.contains('\0')).then(|| id.to_owned().into())
            }
        }
    }

    pub(super) fn id_is(&self, id: &Value) -> Expr {
        let column = Expr::col(name(&self.layout.id));
        self.equals(column, Expr::val(id.clone()), self.id.cast.as_ref())
    }

    /// As the column's own type compares.
    fn equals(&self, column: Expr, value: Expr, cast: Option<&Cast>) -> Expr {
        let Some(Cast { schema, name }) = cast else {
            return column.eq(value);
        };
        let template = format!("{{}} OPERATOR({schema}.=) CAST({{}} AS {schema}.{name})");
        self.custom(&template, [column, value])
    }

    /// Everything that is ever read of a user.
    pub(super) fn select(&self) -> SelectStatement {
        let mut select = Query::select();
        let id = if self.id.kind == IdKind::UuidBytes {
            Expr::col(name(&self.layout.id))
        } else {
            self.text(&self.layout.id)
        };
        select
            .expr_as(id, ID)
            .expr_as(self.text(&self.layout.email), name(&self.layout.email))
            .expr_as(
                self.text(&self.layout.password),
                name(&self.layout.password),
            )
            .columns(
                [&self.nonce, &self.undo_opened_at]
                    .into_iter()
                    .flatten()
                    .map(|column| name(column)),
            )
            .from(self.target());
        select
    }

    /// Selects every mapped column of no row.
    pub(super) fn probe(&self) -> SelectStatement {
        let layout = &self.layout;
        let active = self.active.as_ref().map(|active| &active.name);
        let extras = [&self.nonce, &self.undo_opened_at, &self.passwords_tat];
        let columns = [&layout.id, &layout.email, &layout.password]
            .into_iter()
            .chain(&layout.also_set)
            .chain(active)
            .chain(extras.into_iter().flatten())
            // Qualified: SQLite takes a bare name that it does not know for a text.
            .map(|column| ("u", name(column)));
        let mut probe = Query::select();
        probe
            .columns(columns)
            .from(self.target().alias("u"))
            .limit(0);
        probe
    }

    pub(super) fn read(&self, row: &QueryResult) -> Result<User, DbErr> {
        let text = |column: &str| row.try_get::<Option<String>>("", column);
        let bigint = |column: &Option<String>| match column {
            Some(column) => row.try_get::<Option<i64>>("", column),
            None => Ok(None),
        };
        Ok(User {
            id: self.read_id(row)?,
            // Nobody's address, and no password's hash.
            email: text(&self.layout.email)?.unwrap_or_default(),
            password_hash: Zeroizing::new(text(&self.layout.password)?.unwrap_or_default()),
            nonce: bigint(&self.nonce)?,
            undo_opened_at: bigint(&self.undo_opened_at)?,
        })
    }

    fn read_id(&self, row: &QueryResult) -> Result<UserId, DbErr> {
        if self.id.kind == IdKind::UuidBytes {
            let bytes: Vec<u8> = row.try_get("", ID)?;
            let uuid = Uuid::from_slice(&bytes)
                .map_err(|_| DbErr::Type("an id is not of 16 bytes".to_owned()))?;
            return Ok(UserId(uuid.to_string()));
        }
        let text: String = row.try_get("", ID)?;
        let uuid = Uuid::try_parse(&text).ok();
        Ok(UserId(match (self.id.kind, uuid) {
            (IdKind::UuidOf32Digits | IdKind::Uuid, Some(uuid)) => uuid.to_string(),
            _ => text,
        }))
    }

    /// Rows whose address may be this one, found through the index. What else is found besides
    /// (MariaDB's collations take no notice of accents and blanks at the end) is for the caller to
    /// leave out.
    pub(super) fn address_may_be(&self, folded: &str) -> Expr {
        let email = || Expr::col(name(&self.layout.email));
        let text = || Expr::val(folded);
        let found = match &self.address {
            AddressKey::Column => self.equals(email(), text(), self.email_cast.as_ref()),
            AddressKey::NoCase => self.custom("{} COLLATE NOCASE = {}", [email(), text()]),
            AddressKey::Folded(Fold::Lower) => {
                Expr::from(Func::lower(email())).eq(Func::lower(text()))
            }
            AddressKey::Folded(Fold::Upper) => {
                Expr::from(Func::upper(email())).eq(Func::upper(text()))
            }
            AddressKey::Computed(column) => Expr::col(name(column)).eq(Func::lower(text())),
        };
        if self.address_partial {
            // As it stands in the index, or the planner does not see that it covers this.
            return found.and(email().ne(Expr::Constant("".into())));
        }
        found
    }

    /// Nothing where there is no such column: then every account is active.
    pub(super) fn is_active(&self) -> Option<Expr> {
        let active = self.active.as_ref()?;
        let column = Expr::col(name(&active.name));
        Some(if active.is_boolean {
            self.custom("{} IS TRUE", [column])
        } else {
            column.ne(0)
        })
    }

    pub(super) fn update(&self, id: &Value) -> UpdateStatement {
        let mut update = Query::update();
        update.table(self.target()).and_where(self.id_is(id));
        update
    }

    /// Changes the row only if it is, byte for byte, what was read.
    pub(super) fn replace(&self, id: &Value, read: &User, change: &Change<'_>) -> UpdateStatement {
        let mut update = self.update(id);
        update
            .and_where(self.exactly(&self.layout.email, &read.email))
            .and_where(self.exactly(&self.layout.password, &read.password_hash));
        if let Some(active) = self.is_active() {
            update.and_where(active);
        }
        let numbers = [
            (&self.nonce, read.nonce, Some(change.nonce)),
            (
                &self.undo_opened_at,
                read.undo_opened_at,
                change.undo_opened_at,
            ),
        ];
        for (known, was, becomes) in numbers {
            if let Some(known) = known {
                let column = Expr::col(name(known));
                update
                    .value(name(known), becomes)
                    // NULL is a value too.
                    .and_where(match was {
                        Some(was) => column.eq(was),
                        None => column.is_null(),
                    });
            }
        }
        if let Some(email) = change.email {
            update.value(name(&self.layout.email), email);
            for other in &self.layout.also_set {
                let carries = self.same_folded(other, &read.email);
                let kept = Expr::col(name(other));
                let value = CaseStatement::new()
                    .case(carries, Expr::val(email))
                    .finally(kept);
                update.value(name(other), value);
            }
        }
        if self.layout.owner == Owner::Readdress {
            update.value("updated_at", Expr::current_timestamp());
        }
        update
    }

    fn exactly(&self, column: &str, value: &str) -> Expr {
        let column = Expr::col(name(column));
        match self.backend {
            DbBackend::Postgres => self.custom(
                "CAST({} AS text) COLLATE \"C\" = {}",
                [column, Expr::val(value)],
            ),
            // Collations of their own, and of the connection, do not matter to bytes. (A binary
            // collation would: it takes no notice of blanks at the end.)
            DbBackend::MySql => self.custom(
                "CAST(CONVERT({} USING utf8mb4) AS BINARY) = {}",
                [column, Expr::val(value.as_bytes().to_vec())],
            ),
            _ => self.custom("{} COLLATE BINARY = {}", [column, Expr::val(value)]),
        }
    }

    /// Whether that column carries this address, in whatever case.
    fn same_folded(&self, column: &str, address: &str) -> Expr {
        let column = Expr::col(name(column));
        let template = match self.backend {
            DbBackend::Postgres => "LOWER(CAST({} AS text)) COLLATE \"C\" = LOWER({})",
            DbBackend::MySql => {
                "CAST(LOWER(CONVERT({} USING utf8mb4)) AS BINARY) = CAST(LOWER({}) AS BINARY)"
            }
            _ => "LOWER({}) = LOWER({}) COLLATE BINARY",
        };
        self.custom(template, [column, Expr::val(address)])
    }

    /// The column as a text, whatever its type.
    fn text(&self, column: &str) -> Expr {
        let text = match self.backend {
            DbBackend::MySql => "CHAR",
            _ => "text",
        };
        Expr::col(name(column)).cast_as(text)
    }

    /// An expression of this database's own; each `{}` stands for the next of `parts`.
    fn custom<const N: usize>(&self, template: &str, parts: [Expr; N]) -> Expr {
        let mut sql = String::with_capacity(template.len());
        for (index, piece) in template.split("{}").enumerate() {
            if index > 0 {
                if self.backend == DbBackend::Postgres {
                    sql.push('$');
                    sql.push_str(&index.to_string());
                } else {
                    sql.push('?');
                }
            }
            sql.push_str(piece);
        }
        Expr::cust_with_exprs(sql, parts)
    }

    pub(super) fn target(&self) -> TableRef {
        let table = self.layout.table.clone();
        match &self.layout.schema {
            Some(schema) => (Alias::new(schema), Alias::new(table)).into_table_ref(),
            None => Alias::new(table).into_table_ref(),
        }
    }
}

/// A name, to be quoted by whoever writes the statement.
pub(super) fn name(name: &str) -> DynIden {
    Alias::new(name).into_iden()
}
