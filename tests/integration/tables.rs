//! Beside an application that has its users already: its table, its names, its types.

mod addresses;
mod findings;
mod ids;
mod missing_columns;
mod plans;
mod presets;
mod set_by_operator;
mod without_an_index;

use std::time::Duration;

use readdress::deadline::Deadline;
use readdress::email_address::EmailAddress;
use readdress::password::{self, Password};
use readdress::users::{Change, Layout, Replaced};

use crate::support::app::PASSWORD;
use crate::support::database::TestDatabase;
use crate::support::{Engine, Options, Person, TestApp};

/// A table of an application's own, in whatever its framework calls it.
pub fn people() -> Layout {
    Layout {
        table: "People".to_owned(),
        id: "person".to_owned(),
        email: "mail".to_owned(),
        ..Layout::of_application("", "secret")
    }
}

/// A name as that database quotes it.
pub fn quote(engine: Engine, name: &str) -> String {
    match engine {
        Engine::MariaDb => format!("`{name}`"),
        Engine::Sqlite | Engine::Postgres => format!("\"{name}\""),
    }
}

/// Makes [`people`] with that id and that address, and every extra column.
pub async fn make_people(database: &TestDatabase, id: &str, mail: &str) {
    make_people_with(
        database,
        id,
        mail,
        ", email_change_nonce bigint, undo_opened_at bigint, passwords_tat bigint",
    )
    .await;
}

pub async fn make_people_with(database: &TestDatabase, id: &str, mail: &str, more: &str) {
    let table = quote(database.engine, "People");
    let sql = format!(
        "CREATE TABLE {table} (person {id} PRIMARY KEY, mail {mail}, secret varchar(200) NOT NULL{more})"
    );
    database.execute(&sql).await;
}

/// Adds a row as the application would; `id` is a literal.
pub async fn add(database: &TestDatabase, id: &str, mail: &str) {
    let hash = password::hash(&Password::new(PASSWORD.to_owned())).expect("a hash");
    let table = quote(database.engine, "People");
    let sql =
        format!("INSERT INTO {table} (person, mail, secret) VALUES ({id}, '{mail}', '{hash}')");
    assert_eq!(database.execute(&sql).await, 1);
}

pub async fn mail_of(app: &TestApp, id: &str) -> String {
    let table = quote(app.database.engine, "People");
    let sql = format!("SELECT CONCAT(mail, '') FROM {table} WHERE person = {id}");
    app.database.text(&sql).await.expect("a row")
}

/// From the request to the mail with the activate link.
pub async fn activate_link(app: &TestApp, person: &Person, new_email: &str) -> String {
    app.request(&person.access, PASSWORD).await.ok(202);
    let confirm = app.mail_to(&person.email).token("new-email");
    app.confirm(&confirm, PASSWORD, new_email).await.ok(202);
    app.mail_to(new_email).token("email-activation")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_written_is_no_account_that_is_there_already() {
    let app = TestApp::on_sqlite(Options::default()).await;
    app.database.execute("DROP TABLE users").await;
    let ann = EmailAddress::parse("ann@example.com").expect("an address");
    let added = app.users.add(&ann, "x", Deadline::of_request()).await;
    assert!(added.is_err(), "{added:?}");
    app.close().await;
}

/// 1.5 s for the statement and 0.25 s for the way: with less, the answer could come before the write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_that_could_outlive_its_deadline() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let found = app.users.find(&ann.id, Deadline::of_request()).await;
    let user = found.expect("a database").expect("Ann");
    let change = Change {
        email: Some("ann@new.example"),
        nonce: 7,
        undo_opened_at: None,
    };
    let late = Deadline::after(Duration::from_millis(1_500));
    let refused = app.users.replace(&user, &change, late).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(app.email_of(&ann).await, ann.email);
    let in_time = Deadline::of_request();
    let done = app.users.replace(&user, &change, in_time).await;
    assert!(matches!(done, Ok(Replaced::Done)), "{done:?}");
    app.close().await;
}
