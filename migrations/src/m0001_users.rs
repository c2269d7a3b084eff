//! The table `users`, with everything the service keeps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, string, text, timestamp_with_time_zone, uuid};
use sea_orm_migration::sea_orm::DbBackend;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_users"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite has no uuid type: there the id is its text, as people read it.
        let mut id = match manager.get_database_backend() {
            DbBackend::Postgres => uuid("id"),
            _ => string("id"),
        };
        let now = || Expr::current_timestamp();
        let email_is_folded = Expr::col("email").eq(Func::lower(Expr::col("email")));
        let table = Table::create()
            .table("users")
            .col(id.primary_key())
            // Canonical, so that this plain index is unique on the address as folded.
            .col(text("email").unique_key().check(email_is_folded))
            .col(text("password_hash"))
            .col(big_integer_null("email_change_nonce"))
            .col(big_integer_null("undo_opened_at"))
            .col(big_integer_null("passwords_tat"))
            .col(timestamp_with_time_zone("created_at").default(now()))
            .col(timestamp_with_time_zone("updated_at").default(now()))
            .to_owned();
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("users").to_owned())
            .await
    }
}
