//! Every statement of every step finds its row through an index, whatever makes the address unique
//! and in whatever case it was typed: a table of ten million accounts costs what one of a thousand does.
//!
//! PostgreSQL sends the plans that it followed along with its answers, in a cluster that is set up to;
//! SQLite is asked for the plan of each statement that was sent; MariaDB counts the rows it read.

use readdress::users::{Database, Layout, Owner, Purpose, Users};
use sea_orm::ConnectionTrait;

use super::addresses::{folded, prepared};
use super::{add, make_people, people};
use crate::support::app::{PASSWORD, TestApp};
use crate::support::cluster::Cluster;
use crate::support::database::{self, TestDatabase};
use crate::support::driver::{Ear, counted};
use crate::support::{Engine, Options};

/// More than it pays to read whole. Two for each number of four digits.
const ROWS: i64 = 20_000;
const SENDS_PLANS: [&str; 4] = [
    "fsync = off",
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_level = notice",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_every_statement_finds_its_row_through_an_index() {
    every_table(Engine::Sqlite, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_every_statement_finds_its_row_through_an_index() {
    let Some(cluster) = Cluster::start(&SENDS_PLANS) else {
        return;
    };
    every_table(Engine::Postgres, Some(&cluster)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mariadb_every_statement_finds_its_row_through_an_index() {
    every_table(Engine::MariaDb, None).await;
}

async fn every_table(engine: Engine, cluster: Option<&Cluster>) {
    let ear = Ear::listen().await;
    let Some(database) = fresh(engine, cluster).await else {
        return;
    };
    let migrated = readdress_migrations::up(&database.pool).await;
    migrated.expect("migrates");
    let own = Filled::with(database, Layout::own(), false).await;
    assert_eq!(own.read_whole(&ear).await, [""; 0], "our own table");

    for (column, index) in folded(engine) {
        let database = fresh(engine, cluster).await.expect("as before");
        let column = prepared(&database, column).await;
        make_people(&database, "integer", &column).await;
        if !index.is_empty() {
            database.execute(index).await;
        }
        let theirs = Filled::with(database, people(), false).await;
        assert_eq!(theirs.read_whole(&ear).await, [""; 0], "{column} {index}");
    }

    // What is looked for can be seen where it is.
    let database = fresh(engine, cluster).await.expect("as before");
    make_people(&database, "integer", "varchar(254)").await;
    let bare = Filled::with(database, people(), true).await;
    assert_ne!(bare.read_whole(&ear).await, [""; 0], "without an index");
}

/// A database of its own; in a cluster, all of them are schemas of one.
async fn fresh(engine: Engine, cluster: Option<&Cluster>) -> Option<TestDatabase> {
    let Some(cluster) = cluster else {
        return engine.database().await;
    };
    let admin = database::at(engine, cluster.url()).await;
    let name = format!("plans_{}", fastrand::u64(..));
    admin.execute(&format!("CREATE SCHEMA {name}")).await;
    admin.close().await;
    let url = format!("{}?options=-c%20search_path%3D{name}", cluster.url());
    Some(database::at(engine, url).await)
}

/// A service on a table with many rows, Ann's and Bob's among them.
struct Filled {
    app: TestApp,
    /// Its only connection.
    pool: Database,
}

impl Filled {
    async fn with(database: TestDatabase, layout: Layout, allow_non_unique: bool) -> Self {
        let is_ours = layout.owner == Owner::Readdress;
        fill(&database, is_ours).await;
        let survey = database.survey(&layout, allow_non_unique).await;
        let pool = counted(&database.pool).await;
        let users = Users::new(pool.clone(), survey.table.expect("a table"));
        let mut options = Options::default();
        options.quotas.passwords = Some("100/1m".parse().expect("a quota"));
        let app = TestApp::start(options, database, users).await;
        if is_ours {
            app.add_user("ann@example.com", PASSWORD).await;
            app.add_user("bob.lee@example.com", PASSWORD).await;
        }
        Self { app, pool }
    }

    /// Tells the whole story, and says which statements have read the whole table.
    async fn read_whole(self, ear: &Ear) -> Vec<String> {
        let read_before = self.rows_read().await;
        ear.forget();
        story(&self.app).await;
        let scans = match self.app.database.engine {
            Engine::Postgres => {
                let plans = ear.plans();
                let through_indexes = plans.iter().filter(|plan| plan.contains("Index"));
                assert!(through_indexes.count() > 20, "{plans:#?}");
                let whole = plans.into_iter().filter(|plan| plan.contains("Seq Scan"));
                whole.collect()
            }
            Engine::Sqlite => {
                let mut statements = ear.statements().await;
                assert!(statements.len() > 20, "{statements:#?}");
                statements.sort();
                statements.dedup();
                let mut whole = Vec::new();
                for statement in statements {
                    whole.extend(self.scan_of(&statement).await);
                }
                whole
            }
            Engine::MariaDb => {
                let read = self.rows_read().await - read_before;
                let whole = format!("{read} rows read");
                // What its own status has is read for that, too.
                (read > ROWS / 2).then_some(whole).into_iter().collect()
            }
        };
        self.app.close().await;
        self.pool.close().await.expect("closes");
        scans
    }

    async fn scan_of(&self, statement: &str) -> Option<String> {
        let is_plain = ["SELECT", "UPDATE", "INSERT"]
            .iter()
            .any(|verb| statement.starts_with(verb));
        if !is_plain {
            return None;
        }
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let explain = sea_orm::Statement::from_string(self.pool.get_database_backend(), explain);
        let steps = self.pool.query_all_raw(explain).await.expect("a plan");
        let mut steps = steps
            .iter()
            .map(|step| -> String { step.try_get("", "detail").expect("a text") });
        let whole = steps.find(|step| step.starts_with("SCAN"))?;
        Some(format!("{whole}: {statement}"))
    }

    /// Rows that MariaDB has read one after the other, for this one connection.
    async fn rows_read(&self) -> i64 {
        if self.app.database.engine != Engine::MariaDb {
            return 0;
        }
        let sql = "SELECT CAST(CAST(SUM(variable_value) AS SIGNED) AS CHAR) FROM information_schema.session_status \
                   WHERE variable_name IN ('Handler_read_rnd_next', 'Handler_read_next', 'Handler_read_prev')";
        let read = database::text(&self.pool, sql).await.expect("a number");
        read.parse().expect("a whole number")
    }
}

/// People in mixed case where the table takes them, Ann and Bob in the middle.
async fn fill(database: &TestDatabase, is_ours: bool) {
    let engine = database.engine;
    let (table, columns, row) = if is_ours {
        let id = "CONCAT('00000000-0000-7000-8000-', 100000000000 + n)";
        let id = match engine {
            Engine::Postgres => format!("CAST({id} AS uuid)"),
            Engine::Sqlite | Engine::MariaDb => id.to_owned(),
        };
        let row = format!("{id}, CONCAT('person.', n, '@example.com'), 'x', n");
        (
            "users".to_owned(),
            "id, email, password_hash, email_change_nonce",
            row,
        )
    } else {
        let row = "n + 10, CONCAT('Person.', n, '@Example.com'), 'x', n".to_owned();
        let table = super::quote(engine, "People");
        (table, "person, mail, secret, email_change_nonce", row)
    };
    // Without the limit of a statement: these are for many rows.
    let filler = database::connect(&database.url, 1, Purpose::Look).await;
    let filler = filler.expect("it answers");
    let digits = (0..10).map(|digit| format!("SELECT {digit} AS d"));
    let digits = digits.collect::<Vec<_>>().join(" UNION ALL ");
    let filled = filler
        .execute_unprepared(&format!(
            "INSERT INTO {table} ({columns}) WITH digits AS ({digits}), numbers AS (\
             SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n \
             FROM digits a, digits b, digits c, digits e, digits f WHERE f.d < 2) \
             SELECT {row} FROM numbers"
        ))
        .await
        .expect("many rows");
    assert_eq!(i64::try_from(filled.rows_affected()), Ok(ROWS));
    if !is_ours {
        add(database, "1", "Ann@Example.com").await;
        add(database, "2", "Bob.Lee@Example.com").await;
    }
    let analyze = match engine {
        Engine::MariaDb => format!("ANALYZE TABLE {table}"),
        Engine::Sqlite | Engine::Postgres => format!("ANALYZE {table}"),
    };
    let analyzed = filler.execute_unprepared(&analyze).await;
    analyzed.expect("statistics");
    filler.close().await.expect("closes");
}

/// Every step, and every way that it ends in the table.
async fn story(app: &TestApp) {
    let mut ann = app.sign_in_as("aNN@example.COM", PASSWORD).await;
    app.me(&ann.access).await.ok(200);
    app.sign_in("nobody@example.com", PASSWORD)
        .await
        .problem(401, "unauthenticated");
    app.request(&ann.access, "wrong")
        .await
        .problem(403, "wrong_password");
    app.request(&ann.access, PASSWORD).await.ok(202);
    let first = app.mails().pop().expect("a mail");
    ann.email = first.to.clone();
    app.inspect(&first.token("new-email")).await.ok(200);
    let cancel = first.token("cancel-email-change");
    app.cancel(&cancel).await.ok(200);

    app.request(&ann.access, PASSWORD).await.ok(202);
    let confirm = app.mail_to(&ann.email).token("new-email");
    app.confirm(&confirm, PASSWORD, "bob.LEE@example.com")
        .await
        .ok(202);
    let activate = super::activate_link(app, &ann, "ann@new.example").await;
    app.activate(&activate).await.ok(200);
    app.activate(&activate).await.ok(200);
    let undo = app.mail_to(&ann.email).token("undo-email-change");
    app.inspect(&undo).await.ok(200);
    app.undo(&undo, PASSWORD).await.ok(200);
    let set = app.set_email("ann@EXAMPLE.com", "ann@third.example").await;
    set.expect("the operator's way out");
}
