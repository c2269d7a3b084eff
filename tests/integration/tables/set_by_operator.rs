//! The operator's change on an application's table: every column that carries the address, no
//! optional columns, no index, accounts that are not active.

use readdress::email_change::set_by_operator::SetByOperatorError as Error;
use readdress::users::Layout;

use super::{add, mail_of, make_people_with, people, quote};
use crate::support::app::order;
use crate::support::{Engine, Options, TestApp};

const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_carry_the_address_too_are_set_and_no_optional_column_is_needed() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        let more = ", username varchar(254), login varchar(254)";
        make_people_with(&database, "integer", "varchar(254) UNIQUE", more).await;
        add(&database, "1", "ann@example.com").await;
        add(&database, "2", "bob@example.com").await;
        let table = quote(engine, "People");
        let names = format!("UPDATE {table} SET username = 'Ann@Example.com', login = 'ann'");
        database.execute(&names).await;
        let layout = Layout {
            also_set: vec!["username".to_owned(), "login".to_owned()],
            ..people()
        };
        let app = TestApp::beside(database, &layout, Options::default()).await;
        app.set_email("ann@example.com", "ann@new.example")
            .await
            .expect("set");
        let all =
            format!("SELECT CONCAT_WS(' ', mail, username, login) FROM {table} ORDER BY person");
        assert_eq!(
            app.database.texts(&all).await,
            [
                "ann@new.example ann@new.example ann",
                "bob@example.com Ann@Example.com ann"
            ]
        );
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_anybody_has_is_taken_without_an_index_too() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        let more = ", enabled smallint DEFAULT 1";
        make_people_with(&database, "integer", "varchar(254)", more).await;
        add(&database, "1", "ann@example.com").await;
        add(&database, "2", "Bob@example.com").await;
        let table = quote(engine, "People");
        let leave = format!("UPDATE {table} SET enabled = 0 WHERE person = 2");
        assert_eq!(database.execute(&leave).await, 1);
        let layout = Layout {
            active: Some("enabled".to_owned()),
            ..people()
        };
        let users = database.users(&layout, true).await;
        let app = TestApp::start(Options::default(), database, users).await;
        let operator = app.operator();
        let taken = operator
            .set_email(&order(Some("1"), None, "bob@example.com"))
            .await;
        assert!(matches!(taken, Err(Error::EmailTaken)), "{taken:?}");
        let inactive = operator
            .set_email(&order(Some("2"), None, "bob@new.example"))
            .await;
        assert!(matches!(inactive, Err(Error::NoAccount)), "{inactive:?}");
        assert_eq!(mail_of(&app, "2").await, "Bob@example.com");
        let set = operator
            .set_email(&order(Some("1"), None, "ann@new.example"))
            .await;
        assert!(set.is_ok(), "{set:?}");
        assert_eq!(mail_of(&app, "1").await, "ann@new.example");
        app.close().await;
    }
}
