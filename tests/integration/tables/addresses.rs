//! How an application stores addresses: in mixed case, twice, in other columns too, under any
//! collation; and accounts that are not active.

use readdress::email_change::set_by_operator::SetByOperatorError;
use readdress::finding::Finding;
use readdress::users::Layout;
use sea_orm::ConnectionTrait;

use super::{activate_link, add, mail_of, make_people, make_people_with, people, quote};
use crate::support::app::PASSWORD;
use crate::support::database::TestDatabase;
use crate::support::{Engine, Options, TestApp};

pub(super) const ENGINES: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];

pub(super) const EXTRAS: &str =
    ", email_change_nonce bigint, undo_opened_at bigint, passwords_tat bigint";

/// A type of the address that compares with case, so that nothing folds by itself.
pub(super) fn exact(engine: Engine) -> &'static str {
    match engine {
        Engine::MariaDb => "varchar(254) COLLATE utf8mb4_bin",
        Engine::Sqlite | Engine::Postgres => "varchar(254)",
    }
}

/// The ways in which an application makes the folded address unique: the column, and a statement.
pub(super) fn folded(engine: Engine) -> Vec<(&'static str, &'static str)> {
    match engine {
        Engine::Sqlite => vec![
            ("text COLLATE NOCASE UNIQUE", ""),
            ("text", "CREATE UNIQUE INDEX i ON \"People\" (lower(mail))"),
            (
                "text",
                "CREATE UNIQUE INDEX i ON \"People\" (mail COLLATE NOCASE)",
            ),
            (
                "text",
                "CREATE UNIQUE INDEX i ON \"People\" ( LOWER( \"mail\" ) ) WHERE mail <> ''",
            ),
        ],
        Engine::Postgres => vec![
            ("text", "CREATE UNIQUE INDEX ON \"People\" (lower(mail))"),
            (
                "varchar(254)",
                "CREATE UNIQUE INDEX ON \"People\" (lower(mail)) WHERE mail <> ''",
            ),
            (
                "varchar(254)",
                "CREATE UNIQUE INDEX ON \"People\" (upper(mail))",
            ),
            ("citext_of_test UNIQUE", ""),
            ("text COLLATE blind_of_test UNIQUE", ""),
        ],
        Engine::MariaDb => vec![
            ("varchar(254) COLLATE utf8mb4_general_ci UNIQUE", ""),
            (
                "varchar(254) CHARACTER SET latin1 COLLATE latin1_swedish_ci UNIQUE",
                "",
            ),
            (
                "varchar(254) COLLATE utf8mb4_bin",
                "ALTER TABLE `People` ADD COLUMN folded varchar(254) AS (LOWER(mail)) VIRTUAL, ADD UNIQUE INDEX (folded)",
            ),
        ],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_in_mixed_case_are_compared_folded_and_mailed_as_stored() {
    for engine in ENGINES {
        for (column, index) in folded(engine) {
            let Some(database) = engine.database().await else {
                continue;
            };
            let column = prepared(&database, column).await;
            make_people(&database, "integer", &column).await;
            if !index.is_empty() {
                database.execute(index).await;
            }
            add(&database, "1", "Ann@Example.com").await;
            add(&database, "2", "Bob.Lee@Example.com").await;
            let survey = database.survey(&people(), false).await;
            assert_eq!(survey.findings, [], "{column} {index}");
            let app = TestApp::beside(database, &people(), Options::default()).await;

            let mut ann = app.sign_in_as("aNN@example.COM", PASSWORD).await;
            "Ann@Example.com".clone_into(&mut ann.email);
            app.request(&ann.access, PASSWORD).await.ok(202);
            let confirm = app.mail_to("Ann@Example.com").token("new-email");
            app.confirm(&confirm, PASSWORD, "ann@example.com")
                .await
                .problem(422, "same_email");
            app.confirm(&confirm, PASSWORD, "bob.lee@example.com")
                .await
                .ok(202);
            let taken = app.mail_to("bob.lee@example.com");
            assert!(
                taken.find_token("email-activation").is_none(),
                "{column} {index}"
            );

            let activate = activate_link(&app, &ann, "ann@new.example").await;
            app.activate(&activate).await.ok(200);
            let undo = app.mail_to("Ann@Example.com").token("undo-email-change");
            app.undo(&undo, PASSWORD).await.ok(200);
            assert_eq!(
                mail_of(&app, "1").await,
                "Ann@Example.com",
                "{column} {index}"
            );
            app.close().await;
        }
    }
}

/// What a column's type needs to be there first; each in the schema of the test.
pub(super) async fn prepared(database: &TestDatabase, column: &str) -> String {
    if column.contains("blind_of_test") {
        database
            .execute("CREATE COLLATION blind_of_test (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
            .await;
    }
    if column.contains("citext_of_test") {
        // An extension is in one schema of a database, here one that is not in the search path; tests at
        // the same time share it.
        let make = "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public";
        let _ = sea_orm::ConnectionTrait::execute_unprepared(&database.pool, make).await;
        return column.replace("citext_of_test", "public.citext");
    }
    column.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_compares_bytes_whatever_the_collation() {
    for engine in ENGINES {
        for change in [
            "mail = 'Ann@example.com'",
            "mail = 'ánn@example.com'",
            "mail = 'ann@example.com '",
            "secret = UPPER(secret)",
            "secret = CONCAT(secret, ' ')",
        ] {
            let Some(database) = engine.database().await else {
                continue;
            };
            make_people(&database, "integer", "varchar(254) NOT NULL UNIQUE").await;
            add(&database, "1", "ann@example.com").await;
            let users = database.users(&people(), false).await;
            let deadline = readdress::deadline::Deadline::of_request();
            let read = users
                .find("1", deadline)
                .await
                .expect("a database")
                .expect("Ann");
            let write = readdress::users::Change {
                email: Some("eve@evil.example"),
                nonce: 7,
                undo_opened_at: None,
            };
            let table = quote(engine, "People");
            assert_eq!(
                database
                    .execute(&format!("UPDATE {table} SET {change}"))
                    .await,
                1
            );
            let replaced = users
                .replace(&read, &write, deadline)
                .await
                .expect("a database");
            assert_eq!(
                replaced,
                readdress::users::Replaced::Stale,
                "{change} on {engine:?}"
            );
            database.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_only_a_collation_takes_for_another_is_free() {
    // On MariaDB the index refuses it in the end; nobody is told that they have an account.
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", "varchar(254) NOT NULL UNIQUE").await;
        add(&database, "1", "ann@example.com").await;
        add(&database, "2", "rené@example.com").await;
        let app = TestApp::beside(database, &people(), Options::default()).await;
        app.sign_in("rene@example.com", PASSWORD)
            .await
            .problem(401, "unauthenticated");
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let activate = activate_link(&app, &ann, "rene@example.com").await;
        let answer = app.activate(&activate).await;
        if engine == Engine::MariaDb {
            answer.problem(409, "email_taken");
        } else {
            answer.ok(200);
        }
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inactive_account_signs_nobody_in_and_its_address_is_taken() {
    for engine in ENGINES {
        for (active, yes, no) in [("boolean", "true", "false"), ("smallint", "1", "0")] {
            let Some(database) = engine.database().await else {
                continue;
            };
            let more = format!("{EXTRAS}, enabled {active} DEFAULT {yes}");
            make_people_with(&database, "integer", "varchar(254) UNIQUE", &more).await;
            add(&database, "1", "ann@example.com").await;
            add(&database, "2", "bob@example.com").await;
            let layout = Layout {
                active: Some("enabled".to_owned()),
                ..people()
            };
            let app = TestApp::beside(database, &layout, Options::default()).await;
            let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
            let bob = app.sign_in_as("bob@example.com", PASSWORD).await;
            let activate = activate_link(&app, &bob, "bob@new.example").await;
            let table = quote(engine, "People");
            let leave = format!("UPDATE {table} SET enabled = {no} WHERE person = 2");
            assert_eq!(app.database.execute(&leave).await, 1);
            app.sign_in("bob@example.com", PASSWORD)
                .await
                .problem(401, "unauthenticated");
            app.me(&bob.access).await.problem(401, "unauthenticated");
            app.activate(&activate).await.problem(400, "invalid_link");
            app.inspect(&activate).await.problem(400, "invalid_link");
            app.request(&ann.access, PASSWORD).await.ok(202);
            let confirm = app.mail_to("ann@example.com").token("new-email");
            app.confirm(&confirm, PASSWORD, "bob@example.com")
                .await
                .ok(202);
            assert!(
                app.mail_to("bob@example.com")
                    .find_token("email-activation")
                    .is_none()
            );
            app.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_that_carry_the_address_too_change_with_it_and_others_do_not() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        let more = format!("{EXTRAS}, username varchar(254), login varchar(254)");
        make_people_with(&database, "integer", "varchar(254) UNIQUE", &more).await;
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
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        app.activate(&activate).await.ok(200);
        let names = "CONCAT_WS(' ', mail, username, login)";
        let all = format!("SELECT {names} FROM {table} ORDER BY person");
        assert_eq!(
            app.database.texts(&all).await,
            [
                "ann@new.example ann@new.example ann",
                "bob@example.com Ann@Example.com ann"
            ]
        );
        let undo = app.mail_to("ann@example.com").token("undo-email-change");
        app.undo(&undo, PASSWORD).await.ok(200);
        assert_eq!(
            app.database.texts(&all).await[0],
            "ann@example.com ann@example.com ann"
        );
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_a_column_would_not_take_whole_is_refused_before_any_mail() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        let more = format!("{EXTRAS}, username varchar(20)");
        make_people_with(&database, "integer", "varchar(254) UNIQUE", &more).await;
        add(&database, "1", "ann@example.com").await;
        let layout = Layout {
            also_set: vec!["username".to_owned()],
            ..people()
        };
        let app = TestApp::beside(database, &layout, Options::default()).await;
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        app.request(&ann.access, PASSWORD).await.ok(202);
        let confirm = app.mail_to("ann@example.com").token("new-email");
        let mails = app.mails().len();
        let longer = "ann.smith@new.example";
        let refused = app.confirm(&confirm, PASSWORD, longer).await;
        refused.problem(422, "invalid_email");
        let set = app.set_email("ann@example.com", longer).await;
        assert!(matches!(set, Err(SetByOperatorError::TooLong)), "{set:?}");
        assert_eq!(app.mails().len(), mails);
        // As long as the column: the same link, and the change.
        app.confirm(&confirm, PASSWORD, &longer[1..]).await.ok(202);
        let activate = app.mail_to(&longer[1..]).token("email-activation");
        app.activate(&activate).await.ok(200);
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_cuts_nothing_short_whatever_its_server_is_set_to() {
    let Some(database) = Engine::MariaDb.database().await else {
        return;
    };
    let mode = database.text("SELECT @@SESSION.sql_mode").await;
    assert!(mode.expect("a mode").contains("STRICT_ALL_TABLES"));
    database.close().await;
}

#[track_caller]
fn grave(findings: &[Finding]) -> &Finding {
    let mut graves = findings.iter().filter(|finding| finding.grave);
    let grave = graves.next().expect("a grave finding");
    assert!(graves.next().is_none(), "{findings:?}");
    grave
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_lets_two_have_one_address_is_refused_with_the_statement_that_mends_it() {
    for engine in ENGINES {
        // Nothing unique at all; and unique byte for byte, with an address in mixed case.
        for unique in ["", " UNIQUE"] {
            let Some(database) = engine.database().await else {
                continue;
            };
            let column = format!("{}{unique}", exact(engine));
            make_people(&database, "integer", &column).await;
            add(&database, "1", "Ann@example.com").await;
            add(&database, "2", "bob@example.com").await;
            let survey = database.survey(&people(), false).await;
            assert!(survey.table.is_none());
            let mend = grave(&survey.findings).mend.clone();
            database.execute(mend.trim_end_matches(';')).await;
            let survey = database.survey(&people(), false).await;
            assert!(
                survey.table.is_some() && survey.findings.is_empty(),
                "{mend}: {:?}",
                survey.findings
            );
            database.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_that_mends_it_takes_away_what_a_failed_one_left_behind() {
    let Some(database) = Engine::Postgres.database().await else {
        return;
    };
    make_people(&database, "integer", exact(Engine::Postgres)).await;
    add(&database, "1", "Ann@example.com").await;
    let mend = grave(&database.survey(&people(), false).await.findings)
        .mend
        .clone();
    add(&database, "2", "ann@example.com").await;
    let failed = database.pool.execute_unprepared(&mend).await;
    assert!(failed.is_err(), "two have one address");
    database
        .execute("DELETE FROM \"People\" WHERE mail = 'ann@example.com'")
        .await;

    let mend = grave(&database.survey(&people(), false).await.findings)
        .mend
        .clone();
    assert!(mend.starts_with("DROP INDEX CONCURRENTLY "), "{mend}");
    // One after the other, as its shell sends them: neither runs in a transaction.
    for statement in mend.split_terminator(';') {
        database.execute(statement).await;
    }
    let survey = database.survey(&people(), false).await;
    assert_eq!(survey.findings, [], "{mend}");
    database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_that_mends_it_fits_a_table_with_a_long_name() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", exact(engine)).await;
        let layout = Layout {
            table: "p".repeat(60),
            ..people()
        };
        let [from, to] = ["People", &layout.table].map(|name| quote(engine, name));
        database
            .execute(&format!("ALTER TABLE {from} RENAME TO {to}"))
            .await;
        let mend = grave(&database.survey(&layout, false).await.findings)
            .mend
            .clone();
        database.execute(mend.trim_end_matches(';')).await;
        let survey = database.survey(&layout, false).await;
        assert_eq!(survey.findings, [], "{mend}");
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_without_an_address_do_not_stand_in_the_way_of_the_index() {
    for engine in ENGINES {
        for column in [exact(engine), "varchar(254)"] {
            let Some(database) = engine.database().await else {
                continue;
            };
            make_people(&database, "integer", column).await;
            for (id, mail) in [("1", "ann@example.com"), ("2", ""), ("3", "")] {
                add(&database, id, mail).await;
            }
            let survey = database.survey(&people(), false).await;
            let mend = grave(&survey.findings).mend.clone();
            database.execute(mend.trim_end_matches(';')).await;
            let app = TestApp::beside(database, &people(), Options::default()).await;
            let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
            let activate = activate_link(&app, &ann, "ann@new.example").await;
            app.activate(&activate).await.ok(200);
            app.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_made_before_there_is_anybody_lets_accounts_in_without_an_address() {
    for engine in ENGINES {
        for column in [exact(engine), "varchar(254)"] {
            let Some(database) = engine.database().await else {
                continue;
            };
            make_people(&database, "integer", &format!("{column} NOT NULL")).await;
            let survey = database.survey(&people(), false).await;
            let mend = grave(&survey.findings).mend.clone();
            database.execute(mend.trim_end_matches(';')).await;
            for (id, mail) in [("1", ""), ("2", ""), ("3", "ann@example.com")] {
                add(&database, id, mail).await;
            }
            let table = quote(engine, "People");
            let same = format!("UPDATE {table} SET mail = 'Ann@Example.com' WHERE person = 2");
            let refused = sea_orm::ConnectionTrait::execute_unprepared(&database.pool, &same).await;
            assert!(refused.is_err(), "{mend} on {engine:?}");
            let survey = database.survey(&people(), false).await;
            assert_eq!(survey.findings, [], "{mend}");
            database.close().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_several_have_are_told_before_an_index_is_asked_for() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", exact(engine)).await;
        add(&database, "1", "Ann@example.com").await;
        add(&database, "2", "ann@example.com").await;
        let survey = database.survey(&people(), false).await;
        let mend = &grave(&survey.findings).mend;
        let (lists, _) = mend
            .split_once(": ")
            .expect("a statement")
            .1
            .split_once("), then")
            .expect("another");
        assert_eq!(database.texts(lists).await, ["ann@example.com"]);
        // With leave to go on, the one is signed in whose address was typed as it is stored.
        let users = database.users(&people(), true).await;
        let deadline = readdress::deadline::Deadline::of_request();
        for (typed, found) in [
            ("ann@example.com", Some("2")),
            ("Ann@example.com", Some("1")),
            ("ANN@example.com", None),
        ] {
            let user = users
                .find_by_email(typed, deadline)
                .await
                .expect("a database");
            assert_eq!(user.as_ref().map(|user| user.id.as_str()), found, "{typed}");
        }
        let app = TestApp::start(Options::default(), database, users).await;
        for (typed, status) in [("Ann@example.com", 200), ("ANN@example.com", 401)] {
            let answer = app.sign_in(typed, PASSWORD).await;
            assert_eq!(answer.status, status, "{typed}: {}", answer.text);
        }
        app.close().await;
    }
}

/// A host stores an address as it was typed, with an internationalized domain too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_signs_in_as_the_host_has_stored_it() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", exact(engine)).await;
        add(&database, "1", "Ann@bücher.example").await;
        add(&database, "2", "bob@bücher.example").await;
        // As it would be mailed; and as somebody else was given it.
        add(&database, "3", "bob@xn--bcher-kva.example").await;
        let users = database.users(&people(), true).await;
        let app = TestApp::start(Options::default(), database, users).await;
        for (typed, found) in [
            ("Ann@bücher.example", "Ann@bücher.example"),
            ("ann@bücher.example", "Ann@bücher.example"),
            ("bob@bücher.example", "bob@bücher.example"),
            ("bob@xn--bcher-kva.example", "bob@xn--bcher-kva.example"),
            ("Bob@BÜCHER.example", "bob@xn--bcher-kva.example"),
        ] {
            let person = app.sign_in_as(typed, PASSWORD).await;
            let me = app.me(&person.access).await;
            assert_eq!(me.ok(200)["email"], found, "{typed} on {engine:?}");
        }
        app.sign_in("ann@xn--bcher-kva.example", PASSWORD)
            .await
            .problem(401, "unauthenticated");
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_in_another_schema_is_found_by_its_full_name() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", "varchar(254) UNIQUE").await;
        add(&database, "1", "ann@example.com").await;
        let here = match engine {
            Engine::MariaDb => "SELECT DATABASE()",
            _ => "SELECT CAST(current_schema() AS text)",
        };
        let schema = database.text(here).await.expect("a name");
        let Some(elsewhere) = engine.database().await else {
            continue;
        };
        let layout = Layout {
            schema: Some(schema),
            ..people()
        };
        let app = TestApp::beside(elsewhere, &layout, Options::default()).await;
        let ann = app.sign_in_as("ann@example.com", PASSWORD).await;
        let activate = activate_link(&app, &ann, "ann@new.example").await;
        app.activate(&activate).await.ok(200);
        let table = quote(engine, "People");
        let sql = format!("SELECT mail FROM {table}");
        assert_eq!(
            database.text(&sql).await.as_deref(),
            Some("ann@new.example")
        );
        app.close().await;
        database.close().await;
    }
}
