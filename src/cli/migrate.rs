//! `readdress migrate`: the service's own users table.

use super::{Failure, Migrate, configured_database};
use crate::email_change::chain;
use crate::users::Purpose;

pub(super) async fn run(command: Migrate) -> Result<(), Failure> {
    let failed = |error| Failure::Database(chain(&error));
    match command {
        Migrate::Up => {
            let database = configured_database(Purpose::Migrate).await?;
            let applied = readdress_migrations::up(&database).await.map_err(failed)?;
            println!("{applied} applied, the database is up to date");
            Ok(())
        }
        Migrate::Status => {
            let database = configured_database(Purpose::Look).await?;
            let pending = readdress_migrations::pending(&database)
                .await
                .map_err(failed)?;
            if pending.is_empty() {
                println!("the database is up to date");
                return Ok(());
            }
            println!("missing: {}", pending.join(", "));
            Err(Failure::NotMigrated)
        }
    }
}
