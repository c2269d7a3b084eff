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
    let name = quoted(
        backend,
        &made_name(&format!("{}_{}", layout.table, layout.id), "unique"),
    );
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

/// The longest name: PostgreSQL cuts off what is longer, and would cut the two indexes to one;
/// MariaDB refuses more than 64 characters.
const MAX_NAME: usize = 63;

/// `stem_suffix`, with as much of the stem as there is room for.
fn made_name(stem: &str, suffix: &str) -> String {
    let room = MAX_NAME.saturating_sub(suffix.len() + 1);
    let stem = &stem[..stem.floor_char_boundary(room)];
    format!("{stem}_{suffix}")
}

fn index_name(layout: &Layout, suffix: &str) -> String {
    made_name(&format!("{}_{}", layout.table, layout.email), suffix)
}

/// In PostgreSQL, selects what would stand in the way of an index that is printed: a failed `CREATE
/// INDEX CONCURRENTLY` leaves one that is never used (postgresql.org/docs/current/sql-createindex.html).
pub(super) fn leftover(layout: &Layout, unique: bool) -> (&'static str, [String; 2]) {
    const SQL: &str = "\
        SELECT CAST(CAST(i.indexrelid AS regclass) AS text) AS name FROM pg_index i \
        JOIN pg_class x ON x.oid = i.indexrelid \
        WHERE i.indrelid = to_regclass($1) AND x.relname = $2 AND NOT i.indisvalid";
    let table = table(DbBackend::Postgres, layout);
    (SQL, [table, index_name(layout, suffix(unique))])
}

/// Names of their own, so that one can be made while the other is there.
fn suffix(unique: bool) -> &'static str {
    if unique { "folded" } else { "lookup" }
}

/// `case_blind`: whether the column, of the type `declared`, itself takes no notice of case.
fn index(
    backend: DbBackend,
    layout: &Layout,
    case_blind: bool,
    declared: &str,
    is_unique: bool,
) -> String {
    let (unique, suffix) = (if is_unique { "UNIQUE " } else { "" }, suffix(is_unique));
    let table = table(backend, layout);
    let email = quoted(backend, &layout.email);
    let column = made_name(&layout.email, suffix);
    let name = quoted(backend, &index_name(layout, suffix));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_asked_for_in_the_words_of_each_database() {
        use sea_orm::DatabaseBackend::{MySql, Postgres, Sqlite};
        let layout = Layout {
            table: "People".to_owned(),
            email: "mail".to_owned(),
            ..Layout::own()
        };
        let declared = "varchar(254)";
        for (backend, case_blind, unique, lookup) in [
            (
                Sqlite,
                false,
                r#"CREATE UNIQUE INDEX "People_mail_folded" ON "People" (LOWER("mail")) WHERE "mail" <> '';"#,
                r#"CREATE INDEX "People_mail_lookup" ON "People" (LOWER("mail"));"#,
            ),
            (
                Postgres,
                false,
                r#"CREATE UNIQUE INDEX CONCURRENTLY "People_mail_folded" ON "People" (LOWER("mail")) WHERE "mail" <> '';"#,
                r#"CREATE INDEX CONCURRENTLY "People_mail_lookup" ON "People" (LOWER("mail"));"#,
            ),
            (
                Postgres,
                true,
                r#"CREATE UNIQUE INDEX CONCURRENTLY "People_mail_folded" ON "People" ("mail") WHERE "mail" <> '';"#,
                r#"CREATE INDEX CONCURRENTLY "People_mail_lookup" ON "People" ("mail");"#,
            ),
            (
                MySql,
                false,
                "ALTER TABLE `People` ADD COLUMN `mail_folded` varchar(254) AS (NULLIF(LOWER(`mail`), '')) VIRTUAL, ADD UNIQUE INDEX `People_mail_folded` (`mail_folded`);",
                "ALTER TABLE `People` ADD COLUMN `mail_lookup` varchar(254) AS (NULLIF(LOWER(`mail`), '')) VIRTUAL, ADD INDEX `People_mail_lookup` (`mail_lookup`);",
            ),
            (
                MySql,
                true,
                "ALTER TABLE `People` ADD COLUMN `mail_folded` varchar(254) AS (NULLIF(LOWER(`mail`), '')) VIRTUAL, ADD UNIQUE INDEX `People_mail_folded` (`mail_folded`);",
                "CREATE INDEX `People_mail_lookup` ON `People` (`mail`);",
            ),
        ] {
            let made = unique_index(backend, &layout, case_blind, declared);
            assert_eq!(made, unique);
            let made = lookup_index(backend, &layout, case_blind, declared);
            assert_eq!(made, lookup);
        }
    }

    #[test]
    fn a_name_that_is_made_fits_every_database_and_keeps_its_end() {
        for (stem, is) in [
            ("users_email", "users_email_folded".to_owned()),
            (&"t".repeat(56), format!("{}_folded", "t".repeat(56))),
            (&"t".repeat(70), format!("{}_folded", "t".repeat(56))),
            (&"ä".repeat(60), format!("{}_folded", "ä".repeat(28))),
        ] {
            assert_eq!(made_name(stem, "folded"), is);
            assert!(is.len() <= MAX_NAME);
        }
    }
}
