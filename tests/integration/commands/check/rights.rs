//! A database user that may not do what every step does.

use readdress::users::Purpose;
use sea_orm::ConnectionTrait;

use super::{CANARY, Fresh, SmtpSink, assert_good, assert_refused};
use crate::support::Engine;
use crate::support::database::connect;

async fn execute(url: &str, statements: &[String]) {
    let database = connect(url, 1, Purpose::Look).await.expect("a database");
    for sql in statements {
        let done = database.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    database.close().await.expect("closes");
}

/// The statement that the finding about rights gives.
fn mend(said: &str) -> String {
    let at = said
        .find("mend  GRANT")
        .unwrap_or_else(|| panic!("no GRANT: {said}"));
    let line = said[at..].lines().next().expect("a line");
    line.trim_start_matches("mend  ").to_owned()
}

async fn story(engine: Engine, make: &str, look: &str, drop: &str) {
    let Some(mut fresh) = Fresh::on(engine).await else {
        return;
    };
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.migrate().await;
    // As an application's own table.
    fresh.shell.set("READDRESS_USERS_TABLE", "users");
    // A name of its own: users belong to the whole server.
    let role = format!(
        "readdress_{}",
        &uuid::Uuid::now_v7().simple().to_string()[12..]
    );
    let fill = |sql: &str| -> Vec<String> {
        sql.split(" | ")
            .map(|sql| sql.replace("NAME", &role))
            .collect()
    };
    execute(&fresh.url, &fill(make)).await;
    let mut url = url::Url::parse(&fresh.url).expect("a URL");
    url.set_username(&role).expect("a user");
    url.set_password(Some(CANARY)).expect("a password");
    fresh.shell.set("READDRESS_DATABASE_URL", url.as_str());

    let blind = fresh.shell.run(&["check"]).await;
    assert_refused(&blind, &["FAIL  database", "ok    mail"]);
    execute(&fresh.url, &fill(look)).await;
    let denied = fresh.shell.run(&["check"]).await;
    assert_refused(&denied, &["may not read and change", "GRANT SELECT ("]);
    execute(&fresh.url, &[mend(&denied.stdout)]).await;
    let checked = fresh.shell.run(&["check"]).await;
    execute(&fresh.url, &fill(drop)).await;
    assert_good(&checked);
    fresh.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_granted_by_the_line_that_is_printed_on_postgres() {
    story(
        Engine::Postgres,
        "CREATE ROLE NAME LOGIN PASSWORD 'canary-7f3a'",
        "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO NAME', current_schema()); END $$",
        "DROP OWNED BY NAME | DROP ROLE NAME",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_are_missing_are_granted_by_the_line_that_is_printed_on_mariadb() {
    story(
        Engine::MariaDb,
        "CREATE USER NAME@'%' IDENTIFIED BY 'canary-7f3a'",
        "GRANT SELECT ON users TO NAME@'%'",
        "DROP USER NAME@'%'",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_can_only_be_read_is_found_without_writing_to_it() {
    let mut fresh = Fresh::on_sqlite();
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.migrate().await;
    fresh.shell.set("READDRESS_USERS_TABLE", "users");
    let only_read = format!("{}?mode=ro", fresh.url);
    fresh.shell.set("READDRESS_DATABASE_URL", &only_read);
    let checked = fresh.shell.run(&["check"]).await;
    assert_refused(
        &checked,
        &["FAIL  database", "the right to write to the file"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_and_a_database_that_is_not_there_are_told_apart() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let Some(mut fresh) = Fresh::on(engine).await else {
            continue;
        };
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        let mut stranger = url::Url::parse(&fresh.url).expect("a URL");
        stranger.set_username("canary-7f3a").expect("a user");
        stranger.set_password(Some(CANARY)).expect("a password");
        let mut elsewhere = url::Url::parse(&fresh.url).expect("a URL");
        elsewhere.set_path("canary-7f3a");
        for (url, says) in [
            (stranger, "does not let us in"),
            (elsewhere, "no database of that name"),
        ] {
            fresh.shell.set("READDRESS_DATABASE_URL", url.as_str());
            let checked = fresh.shell.run(&["check"]).await;
            assert_refused(&checked, &["FAIL  database", says, "ok    mail"]);
        }
        fresh.close().await;
    }
}
