//! Looks at the users table before anything is served: is it there, are its columns of a kind that
//! can be used, is an address unique as folded, and how is one found through an index.
//!
//! Each database's catalogue is read in a file of its own into the same [`Facts`]. What is missing
//! or unsafe becomes a [`Finding`] with the statement that mends it.

mod mysql;
mod postgres;
mod sqlite;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};

use super::ddl;
use super::layout::{Extra, Layout, Owner};
use super::table::{Active, AddressKey, Cast, Fold, Id, IdKind, Table};
use super::{Database, DatabaseError};
use crate::finding::Finding;

/// What was found: a table that can be used, and everything to be said about it.
pub struct Survey {
    /// `None` with a grave finding.
    pub table: Option<Table>,
    /// What is wrong, or could be better.
    pub findings: Vec<Finding>,
}

/// What a catalogue says.
#[derive(Debug, Default)]
struct Facts {
    columns: Vec<Column>,
    keys: Vec<Key>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// The type as the database writes it.
    declared: String,
    kind: Kind,
    /// The longest text it holds, if that is limited.
    width: Option<u32>,
    /// Whether `=` on it takes no notice of case.
    case_blind: bool,
    /// What a text has to be cast to so that it is compared as the column's type compares, and
    /// through its index.
    cast: Option<Cast>,
    /// What it is computed from.
    computed: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of 64 bits.
    Integer,
    /// Of fewer.
    Short,
    Unsigned,
    Boolean,
    Uuid,
    Text,
    Bytes,
    Other,
}

/// An index on one column or expression.
#[derive(Clone, Debug)]
struct Key {
    unique: bool,
    on: On,
    /// Whether it leaves out rows without an address.
    partial: bool,
}

#[derive(Clone, Debug)]
enum On {
    Column { name: String, case_blind: bool },
    Expression(String),
}

/// How an address is found, and whether it is unique.
struct Address {
    key: AddressKey,
    partial: bool,
    unique: bool,
    indexed: bool,
}

/// Looks at the table.
///
/// Tables without an index on the folded address are read whole, once: connect for that with
/// [`Purpose::Look`](super::Purpose::Look).
///
/// # Errors
///
/// Passes on what the database says.
pub async fn survey(
    db: &Database,
    layout: &Layout,
    allow_non_unique: bool,
) -> Result<Survey, DatabaseError> {
    let facts = facts(db, layout).await?;
    let mut surveyor = Surveyor {
        db,
        layout,
        facts,
        findings: Vec::new(),
    };
    let table = surveyor.table(allow_non_unique).await?;
    let grave = surveyor.findings.iter().any(|finding| finding.grave);
    Ok(Survey {
        table: table.filter(|_| !grave),
        findings: surveyor.findings,
    })
}

/// The columns that there are; none if there is no such table.
pub(super) async fn column_names(db: &Database, layout: &Layout) -> Result<Vec<String>, DbErr> {
    let facts = facts(db, layout).await?;
    Ok(facts
        .columns
        .into_iter()
        .map(|column| column.name)
        .collect())
}

async fn facts(db: &Database, layout: &Layout) -> Result<Facts, DbErr> {
    match db.get_database_backend() {
        DbBackend::Postgres => postgres::facts(db, layout).await,
        DbBackend::MySql => mysql::facts(db, layout).await,
        _ => sqlite::facts(db, layout).await,
    }
}

struct Surveyor<'a> {
    db: &'a Database,
    layout: &'a Layout,
    facts: Facts,
    findings: Vec<Finding>,
}

