//! Statements about the table that people read: what `check` looks for and tells an operator to run,
//! and what `migrate columns` runs.

use sea_orm::DbBackend;

use super::Database;
use super::layout::Layout;

/// A name as that database quotes it.
pub(super) fn quoted(backend: DbBackend, name: &str) -> String {
    match backend {
        DbBackend::MySql => format!("`{}`", name.replace('`', "``")),
        _ => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// The table's full name, quoted.
pub(super) fn table(backend: DbBackend, layout: &Layout) -> String {
    let table = quoted(backend, &layout.table);
    match &layout.schema {
        Some(schema) => format!("{}.{table}", quoted(backend, schema)),
        None => table,
    }
}

/// Byte for byte: `=` itself may take no notice of case.
fn bytes(backend: DbBackend, expression: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("CAST({expression} AS text) COLLATE \"C\""),
        DbBackend::MySql => format!("CAST({expression} AS BINARY)"),
        _ => format!("{expression} COLLATE BINARY"),
    }
}

/// Selects one row if there is an address in mixed case.
pub(super) fn mixed_case(db: &Database, layout: &Layout) -> String {
    let backend = db.get_database_backend();
    let email = quoted(backend, &layout.email);
    format!(
        "SELECT 1 FROM {} WHERE {} <> {} LIMIT 1",
        table(backend, layout),
        bytes(backend, &email),
        bytes(backend, &format!("LOWER({email})")),
    )
}

/// Selects one row if there is one without an address.
pub(super) fn empty(db: &Database, layout: &Layout) -> String {
    let backend = db.get_database_backend();
    let email = quoted(backend, &layout.email);
    let table = table(backend, layout);
    format!("SELECT 1 FROM {table} WHERE {email} = '' LIMIT 1")
}

/// Selects every folded address that more than one account has.
pub(super) fn duplicates(db: &Database, layout: &Layout) -> String {
    let backend = db.get_database_backend();
    let email = quoted(backend, &layout.email);
    let table = table(backend, layout);
    format!(
        "SELECT LOWER({email}) FROM {table} WHERE {email} <> '' GROUP BY LOWER({email}) HAVING COUNT(*) > 1"
    )
}

/// What an index on the folded address has to take into account.
pub(super) struct FoldedIndex<'a> {
    /// Whether the column itself takes no notice of case.
    pub(super) case_blind: bool,
    /// The column's type.
    pub(super) declared: &'a str,
    /// Whether several rows have no address.
    pub(super) skip_empty: bool,
}

/// Makes the address unique as folded.
pub(super) fn unique_index(backend: DbBackend, layout: &Layout, how: &FoldedIndex<'_>) -> String {
    let statement = index(backend, layout, how, true);
    format!("{statement};")
}

/// Makes an address in any case be found through an index.
pub(super) fn lookup_index(
    backend: DbBackend,
    layout: &Layout,
    case_blind: bool,
    declared: &str,
) -> String {
    let how = FoldedIndex {
        case_blind,
        declared,
        skip_empty: false,
    };
    let statement = index(backend, layout, &how, false);
    format!("{statement};")
}

fn index(backend: DbBackend, layout: &Layout, how: &FoldedIndex<'_>, unique: bool) -> String {
    // Names of their own, so that one can be made while the other is there.
    let (unique, suffix) = if unique {
        ("UNIQUE ", "folded")
    } else {
        ("", "lookup")
    };
    let table = table(backend, layout);
    let email = quoted(backend, &layout.email);
    let column = format!("{}_{suffix}", layout.email);
    let name = quoted(backend, &format!("{}_{column}", layout.table));
    let key = if how.case_blind {
        email.clone()
    } else {
        format!("LOWER({email})")
    };
    match backend {
        // MariaDB has no index on an expression, neither of them one on some of the rows.
        DbBackend::MySql if !how.case_blind || how.skip_empty => {
            let column = quoted(backend, &column);
            let declared = how.declared;
            format!(
                "ALTER TABLE {table} ADD COLUMN {column} {declared} AS (NULLIF(LOWER({email}), '')) VIRTUAL, ADD {unique}INDEX {name} ({column})"
            )
        }
        DbBackend::MySql => format!("CREATE {unique}INDEX {name} ON {table} ({key})"),
        _ => {
            let (concurrently, schema_free) = match backend {
                // Nobody waits while it is made.
                DbBackend::Postgres => ("CONCURRENTLY ", name),
                _ => ("", name),
            };
            let only = if how.skip_empty {
                format!(" WHERE {email} <> ''")
            } else {
                String::new()
            };
            format!("CREATE {unique}INDEX {concurrently}{schema_free} ON {table} ({key}){only}")
        }
    }
}

/// Adds an extra column. NULL in every row, so no database has to rewrite the table.
pub(super) fn add_column(backend: DbBackend, layout: &Layout, name: &str) -> String {
    let table = table(backend, layout);
    let column = quoted(backend, name);
    format!("ALTER TABLE {table} ADD COLUMN {column} BIGINT NULL;")
}
