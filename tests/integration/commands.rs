//! The real binary, as an operator and a process manager meet it.

mod beside;
mod check;
mod dev;
mod mail_server;
mod pages;
mod serve;
mod set_email;
mod standby;
mod templates;
mod variables;
mod versions;

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::future::join_all;
use readdress::keys;

use crate::support::Engine;
use crate::support::app::{APP_URL, PASSWORD};
use crate::support::database::TestDatabase;
use crate::support::process::{Finished, Shell};

/// In every value that must never be printed.
const CANARY: &str = "canary-7f3a";

/// The file of a SQLite database in that folder.
fn sqlite_in(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("users.db").display())
}

/// A shell with a database that is not migrated: a file that does not exist, or an empty schema.
struct Fresh {
    shell: Shell,
    url: String,
    /// The server's, if it is no file.
    database: Option<TestDatabase>,
    engine: Engine,
}

impl Fresh {
    fn on_sqlite() -> Self {
        let mut shell = Shell::new();
        let url = sqlite_in(shell.path());
        shell.set("READDRESS_DATABASE_URL", &url);
        Self {
            shell,
            url,
            database: None,
            engine: Engine::Sqlite,
        }
    }

    async fn on(engine: Engine) -> Option<Self> {
        if engine == Engine::Sqlite {
            return Some(Self::on_sqlite());
        }
        let database = engine.database().await?;
        let mut url = url::Url::parse(&database.url).expect("a URL");
        if url.password().is_none() && engine == Engine::Postgres {
            // Who trusts this machine asks for no password and minds none.
            url.set_password(Some(CANARY)).expect("a password");
        }
        let shell = Shell::new().with("READDRESS_DATABASE_URL", url.as_str());
        Some(Self {
            shell,
            url: url.into(),
            database: Some(database),
            engine,
        })
    }

    async fn migrate(&self) {
        assert_good(&self.shell.run(&["migrate", "up"]).await);
    }

    /// Everything that `serve` needs; the address comes from the system.
    fn configure(&mut self, smtp_url: &str) {
        let keys = keys::generate().expect("random");
        for (name, value) in [
            ("READDRESS_LISTEN", "127.0.0.1:0"),
            ("READDRESS_APP_URL", APP_URL),
            ("READDRESS_SECRET_KEYS", &keys),
            ("READDRESS_SMTP_URL", smtp_url),
            ("READDRESS_MAIL_FROM", "Accounts <accounts@app.example.com>"),
        ] {
            self.shell.set(name, value);
        }
    }

