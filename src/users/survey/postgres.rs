//! What PostgreSQL's catalogue says of a table.

use sea_orm::DbErr;

use super::{Column, Facts, Key, Kind, On, rows, skips_only_empty};
use crate::users::layout::Layout;
use crate::users::table::Cast;
use crate::users::{Database, ddl};

/// A domain counts as the type it is made of; a collation that is not deterministic is asked.
const COLUMNS: &str = "\
    SELECT CAST(a.attname AS text) AS name, \
           CAST(format_type(a.atttypid, a.atttypmod) AS text) AS declared, \
           CAST(b.typname AS text) AS base, \
           CAST(quote_ident(s.nspname) AS text) AS base_schema, \
           CAST(a.atttypmod AS int4) AS modifier, \
           CAST(CASE WHEN c.collisdeterministic THEN NULL \
                ELSE quote_ident(n.nspname) || '.' || quote_ident(c.collname) END AS text) AS collation \
    FROM pg_attribute a \
    JOIN pg_type t ON t.oid = a.atttypid \
    JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END \
    JOIN pg_namespace s ON s.oid = b.typnamespace \
    LEFT JOIN pg_collation c ON c.oid = a.attcollation \
    LEFT JOIN pg_namespace n ON n.oid = c.collnamespace \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY a.attnum";

/// Valid B-trees with one key. `indkey` is 0 for an expression.
const KEYS: &str = "\
    SELECT i.indisunique AS is_unique, i.indkey[0] <> 0 AS is_column, \
           CAST(pg_get_indexdef(i.indexrelid, 1, false) AS text) AS key, \
           CAST(a.attname AS text) AS name, \
           CAST(pg_get_expr(i.indpred, i.indrelid) AS text) AS predicate \
    FROM pg_index i \
    JOIN pg_class x ON x.oid = i.indexrelid \
    JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree' \
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] AND a.attnum > 0 \
    WHERE i.indrelid = to_regclass($1) AND i.indnkeyatts = 1 AND i.indisvalid AND i.indisready";

pub(super) async fn facts(db: &Database, layout: &Layout) -> Result<Facts, DbErr> {
    let table = ddl::table(sea_orm::DbBackend::Postgres, layout);
    let mut facts = Facts::default();
    for row in rows(db, COLUMNS, [table.clone().into()]).await? {
        let base: String = row.try_get("", "base")?;
        let modifier: i32 = row.try_get("", "modifier")?;
        let collation: Option<String> = row.try_get("", "collation")?;
        let kind = kind(&base);
        facts.columns.push(Column {
            name: row.try_get("", "name")?,
            declared: row.try_get("", "declared")?,
            kind,
            width: u32::try_from(modifier - 4)
                .ok()
                .filter(|_| kind == Kind::Text),
            case_blind: base == "citext" || ignores_case(db, collation).await?,
            cast: match base.as_str() {
                "citext" | "bpchar" => Some(Cast {
                    schema: row.try_get("", "base_schema")?,
                    name: base,
                }),
                _ => None,
            },
            computed: None,
        });
    }
    for row in rows(db, KEYS, [table.into()]).await? {
        let predicate: Option<String> = row.try_get("", "predicate")?;
        let covers = predicate
            .as_deref()
            .is_none_or(|predicate| skips_only_empty(predicate, &layout.email));
        if !covers {
            continue;
        }
        let on = if row.try_get("", "is_column")? {
            On::Column {
                name: row.try_get("", "name")?,
                case_blind: false,
            }
        } else {
            On::Expression(row.try_get("", "key")?)
        };
        facts.keys.push(Key {
            unique: row.try_get("", "is_unique")?,
            on,
            partial: predicate.is_some(),
        });
    }
    Ok(facts)
}

fn kind(base: &str) -> Kind {
    match base {
        "int8" => Kind::Integer,
        "int2" | "int4" => Kind::Short,
        "bool" => Kind::Boolean,
        "uuid" => Kind::Uuid,
        "text" | "varchar" | "bpchar" | "citext" => Kind::Text,
        "bytea" => Kind::Bytes,
        _ => Kind::Other,
    }
}

/// Whether that collation, which is not deterministic, takes no notice of case.
async fn ignores_case(db: &Database, collation: Option<String>) -> Result<bool, DbErr> {
    let Some(collation) = collation else {
        return Ok(false);
    };
    let sql = format!("SELECT 'A' = 'a' COLLATE {collation} AS ignores");
    match rows(db, &sql, []).await?.first() {
        Some(row) => row.try_get("", "ignores"),
        None => Ok(false),
    }
}
