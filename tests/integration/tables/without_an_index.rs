//! A table in which no index keeps an address unique: the service looks before it writes, in one
//! transaction with the write.

use std::time::Duration;

use readdress::deadline::Deadline;
use readdress::users::{Change, DatabaseError, Replaced, Users};
use sea_orm::{ConnectionTrait, IsolationLevel, TransactionTrait};

use super::addresses::{ENGINES, exact};
use super::{activate_link, add, make_people, people, quote};
use crate::support::app::{PASSWORD, at_once};
use crate::support::database::TestDatabase;
use crate::support::{Engine, Options, TestApp};

const WANTED: &str = "x@new.example";

/// Ann, number 1, and Bob, number 2.
async fn made_in(database: &TestDatabase) -> Users {
    make_people(database, "integer", exact(database.engine)).await;
    add(database, "1", "Ann@example.com").await;
    add(database, "2", "bob@example.com").await;
    database.users(&people(), true).await
}

async fn move_ann(users: &Users) -> Result<Replaced, DatabaseError> {
    let deadline = Deadline::of_request();
    let ann = users.find("1", deadline).await.expect("a database");
    let change = Change {
        email: Some(WANTED),
        nonce: 7,
        undo_opened_at: None,
    };
    users.replace(&ann.expect("Ann"), &change, deadline).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_claim_one_address_at_once_one_gets_it() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", exact(engine)).await;
        for id in 1..=10 {
            add(&database, &id.to_string(), &format!("Ann{id}@example.com")).await;
        }
        let users = database.users(&people(), true).await;
        let app = TestApp::start(Options::default(), database, users).await;
        for round in 0..5 {
            let wanted = format!("x{round}@new.example");
            let mut links = Vec::new();
            for id in [2 * round + 1, 2 * round + 2] {
                let email = format!("Ann{id}@example.com");
                let person = app.sign_in_as(&email, PASSWORD).await;
                links.push(activate_link(&app, &person, &wanted).await);
            }
            let statuses = at_once(2, |index| {
                let request = app
                    .http
                    .post(format!("{}/v1/email-change/activate", app.url))
                    .header("Content-Type", "application/json")
                    .body(serde_json::json!({ "token": links[index] }).to_string());
                async move {
                    // Whom the database had no time for presses again.
                    for _ in 0..3 {
                        let again = request.try_clone().expect("a body in memory");
                        let status = again.send().await.expect("an answer").status().as_u16();
                        if status != 503 {
                            return status;
                        }
                    }
                    503
                }
            })
            .await;
            let mut sorted = statuses.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [200, 409], "{engine:?}");
            let table = quote(engine, "People");
            let sql = format!("SELECT mail FROM {table} WHERE mail = '{wanted}'");
            assert_eq!(app.database.texts(&sql).await.len(), 1);
        }
        app.close().await;
    }
}

/// A trigger loses every write, and counts in a sequence: that is not rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_lost_is_begun_anew_three_times_and_no_other_is() {
    for (code, begun) in [("40001", "4"), ("40P01", "4"), ("P0001", "1")] {
        let Some(database) = Engine::Postgres.database().await else {
            return;
        };
        let users = made_in(&database).await;
        let lose = format!(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM nextval('begun'); RAISE 'lost' USING ERRCODE = '{code}'; END $$"
        );
        let always =
            "CREATE TRIGGER lose BEFORE UPDATE ON \"People\" FOR EACH ROW EXECUTE FUNCTION lose()";
        for sql in ["CREATE SEQUENCE begun", &lose, always] {
            database.execute(sql).await;
        }
        let lost = move_ann(&users).await;
        assert!(lost.is_err(), "{lost:?}");
        let counted = "SELECT CAST(last_value AS text) FROM begun";
        assert_eq!(database.text(counted).await.as_deref(), Some(begun));
        database.close().await;
    }
}

/// The other program has looked, too, and writes before either has committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_another_program_takes_meanwhile_has_one_owner() {
    let Some(database) = Engine::Postgres.database().await else {
        return;
    };
    let users = made_in(&database).await;
    let serializable = Some(IsolationLevel::Serializable);
    let other = database.pool.begin_with_config(serializable, None).await;
    let other = other.expect("a transaction");
    for sql in [
        "SELECT person FROM \"People\" WHERE lower(mail) = 'x@new.example'",
        "UPDATE \"People\" SET mail = 'x@new.example' WHERE person = 2",
    ] {
        other.execute_unprepared(sql).await.expect("a statement");
    }
    let ours = move_ann(&users).await;
    let theirs = other.commit().await;
    let owners = format!("SELECT mail FROM \"People\" WHERE mail = '{WANTED}'");
    let owners = database.texts(&owners).await.len();
    assert_eq!(owners, 1, "{ours:?}, {theirs:?}");
    database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_a_file_waits_for_the_one_before_it() {
    let database = Engine::Sqlite.database().await.expect("SQLite");
    let users = made_in(&database).await;
    let other = database.pool.begin().await.expect("a transaction");
    let sql = "UPDATE \"People\" SET undo_opened_at = NULL";
    other.execute_unprepared(sql).await.expect("a statement");
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        other.commit().await.expect("committed");
    };
    let (ours, ()) = tokio::join!(move_ann(&users), meanwhile);
    assert!(matches!(ours, Ok(Replaced::Done)), "{ours:?}");
    database.close().await;
}