    async fn close(self) {
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// A test on SQLite, and on PostgreSQL and MariaDB where there is one.
macro_rules! on_every_database {
    ($(#[$meta:meta])* async fn $name:ident($fresh:ident) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn story(engine: $crate::support::Engine) {
                let Some(mut fresh) = Fresh::on(engine).await else { return };
                let $fresh = &mut fresh;
                $body
                fresh.close().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                story($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                story($crate::support::Engine::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_mariadb() {
                story($crate::support::Engine::MariaDb).await;
            }
        }
    };
}
use on_every_database;

#[track_caller]
fn assert_good(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// It failed, said every one of these, and repeated none of its values.
#[track_caller]
fn assert_refused(finished: &Finished, says: &[&str]) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for text in says {
        assert!(said.contains(text), "does not say {text}: {said}");
    }
    assert!(!said.contains(CANARY), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keygen_prints_a_new_key_each_time_and_nothing_else() {
    let (mut kids, mut keys) = (BTreeSet::new(), BTreeSet::new());
    let shell = Shell::new();
    for _ in 0..10 {
        let made = shell.run(&["keygen"]).await;
        assert_good(&made);
        assert_eq!(made.stderr, "");
        let line = made.stdout.strip_suffix('\n').expect("a whole line");
        let ring = keys::KeyRing::parse(line).expect("a key that can be used");
        assert_eq!(ring.count(), 1);
        let (kid, key) = line.split_once(':').expect("kid:key");
        assert!(
            kids.insert(kid.to_owned()) && keys.insert(key.to_owned()),
            "{kid} twice"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openapi_prints_the_document_and_touches_nothing() {
    let shell = Shell::new();
    let printed = shell.run(&["openapi"]).await;
    assert_good(&printed);
    assert!(
        printed.stdout == readdress::api::document::document(),
        "another document"
    );
    assert_eq!(printed.stderr, "");
    assert_eq!(
        std::fs::read_dir(shell.path()).expect("a folder").count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_names_every_command_and_a_wrong_one_is_refused() {
    let shell = Shell::new();
    let help = shell.run(&["--help"]).await;
    assert_good(&help);
    for command in [
        "dev", "serve", "migrate", "check", "keygen", "openapi", "user", "health",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{command}: {}",
            help.stdout
        );
    }
    assert_good(&shell.run(&["--version"]).await);
    for wrong in [
        &["nonsense"][..],
        &[],
        &["migrate"],
        &["migrate", "down"],
        &["user", "add"],
        &["serve", "extra"],
    ] {
        assert_eq!(shell.run(wrong).await.code, Some(2), "{wrong:?}");
    }
}

on_every_database! {
    async fn migrate_makes_the_table_once_and_says_what_is_missing(fresh) {
        let status = fresh.shell.run(&["migrate", "status"]).await;
        assert_refused(&status, &[]);
        if fresh.database.is_none() {
            assert_refused(&status, &["the file is not there", "readdress migrate up"]);
            let file = fresh.shell.path().join("users.db");
            assert!(!file.exists(), "asking changes nothing");
            std::fs::write(&file, "something else".repeat(100)).expect("written");
            let status = fresh.shell.run(&["migrate", "status"]).await;
            assert_refused(&status, &["file is not a database"]);
            assert!(!status.stderr.contains("not there"), "{status:?}");
            std::fs::write(&file, "").expect("written");
        }
        let status = fresh.shell.run(&["migrate", "status"]).await;
        assert_refused(&status, &["m0001_users", "readdress migrate up"]);
        let first = fresh.shell.run(&["migrate", "up"]).await;
        assert_good(&first);
        assert!(first.stdout.starts_with("1 applied"), "{first:?}");
        let second = fresh.shell.run(&["migrate", "up"]).await;
        assert_good(&second);
        assert!(second.stdout.starts_with("0 applied"), "{second:?}");
        assert_good(&fresh.shell.run(&["migrate", "status"]).await);
    }
}

on_every_database! {
    async fn six_processes_that_migrate_at_once_make_one_table(fresh) {
        let shell = &fresh.shell;
        let rounds = if fresh.database.is_some() { 1 } else { 5 };
        for round in 0..rounds {
            if round > 0 {
                // With its log: SQLite takes one that is left for a crash of the new file's own.
                for file in ["users.db", "users.db-wal", "users.db-shm"] {
                    let _ = std::fs::remove_file(shell.path().join(file));
                }
            }
            let all = join_all((0..6).map(|_| shell.run(&["migrate", "up"]))).await;
            let mut applied = Vec::new();
            for one in &all {
                assert_good(one);
                applied.extend(one.stdout.split(' ').next().map(ToOwned::to_owned));
            }
            applied.sort_unstable();
            assert_eq!(applied, ["0", "0", "0", "0", "0", "1"], "{all:?}");
        }
        if let Some(database) = &fresh.database {
            let schema = if fresh.engine == Engine::Postgres { "current_schema()" } else { "DATABASE()" };
            let sql = format!("SELECT CAST(table_name AS char(40)) FROM information_schema.tables WHERE table_schema = {schema} ORDER BY table_name");
            let tables = database.texts(&sql).await;
            assert_eq!(tables.iter().map(|name| name.trim_end()).collect::<Vec<_>>(), ["readdress_migrations", "users"]);
        }
        assert_good(&shell.run(&["migrate", "status"]).await);
    }
}

on_every_database! {
    async fn a_user_is_added_once_with_a_password_from_standard_input(fresh) {
        fresh.migrate().await;
        let shell = &fresh.shell;
        let add = |email: &'static str, input: &'static str| async move {
            shell.run_with(&["user", "add", email], input).await
        };
        let added = add("Ann@Example.com", "canary-7f3a password\n").await;
        assert_good(&added);
        assert!(added.stdout.contains("ann@example.com") && !format!("{added:?}").contains(CANARY), "{added:?}");
        for again in ["ann@example.com", "ANN@EXAMPLE.COM", " ann@example.com "] {
            assert_refused(&add(again, "canary-7f3a\n").await, &["another account has this address"]);
        }
        for invalid in ["", "ann", "ann@localhost", "a b@example.com", "ann@example.com, bob@example.com", "ann@[127.0.0.1]"] {
            assert_refused(&add(invalid, "canary-7f3a\n").await, &["address"]);
        }
        for empty in ["", "\n", "\r\n", "\0\n"] {
            assert_refused(&add("bob@example.com", empty).await, &["password"]);
        }
        assert_good(&add("bob@example.com", "no line break at the end").await);
    }
}

on_every_database! {
    async fn a_user_signs_in_with_exactly_the_line_that_was_typed(fresh) {
        fresh.migrate().await;
        for (email, line) in [("ann@example.com", format!("{PASSWORD}\r\n")), ("bob@example.com", " blanks kept  \nsecond line".to_owned())] {
            assert_good(&fresh.shell.run_with(&["user", "add", email], &line).await);
        }
        fresh.configure("smtp://127.0.0.1:1?tls=none");
        let server = fresh.shell.start("serve").await;
        for (email, password) in [("ann@example.com", PASSWORD), ("bob@example.com", " blanks kept  ")] {
            let body = serde_json::json!({ "email": email, "password": password });
            server.post("/v1/session", None, body).await.ok(200);
        }
        assert_eq!(server.end("TERM").await.0, Some(0));
    }
}
