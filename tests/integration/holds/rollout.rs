//! A rollout: three processes behind a proxy are replaced, one after the other, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::deployment::{Deployment, request, sign_in};
use super::pipe::{Pipe, post};
use super::volume::{figure, seeded, volume};
use crate::support::app::PASSWORD;
use crate::support::database::Engine;
use crate::support::process::Running;
use crate::support::proxy::{Proxy, installed};

const REPLICAS: usize = 3;
/// Clients that send one request after the other.
const CLIENTS: usize = 12;
const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request() {
    let wanted = volume("SOAK_ROLLOUT", 600);
    let Some(rollout) = Rollout::start().await else {
        return;
    };
    let (asked, failed, restarts) = rollout.roll("TERM", wanted).await;
    figure(format_args!(
        "rollout: {asked} requests through {restarts} restarts of {REPLICAS} replicas behind HAProxy, {} failed",
        failed.len()
    ));
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_cuts_people_off_is_noticed() {
    let Some(rollout) = Rollout::start().await else {
        return;
    };
    let (_, failed, _) = rollout.roll("KILL", 600).await;
    assert!(!failed.is_empty());
}

/// A signal finds people whom the system has connected and the process has not seen yet. Here there
/// are many, because the process is held still while they come.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_connected_before_the_signal_is_answered() {
    let deployment = Deployment::on_sqlite().await;
    let server = deployment.shell.start("serve").await;
    kill(&server, "STOP").await;
    let mut pipes = Vec::new();
    for _ in 0..100 {
        let mut pipe = Pipe::open(&server.url).await;
        pipe.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .expect("sent");
        pipes.push(pipe);
    }
    kill(&server, "TERM").await;
    kill(&server, "CONT").await;
    for (number, pipe) in pipes.iter_mut().enumerate() {
        let answer = pipe.read().await;
        assert_eq!(
            answer.map(|answer| answer.status),
            Some(200),
            "of the {number}th in the queue"
        );
    }
    assert_eq!(server.end("TERM").await.0, Some(0));
    deployment.close().await;
}

async fn kill(server: &Running, signal: &str) {
    let killed = tokio::process::Command::new("kill")
        .args([format!("-{signal}"), server.pid().to_string()])
        .status()
        .await;
    assert!(killed.expect("kill").success());
}

/// Replicas on one PostgreSQL, behind a proxy.
struct Rollout {
    deployment: Deployment,
    replicas: Vec<Running>,
    proxy: Proxy,
    /// A confirm link that stays unused, to be asked about.
    link: String,
}

impl Rollout {
    async fn start() -> Option<Self> {
        installed("haproxy")?;
        let mut deployment = Deployment::on(Engine::Postgres).await?;
        deployment.add(ANN, &mut seeded()).await;
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            deployment.shell.set("READDRESS_LISTEN", "127.0.0.1:0");
            replicas.push(deployment.shell.start("serve").await);
        }
        let access = sign_in(&replicas[0], ANN).await;
        request(&replicas[0], &access).await.ok(202);
        let link = deployment.link("new-email", ANN).expect("a link");
        let addresses: Vec<&str> = replicas.iter().map(Running::address).collect();
        let proxy = Proxy::start(&addresses).await?;
        Some(Self {
            deployment,
            replicas,
            proxy,
            link,
        })
    }

    /// Restarts one replica after the other until that many requests have been answered and every
    /// one has been restarted; how many were asked, what failed, and how many restarts there were.
    async fn roll(mut self, signal: &str, wanted: usize) -> (usize, Vec<String>, usize) {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let requests = self.requests(number);
                let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
                let url = self.proxy.url.clone();
                tokio::spawn(async move {
                    let mut failed = Vec::new();
                    for request in requests.iter().cycle() {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        failed.extend(ask(&url, request).await.err());
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    failed
                })
            })
            .collect();
        let mut restarts = 0;
        while restarts < REPLICAS || asked.load(Ordering::Relaxed) < wanted {
            let old = self.replicas.remove(0);
            self.deployment.shell.set("READDRESS_LISTEN", old.address());
            old.end(signal).await;
            self.replicas
                .push(self.deployment.shell.start("serve").await);
            restarts += 1;
            sleep(Duration::from_millis(200)).await;
        }
        over.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for client in clients {
            failed.extend(client.await.expect("no panic"));
        }
        drop(self.replicas);
        self.deployment.close().await;
        (asked.load(Ordering::Relaxed), failed, restarts)
    }

    /// What a client asks, over and over: something cheap, something from the database, a password.
    fn requests(&self, number: usize) -> Vec<String> {
        let inspect = post("/v1/email-change/inspect", &json!({ "token": self.link }));
        let password = if number.is_multiple_of(2) {
            PASSWORD
        } else {
            "wrong"
        };
        let session = post(
            "/v1/session",
            &json!({ "email": ANN, "password": password }),
        );
        vec![
            "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            inspect,
            session,
        ]
    }
}

/// One request on a connection of its own. What is right and wrong is told apart elsewhere: here an
/// answer of any kind but 5xx is one.
async fn ask(url: &str, request: &str) -> Result<(), String> {
    let what = request.lines().next().unwrap_or_default();
    let answer = async {
        let mut pipe = Pipe::try_open(url).await.ok()?;
        pipe.send(request).await.ok()?;
        pipe.read().await
    };
    match answer.await {
        Some(answer) if answer.status < 500 => Ok(()),
        Some(answer) => Err(format!("{what}: {} {}", answer.status, answer.body)),
        None => Err(format!("{what}: no answer")),
    }
}
