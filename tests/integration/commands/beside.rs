//! The commands beside an application's own users table.

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{CANARY, Fresh, assert_good, assert_refused, on_every_database};
use crate::support::Engine;
use crate::support::app::PASSWORD;
use crate::support::database::connect;
use crate::support::smtp::SmtpSink;
use crate::tables::quote;
use readdress::password::{self, Password};
use readdress::users::Purpose;

/// Runs one statement in the database of the command, as the application would.
async fn execute(fresh: &Fresh, sql: &str) {
    let database = connect(&fresh.url, 1, Purpose::Migrate)
        .await
        .expect("a database");
    database
        .execute_unprepared(sql)
        .await
        .expect("the statement runs");
    database.close().await.expect("closes");
}

/// A table of Laravel's kind with Ann in it, unique as folded.
async fn make_users(fresh: &Fresh) {
    let email = match fresh.engine {
        Engine::Sqlite => "varchar(254) COLLATE NOCASE UNIQUE",
        Engine::Postgres | Engine::MariaDb => "varchar(254) UNIQUE",
    };
    execute(fresh, &format!("CREATE TABLE users (id integer PRIMARY KEY, email {email}, password varchar(200) NOT NULL)")).await;
    if fresh.engine == Engine::Postgres {
        execute(fresh, "CREATE UNIQUE INDEX ON users (lower(email))").await;
    }
    let hash = password::hash(&Password::new(PASSWORD.to_owned())).expect("a hash");
    execute(
        fresh,
        &format!("INSERT INTO users VALUES (1, 'Ann@Example.com', '{hash}')"),
    )
    .await;
}

on_every_database! {
    async fn optional_columns_are_printed_first_and_added_when_asked(fresh) {
        make_users(fresh).await;
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
        fresh.shell.set("READDRESS_PASSWORD_FORMAT", "argon2id:m=19456,t=2,p=1");
        let check = fresh.shell.run(&["check"]).await;
        assert_good(&check);
        for column in ["email_change_nonce", "undo_opened_at", "passwords_tat"] {
            assert!(check.stdout.contains(column), "{column}: {check:?}");
        }
        assert_eq!(check.stdout.matches("mend  readdress migrate columns --apply\n").count(), 3, "{check:?}");

        let printed = fresh.shell.run(&["migrate", "columns"]).await;
        assert_good(&printed);
        let statements: Vec<&str> = printed.stdout.lines().collect();
        assert_eq!(statements.len(), 3, "{printed:?}");
        assert!(statements.iter().all(|line| line.starts_with("ALTER TABLE ") && line.ends_with(';')));
        assert_eq!(fresh.shell.run(&["migrate", "columns"]).await.stdout, printed.stdout, "printing changes nothing");
        // An operator may well run the first one by hand.
        execute(fresh, statements[0]).await;
        let applied = fresh.shell.run(&["migrate", "columns", "--apply"]).await;
        assert_good(&applied);
        assert_eq!(applied.stdout.lines().collect::<Vec<_>>(), statements[1..]);
        let again = fresh.shell.run(&["migrate", "columns", "--apply"]).await;
        assert_good(&again);
        assert_eq!(again.stdout, "");

        let check = fresh.shell.run(&["check"]).await;
        assert_good(&check);
        assert!(!check.stdout.contains("note "), "{check:?}");
        let server = fresh.shell.start("serve").await;
        let body = json!({ "email": "ann@example.com", "password": PASSWORD });
        server.post("/v1/session", None, body).await.ok(200);
        assert_eq!(server.end("TERM").await.0, Some(0));
    }
}

on_every_database! {
    async fn a_table_that_cannot_be_used_is_refused_with_everything_that_is_wrong(fresh) {
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        execute(fresh, "CREATE TABLE people (id integer PRIMARY KEY, email varchar(254), password timestamp NULL, enabled varchar(9))").await;
        fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
        for command in ["serve", "check"] {
            let said = fresh.shell.run(&[command]).await;
            assert_refused(&said, &["no table", "users", "READDRESS_USERS_TABLE"]);
        }
        for (name, value) in [("TABLE", "people"), ("ACTIVE", "enabled"), ("NONCE", "nonce"), ("ALSO_SET", "login")] {
            fresh.shell.set(&format!("READDRESS_USERS_{name}"), value);
        }
        for command in ["serve", "check"] {
            let said = fresh.shell.run(&[command]).await;
            assert_refused(&said, &[
                "the column password of", "timestamp", "READDRESS_USERS_PASSWORD",
                "the column enabled of", "a boolean or an integer", "READDRESS_USERS_ACTIVE",
                "no column nonce", "READDRESS_USERS_NONCE",
                "no column login", "READDRESS_USERS_ALSO_SET",
            ]);
        }
        for name in ["ACTIVE", "NONCE", "ALSO_SET"] {
            fresh.shell.set(&format!("READDRESS_USERS_{name}"), "");
        }
        fresh.shell.set("READDRESS_USERS_PASSWORD", "enabled");
        for command in ["serve", "check"] {
            let said = fresh.shell.run(&[command]).await;
            assert_refused(&said, &["nothing keeps two accounts", "READDRESS_ALLOW_NON_UNIQUE", "UNIQUE INDEX"]);
        }
        fresh.shell.set("READDRESS_ALLOW_NON_UNIQUE", "yes");
        assert_good(&fresh.shell.run(&["check"]).await);
        let server = fresh.shell.start("serve").await;
        assert_eq!(server.end("TERM").await.0, Some(0));
    }
}

