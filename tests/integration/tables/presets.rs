//! Presets against the table that each framework's own schema makes, on every database: what is
//! found, a change, and the operator's. Django, Devise and Laravel are walked besides, by the
//! originals (`tests/walks`); Phoenix cannot be had here, so its table stands for it.
//!
//! Sources, looked up in November 2026: Devise 4.8.1, `lib/generators/active_record` (with
//! `null: false, default: ""`); laravel/laravel, `database/migrations/…_create_users_table.php`;
//! Phoenix 1.8, `priv/templates/phx.gen.auth/migration.ex.eex` and
//! `lib/mix/tasks/phx.gen.auth/migration.ex` (`citext`, `collate: :nocase` or `size: 160`). How types
//! are written is that of `ActiveRecord`, Illuminate and Ecto for each database.

use readdress::users::{Layout, Preset};

use super::activate_link;
use crate::support::app::PASSWORD;
use crate::support::database::TestDatabase;
use crate::support::{Engine, Options, TestApp};

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];

const PRESETS: [Preset; 3] = [Preset::Devise, Preset::Laravel, Preset::Phoenix];

/// `PASSWORD` as PHP's `password_hash` stores it, without its version: of the lowest cost.
const HASH: &str = "04$.7m1PGnMy1YokBV8DxQY9evVbe05h/BDuf5633mUeYeoh4YYoy3XW";

/// The statements that make the table.
fn schema(preset: Preset, engine: Engine) -> Vec<&'static str> {
    match (preset, engine) {
        (Preset::Devise, Engine::Sqlite) => vec![
            r#"CREATE TABLE "users" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "email" varchar DEFAULT '' NOT NULL, "encrypted_password" varchar DEFAULT '' NOT NULL, "reset_password_token" varchar, "reset_password_sent_at" datetime, "remember_created_at" datetime, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL)"#,
            r#"CREATE UNIQUE INDEX "index_users_on_email" ON "users" ("email")"#,
            r#"CREATE UNIQUE INDEX "index_users_on_reset_password_token" ON "users" ("reset_password_token")"#,
        ],
        (Preset::Devise, Engine::Postgres) => vec![
            "CREATE TABLE users (id bigserial PRIMARY KEY, email character varying DEFAULT '' NOT NULL, encrypted_password character varying DEFAULT '' NOT NULL, reset_password_token character varying, reset_password_sent_at timestamp, remember_created_at timestamp, created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL)",
            "CREATE UNIQUE INDEX index_users_on_email ON users (email)",
            "CREATE UNIQUE INDEX index_users_on_reset_password_token ON users (reset_password_token)",
        ],
        (Preset::Devise, Engine::MariaDb) => vec![
            "CREATE TABLE `users` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `email` varchar(255) DEFAULT '' NOT NULL, `encrypted_password` varchar(255) DEFAULT '' NOT NULL, `reset_password_token` varchar(255), `reset_password_sent_at` datetime, `remember_created_at` datetime, `created_at` datetime(6) NOT NULL, `updated_at` datetime(6) NOT NULL)",
            "CREATE UNIQUE INDEX `index_users_on_email` ON `users` (`email`)",
            "CREATE UNIQUE INDEX `index_users_on_reset_password_token` ON `users` (`reset_password_token`)",
        ],
        (Preset::Laravel, Engine::Sqlite) => vec![
            r#"create table "users" ("id" integer primary key autoincrement not null, "name" varchar not null, "email" varchar not null, "email_verified_at" datetime, "password" varchar not null, "remember_token" varchar, "created_at" datetime, "updated_at" datetime)"#,
            r#"create unique index "users_email_unique" on "users" ("email")"#,
        ],
        (Preset::Laravel, Engine::Postgres) => vec![
            r#"create table "users" ("id" bigserial not null primary key, "name" varchar(255) not null, "email" varchar(255) not null, "email_verified_at" timestamp(0) without time zone null, "password" varchar(255) not null, "remember_token" varchar(100) null, "created_at" timestamp(0) without time zone null, "updated_at" timestamp(0) without time zone null)"#,
            r#"alter table "users" add constraint "users_email_unique" unique ("email")"#,
        ],
        (Preset::Laravel, Engine::MariaDb) => vec![
            "create table `users` (`id` bigint unsigned not null auto_increment primary key, `name` varchar(255) not null, `email` varchar(255) not null, `email_verified_at` timestamp null, `password` varchar(255) not null, `remember_token` varchar(100) null, `created_at` timestamp null, `updated_at` timestamp null) default character set utf8mb4 collate 'utf8mb4_unicode_ci'",
            "alter table `users` add unique `users_email_unique`(`email`)",
        ],
        (Preset::Phoenix, Engine::Sqlite) => vec![
            r#"CREATE TABLE "users" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "email" TEXT NOT NULL COLLATE NOCASE, "hashed_password" TEXT, "confirmed_at" TEXT, "inserted_at" TEXT NOT NULL, "updated_at" TEXT NOT NULL)"#,
            r#"CREATE UNIQUE INDEX "users_email_index" ON "users" ("email")"#,
        ],
        (Preset::Phoenix, Engine::Postgres) => vec![
            r#"CREATE TABLE "users" ("id" bigserial, "email" public.citext NOT NULL, "hashed_password" varchar(255), "confirmed_at" timestamp(0), "inserted_at" timestamp(0) NOT NULL, "updated_at" timestamp(0) NOT NULL, PRIMARY KEY ("id"))"#,
            r#"CREATE UNIQUE INDEX "users_email_index" ON "users" ("email")"#,
        ],
        (Preset::Phoenix, Engine::MariaDb) => vec![
            "CREATE TABLE `users` (`id` bigint unsigned NOT NULL AUTO_INCREMENT, `email` varchar(160) NOT NULL, `hashed_password` varchar(255), `confirmed_at` datetime, `inserted_at` datetime NOT NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`id`)) ENGINE = INNODB",
            "CREATE UNIQUE INDEX `users_email_index` ON `users` (`email`)",
        ],
        (Preset::Django, _) => unreachable!("examples/django is walked"),
    }
}

