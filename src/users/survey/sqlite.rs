//! What SQLite's catalogue says of a table; where it cannot know, the rows themselves.

use sea_orm::{DbBackend, DbErr};

use super::{Column, Facts, Key, Kind, On, rows, skips_only_empty};
use crate::users::layout::Layout;
use crate::users::{Database, ddl};

const COLUMNS: &str = "\
    SELECT name, type AS declared, pk AS position_in_key FROM pragma_table_xinfo(?, ?)";

/// A `cid` below 0 is the row id (-1) or an expression (-2).
const KEYS: &str = "\
    SELECT l.\"unique\" AS is_unique, l.partial AS partial, x.cid AS cid, x.name AS name, x.coll AS coll, \
           (SELECT sql FROM sqlite_master m WHERE m.type = 'index' AND m.name = l.name) AS sql \
    FROM pragma_index_list(?, ?) l JOIN pragma_index_xinfo(l.name, ?) x ON x.key = 1 \
    WHERE (SELECT COUNT(*) FROM pragma_index_xinfo(l.name, ?) y WHERE y.key = 1) = 1";

pub(super) async fn facts(db: &Database, layout: &Layout) -> Result<Facts, DbErr> {
    let schema = layout.schema.clone().unwrap_or_else(|| "main".to_owned());
    let mut facts = Facts::default();
    let mut primary_key = Vec::new();
    for row in rows(
        db,
        COLUMNS,
        [layout.table.clone().into(), schema.clone().into()],
    )
    .await?
    {
        let declared: String = row.try_get("", "declared")?;
        let name: String = row.try_get("", "name")?;
        if row.try_get::<i32>("", "position_in_key")? > 0 {
            primary_key.push(name.clone());
        }
        facts.columns.push(Column {
            name,
            kind: kind(&declared),
            width: width(&declared),
            declared,
            case_blind: false,
            cast: None,
            computed: None,
        });
    }
    if facts.columns.is_empty() {
        return Ok(facts);
    }
    // An INTEGER PRIMARY KEY is the row id, and in no list of indexes.
    if let [name] = primary_key.as_slice() {
        facts.keys.push(Key {
            unique: true,
            on: On::Column {
                name: name.clone(),
                case_blind: false,
            },
            partial: false,
        });
    }
    // A column holds what was put there, whatever its type says: a row knows better.
    if let Some(stored) = type_of_id(db, layout).await?
        && let Some(id) = facts
            .columns
            .iter_mut()
            .find(|column| column.name == layout.id)
    {
        id.kind = stored;
    }
    let values = [
        layout.table.clone().into(),
        schema.clone().into(),
        schema.clone().into(),
        schema.into(),
    ];
    for row in rows(db, KEYS, values).await? {
        facts.keys.extend(key(&row, layout)?);
    }
    Ok(facts)
}

fn key(row: &sea_orm::QueryResult, layout: &Layout) -> Result<Option<Key>, DbErr> {
    let sql: Option<String> = row.try_get("", "sql")?;
    let partial: i32 = row.try_get("", "partial")?;
    let is_unique: i32 = row.try_get("", "is_unique")?;
    let cid: i32 = row.try_get("", "cid")?;
    let coll: Option<String> = row.try_get("", "coll")?;
    let case_blind = coll.is_some_and(|coll| coll.eq_ignore_ascii_case("nocase"));
    let (expression, predicate) = sql.as_deref().map(parts).unwrap_or_default();
    if partial != 0
        && !predicate.is_some_and(|predicate| skips_only_empty(predicate, &layout.email))
    {
        return Ok(None);
    }
    let on = match (cid, expression) {
        (-2, Some(expression)) => On::Expression(expression.to_owned()),
        (0.., _) => On::Column {
            name: row.try_get("", "name")?,
            case_blind,
        },
        _ => return Ok(None),
    };
    Ok(Some(Key {
        unique: is_unique != 0,
        on,
        partial: partial != 0,
    }))
}

/// The key, in its brackets, and the predicate of `CREATE INDEX … ON table (key) WHERE predicate`.
fn parts(sql: &str) -> (Option<&str>, Option<&str>) {
    let Some(open) = sql.find('(') else {
        return (None, None);
    };
    let mut depth = 0_usize;
    let close = sql[open..].find(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    let Some(close) = close.map(|offset| open + offset) else {
        return (None, None);
    };
    let rest = sql[close + 1..].trim();
    let predicate = rest
        .get(..5)
        .filter(|word| word.eq_ignore_ascii_case("where"))
        .map(|_| rest[5..].trim());
    (Some(&sql[open..=close]), predicate)
}

async fn type_of_id(db: &Database, layout: &Layout) -> Result<Option<Kind>, DbErr> {
    let sql = format!(
        "SELECT typeof(u.{}) AS stored FROM {} AS u LIMIT 1",
        ddl::quoted(DbBackend::Sqlite, &layout.id),
        ddl::table(DbBackend::Sqlite, layout)
    );
    // Without that column there is a finding already.
    let Ok(found) = rows(db, &sql, []).await else {
        return Ok(None);
    };
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let stored: String = row.try_get("", "stored")?;
    Ok(match stored.as_str() {
        "integer" => Some(Kind::Integer),
        "text" => Some(Kind::Text),
        "blob" => Some(Kind::Bytes),
        _ => None,
    })
}

/// sqlite.org/datatype3.html, "Determination Of Column Affinity"; and the names that people write.
fn kind(declared: &str) -> Kind {
    let declared = declared.to_ascii_lowercase();
    let has = |part: &str| declared.contains(part);
    if has("bool") {
        Kind::Boolean
    } else if has("int") {
        Kind::Integer
    } else if has("char") || has("clob") || has("text") || has("uuid") {
        Kind::Text
    } else if has("blob") || has("binary") {
        Kind::Bytes
    } else {
        Kind::Other
    }
}

fn width(declared: &str) -> Option<u32> {
    let (_, rest) = declared.split_once('(')?;
    rest.split_once(')')?.0.trim().parse().ok()
}
