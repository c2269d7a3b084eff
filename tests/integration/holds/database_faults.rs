//! Faults of the database: what was acknowledged is there, what was refused can be done with the
//! same link, no answer takes longer than ten seconds, and all is well three seconds after it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio::time::sleep;

use super::cheap;
use super::deployment::{Deployment, request, show, sign_in, state_of};
use super::volume::{complaint, figure, seeded, volume};
use crate::support::app::{PASSWORD, at_once};
use crate::support::cluster::Cluster;
use crate::support::{Answer, Engine, Options, Person, TestApp, database};

/// No answer takes longer, whatever is broken.
const LONGEST: Duration = Duration::from_secs(10);
/// A database that is away for longer does not come back.
const AWAY: Duration = Duration::from_secs(20);
/// From the end of a fault to the first success.
const RECOVERY: Duration = Duration::from_secs(3);
const CLIENTS: usize = 8;

/// What an oracle says when something that was acknowledged is not there.
const LOST: &str = "what was acknowledged is lost";

/// What it says when somebody waits too long.
const NOT_WELL: &str = "not everybody is served again";

/// Asks, and is told to ask again: in time, and when.
async fn is_refused_in_time(asked: impl Future<Output = Answer>) {
    let began = Instant::now();
    let answer = asked.await;
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    answer.problem(503, "database_unavailable");
    assert!(answer.retry_after() > 0);
}

/// Presses until it works, which is soon.
async fn works_soon<F: Future<Output = Answer>>(press: impl Fn() -> F) {
    let well = Instant::now();
    while !press().await.status.is_success() {
        assert!(well.elapsed() < RECOVERY, "it is well again");
    }
    assert!(well.elapsed() < RECOVERY, "{:?}", well.elapsed());
}

/// How PostgreSQL is ended under load.
#[derive(Clone, Copy, Debug)]
enum End {
    /// As if the machine had lost its power.
    Kill,
    /// As for an update: every session is told (57P01) and ended.
    Restart,
    /// And it does not come back.
    ForEver,
}

/// Somebody who moves to and fro as long as they are asked to, and insists on every step.
struct Mover {
    person: Person,
    homes: [String; 2],
    /// Where the last acknowledged activation took them.
    at: usize,
    moves: usize,
    refusals: usize,
    slowest: Duration,
    /// The longest from the end of a fault to the first success after it.
    recovery: Duration,
    /// The end of the fault after which there was a success.
    recovered: Option<Instant>,
}

/// The last fault.
#[derive(Default)]
struct Fault {
    /// When the database was made well again; nothing while it is not.
    well: Option<Instant>,
    /// How many have succeeded since.
    recovered: usize,
}

type Faults = Arc<std::sync::Mutex<Fault>>;

impl Mover {
    async fn new(app: &TestApp, name: &str, rng: &mut fastrand::Rng) -> Self {
        let homes = [format!("{name}@example.com"), format!("{name}@new.example")];
        let person = cheap::person(app, &homes[0], rng).await;
        Self {
            person,
            homes,
            at: 0,
            moves: 0,
            refusals: 0,
            slowest: Duration::ZERO,
            recovery: Duration::ZERO,
            recovered: None,
        }
    }

