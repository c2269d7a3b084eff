//! `readdress migrate`: the service's own users table, and the optional columns of an application's.

use super::{Failure, Migrate, connect, database_settings};
use crate::config::DatabaseSettings;
use crate::users::{self, DatabaseError, Owner, Purpose};

pub(super) async fn run(command: Migrate) -> Result<(), Failure> {
    let settings = database_settings()?;
    match command {
        Migrate::Up => up(&settings).await,
        Migrate::Status => status(&settings).await,
        Migrate::Columns { apply } => columns(&settings, apply).await,
    }
}

async fn up(settings: &DatabaseSettings) -> Result<(), Failure> {
    is_owned_by(Owner::Readdress, settings)?;
    let database = connect(settings, Purpose::Migrate).await?;
    let applied = readdress_migrations::up(&database).await;
    let applied = applied.map_err(DatabaseError::from)?;
    println!("{applied} applied, the database is up to date");
    Ok(())
}

async fn status(settings: &DatabaseSettings) -> Result<(), Failure> {
    is_owned_by(Owner::Readdress, settings)?;
    let database = connect(settings, Purpose::Look).await?;
    let pending = readdress_migrations::pending(&database).await;
    let pending = pending.map_err(DatabaseError::from)?;
    if pending.is_empty() {
        println!("the database is up to date");
        return Ok(());
    }
    println!("missing: {}", pending.join(", "));
    Err(Failure::NotMigrated)
}

/// The statements alone on standard output, so that they can be piped into the database's own shell.
async fn columns(settings: &DatabaseSettings, apply: bool) -> Result<(), Failure> {
    is_owned_by(Owner::Application, settings)?;
    let database = connect(settings, Purpose::Look).await?;
    let missing = users::missing(&database, &settings.layout).await?;
    for statement in &missing {
        println!("{statement}");
    }
    if apply {
        users::add_missing(&database, &settings.layout, &missing).await?;
    }
    match (missing.is_empty(), apply) {
        (true, _) => eprintln!("every optional column is there"),
        (false, true) => eprintln!("applied"),
        (false, false) => eprintln!("not applied: run them, or this command again with --apply"),
    }
    Ok(())
}

fn is_owned_by(owner: Owner, settings: &DatabaseSettings) -> Result<(), Failure> {
    if settings.layout.owner == owner {
        return Ok(());
    }
    Err(Failure::Refused(
        match owner {
            Owner::Readdress => {
                "the users table is the application's (a READDRESS_USERS_ variable says so) and needs no migration; `readdress migrate columns` adds the optional columns"
            }
            Owner::Application => {
                "the users table is the service's own and has every column: `readdress migrate up` makes it (to use an application's, set READDRESS_USERS_PRESET or READDRESS_USERS_TABLE)"
            }
        }
        .to_owned(),
    ))
}
