//! A pooler between the service and PostgreSQL: what it takes away is asked for before anything is
//! served, and with all of it there people share its connections and notice nothing.

use futures_util::future::join_all;
use readdress::users::Purpose;

use super::cheap;
use super::deployment::{Deployment, request, show, sign_in};
use super::volume::{figure, seeded, volume};
use crate::support::Engine;
use crate::support::cluster::Cluster;
use crate::support::database;
use crate::support::pooler::Pooler;
use crate::support::process::{Finished, Running};

/// As `serve` says it, and `check`.
const LIMIT: &str = "ALTER ROLE postgres SET statement_timeout = '1500ms'";
/// Through two connections, so that whoever comes shares them.
const TRANSACTIONS: &str = "pool_mode = transaction\ndefault_pool_size = 2";
/// To keep no prepared statements. The older ones know no such setting, and keep none.
const NONE_PREPARED: &str = "max_prepared_statements = 0";
const CLIENTS: usize = 8;

/// The binary, and a PostgreSQL of its own for it.
struct Behind {
    deployment: Deployment,
    cluster: Cluster,
}

impl Behind {
    async fn start() -> Option<Self> {
        crate::support::proxy::installed("pgbouncer")?;
        let cluster = Cluster::start(&["fsync = off"])?;
        let database = database::at(Engine::Postgres, cluster.url()).await;
        Some(Self {
            deployment: Deployment::within(database).await,
            cluster,
        })
    }

    /// From now on the service reaches its database through a pooler with these settings.
    async fn pool(&mut self, settings: &[&str]) -> Pooler {
        let pooler = Pooler::start(&self.cluster.url(), settings).await;
        let pooler = pooler.expect("it is installed");
        let shell = &mut self.deployment.shell;
        shell.set("READDRESS_DATABASE_URL", &pooler.url);
        pooler
    }

    async fn run(&self, command: &str) -> Finished {
        let words: Vec<&str> = command.split(' ').collect();
        self.deployment.shell.run(&words).await
    }

    /// Many people at once, to and fro.
    async fn walk(&self) -> usize {
        let (server, changes) = (
            self.deployment.shell.start("serve").await,
            volume("SOAK_POOLED", 4),
        );
        let mut rng = seeded();
        let people: Vec<String> = (0..CLIENTS).map(|n| format!("person{n}")).collect();
        for name in &people {
            let email = format!("{name}@example.com");
            self.deployment
                .add_with(&email, &cheap::hash(&mut rng))
                .await;
        }
        let walks = people
            .iter()
            .map(|name| self.changes(&server, name, changes));
        join_all(walks).await;
        let (code, log) = server.end("TERM").await;
        assert_eq!(code, Some(0));
        assert!(!log.contains("ERROR"), "{log}");
        CLIENTS * changes
    }

    async fn changes(&self, server: &Running, name: &str, times: usize) {
        let mut homes = [format!("{name}@example.com"), format!("{name}@new.example")];
        for _ in 0..times {
            let access = sign_in(server, &homes[0]).await;
            request(server, &access).await.ok(202);
            let confirm = self.deployment.await_link("new-email", &homes[0]).await;
            show(server, "confirm", &confirm, &homes[1]).await.ok(202);
            let activate = self.deployment.await_link("email-activation", &homes[1]);
            show(server, "activate", &activate.await, "").await.ok(200);
            assert!(self.deployment.has(&homes[1]).await);
            homes.reverse();
        }
    }
}