impl Surveyor<'_> {
    async fn table(&mut self, allow_non_unique: bool) -> Result<Option<Table>, DbErr> {
        let layout = self.layout;
        if self.facts.columns.is_empty() {
            self.findings.push(Finding::grave(
                format!("there is no table {} that this user can see", self.name()),
                "it holds the accounts",
                "set READDRESS_USERS_TABLE to its name, with the schema in front (schema.table) if it is not in the search path; or grant the right to read it",
            ));
            return Ok(None);
        }
        let id = self.id();
        let email = self.text_column(&layout.email, "READDRESS_USERS_EMAIL");
        let password = self.text_column(&layout.password, "READDRESS_USERS_PASSWORD");
        let active = layout.active.as_ref().and_then(|name| self.flag(name));
        let mut widths: Vec<u32> = email.iter().filter_map(|column| column.width).collect();
        for name in &layout.also_set {
            let column = self.text_column(name, "READDRESS_USERS_ALSO_SET");
            widths.extend(column.and_then(|column| column.width));
        }
        let nonce = self.extra(&layout.nonce, "READDRESS_USERS_NONCE");
        // A window is opened and closed by links that the nonce makes single-use.
        let undo_opened_at = self
            .extra(&layout.undo_opened_at, "READDRESS_USERS_UNDO_OPENED_AT")
            .filter(|_| nonce.is_some());
        let passwords_tat = self.extra(&layout.passwords_tat, "READDRESS_USERS_PASSWORDS_TAT");
        self.advise_extras([&nonce, &undo_opened_at, &passwords_tat]);
        let (Some(id), Some(email), Some(_)) = (id, email, password) else {
            return Ok(None);
        };
        let address = self.address(&email, allow_non_unique).await?;
        Ok(Some(Table {
            backend: self.db.get_database_backend(),
            layout: layout.clone(),
            id,
            email_cast: email.cast,
            longest_address: widths.into_iter().min(),
            address: address.key,
            address_partial: address.partial,
            unique: address.unique,
            active,
            nonce,
            undo_opened_at,
            passwords_tat,
        }))
    }

    fn name(&self) -> String {
        ddl::table(self.db.get_database_backend(), self.layout)
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.facts.columns.iter().find(|column| column.name == name)
    }

    /// The column, or a finding about the variable that names it.
    fn required(&mut self, name: &str, variable: &str) -> Option<Column> {
        let found = self.column(name).cloned();
        if found.is_none() {
            let names: Vec<_> = self.facts.columns.iter().map(|c| c.name.as_str()).collect();
            self.findings.push(Finding::grave(
                format!("the table {} has no column {name}", self.name()),
                "the service reads it with every step",
                format!("set {variable} to one of: {}", names.join(", ")),
            ));
        }
        found
    }

    fn id(&mut self) -> Option<Id> {
        let column = self.required(&self.layout.id.clone(), "READDRESS_USERS_ID")?;
        let kind = match column.kind {
            Kind::Integer | Kind::Short => IdKind::Integer,
            Kind::Unsigned => IdKind::Unsigned,
            Kind::Uuid => IdKind::Uuid,
            Kind::Text if column.width == Some(32) => IdKind::UuidOf32Digits,
            Kind::Text => IdKind::Text,
            Kind::Bytes => IdKind::UuidBytes,
            Kind::Boolean | Kind::Other => {
                self.unusable(&column, "an integer, a uuid, a text or 16 bytes");
                return None;
            }
        };
        Some(Id {
            kind,
            cast: column.cast,
        })
    }

    fn text_column(&mut self, name: &str, variable: &str) -> Option<Column> {
        let column = self.required(name, variable)?;
        if column.kind == Kind::Text {
            return Some(column);
        }
        self.unusable(&column, "a text");
        None
    }

    fn flag(&mut self, name: &str) -> Option<Active> {
        let column = self.required(name, "READDRESS_USERS_ACTIVE")?;
        let is_boolean = match column.kind {
            Kind::Boolean => true,
            Kind::Short | Kind::Integer | Kind::Unsigned => false,
            _ => {
                self.unusable(&column, "a boolean or an integer");
                return None;
            }
        };
        Some(Active {
            name: column.name,
            is_boolean,
        })
    }

    fn extra(&mut self, extra: &Extra, variable: &str) -> Option<String> {
        if !extra.required && self.column(&extra.name).is_none() {
            return None;
        }
        let column = self.required(&extra.name, variable)?;
        if column.kind != Kind::Integer {
            self.unusable(&column, "a bigint");
            return None;
        }
        Some(column.name)
    }

    fn unusable(&mut self, column: &Column, wanted: &str) {
        self.findings.push(Finding::grave(
            format!(
                "the column {} of {} is {}",
                column.name,
                self.name(),
                column.declared
            ),
            format!("the service can work with {wanted} there"),
            "name another column, or change its type",
        ));
    }

    fn advise_extras(&mut self, found: [&Option<String>; 3]) {
        if self.layout.owner == Owner::Readdress {
            return;
        }
        for ((extra, loss), found) in self.layout.extras().into_iter().zip(found) {
            let is_there = self.column(&extra.name).is_some();
            if found.is_none() && !is_there && !extra.required {
                self.findings.push(Finding::advice(
                    format!("the table {} has no column {}", self.name(), extra.name),
                    format!("without it, {loss}"),
                    "readdress migrate columns --apply",
                ));
            }
        }
    }

    async fn address(&mut self, email: &Column, allow_non_unique: bool) -> Result<Address, DbErr> {
        let mut candidates: Vec<Address> = self
            .facts
            .keys
            .iter()
            .filter_map(|key| self.address_by(key, email))
            .collect();
        candidates.sort_by_key(|candidate| !candidate.unique);
        let mut candidates = candidates.into_iter();
        let folded = candidates.next();
        if let Some(address) = folded.filter(|address| address.unique) {
            return Ok(address);
        }
        let plainly_unique = self.facts.keys.iter().any(|key| {
            key.unique
                && !key.partial
                && matches!(&key.on, On::Column { name, .. } if *name == email.name)
        });
        let is_ours = self.layout.owner == Owner::Readdress;
        if plainly_unique
            && (is_ours || !self.exists(ddl::mixed_case(self.db, self.layout)).await?)
        {
            if !is_ours {
                self.advise_folded_index(email).await?;
            }
            return Ok(Address {
                key: AddressKey::Column,
                partial: false,
                unique: true,
                indexed: true,
            });
        }
        let address = self
            .facts
            .keys
            .iter()
            .find_map(|key| self.address_by(key, email))
            .unwrap_or(Address {
                key: if email.case_blind {
                    AddressKey::Column
                } else {
                    AddressKey::Folded(Fold::Lower)
                },
                partial: false,
                unique: false,
                indexed: false,
            });
        self.find_non_unique(email, &address, allow_non_unique)
            .await?;
        Ok(address)
    }

    /// What an index says about the folded address; `None` if nothing.
    fn address_by(&self, key: &Key, email: &Column) -> Option<Address> {
        let address = |found| {
            Some(Address {
                key: found,
                partial: key.partial,
                unique: key.unique,
                indexed: true,
            })
        };
        match &key.on {
            On::Expression(expression) => {
                address(AddressKey::Folded(folds(expression, &email.name)?))
            }
            On::Column { name, case_blind } if *name == email.name => {
                if email.case_blind {
                    address(AddressKey::Column)
                } else if *case_blind {
                    address(AddressKey::NoCase)
                } else {
                    None
                }
            }
            On::Column { name, .. } => {
                let computed = self.column(name)?.computed.as_ref()?;
                folds(computed, &email.name)
                    .filter(|fold| *fold == Fold::Lower)
                    .and_then(|_| address(AddressKey::Computed(name.clone())))
            }
        }
    }

    async fn exists(&self, sql: String) -> Result<bool, DbErr> {
        let ask = Statement::from_string(self.db.get_database_backend(), sql);
        Ok(self.db.query_one_raw(ask).await?.is_some())
    }

    async fn index_statement(&self, email: &Column) -> Result<String, DbErr> {
        let skip_empty = self.exists(ddl::empty(self.db, self.layout)).await?;
        let how = ddl::FoldedIndex {
            case_blind: email.case_blind,
            declared: &email.declared,
            skip_empty,
        };
        Ok(ddl::unique_index(
            self.db.get_database_backend(),
            self.layout,
            &how,
        ))
    }

    async fn advise_folded_index(&mut self, email: &Column) -> Result<(), DbErr> {
        let mend = self.index_statement(email).await?;
        self.findings.push(Finding::advice(
            format!("addresses in {} are unique only while all of them are lower-case, as they are now", self.name()),
            "one that the application stores in mixed case would not be seen: two accounts could get the same address",
            mend,
        ));
        Ok(())
    }

    async fn find_non_unique(
        &mut self,
        email: &Column,
        address: &Address,
        allowed: bool,
    ) -> Result<(), DbErr> {
        let backend = self.db.get_database_backend();
        let duplicates = ddl::duplicates(self.db, self.layout);
        let mend = if self.exists(format!("{duplicates} LIMIT 1")).await? {
            format!(
                "first give each account an address of its own (this lists those that share one: {duplicates}), then {}",
                self.index_statement(email).await?
            )
        } else {
            self.index_statement(email).await?
        };
        let what = format!(
            "nothing keeps two accounts in {} from having the same address",
            self.name()
        );
        self.findings.push(if allowed {
            Finding::advice(what, "READDRESS_ALLOW_NON_UNIQUE is on: the service looks before it writes, in one serialisable transaction; what other programs write at the same time is not seen", mend)
        } else {
            Finding::grave(what, "a link that was sent to a mailbox would sign in whoever is found first; READDRESS_ALLOW_NON_UNIQUE=yes accepts that", mend)
        });
        // The unique index is one to find addresses through, too.
        if !address.indexed && allowed {
            self.findings.push(Finding::advice(
                format!(
                    "an address in {} is found by reading the whole table",
                    self.name()
                ),
                "every confirm, activation and sign-in waits for it, 1.5 s at most",
                ddl::lookup_index(backend, self.layout, email.case_blind, &email.declared),
            ));
        }
        Ok(())
    }
}

