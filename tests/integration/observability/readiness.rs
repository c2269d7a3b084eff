//! `/readyz`: what is told apart, what decides, and what it costs those who are asked.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::holds::deployment::Deployment;
use crate::holds::pipe::Pipe;
use crate::support::process::Running;
use crate::support::{Answer, Fault};

/// Asks until it says so: what was found holds for two seconds.
async fn ready_with(server: &Running, check: &str, state: &str) -> Answer {
    for _ in 0..200 {
        let answer = server.get("/readyz").await;
        if answer.json["checks"][check] == state {
            return answer;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "{check} is never {state}: {}",
        server.get("/readyz").await.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_table_the_service_is_not_ready_and_with_it_it_is_again() {
    let deployment = Deployment::on_sqlite().await;
    let server = deployment.shell.start("serve").await;
    let good = ready_with(&server, "mail", "ok").await;
    let all = json!({ "process": "ok", "database": "ok", "mail": "ok", "keys": "ok" });
    assert_eq!(good.ok(200), &json!({ "status": "ok", "checks": all }));
    deployment
        .database
        .execute("ALTER TABLE users RENAME TO gone")
        .await;
    let away = ready_with(&server, "database", "failing").await;
    let problem = away.problem(503, "database_unavailable");
    assert_eq!(problem["checks"]["mail"], "ok");
    assert!(away.retry_after() >= 1);
    deployment
        .database
        .execute("ALTER TABLE gone RENAME TO users")
        .await;
    ready_with(&server, "database", "ok").await.ok(200);
    deployment.close().await;
}

/// An alert must not depend on a prober: who scrapes sees it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_asks_a_scrape_sees_that_the_database_fails_and_is_back() {
    let deployment = Deployment::on_sqlite().await;
    let server = deployment.shell.start("serve").await;
    let series = r#"readdress_ready{check="database"}"#;
    super::Scrape::of(&server).await.assert(&[(series, 1)]);
    for (from, to, value) in [("users", "gone", 0), ("gone", "users", 1)] {
        deployment
            .database
            .execute(&format!("ALTER TABLE {from} RENAME TO {to}"))
            .await;
        // What was found holds for two seconds.
        sleep(Duration::from_millis(2100)).await;
        super::Scrape::of(&server).await.assert(&[(series, value)]);
    }
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_mail_the_service_is_ready_and_says_so() {
    let deployment = Deployment::on_sqlite().await;
    deployment.sink.stop();
    let server = deployment.shell.start("serve").await;
    ready_with(&server, "mail", "failing").await.ok(200);
    let scrape = super::Scrape::of(&server).await;
    for (check, value) in [("database", 1), ("mail", 0), ("keys", 1)] {
        let series = format!(r#"readdress_ready{{check="{check}"}}"#);
        scrape.assert(&[(&series, value)]);
    }
    deployment.close().await;
}

/// A mail server that answers nothing keeps nobody waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_is_no_load_however_many_ask() {
    let deployment = Deployment::on_sqlite().await;
    deployment
        .sink
        .fault(Fault::Tarpit(Duration::from_secs(30)));
    let server = deployment.shell.start("serve").await;
    let since = tokio::time::Instant::now();
    for _ in 0..5 {
        for answer in join_all((0..40).map(|_| server.get("/readyz"))).await {
            assert_eq!(answer.ok(200)["checks"]["mail"], "unknown");
        }
    }
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(
        deployment.sink.connections(),
        1,
        "one probe for 200 who ask"
    );
    deployment.close().await;
}

/// Each probe that fails is a line in the log: so they can be counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_asked_once_in_two_seconds_however_many_ask() {
    let deployment = Deployment::on_sqlite().await;
    let server = deployment.shell.start("serve").await;
    let rename = "ALTER TABLE users RENAME TO gone";
    deployment.database.execute(rename).await;
    let since = tokio::time::Instant::now();
    let mut asked = 0;
    while since.elapsed() < Duration::from_millis(4500) {
        for answer in join_all((0..20).map(|_| server.get("/readyz"))).await {
            answer.problem(503, "database_unavailable");
            asked += 1;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let (_, log) = server.end("TERM").await;
    let probes = log.matches("database unavailable").count();
    assert!((2..=3).contains(&probes), "{probes} probes for {asked}");
    assert!(asked > 200, "{asked}");
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_told_to_stop_is_not_ready() {
    let deployment = Deployment::on_sqlite().await;
    let server = deployment.shell.start("serve").await;
    let mut asking = Pipe::open(&server.url).await;
    // The request is being read when the signal comes, and looked at after it.
    let head = "GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1";
    asking.send(head).await.expect("sent");
    sleep(Duration::from_millis(200)).await;
    let answered = tokio::spawn(async move {
        sleep(Duration::from_millis(300)).await;
        asking.send("2").await.expect("sent");
        asking.read().await.expect("an answer")
    });
    let (code, log) = server.end("TERM").await;
    assert_eq!(code, Some(0), "{log}");
    let answered = answered.await.expect("no panic");
    assert_eq!(answered.status, 503);
    assert_eq!(answered.json()["checks"]["process"], "stopping");
    deployment.close().await;
}
