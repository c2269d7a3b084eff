//! What `readdress check` asks the database beyond the [survey](super::survey()): how the stored
//! passwords are written, whether this user has the rights that every step needs, and what time it
//! is there. Nothing is changed.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TryGetableMany};
use zeroize::Zeroizing;

use super::connection::denied;
use super::layout::{Layout, Owner};
use super::{Database, DatabaseError, ddl, survey};
use crate::clock::Clock;
use crate::finding::Finding;

/// As many rows as tell what most rows hold, read through the primary key.
const SAMPLE: u32 = 200;

/// The stored hashes of some rows, the latest ones where ids go up; `None` for NULL.
///
/// # Errors
///
/// Passes on what the database says.
pub async fn sample_hashes(
    db: &Database,
    layout: &Layout,
) -> Result<Vec<Option<Zeroizing<String>>>, DatabaseError> {
    let backend = db.get_database_backend();
    let [id, password] = [&layout.id, &layout.password].map(|name| ddl::quoted(backend, name));
    let table = ddl::table(backend, layout);
    let text = text_of(backend, &password);
    let sql = format!("SELECT {text} FROM {table} ORDER BY {id} DESC LIMIT {SAMPLE}");
    let rows = db
        .query_all_raw(Statement::from_string(backend, sql))
        .await?;
    let hashes = rows.iter().map(|row| {
        let (hash,) = <(Option<String>,)>::try_get_many_by_index(row).map_err(DbErr::from)?;
        Ok(hash.map(Zeroizing::new))
    });
    hashes.collect()
}

/// Seconds by which the database's clock is ahead of ours; negative if it is behind. Half the round
/// trip is taken off, and the rest cannot be known. `None` for SQLite: its clock is ours.
///
/// # Errors
///
/// Passes on what the database says.
pub async fn clock_ahead(db: &Database, clock: &Clock) -> Result<Option<i64>, DatabaseError> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)"
        }
        DbBackend::MySql => "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)",
        _ => return Ok(None),
    };
    let before = clock.micros();
    let theirs = ask::<(i64,)>(db, sql).await?;
    let ours = before.midpoint(clock.micros());
    Ok(theirs.map(|(theirs,)| theirs.saturating_sub(ours) / 1_000_000))
}

/// A finding if this user may not read or change what every step reads or changes.
///
/// The database is asked to plan an update of no row, which takes the rights of a real one. SQLite
/// plans without looking at the file, so there it is carried out: it changes no row and fires no
/// trigger, for SQLite has none for whole statements.
///
/// # Errors
///
/// Passes on whatever else the database says.
pub async fn missing_rights(
    db: &Database,
    layout: &Layout,
) -> Result<Option<Finding>, DatabaseError> {
    let there = survey::column_names(db, layout).await?;
    let (reads, writes) = columns(layout, &there);
    if writes.is_empty() {
        return Ok(None);
    }
    let backend = db.get_database_backend();
    let table = ddl::table(backend, layout);
    let quote = |names: &[String]| -> Vec<String> {
        names
            .iter()
            .map(|name| ddl::quoted(backend, name))
            .collect()
    };
    let (reads, writes) = (quote(&reads), quote(&writes));
    let explain = match backend {
        DbBackend::Sqlite => "",
        _ => "EXPLAIN ",
    };
    let sets: Vec<String> = writes
        .iter()
        .map(|column| format!("{column} = {column}"))
        .collect();
    let select = format!(
        "{explain}SELECT {} FROM {table} WHERE 1 = 0",
        reads.join(", ")
    );
    let update = format!(
        "{explain}UPDATE {table} SET {} WHERE 1 = 0",
        sets.join(", ")
    );
    for sql in [select, update] {
        let Err(error) = db.query_all_raw(Statement::from_string(backend, sql)).await else {
            continue;
        };
        if !denied(&error) {
            return Err(error.into());
        }
        let mend = match backend {
            DbBackend::Sqlite => {
                "give the user that the service runs as the right to write to the file and to its folder".to_owned()
            }
            _ => format!(
                "GRANT SELECT ({}), UPDATE ({}) ON {table} TO {};",
                reads.join(", "),
                writes.join(", "),
                grantee(db).await?
            ),
        };
        return Ok(Some(Finding::grave(
            format!("this database user may not read and change what it must in {table}"),
            "the service reads these columns with every step, and writes the second list",
            mend,
        )));
    }
    Ok(None)
}

/// Which of the columns that are there are read, and which are written.
fn columns(layout: &Layout, there: &[String]) -> (Vec<String>, Vec<String>) {
    let extras = layout.extras().map(|(extra, _)| &extra.name);
    let mut writes: Vec<&String> = vec![&layout.email];
    writes.extend(extras);
    writes.extend(&layout.also_set);
    let updated_at = "updated_at".to_owned();
    if layout.owner == Owner::Readdress {
        writes.push(&updated_at);
    }
    let mut reads = vec![&layout.id, &layout.password];
    reads.extend(&layout.active);
    reads.extend(writes.iter().copied());
    let known = |names: Vec<&String>| {
        let known = names.into_iter().filter(|name| there.contains(name));
        known.cloned().collect()
    };
    (known(reads), known(writes))
}

/// Who this user is, as a GRANT names it.
async fn grantee(db: &Database) -> Result<String, DatabaseError> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => "SELECT CAST(current_user AS text)",
        _ => "SELECT CURRENT_USER()",
    };
    let (user,) = ask::<(String,)>(db, sql).await?.unwrap_or_default();
    Ok(match (backend, user.rsplit_once('@')) {
        (DbBackend::MySql, Some((user, host))) => format!(
            "{}@{}",
            ddl::quoted(backend, user),
            ddl::quoted(backend, host)
        ),
        _ => ddl::quoted(backend, &user),
    })
}

fn text_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::MySql => format!("CAST({column} AS CHAR)"),
        _ => format!("CAST({column} AS text)"),
    }
}

async fn ask<T: TryGetableMany>(db: &Database, sql: &str) -> Result<Option<T>, DatabaseError> {
    let question = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(question).await?;
    let read = row.map(|row| T::try_get_many_by_index(&row).map_err(DbErr::from));
    Ok(read.transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_applications_table_no_column_is_written_that_it_did_not_name() {
        let there = ["id", "email", "password", "updated_at"].map(str::to_owned);
        let theirs = Layout::of_application("people", "password");
        assert_eq!(columns(&theirs, &there).1, ["email"]);
        assert_eq!(columns(&Layout::own(), &there).1, ["email", "updated_at"]);
    }
}
