//! What is said about a table, finding by finding.

use readdress::finding::Finding;
use readdress::users::Layout;

use super::addresses::{ENGINES, EXTRAS, exact};
use super::{add, make_people, make_people_with, people, quote};
use crate::support::Engine;

/// What is wrong, without why and what mends it; a grave one with a mark.
fn said(findings: &[Finding]) -> Vec<String> {
    let mark = |finding: &Finding| if finding.grave { "! " } else { "" };
    let said = findings.iter();
    said.map(|finding| format!("{}{}", mark(finding), finding.what))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_without_an_index_is_refused_and_with_leave_advised_until_it_has_one() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        make_people(&database, "integer", exact(engine)).await;
        add(&database, "1", "ann@example.com").await;
        let table = quote(engine, "People");
        let not_unique =
            format!("nothing keeps two accounts in {table} from having the same address");
        let refused = database.survey(&people(), false).await.findings;
        assert_eq!(said(&refused), [format!("! {not_unique}")]);
        let advised = database.survey(&people(), true).await.findings;
        let slow = format!("an address in {table} is found by reading the whole table");
        assert_eq!(said(&advised), [not_unique.clone(), slow]);
        database
            .execute(advised[1].mend.trim_end_matches(';'))
            .await;
        let advised = database.survey(&people(), true).await.findings;
        assert_eq!(said(&advised), [not_unique]);
        database
            .execute(advised[0].mend.trim_end_matches(';'))
            .await;
        // The unique one is found, whichever comes first.
        assert_eq!(database.survey(&people(), false).await.findings, []);
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_unique_only_as_long_as_they_are_lower_case_are_advised_an_index() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        let column = format!("{} UNIQUE", exact(engine));
        make_people(&database, "integer", &column).await;
        add(&database, "1", "ann@example.com").await;
        let advised = database.survey(&people(), false).await.findings;
        let table = quote(engine, "People");
        assert_eq!(
            said(&advised),
            [format!(
                "addresses in {table} are unique only while all of them are lower-case, as they are now"
            )]
        );
        database
            .execute(advised[0].mend.trim_end_matches(';'))
            .await;
        assert_eq!(database.survey(&people(), false).await.findings, []);
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_on_some_of_the_accounts_makes_no_address_unique() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(database) = engine.database().await else {
            continue;
        };
        let more = format!("{EXTRAS}, enabled boolean");
        make_people_with(&database, "integer", exact(engine), &more).await;
        add(&database, "1", "Ann@example.com").await;
        database
            .execute("CREATE UNIQUE INDEX i ON \"People\" (lower(mail)) WHERE enabled = true")
            .await;
        let survey = database.survey(&people(), false).await;
        assert!(survey.table.is_none(), "{engine:?}");
        assert_eq!(
            said(&survey.findings),
            ["! nothing keeps two accounts in \"People\" from having the same address"]
        );
        database.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_is_missing_is_told_from_one_that_cannot_be_used() {
    for engine in ENGINES {
        let Some(database) = engine.database().await else {
            continue;
        };
        let column = "varchar(254) UNIQUE";
        let more = ", email_change_nonce boolean, passwords_tat bigint";
        make_people_with(&database, "integer", column, more).await;
        let table = quote(engine, "People");
        let found = database.survey(&people(), false).await;
        let without = format!("the table {table} has no column undo_opened_at");
        let all = said(&found.findings);
        let wrong = format!("! the column email_change_nonce of {table} is ");
        assert!(all[0].starts_with(&wrong), "{all:?}");
        assert_eq!(all.iter().filter(|what| **what == without).count(), 1);
        let missing = all.iter().filter(|what| what.contains("has no column"));
        assert_eq!(missing.count(), 1, "{all:?}");

        // One that was named by its variable has to be there.
        let mut layout = Layout {
            password: "parole".to_owned(),
            ..people()
        };
        layout.undo_opened_at.required = true;
        let all = said(&database.survey(&layout, false).await.findings);
        for name in ["parole", "undo_opened_at"] {
            let is = format!("the table {table} has no column {name}");
            let told: Vec<_> = all.iter().filter(|what| what.contains(&is)).collect();
            assert_eq!(told, [&format!("! {is}")]);
        }
        database.close().await;
    }
}
