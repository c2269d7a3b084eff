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

/// Selects every folded address that more than one account has.
pub(super) fn duplicates(db: &Database, layout: &Layout) -> String {
    let backend = db.get_database_backend();
    let email = quoted(backend, &layout.email);
    let table = table(backend, layout);
    format!(
        "SELECT LOWER({email}) FROM {table} WHERE {email} <> '' GROUP BY LOWER({email}) HAVING COUNT(*) > 1"
    )
}

/// Selects every id that more than one account has.
pub(super) fn duplicate_ids(backend: DbBackend, layout: &Layout) -> String {
    let id = quoted(backend, &layout.id);
    let table = table(backend, layout);
    format!("SELECT {id} FROM {table} WHERE {id} IS NOT NULL GROUP BY {id} HAVING COUNT(*) > 1")
}

/// Makes the id unique.
pub(super) fn unique_id_index(backend: DbBackend, layout: &Layout) -> String {
    let table = table(backend, layout);
    let id = quoted(backend, &layout.id);
    let name = quoted(backend, &format!("{}_{}_unique", layout.table, layout.id));
    let concurrently = concurrently(backend);
    format!("CREATE UNIQUE INDEX {concurrently}{name} ON {table} ({id});")
}

/// Makes the address unique as folded. Empty ones are left out even if there are none yet:
/// frameworks store them for accounts without an address, and there may be many.
pub(super) fn unique_index(
    backend: DbBackend,
    layout: &Layout,
    case_blind: bool,
    declared: &str,
) -> String {
    let statement = index(backend, layout, case_blind, declared, true);
    format!("{statement};")
}

/// Makes an address in any case be found through an index.
pub(super) fn lookup_index(
    backend: DbBackend,
    layout: &Layout,
    case_blind: bool,
    declared: &str,
) -> String {
    let statement = index(backend, layout, case_blind, declared, false);
    format!("{statement};")
}

/// Nobody waits while it is made.
fn concurrently(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "CONCURRENTLY ",
        _ => "",
    }
}

/// `case_blind`: whether the column, of the type `declared`, itself takes no notice of case.
fn index(
    backend: DbBackend,
    layout: &Layout,
    case_blind: bool,
    declared: &str,
    is_unique: bool,
) -> String {
    // Names of their own, so that one can be made while the other is there.
    let (unique, suffix) = if is_unique {
        ("UNIQUE ", "folded")
    } else {
        ("", "lookup")
    };
    let table = table(backend, layout);
    let email = quoted(backend, &layout.email);
    let column = format!("{}_{suffix}", layout.email);
    let name = quoted(backend, &format!("{}_{column}", layout.table));
    let key = if case_blind {
        email.clone()
    } else {
        format!("LOWER({email})")
    };
    match backend {
        // MariaDB has no index on an expression, neither of them one on some of the rows.
        DbBackend::MySql if is_unique || !case_blind => {
            let column = quoted(backend, &column);
            format!(
                "ALTER TABLE {table} ADD COLUMN {column} {declared} AS (NULLIF(LOWER({email}), '')) VIRTUAL, ADD {unique}INDEX {name} ({column})"
            )
        }
        DbBackend::MySql => format!("CREATE {unique}INDEX {name} ON {table} ({key})"),
        _ => {
            let concurrently = concurrently(backend);
            let only = if is_unique {
                format!(" WHERE {email} <> ''")
            } else {
                String::new()
            };
            format!("CREATE {unique}INDEX {concurrently}{name} ON {table} ({key}){only}")
        }
    }
}

/// Adds an extra column. NULL in every row, so no database has to rewrite the table.
pub(super) fn add_column(backend: DbBackend, layout: &Layout, name: &str) -> String {
    let table = table(backend, layout);
    let column = quoted(backend, name);
    format!("ALTER TABLE {table} ADD COLUMN {column} BIGINT NULL;")
}
