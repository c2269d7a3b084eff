//! What the rows hold, against what is configured.

use readdress::clock::Clock;
use readdress::users::{self, Purpose};
use sea_orm::ConnectionTrait;

use super::{Fresh, SmtpSink, assert_good, assert_refused, on_every_database};
use crate::support::Engine;
use crate::support::app::PASSWORD;
use crate::support::database::connect;

/// Puts that hash into a row of our own table.
async fn put(fresh: &Fresh, name: &str, hash: &str) {
    let database = connect(&fresh.url, 1, Purpose::Look)
        .await
        .expect("a database");
    let sql =
        format!("UPDATE users SET password_hash = '{hash}' WHERE email = '{name}@example.com'");
    let changed = database.execute_unprepared(&sql).await.expect("it runs");
    assert_eq!(changed.rows_affected(), 1);
    database.close().await.expect("closes");
}

on_every_database! {
    async fn the_format_of_the_rows_is_compared_with_the_configured_one(fresh) {
        const DJANGO: &str = "pbkdf2_sha256$1500000$AbCdEfGhIjKlMnOpQrStUv$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=";
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        fresh.migrate().await;
        for email in ["ann@example.com", "bob@example.com"] {
            assert_good(&fresh.shell.run_with(&["user", "add", email], PASSWORD).await);
        }
        let checked = fresh.shell.run(&["check"]).await;
        assert_good(&checked);
        assert!(checked.stdout.contains("ok    passwords      of 2 rows: 2 argon2id:m=19456,t=2,p=1\n"), "{checked:?}");

        for name in ["ann", "bob"] {
            put(fresh, name, DJANGO).await;
        }
        let checked = fresh.shell.run(&["check"]).await;
        assert_good(&checked);
        assert!(checked.stdout.contains("mend  READDRESS_PASSWORD_FORMAT=pbkdf2_sha256:1500000\n"), "{checked:?}");
        for part in ["AbCdEfGh", "rAhhOoaY", "ann", "bob"] {
            assert!(!checked.stdout.contains(part), "{checked:?}");
        }
        fresh.shell.set("READDRESS_PASSWORD_FORMAT", "pbkdf2_sha256:1500000");
        assert!(!fresh.shell.run(&["check"]).await.stdout.contains("note"));

        // Beyond the caps, and of no format at all.
        put(fresh, "ann", "pbkdf2_sha256$5000001$AbCdEfGh$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=").await;
        let checked = fresh.shell.run(&["check"]).await;
        assert_good(&checked);
        assert!(checked.stdout.contains("some stored passwords ask for more memory or time than this service gives to one password (1 of 2 rows)"), "{checked:?}");
        put(fresh, "bob", "md5$AbCdEfGh$67a1e09bb1f83f5007dc119c14d663aa").await;
        let checked = fresh.shell.run(&["check"]).await;
        assert_refused(&checked, &["FAIL  passwords", "READDRESS_USERS_PASSWORD", "ok    database"]);
    }
}

on_every_database! {
    async fn the_databases_clock_is_compared_with_ours(fresh) {
        fresh.migrate().await;
        let database = connect(&fresh.url, 1, Purpose::Look).await.expect("a database");
        for wrong in [-1_000, 0, 1_000] {
            let ours = Clock::manual(Clock::System.seconds() + wrong);
            let ahead = users::clock_ahead(&database, &ours).await.expect("it answers");
            match ahead {
                None => assert_eq!(fresh.engine, Engine::Sqlite, "its clock is ours"),
                Some(ahead) => assert!((ahead + wrong).abs() <= 5, "{wrong}: {ahead}"),
            }
        }
        database.close().await.expect("closes");
    }
}
