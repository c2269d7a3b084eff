//! What the catalogue of MariaDB and MySQL says of a table.

use sea_orm::DbErr;

use super::{Column, Facts, Key, Kind, On, rows};
use crate::users::Database;
use crate::users::layout::Layout;

const COLUMNS: &str = "\
    SELECT CAST(column_name AS CHAR) AS name, CAST(column_type AS CHAR) AS declared, \
           CAST(data_type AS CHAR) AS base, CAST(character_maximum_length AS SIGNED) AS width, \
           CAST(collation_name AS CHAR) AS collation, CAST(generation_expression AS CHAR) AS computed \
    FROM information_schema.columns \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? ORDER BY ordinal_position";

/// MySQL's indexes on expressions have no column name; a generated column serves both databases.
const KEYS: &str = "\
    SELECT CAST(MAX(non_unique) AS SIGNED) AS non_unique, CAST(MAX(column_name) AS CHAR) AS name \
    FROM information_schema.statistics \
    WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND index_type = 'BTREE' \
    GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(column_name) IS NOT NULL";

pub(super) async fn facts(db: &Database, layout: &Layout) -> Result<Facts, DbErr> {
    let of_table = || [layout.schema.clone().into(), layout.table.clone().into()];
    let mut facts = Facts::default();
    for row in rows(db, COLUMNS, of_table()).await? {
        let declared: String = row.try_get("", "declared")?;
        let base: String = row.try_get("", "base")?;
        let width: Option<i64> = row.try_get("", "width")?;
        let collation: Option<String> = row.try_get("", "collation")?;
        let computed: Option<String> = row.try_get("", "computed")?;
        facts.columns.push(Column {
            name: row.try_get("", "name")?,
            kind: kind(&base, &declared),
            declared,
            width: width.and_then(|width| u32::try_from(width).ok()),
            case_blind: collation.is_some_and(|collation| collation.ends_with("_ci")),
            cast: None,
            computed: computed.filter(|expression| !expression.is_empty()),
        });
    }
    for row in rows(db, KEYS, of_table()).await? {
        let non_unique: i64 = row.try_get("", "non_unique")?;
        facts.keys.push(Key {
            unique: non_unique == 0,
            on: On::Column {
                name: row.try_get("", "name")?,
                case_blind: false,
            },
            partial: false,
        });
    }
    Ok(facts)
}

fn kind(base: &str, declared: &str) -> Kind {
    match base {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            if declared.contains("unsigned") {
                Kind::Unsigned
            } else if base == "bigint" {
                Kind::Integer
            } else {
                Kind::Short
            }
        }
        "uuid" => Kind::Uuid,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" => Kind::Bytes,
        _ => Kind::Other,
    }
}
