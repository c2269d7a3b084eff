//! `readdress check`.

mod encrypted;
mod host_keys;
mod report;
mod rights;
mod rows;

use std::net::TcpListener;

use readdress::users::Purpose;
use sea_orm::ConnectionTrait;

use super::{CANARY, Fresh, assert_good, assert_refused, on_every_database};
use crate::support::database::connect;
use crate::support::key_server::{KeyServer, Serves};
use crate::support::process::Finished;
use crate::support::smtp::SmtpSink;

/// No value of any variable was printed.
#[track_caller]
fn assert_discreet(finished: &Finished, fresh: &Fresh, smtp_url: &str) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for value in [CANARY, &fresh.url, smtp_url, "app.example.com", "users.db"] {
        assert!(!said.contains(value), "prints {value}: {said}");
    }
}

on_every_database! {
    async fn check_is_content_when_all_is_well(fresh) {
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        fresh.migrate().await;
        let checked = fresh.shell.run(&["check"]).await;
        assert_good(&checked);
        assert!(checked.stdout.ends_with("\nNothing must be mended.\n"), "{checked:?}");
        for what in ["configuration", "keys", "database", "passwords", "clock", "templates", "mail"] {
            assert!(checked.stdout.contains(&format!("ok    {what}")), "{what}: {checked:?}");
        }
        assert_discreet(&checked, fresh, &sink.url());
        assert!(sink.received().is_empty(), "a check sends no mail");
    }
}

on_every_database! {
    async fn check_says_what_is_wrong_and_how_to_mend_it(fresh) {
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        if fresh.database.is_none() {
            std::fs::write(fresh.shell.path().join("users.db"), "").expect("written");
        }
        let unmigrated = fresh.shell.run(&["check"]).await;
        assert_refused(&unmigrated, &["FAIL  database", "readdress migrate up", "ok    mail"]);
        assert_discreet(&unmigrated, fresh, &sink.url());

        fresh.migrate().await;
        let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let nowhere = format!("smtp://{nobody}?tls=none");
        fresh.shell.set("READDRESS_SMTP_URL", &nowhere);
        let no_mail = fresh.shell.run(&["check"]).await;
        assert_refused(&no_mail, &["ok    database", "FAIL  mail", "READDRESS_SMTP_URL"]);
        assert_discreet(&no_mail, fresh, &nowhere);

        let login = sink.url().replace("smtp://", "smtp://canary-7f3a:canary-7f3a@");
        fresh.shell.set("READDRESS_SMTP_URL", &login);
        assert_refused(&fresh.shell.run(&["check"]).await, &["FAIL  mail", "READDRESS_SMTP_URL"]);

        let gone = "postgres://canary-7f3a:canary-7f3a@127.0.0.1:1/canary-7f3a";
        fresh.shell.set("READDRESS_DATABASE_URL", gone);
        let both = fresh.shell.run(&["check"]).await;
        assert_refused(&both, &["FAIL  database", "READDRESS_DATABASE_URL", "FAIL  mail", "2 things must be mended"]);
        assert_discreet(&both, fresh, &login);
    }
}

on_every_database! {
    async fn check_names_a_column_that_is_missing(fresh) {
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        fresh.migrate().await;
        let database = connect(&fresh.url, 1, Purpose::Look).await.expect("a database");
        let drop = "ALTER TABLE users DROP COLUMN passwords_tat";
        database.execute_unprepared(drop).await.expect("altered");
        database.close().await.expect("closes");
        assert_refused(&fresh.shell.run(&["check"]).await, &["FAIL  database", "passwords_tat"]);
    }
}

on_every_database! {
    async fn check_fetches_the_keys_of_the_host(fresh) {
        let sink = SmtpSink::start().await;
        let set = include_str!("../../vectors/tokens.json");
        let set: serde_json::Value = serde_json::from_str(set).expect("vectors");
        let keys = KeyServer::start(Serves::Set(set["jose"]["sets"][0].clone())).await;
        fresh.configure(&sink.url());
        fresh.migrate().await;
        for (name, value) in [("JWKS_URL", keys.url.as_str()), ("ISSUER", "any"), ("AUDIENCE", "any")] {
            fresh.shell.set(&format!("READDRESS_HOST_TOKEN_{name}"), value);
        }
        let checked = fresh.shell.run(&["check"]).await;
        assert_good(&checked);
        for says in ["ok    host tokens    3 to verify with: ", "(RS256)", "(ES256)", "(EdDSA)"] {
            assert!(checked.stdout.contains(says), "{says}: {checked:?}");
        }
        assert_eq!(keys.requests(), 1, "fetched once");
        keys.serve(Serves::Status(404, set["jose"]["sets"][0].clone()));
        let checked = fresh.shell.run(&["check"]).await;
        assert_refused(&checked, &["FAIL  host tokens", "404", "READDRESS_HOST_TOKEN_JWKS_URL"]);
        assert_discreet(&checked, fresh, keys.url.as_str());
    }
}