on_every_database! {
    async fn an_applications_table_is_neither_migrated_nor_filled(fresh) {
        make_users(fresh).await;
        fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
        for command in [&["migrate", "up"][..], &["migrate", "status"]] {
            assert_refused(&fresh.shell.run(command).await, &["readdress migrate columns"]);
        }
        let added = fresh.shell.run_with(&["user", "add", "bob@example.com"], "secret\n").await;
        assert_refused(&added, &["the application's"]);
        fresh.shell.set("READDRESS_USERS_PRESET", "");
        assert_refused(&fresh.shell.run(&["migrate", "columns"]).await, &["readdress migrate up"]);
    }
}

on_every_database! {
    async fn columns_that_cannot_be_added_say_what_mends_it(fresh) {
        fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
        let add = ["migrate", "columns", "--apply"];
        execute(fresh, "CREATE TABLE people (id integer)").await;
        assert_refused(&fresh.shell.run(&add).await, &["no table", "READDRESS_USERS_TABLE"]);
        make_users(fresh).await;

        let holder = connect(&fresh.url, 1, Purpose::Look).await.expect("a database");
        let hold = match fresh.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN; LOCK TABLE users IN ACCESS SHARE MODE",
            Engine::MariaDb => "LOCK TABLES users READ",
        };
        holder.execute_unprepared(hold).await.expect("held");
        let locked = fresh.shell.run(&add).await;
        holder.close().await.expect("closes");
        let said = format!("{} was held by something else", quote(fresh.engine, "users"));
        assert_refused(&locked, &[&said, "run this again"]);
        assert!(!locked.stderr.contains("rror"), "no words of the database's: {locked:?}");
        assert_good(&fresh.shell.run(&add).await);
    }
}

on_every_database! {
    async fn a_view_takes_no_columns_and_nobody_is_sent_for_rights(fresh) {
        make_users(fresh).await;
        execute(fresh, "CREATE VIEW accounts AS SELECT id, email, password FROM users").await;
        fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
        fresh.shell.set("READDRESS_USERS_TABLE", "accounts");
        let refused = fresh.shell.run(&["migrate", "columns", "--apply"]).await;
        assert_refused(&refused, &["the columns were not added"]);
        assert!(!refused.stderr.contains("may not change"), "{refused:?}");
    }
}

/// As a role that may write to the table and does not own it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_are_added_by_the_owner_of_the_table_alone() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let Some(mut fresh) = Fresh::on(engine).await else {
            continue;
        };
        make_users(&fresh).await;
        fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
        let id = uuid::Uuid::now_v7().simple().to_string();
        let role = format!("readdress_{}", &id[12..]);
        let (make, drop) = match engine {
            Engine::Postgres => (
                format!(
                    "CREATE ROLE {role} LOGIN PASSWORD '{CANARY}'; GRANT SELECT, UPDATE ON users TO {role}; DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); END $$"
                ),
                format!("DROP OWNED BY {role}; DROP ROLE {role}"),
            ),
            _ => (
                format!(
                    "CREATE USER {role}@'%' IDENTIFIED BY '{CANARY}'; GRANT SELECT, UPDATE ON users TO {role}@'%'"
                ),
                format!("DROP USER {role}@'%'"),
            ),
        };
        execute(&fresh, &make).await;
        let mut url = url::Url::parse(&fresh.url).expect("a URL");
        url.set_username(&role).expect("a user");
        url.set_password(Some(CANARY)).expect("a password");
        fresh.shell.set("READDRESS_DATABASE_URL", url.as_str());
        let denied = fresh.shell.run(&["migrate", "columns", "--apply"]).await;
        execute(&fresh, &drop).await;
        let said = format!("may not change {}:", quote(engine, "users"));
        assert_refused(&denied, &[&said, "the user who owns it"]);
        assert!(
            !denied.stderr.contains("rror"),
            "no words of the database's: {denied:?}"
        );
        fresh.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_set_in_an_applications_sqlite_file() {
    let mut fresh = Fresh::on_sqlite();
    let file = fresh.shell.path().join("users.db");
    // Made as an application makes it: with the defaults.
    let made = sea_orm::Database::connect(format!("sqlite://{}?mode=rwc", file.display()))
        .await
        .expect("a file");
    made.execute_unprepared("CREATE TABLE users (id integer PRIMARY KEY, email text COLLATE NOCASE UNIQUE, password text)").await.expect("a table");
    made.close().await.expect("closes");
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.shell.set("READDRESS_USERS_PRESET", "laravel");
    let before = std::fs::read(&file).expect("a file");
    assert_good(&fresh.shell.run(&["check"]).await);
    let server = fresh.shell.start("serve").await;
    server.get("/readyz").await.ok(200);
    assert_eq!(server.end("TERM").await.0, Some(0));
    assert!(
        std::fs::read(&file).expect("a file") == before,
        "the file was changed"
    );
    assert!(!file.with_extension("db-wal").exists());
}