/// Makes the table, with Ann and Bob in it as the framework would have them. All three store bcrypt.
async fn make(database: &TestDatabase, preset: Preset, layout: &Layout) {
    if (preset, database.engine) == (Preset::Phoenix, Engine::Postgres) {
        // In one schema of the database, and tests at the same time share it.
        let make = "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public";
        let _ = sea_orm::ConnectionTrait::execute_unprepared(&database.pool, make).await;
    }
    for statement in schema(preset, database.engine) {
        database.execute(statement).await;
    }
    let (version, columns, values) = match preset {
        Preset::Devise => ("2a", "created_at, updated_at", "'2026-11-26', '2026-11-26'"),
        Preset::Phoenix => (
            "2b",
            "inserted_at, updated_at",
            "'2026-11-26', '2026-11-26'",
        ),
        Preset::Laravel | Preset::Django => ("2y", "name, created_at", "'A', '2026-11-26'"),
    };
    for email in ["ann@example.com", "bob@example.com"] {
        let hash = format!("${version}${HASH}");
        let sql = format!(
            "INSERT INTO users ({}, {}, {columns}) VALUES ('{email}', '{hash}', {values})",
            layout.email, layout.password
        );
        assert_eq!(database.execute(&sql).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_preset_fits_the_table_of_its_framework_on_every_database() {
    for (preset, engine) in PRESETS
        .iter()
        .flat_map(|one| ENGINES.map(|engine| (*one, engine)))
    {
        let Some(database) = engine.database().await else {
            continue;
        };
        let layout = Layout::from(preset);
        make(&database, preset, &layout).await;
        let missing = readdress::users::missing(&database.pool, &layout).await;
        let missing = missing.expect("a database");
        assert_eq!(missing.len(), 3, "{preset:?} on {engine:?}");
        let added = readdress::users::add_missing(&database.pool, &layout, &missing).await;
        added.expect("three columns");
        let survey = database.survey(&layout, false).await;
        let grave = survey.findings.iter().find(|finding| finding.grave);
        assert!(grave.is_none(), "{preset:?} on {engine:?}: {grave:?}");

        let app = TestApp::beside(database, &layout, Options::default()).await;
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        app.activate(&activate).await.ok(200);
        let undo = app.mail_to("ann@example.com").token("undo-email-change");
        app.undo(&undo, PASSWORD).await.ok(200);
        let taken = app.set_email("ann@example.com", "bob@example.com").await;
        assert!(taken.is_err(), "{preset:?} on {engine:?}");
        let set = app.set_email("ann@example.com", "ann@last.example").await;
        assert!(set.is_ok(), "{preset:?} on {engine:?}: {set:?}");
        assert_eq!(
            app.sign_in_as("ann@last.example", PASSWORD).await.id,
            ann.id
        );
        app.sign_in_as("bob@example.com", PASSWORD).await;
        app.close().await;
    }
}