    /// Presses until it works.
    async fn insist<F: Future<Output = Answer>>(
        &mut self,
        faults: &Faults,
        press: impl Fn() -> F,
    ) -> Answer {
        loop {
            let began = Instant::now();
            let answer = press().await;
            self.slowest = self.slowest.max(began.elapsed());
            assert!(
                began.elapsed() < LONGEST,
                "{:?}: {}",
                began.elapsed(),
                answer.text
            );
            if answer.status.is_success() {
                let mut fault = faults.lock().expect("not poisoned");
                if let Some(since) = fault.well.filter(|_| fault.well != self.recovered) {
                    self.recovery = self.recovery.max(since.elapsed());
                    self.recovered = Some(since);
                    fault.recovered += 1;
                }
                return answer;
            }
            let code = answer.json["code"].as_str().unwrap_or_default();
            let is_loss = ["link_used", "invalid_link", "unauthenticated"].contains(&code);
            assert!(!is_loss, "{LOST}: {}", answer.text);
            answer.problem(503, "database_unavailable");
            assert!(answer.retry_after() > 0);
            self.refusals += 1;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// One whole change.
    async fn go(&mut self, app: &TestApp, faults: &Faults) {
        let (access, old, new) = (
            self.person.access.clone(),
            self.homes[self.at].clone(),
            self.homes[1 - self.at].clone(),
        );
        self.insist(faults, || app.request(&access, PASSWORD)).await;
        // Mailed to another address, if the one they moved to is lost.
        let confirm = app
            .smtp
            .newest(&old, |mail| mail.find_token("new-email"))
            .expect(LOST);
        self.insist(faults, || app.confirm(&confirm, PASSWORD, &new))
            .await;
        let activate = app
            .smtp
            .newest(&new, |mail| mail.find_token("email-activation"))
            .expect("a link");
        self.insist(faults, || app.activate(&activate)).await;
        self.at = 1 - self.at;
        self.moves += 1;
    }
}

async fn on_a_cluster(settings: &[&str]) -> Option<(Cluster, TestApp)> {
    let cluster = Cluster::start(settings)?;
    let app = TestApp::within(
        database::at(Engine::Postgres, cluster.url()).await,
        Options::default(),
    )
    .await;
    Some((cluster, app))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_under_load_loses_nothing_that_was_acknowledged() {
    ended_under_load(End::Kill, &[], volume("SOAK_KILLS", 2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_restarted_under_load_loses_nothing_that_was_acknowledged() {
    ended_under_load(End::Restart, &[], volume("SOAK_KILLS", 2)).await;
}

/// The control: commits are acknowledged before they are written down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_acknowledges_too_early_is_noticed() {
    let hasty = &["synchronous_commit = off", "wal_writer_delay = 10s"];
    if !Cluster::is_possible() {
        return;
    }
    let complaint = complaint(Box::pin(ended_under_load(End::Kill, hasty, 10))).await;
    assert!(complaint.contains(LOST), "not missed: {complaint}");
}

/// The control: a database that stays away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_does_not_come_back_is_noticed() {
    if !Cluster::is_possible() {
        return;
    }
    let complaint = complaint(Box::pin(ended_under_load(End::ForEver, &[], 1))).await;
    assert!(complaint.contains(NOT_WELL), "{complaint}");
}

async fn ended_under_load(end: End, settings: &[&str], times: usize) {
    let mut rng = seeded();
    let Some((cluster, app)) = on_a_cluster(settings).await else {
        return;
    };
    let (app, cluster) = (Arc::new(app), Arc::new(cluster));
    let (faults, over) = (Faults::default(), Arc::new(AtomicBool::new(false)));
    let mut movers = Vec::new();
    for number in 0..CLIENTS {
        movers.push(Mover::new(&app, &format!("mover{number}"), &mut rng).await);
    }
    let moving: Vec<_> = movers
        .into_iter()
        .map(|mut mover| {
            let (app, faults, over) = (Arc::clone(&app), Arc::clone(&faults), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    mover.go(&app, &faults).await;
                    // What was acknowledged is there, whatever was killed meanwhile.
                    let home = mover.homes[mover.at].clone();
                    mover.insist(&faults, || app.sign_in(&home, PASSWORD)).await;
                }
                mover
            })
        })
        .collect();
    'faults: for _ in 0..times {
        sleep(Duration::from_millis(rng.u64(300..900))).await;
        let (cluster, its_faults) = (Arc::clone(&cluster), Arc::clone(&faults));
        let killing = move || {
            *its_faults.lock().expect("not poisoned") = Fault::default();
            match end {
                End::Kill | End::ForEver => cluster.kill(),
                End::Restart => cluster.stop(),
            }
            if !matches!(end, End::ForEver) {
                cluster.go();
            }
            its_faults.lock().expect("not poisoned").well = Some(Instant::now());
        };
        tokio::task::spawn_blocking(killing)
            .await
            .expect("no panic");
        // Before the next one, everybody has come through this.
        let well = Instant::now();
        while faults.lock().expect("not poisoned").recovered < CLIENTS {
            if moving.iter().any(tokio::task::JoinHandle::is_finished) {
                break 'faults; // with a complaint, which is heard below
            }
            assert!(well.elapsed() < AWAY, "{NOT_WELL}");
            sleep(Duration::from_millis(10)).await;
        }
    }
    over.store(true, Ordering::SeqCst);
    let (mut moves, mut refusals, mut slowest, mut recovery) =
        (0, 0, Duration::ZERO, Duration::ZERO);
    for mover in moving {
        let mover = mover.await.expect("no panic");
        let home = &mover.homes[mover.at];
        assert_eq!(app.email_of(&mover.person).await, *home, "{LOST}");
        moves += mover.moves;
        refusals += mover.refusals;
        slowest = slowest.max(mover.slowest);
        recovery = recovery.max(mover.recovery);
    }
    assert!(moves > 0, "nobody moved");
    assert!(recovery < RECOVERY, "{recovery:?}");
    figure(format_args!(
        "PostgreSQL ended {times} times under load ({end:?}): {moves} acknowledged changes, all there; {refusals} refusals, all done with the same link; slowest answer {:.1} s, recovery {:.1} s",
        slowest.as_secs_f64(),
        recovery.as_secs_f64()
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_serializable_isolation_one_wins_and_the_others_may_press_again() {
    let Some((_cluster, app)) =
        on_a_cluster(&["default_transaction_isolation = 'serializable'"]).await
    else {
        return;
    };
    let (rounds, mut rng, mut all_refused) = (volume("SOAK_SERIALIZABLE", 3), seeded(), 0);
    for round in 0..rounds {
        let ann = cheap::person(&app, &format!("ann{round}@example.com"), &mut rng).await;
        let new = format!("ann{round}@new.example");
        let activate = app.activate_link(&ann, &new).await;
        let body = serde_json::json!({ "token": activate }).to_string();
        // Another program is at the row when they come, so all of them meet what it writes.
        let other = app.database.pool.begin().await.expect("a transaction");
        let touch = format!(
            "UPDATE users SET updated_at = updated_at WHERE id = '{}'",
            ann.id
        );
        other.execute_unprepared(&touch).await.expect("touched");
        let leave = async {
            sleep(Duration::from_millis(300)).await;
            other.commit().await.expect("committed");
        };
        let press = at_once(16, |_| {
            let path = format!("{}/v1/email-change/activate", app.url);
            let request = app
                .http
                .post(path)
                .header("Content-Type", "application/json")
                .body(body.clone());
            async move { Answer::read(request.send().await.expect("an answer")).await }
        });
        let (answers, ()) = tokio::join!(press, leave);
        let count = |what: &str| {
            answers
                .iter()
                .filter(|answer| answer.json["status"] == what)
                .count()
        };
        let refused = answers
            .iter()
            .filter(|answer| answer.json["code"] == "database_unavailable")
            .count();
        assert_eq!(
            count("activated") + count("already_active") + refused,
            16,
            "{answers:?}"
        );
        all_refused += refused;
        let again = app.activate(&activate).await;
        let winners = count("activated") + usize::from(again.ok(200)["status"] == "activated");
        assert_eq!(winners, 1, "{answers:?}, {}", again.text);
    }
    assert!(all_refused > 0, "nothing was serialised");
    figure(format_args!(
        "serializable: {rounds} times sixteen presses at once, one winner each, {all_refused} told to press again"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_postgres_is_a_503_and_nothing_more() {
    let Some((cluster, app)) = on_a_cluster(&[]).await else {
        return;
    };
    let ann = cheap::person(&app, "ann@example.com", &mut seeded()).await;
    let activate = app.activate_link(&ann, "ann@new.example").await;
    let before = app.state().await;
    // As after a failover to a replica that is still one.
    cluster.configure("default_transaction_read_only = on\n");
    cluster.reload();
    // Not asked by an activation: one that came before the reload would succeed.
    let began = Instant::now();
    let setting = "SHOW default_transaction_read_only";
    while app.database.text(setting).await.as_deref() != Some("on") {
        assert!(began.elapsed() < RECOVERY, "it is read-only by now");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    is_refused_in_time(app.activate(&activate)).await;
    assert_eq!(app.state().await, before);
    assert_eq!(app.state_of(&activate).await, "usable");
    cluster.configure("default_transaction_read_only = off\n");
    cluster.reload();
    let began = Instant::now();
    while app.activate(&activate).await.status != 200 {
        assert!(began.elapsed() < RECOVERY, "it is writable again");
    }
    assert_eq!(app.email_of(&ann).await, "ann@new.example");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_free_connection_everybody_is_told_in_time() {
    let Some(app) = TestApp::on(Engine::Postgres, Options::default()).await else {
        return;
    };
    let ann = cheap::person(&app, "ann@example.com", &mut seeded()).await;
    let activate = app.activate_link(&ann, "ann@new.example").await;
    let pool = app.database.pool.get_postgres_connection_pool().clone();
    let rounds = volume("SOAK_EXHAUSTED", 1);
    for _ in 0..rounds {
        let held = join_all((0..10).map(|_| pool.acquire())).await;
        assert!(held.iter().all(Result::is_ok));
        join_all((0..20).map(|_| is_refused_in_time(app.activate(&activate)))).await;
        drop(held);
        let free = Instant::now();
        assert_eq!(app.state_of(&activate).await, "usable");
        assert!(free.elapsed() < RECOVERY, "{:?}", free.elapsed());
    }
    let held = join_all((0..10).map(|_| pool.acquire())).await;
    is_refused_in_time(app.activate(&activate)).await;
    drop(held);
    let free = Instant::now();
    app.activate(&activate).await.ok(200);
    assert!(free.elapsed() < RECOVERY, "{:?}", free.elapsed());
    figure(format_args!(
        "pool exhausted: {rounds} times 20 activations, each told to press again in time; the link works afterwards"
    ));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sqlite_file_is_a_503_in_time_and_writes_nothing_later() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = cheap::person(&app, "ann@example.com", &mut seeded()).await;
    let activate = app.activate_link(&ann, "ann@new.example").await;
    let before = app.state().await;
    let other = database::at(Engine::Sqlite, app.database.url.clone()).await;
    let mut lock = other
        .pool
        .get_sqlite_connection_pool()
        .acquire()
        .await
        .expect("a connection");
    sea_orm::sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *lock)
        .await
        .expect("locked");
    join_all((0..4).map(|_| is_refused_in_time(app.activate(&activate)))).await;
    assert_eq!(app.state_of(&activate).await, "usable", "reading goes on");
    sea_orm::sqlx::query("ROLLBACK")
        .execute(&mut *lock)
        .await
        .expect("unlocked");
    let unlocked = Instant::now();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        app.state().await,
        before,
        "nothing is written once the caller was told no"
    );
    app.activate(&activate).await.ok(200);
    assert!(unlocked.elapsed() < RECOVERY, "{:?}", unlocked.elapsed());
    app.close().await;
}

/// The real binary, which may write no file over a few KiB; then, while it runs, without that bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_sqlite_is_a_503_and_the_same_link_works_once_there_is_room() {
    let (mut deployment, mut rng) = (Deployment::on_sqlite().await, seeded());
    let [ann, bob, moved] = ["ann@example.com", "bob@example.com", "bob@new.example"];
    deployment.add(ann, &mut rng).await;
    deployment.add(bob, &mut rng).await;
    deployment
        .database
        .pool
        .execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)")
        .await
        .expect("a checkpoint");
    // In units of 512 bytes; a write past it fails, as the signal that would end it is ignored.
    deployment.shell.wrap("trap '' XFSZ; ulimit -S -f 192;");
    let server = deployment.shell.start("serve").await;
    for email in [bob, ann] {
        let access = sign_in(&server, email).await;
        request(&server, &access).await.ok(202);
    }
    let confirm = deployment.await_link("new-email", bob).await;
    show(&server, "confirm", &confirm, moved).await.ok(202);
    let activate = deployment.await_link("email-activation", moved).await;
    show(&server, "activate", &activate, "").await.ok(200);
    let cancel = deployment.await_link("cancel-email-change", ann).await;
    let mut tries = 0;
    while show(&server, "cancel", &cancel, "")
        .await
        .status
        .is_success()
    {
        tries += 1;
        assert!(tries < 200, "the disk is full at last");
    }
    is_refused_in_time(show(&server, "cancel", &cancel, "")).await;
    assert_eq!(
        state_of(&server, &cancel).await,
        "usable",
        "reading goes on"
    );
    let room = std::process::Command::new("prlimit")
        .args(["--fsize=unlimited:", "--pid", &server.pid().to_string()])
        .status();
    assert!(room.expect("util-linux").success());
    works_soon(|| show(&server, "cancel", &cancel, "")).await;
    assert_eq!(state_of(&server, &activate).await, "already_active");
    assert!(deployment.has(moved).await, "{LOST}");
    server.end("TERM").await;
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_sqlite_file_is_a_503_and_nothing_more() {
    let (mut deployment, mut rng) = (Deployment::on_sqlite().await, seeded());
    deployment.add("ann@example.com", &mut rng).await;
    let writes = deployment.shell.start("serve").await;
    let access = sign_in(&writes, "ann@example.com").await;
    request(&writes, &access).await.ok(202);
    let cancel = deployment
        .await_link("cancel-email-change", "ann@example.com")
        .await;
    deployment.shell.set(
        "READDRESS_DATABASE_URL",
        &format!("{}?mode=ro", deployment.database.url),
    );
    let reads = deployment.shell.start("serve").await;
    is_refused_in_time(show(&reads, "cancel", &cancel, "")).await;
    assert_eq!(state_of(&reads, &cancel).await, "usable");
    show(&writes, "cancel", &cancel, "").await.ok(200);
    reads.end("TERM").await;
    writes.end("TERM").await;
    deployment.close().await;
}