/// Which folding of the address an expression is, in whatever way its database writes it.
fn folds(expression: &str, email: &str) -> Option<Fold> {
    let (expression, email) = (plain(expression), plain(email));
    let is = |text: String| expression == text;
    if is(format!("lower{email}")) || is(format!("nulliflower{email},''")) {
        Some(Fold::Lower)
    } else if is(format!("upper{email}")) {
        Some(Fold::Upper)
    } else {
        None
    }
}

/// Whether a partial index leaves out nothing but rows without an address.
fn skips_only_empty(predicate: &str, email: &str) -> bool {
    let (predicate, email) = (plain(predicate), plain(email));
    ["<>''", "!=''", "isnotnull"]
        .iter()
        .any(|rest| predicate == format!("{email}{rest}"))
}

/// An expression without what databases add when they print it: casts, quotes, brackets, blanks.
fn plain(expression: &str) -> String {
    let bare: String = expression
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && !"\"`()[]".contains(*c))
        .collect();
    ["::text", "::charactervarying", "::bpchar", "_utf8mb4"]
        .iter()
        .fold(bare, |bare, noise| bare.replace(noise, ""))
        // What MariaDB calls them.
        .replace("lcase", "lower")
        .replace("ucase", "upper")
}

/// Rows of a catalogue.
async fn rows<const N: usize>(
    db: &Database,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<QueryResult>, DbErr> {
    let ask = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.query_all_raw(ask).await
}
