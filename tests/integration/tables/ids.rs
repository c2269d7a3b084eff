//! The primary key in every type that applications give it.

use readdress::users::Layout;

use super::{activate_link, add, mail_of, make_people, make_people_with, people, quote};
use crate::support::app::PASSWORD;
use crate::support::{Engine, Options, TestApp};

/// A column's type, a literal of it, and the id as tokens and answers show it.
type Kind = (&'static str, &'static str, &'static str);

const UUID: &str = "019aa2b4-0000-7000-8000-00000000000a";

async fn walks_the_whole_story(engine: Engine, kinds: &[Kind]) {
    for (of_type, literal, shown) in kinds {
        let Some(database) = engine.database().await else {
            return;
        };
        make_people(&database, of_type, "varchar(254) NOT NULL UNIQUE").await;
        add(&database, literal, "ann@example.com").await;
        let app = TestApp::beside(database, &people(), Options::default()).await;

        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        assert_eq!(&ann.id, shown, "{of_type}");
        assert_eq!(app.me(&ann.access).await.ok(200)["id"], *shown, "{of_type}");
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        assert_eq!(app.activate(&activate).await.field("status"), "activated");
        assert_eq!(
            app.activate(&activate).await.field("status"),
            "already_active"
        );
        assert_eq!(mail_of(&app, literal).await, "ann@new.example", "{of_type}");
        let undo = app.mail_to("ann@example.com").token("undo-email-change");
        assert_eq!(app.undo(&undo, PASSWORD).await.field("status"), "undone");
        assert_eq!(mail_of(&app, literal).await, "ann@example.com", "{of_type}");
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_id_walks_the_whole_story_on_sqlite() {
    walks_the_whole_story(
        Engine::Sqlite,
        &[
            ("integer", "7", "7"),
            ("bigint", "9007199254740993", "9007199254740993"),
            ("text", "'user:Ann'", "user:Ann"),
            ("uuid", "'019aa2b4-0000-7000-8000-00000000000a'", UUID),
            ("char(32)", "'019aa2b400007000800000000000000a'", UUID),
            ("char(32)", "'user:Ann'", "user:Ann"),
            ("blob", "x'019aa2b400007000800000000000000a'", UUID),
            // A column holds what was put there.
            ("", "7", "7"),
            ("", "'user:Ann'", "user:Ann"),
            ("", "x'019aa2b400007000800000000000000a'", UUID),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_id_walks_the_whole_story_on_postgres() {
    walks_the_whole_story(
        Engine::Postgres,
        &[
            ("smallint", "7", "7"),
            ("integer", "7", "7"),
            ("bigint", "9007199254740993", "9007199254740993"),
            ("uuid", "'019aa2b4-0000-7000-8000-00000000000a'", UUID),
            ("text", "'user:Ann'", "user:Ann"),
            (
                "varchar(36)",
                "'019aa2b4-0000-7000-8000-00000000000a'",
                UUID,
            ),
            ("char(36)", "'019aa2b4-0000-7000-8000-00000000000a'", UUID),
            ("char(32)", "'019aa2b400007000800000000000000a'", UUID),
            ("char(32)", "'user:Ann'", "user:Ann"),
            ("bytea", "'\\x019aa2b400007000800000000000000a'", UUID),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_id_walks_the_whole_story_on_mariadb() {
    walks_the_whole_story(
        Engine::MariaDb,
        &[
            ("int", "7", "7"),
            ("bigint", "9007199254740993", "9007199254740993"),
            (
                "bigint unsigned",
                "18446744073709551615",
                "18446744073709551615",
            ),
            ("uuid", "'019aa2b4-0000-7000-8000-00000000000a'", UUID),
            ("varchar(255)", "'user:Ann'", "user:Ann"),
            ("char(36)", "'019aa2b4-0000-7000-8000-00000000000a'", UUID),
            ("char(32)", "'019aa2b400007000800000000000000a'", UUID),
            ("char(32)", "'user:Ann'", "user:Ann"),
            ("binary(16)", "x'019aa2b400007000800000000000000a'", UUID),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_of_id_is_known_before_there_is_a_row() {
    for of_type in [
        "integer",
        "text",
        "uuid",
        "clob",
        "char(32)",
        "blob",
        "binary(16)",
    ] {
        let database = Engine::Sqlite.database().await.expect("SQLite");
        let column = "varchar(254) COLLATE NOCASE UNIQUE";
        make_people(&database, of_type, column).await;
        let survey = database.survey(&people(), false).await;
        assert_eq!(survey.findings, [], "{of_type}");
        database.close().await;
    }
}

/// MariaDB takes `'7abc'` for the number 7, and its collations 'user:ann' for 'user:Ann'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_is_only_nearly_the_same_is_nobodys() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        for (of_type, literal, wrong) in [
            (
                "bigint",
                "7",
                ["7abc", "abc", "", "7.0", "99999999999999999999", "\0"],
            ),
            (
                "varchar(36)",
                "'user:Ann'",
                ["user:ann", "user:Ann ", "", "user:Änn", "7", "user:Ann\0"],
            ),
        ] {
            let Some(database) = engine.database().await else {
                continue;
            };
            make_people(&database, of_type, "varchar(254) NOT NULL UNIQUE").await;
            add(&database, literal, "ann@example.com").await;
            let users = database.users(&people(), false).await;
            let deadline = readdress::deadline::Deadline::of_request();
            let right = literal.trim_matches('\'');
            assert!(
                users
                    .find(right, deadline)
                    .await
                    .expect("a database")
                    .is_some()
            );
            for wrong in wrong {
                let found = users.find(wrong, deadline).await.expect("a database");
                assert!(found.is_none(), "{of_type} {wrong:?} on {engine:?}");
            }
            database.close().await;
        }
    }
}

/// What does not keep two accounts apart: another kind of index on the column, or none.
fn not_unique(engine: Engine) -> Vec<&'static str> {
    let mut indexes = vec![
        "",
        "CREATE INDEX i ON People (org)",
        "CREATE UNIQUE INDEX i ON People (org, person)",
    ];
    if engine != Engine::MariaDb {
        indexes.extend([
            "CREATE UNIQUE INDEX i ON People (org) WHERE person > 2",
            "CREATE UNIQUE INDEX i ON People (org) WHERE mail <> ''",
            "CREATE UNIQUE INDEX i ON People (lower(org))",
        ]);
    }
    indexes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_two_accounts_can_have_is_refused_with_the_line_that_mends_it() {
    let layout = Layout {
        id: "org".to_owned(),
        ..people()
    };
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        for index in not_unique(engine) {
            let Some(database) = engine.database().await else {
                continue;
            };
            let mail = "varchar(254) NOT NULL UNIQUE";
            make_people_with(&database, "integer", mail, ", org varchar(40)").await;
            let table = quote(engine, "People");
            if !index.is_empty() {
                database.execute(&index.replace("People", &table)).await;
            }
            add(&database, "1", "ann@example.com").await;
            add(&database, "2", "bob@example.com").await;
            let mend = |survey: readdress::users::Survey| {
                let grave = survey.findings.into_iter().find(|finding| finding.grave);
                let grave = grave.unwrap_or_else(|| panic!("{index} on {engine:?}"));
                assert!(survey.table.is_none());
                assert!(grave.what.contains("the same org"), "{grave:?}");
                let (other, line) = grave.mend.split_once("; or ").expect("two ways");
                assert_eq!(other, "set READDRESS_USERS_ID to one of: person");
                line.trim_end_matches(';').to_owned()
            };
            let line = mend(database.survey(&layout, false).await);
            if !index.contains("lower") && !index.contains("WHERE") {
                let same = format!("UPDATE {table} SET org = 'acme'");
                assert_eq!(database.execute(&same).await, 2);
                let told = mend(database.survey(&layout, false).await);
                let lists = told.split_once(": ").expect("a statement").1;
                let lists = lists.split_once("), then").expect("another").0;
                assert_eq!(database.texts(lists).await, ["acme"]);
            }
            let apart = format!("UPDATE {table} SET org = CONCAT('org', person)");
            database.execute(&apart).await;
            database.execute(&line).await;
            let survey = database.survey(&layout, false).await;
            assert!(survey.table.is_some(), "{line}: {:?}", survey.findings);
            database.close().await;
        }
    }
}
