//! A standby: it answers, reads and cannot write, so nothing may be served from it.

use super::{Fresh, assert_good, assert_refused};
use crate::support::Engine;
use crate::support::app::PASSWORD;
use crate::support::cluster::Cluster;
use crate::support::mariadb::ReadOnlyMariaDb;
use crate::support::process::Shell;
use crate::support::smtp::SmtpSink;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_standby_is_refused_with_what_to_name_instead() {
    let Some(primary) = Cluster::start(&["fsync = off"]) else {
        return;
    };
    let mut fresh = Fresh {
        shell: Shell::new().with("READDRESS_DATABASE_URL", &primary.url()),
        url: primary.url(),
        database: None,
        engine: Engine::Postgres,
    };
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.migrate().await;
    let standby = primary.standby();

    let says = ["READDRESS_DATABASE_URL", "standby", "name the primary"];
    fresh.shell.set("READDRESS_DATABASE_URL", &standby.url());
    assert_refused(&fresh.shell.run(&["serve"]).await, &says);
    let check = fresh.shell.run(&["check"]).await;
    assert_refused(&check, &[&says[..], &["FAIL  database"]].concat());
    for command in [&["migrate", "up"][..], &["user", "add", "ann@example.com"]] {
        assert_refused(&fresh.shell.run_with(command, PASSWORD).await, &says);
    }

    // The same cluster is good once it is the primary.
    standby.promote();
    assert_good(&fresh.shell.run(&["check"]).await);
    let server = fresh.shell.start("serve").await;
    assert_eq!(server.end("TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_that_only_reads_is_refused_too() {
    let Some(replica) = ReadOnlyMariaDb::start().await else {
        return;
    };
    let mut fresh = Fresh {
        shell: Shell::new(),
        url: replica.url.clone(),
        database: None,
        engine: Engine::MariaDb,
    };
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.shell.set("READDRESS_DATABASE_URL", &replica.url);
    let says = ["READDRESS_DATABASE_URL", "standby", "name the primary"];
    assert_refused(&fresh.shell.run(&["serve"]).await, &says);
    let check = fresh.shell.run(&["check"]).await;
    assert_refused(&check, &[&says[..], &["FAIL  database"]].concat());
}
