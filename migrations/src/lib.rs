//! The users table of readdress, for those who have none.
//!
//! sea-orm's migrator takes no lock, so two processes that start together would both try. [`up`]
//! holds one for the whole of it. The service's `migrate` commands call this, and `serve` asks
//! [`pending`].

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

mod m0001_users;

/// An arbitrary number that no other application is likely to lock: "readdres" in ASCII.
const ADVISORY_LOCK: i64 = 0x7265_6164_6472_6573;
/// MariaDB and MySQL lock a name, for the whole server: the database's own is part of it. 60 s.
const TAKE_LOCK: &str = "DO GET_LOCK(CONCAT('readdress:', LEFT(DATABASE(), 50)), 60)";
const GIVE_LOCK: &str = "DO RELEASE_LOCK(CONCAT('readdress:', LEFT(DATABASE(), 50)))";

struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_users::Migration)]
    }

    fn migration_table_name() -> DynIden {
        "readdress_migrations".into_iden()
    }
}

/// Applies what is missing; says how many migrations that was. Safe from several processes at once:
/// the others wait and find nothing left to do.
///
/// # Errors
///
/// Passes on what the database says; then nothing was changed, except in MariaDB and MySQL: they
/// commit each change of a table by itself, and running it again goes on from there.
pub async fn up(db: &DatabaseConnection) -> Result<usize, DbErr> {
    let options = TransactionOptions {
        // A deferred transaction would take the write lock too late, and fail instead of waiting.
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    let backend = transaction.get_database_backend();
    if backend == DbBackend::Postgres {
        transaction
            .execute_unprepared(&format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            .await?;
    } else if backend == DbBackend::MySql {
        // Of this connection, which the transaction keeps for us; its own end does not matter here.
        transaction.execute_unprepared(TAKE_LOCK).await?;
    }
    let applied = apply(&transaction).await;
    if backend == DbBackend::MySql {
        transaction.execute_unprepared(GIVE_LOCK).await?;
    }
    let applied = applied?;
    transaction.commit().await?;
    Ok(applied)
}

async fn apply(transaction: &DatabaseTransaction) -> Result<usize, DbErr> {
    let missing = Migrator::get_pending_migrations(transaction).await?.len();
    Migrator::up(transaction, None).await?;
    Ok(missing)
}

/// The names of the migrations that have not been applied. Changes nothing.
///
/// # Errors
///
/// Passes on what the database says.
pub async fn pending(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let pending = Migrator::get_pending_migrations_read_only(db).await?;
    Ok(pending
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect())
}
