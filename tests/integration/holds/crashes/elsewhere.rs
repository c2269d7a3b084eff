//! Crashes where they are rarer: of the command that sets an address, and in a table in which no
//! index keeps one unique.

use std::time::Duration;

use tokio::time::sleep;

use super::{hold, kill_everywhere, prepare};
use crate::holds::deployment::{Deployment, state_of};
use crate::holds::volume::seeded;
use crate::support::Engine;

/// Kills the command at that boundary. Whether it came there.
async fn interrupt(deployment: &mut Deployment, boundary: usize, set: &[&str]) -> bool {
    let boundary = boundary.to_string();
    deployment.shell.set("STOP_AT_BOUNDARY", &boundary);
    let mut command = deployment.shell.begin(set);
    deployment.shell.set("STOP_AT_BOUNDARY", "0");
    while !command.stderr().contains("stopped at a boundary") {
        if let Some(status) = command.ended() {
            assert!(status.success(), "{}", command.stderr());
            return false;
        }
        sleep(Duration::from_millis(2)).await;
    }
    command.end("KILL").await;
    true
}

/// The change is whole or not there, and the same command ends it.
async fn is_set_once(
    deployment: &Deployment,
    [old, new]: [&str; 2],
    set: &[&str],
) -> Result<(), String> {
    let (has_old, has_new) = (deployment.has(old).await, deployment.has(new).await);
    hold(has_old != has_new, || "two addresses, or none".to_owned())?;
    let told = |to: &str| deployment.sink.received().iter().any(|mail| mail.to == to);
    hold(has_new || !told(new), || {
        "the new address was told of what did not happen".to_owned()
    })?;
    let again = deployment.shell.run(set).await;
    // 5 is that there is nothing left to do.
    let expected = if has_new { 5 } else { 0 };
    hold(again.code == Some(expected), || format!("{again:?}"))?;
    hold(has_new || told(new), || {
        "the new address was not told".to_owned()
    })?;
    hold(
        deployment.has(new).await && !deployment.has(old).await,
        || "run again, and not there".to_owned(),
    )
}

async fn kill_the_command(mut deployment: Deployment) {
    let (server, mut rng) = (deployment.shell.start("serve").await, seeded());
    for boundary in 1.. {
        let person = prepare(&deployment, &server, "activate", boundary, &mut rng).await;
        deployment.sink.forget();
        let new = format!("set{boundary}@new.example");
        let sql = format!(
            "SELECT CAST(id AS char(36)) FROM users WHERE email = '{}'",
            person.old
        );
        let id = deployment.database.text(&sql).await.expect("a row");
        let set = [
            "user",
            "set-email",
            "--reason",
            "lost",
            "--id",
            &id,
            "--to",
            &new,
        ];
        let stopped = interrupt(&mut deployment, boundary, &set).await;
        let is_set = is_set_once(&deployment, [&person.old, &new], &set).await;
        assert_eq!(is_set, Ok(()), "killed at boundary {boundary}");
        assert_eq!(state_of(&server, &person.token).await, "used");
        if !stopped {
            assert_eq!(boundary - 1, 6, "the write and two mails");
            break;
        }
    }
    server.end("TERM").await;
    deployment.close().await;
}

/// The table is an application's now, and its addresses are unique by its good will.
async fn without_an_index(engine: Engine) -> Option<Deployment> {
    let mut deployment = Deployment::on(engine).await?;
    let id = match engine {
        Engine::Postgres => "uuid",
        _ => "varchar(36)",
    };
    let plain = format!(
        "CREATE TABLE users (id {id} PRIMARY KEY, email varchar(254) NOT NULL, password_hash varchar(200) NOT NULL, \
         email_change_nonce bigint, undo_opened_at bigint, passwords_tat bigint)"
    );
    deployment.database.execute("DROP TABLE users").await;
    deployment.database.execute(&plain).await;
    for (name, value) in [
        ("READDRESS_USERS_TABLE", "users"),
        ("READDRESS_USERS_ID", "id"),
        ("READDRESS_USERS_EMAIL", "email"),
        ("READDRESS_USERS_PASSWORD", "password_hash"),
        ("READDRESS_ALLOW_NON_UNIQUE", "yes"),
    ] {
        deployment.shell.set(name, value);
    }
    Some(deployment)
}

macro_rules! killed_elsewhere {
    ($($engine:ident: $command:ident, $activation:ident;)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $command() {
            let Some(deployment) = Deployment::on(Engine::$engine).await else { return };
            kill_the_command(deployment).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $activation() {
            let Some(deployment) = without_an_index(Engine::$engine).await else { return };
            kill_everywhere(deployment, &["activate"]).await;
        }
    )* };
}

killed_elsewhere! {
    Sqlite: an_address_that_is_being_set_on_sqlite, an_activation_without_an_index_on_sqlite;
    Postgres: an_address_that_is_being_set_on_postgres, an_activation_without_an_index_on_postgres;
    MariaDb: an_address_that_is_being_set_on_mariadb, an_activation_without_an_index_on_mariadb;
}
