//! The table `users`, with everything the service keeps.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer_null, string, string_len, text, timestamp, timestamp_with_time_zone, uuid,
};
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
        let backend = manager.get_database_backend();
        // SQLite and MySQL have no uuid type: there the id is its text, as people read it.
        let mut id = match backend {
            DbBackend::Postgres => uuid("id"),
            DbBackend::MySql => string_len("id", 36),
            _ => string("id"),
        };
        // MySQL indexes no text without a length; no address is longer.
        let mut email = match backend {
            DbBackend::MySql => string_len("email", 254),
            _ => text("email"),
        };
        let moment = |name: &'static str| match backend {
            DbBackend::MySql => timestamp(name),
            _ => timestamp_with_time_zone(name),
        };
        let now = || Expr::current_timestamp();
        let email_is_folded = Expr::col("email").eq(Func::lower(Expr::col("email")));
        let mut table = Table::create();
        table
            .table("users")
            .col(id.primary_key())
            // Canonical, so that this plain index is unique on the address as folded.
            .col(email.unique_key().check(email_is_folded))
            .col(text("password_hash"))
            .col(big_integer_null("email_change_nonce"))
            .col(big_integer_null("undo_opened_at"))
            .col(big_integer_null("passwords_tat"))
            .col(moment("created_at").default(now()))
            .col(moment("updated_at").default(now()));
        if backend == DbBackend::MySql {
            // It commits this by itself: an interrupted run may have got so far. And by default it
            // compares without case, with which the check on the address would say nothing.
            table
                .if_not_exists()
                .character_set("utf8mb4")
                .collate("utf8mb4_bin");
        }
        manager.create_table(table).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("users").to_owned())
            .await
    }
}