#[track_caller]
fn assert_refused(finished: &Finished, says: &[&str]) {
    assert_ne!(finished.code, Some(0), "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    for part in says {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_takes_the_limit_of_a_statement_away_is_refused_with_the_line_that_sets_it() {
    let Some(mut behind) = Behind::start().await else {
        return;
    };
    // One that refuses what it does not know, and one that was told to drop it.
    for drops in ["", "ignore_startup_parameters = options"] {
        let pooler = behind.pool(&["pool_mode = session", drops]).await;
        for command in ["serve", "check"] {
            let says = [LIMIT, "reconnect the pooler"];
            assert_refused(&behind.run(command).await, &says);
        }
        behind.deployment.database.execute(LIMIT).await;
        // The connections that it holds were made before that.
        drop(pooler);
        let _pooler = behind.pool(&["pool_mode = session", drops]).await;
        let server = behind.deployment.shell.start("serve").await;
        assert_eq!(server.end("TERM").await.0, Some(0));
        let reset = "ALTER ROLE postgres RESET statement_timeout";
        behind.deployment.database.execute(reset).await;
    }
    behind.deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_mixes_up_prepared_statements_is_refused() {
    let Some(mut behind) = Behind::start().await else {
        return;
    };
    behind.deployment.database.execute(LIMIT).await;
    let mut settings = vec![TRANSACTIONS];
    settings.extend(Pooler::keeps_statements().then_some(NONE_PREPARED));
    // The first command is alone with the names of its statements, and has to try a second connection.
    for commands in [["migrate status", "serve"], ["serve", "check"]] {
        let _pooler = behind.pool(&settings).await;
        for command in commands {
            let says = ["prepared statements", "max_prepared_statements", "session"];
            assert_refused(&behind.run(command).await, &says);
        }
    }
    behind.deployment.close().await;
}

/// Whose questions fail for another reason, or who may have one connection only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_of_a_pooler_who_has_none() {
    let Some(mut behind) = Behind::start().await else {
        return;
    };
    let url = behind.cluster.url().replace("postgres@", "alone@");
    behind.deployment.shell.set("READDRESS_DATABASE_URL", &url);
    for (sql, says) in [
        (
            "CREATE ROLE alone LOGIN; REVOKE SELECT ON pg_settings FROM PUBLIC",
            "permission denied",
        ),
        (
            "GRANT SELECT ON pg_settings TO PUBLIC; ALTER ROLE alone CONNECTION LIMIT 1",
            "FAIL  database",
        ),
    ] {
        behind.deployment.database.execute(sql).await;
        assert_refused(&behind.run("check").await, &[says]);
        for command in ["check", "migrate status"] {
            let done = behind.run(command).await;
            let said = format!("{}{}", done.stdout, done.stderr);
            assert!(!said.contains("prepared statements"), "{said}");
        }
    }
    behind.deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_without_a_connection_to_spare_is_named() {
    let Some(mut behind) = Behind::start().await else {
        return;
    };
    behind.deployment.database.execute(LIMIT).await;
    let settings = ["pool_mode = session", "default_pool_size = 1"];
    let pooler = behind.pool(&settings).await;
    let holder = database::connect(&pooler.url, 1, Purpose::Look).await;
    let holder = holder.expect("the only one");
    for command in ["serve", "check"] {
        let says = ["answers nothing", "no connection to spare"];
        assert_refused(&behind.run(command).await, &says);
    }
    holder.close().await.expect("closes");
    behind.deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_people_come_through_a_pooler_in_session_mode() {
    pooled(&["pool_mode = session"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_people_share_the_few_connections_of_a_pooler_in_transaction_mode() {
    if !Pooler::keeps_statements() {
        eprintln!("left out: the PgBouncer here is older than 1.21");
        return;
    }
    pooled(&[TRANSACTIONS, "max_prepared_statements = 200"]).await;
}

async fn pooled(settings: &[&str]) {
    let Some(mut behind) = Behind::start().await else {
        return;
    };
    behind.deployment.database.execute(LIMIT).await;
    let _pooler = behind.pool(settings).await;
    let changes = behind.walk().await;
    figure(format_args!(
        "through PgBouncer, {}: {changes} changes of {CLIENTS} people at once, none refused",
        settings[0].replace('\n', ", ")
    ));
    behind.deployment.close().await;
}
