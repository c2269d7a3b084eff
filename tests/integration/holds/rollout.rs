//! A rollout: three processes behind a proxy are replaced, one after the other, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use readdress::keys;
use serde_json::json;
use tokio::time::sleep;

use super::deployment::{Deployment, body, request, sign_in};
use super::pipe::{Pipe, Said, post, post_as};
use super::volume::{figure, seeded, volume};
use crate::support::app::PASSWORD;
use crate::support::database::Engine;
use crate::support::process::Running;
use crate::support::proxy::{Proxy, installed};
use crate::support::smtp::SmtpSink;

const REPLICAS: usize = 3;
/// Clients that send one request after the other.
const CLIENTS: usize = 12;
/// People who change their address all the time.
const PEOPLE: usize = 3;
const ANN: &str = "ann@example.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request() {
    let wanted = volume("SOAK_ROLLOUT", 600);
    let Some(rollout) = Rollout::start().await else {
        return;
    };
    let rolled = rollout.roll("TERM", wanted).await;
    figure(format_args!(
        "rollout: {} requests, {} changes of an address among them, through {} restarts of {REPLICAS} replicas behind HAProxy, {} failed",
        rolled.asked,
        rolled.changed,
        rolled.restarts,
        rolled.failed.len()
    ));
    assert!(rolled.failed.is_empty(), "{:?}", rolled.failed);
    assert!(rolled.changed > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_cuts_people_off_is_noticed() {
    let Some(rollout) = Rollout::start().await else {
        return;
    };
    let rolled = rollout.roll("KILL", 600).await;
    assert!(!rolled.failed.is_empty());
}

/// Nobody is cut off, and every answer is under 500; but live links are refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_with_another_key_is_noticed() {
    let Some(mut rollout) = Rollout::start().await else {
        return;
    };
    let key = keys::generate().expect("random");
    rollout.deployment.shell.set("READDRESS_SECRET_KEYS", &key);
    let rolled = rollout.roll("TERM", 600).await;
    let refused = |error: &String| error.contains("inspect") && error.contains(": 400");
    assert!(rolled.failed.iter().any(refused), "{:?}", rolled.failed);
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

/// What came of it.
struct Rolled {
    asked: usize,
    changed: usize,
    failed: Vec<String>,
    restarts: usize,
}

/// What a client asks, and what the right answer is.
struct Question {
    request: String,
    is_right: fn(&Said) -> bool,
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
        let mut rng = seeded();
        deployment.add(ANN, &mut rng).await;
        for person in 0..PEOPLE {
            deployment.add(&address(person, 0), &mut rng).await;
        }
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
    /// one has been restarted.
    async fn roll(mut self, signal: &str, wanted: usize) -> Rolled {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let questions = self.questions(number);
                let (over, asked) = (Arc::clone(&over), Arc::clone(&asked));
                let url = self.proxy.url.clone();
                tokio::spawn(async move {
                    let mut failed = Vec::new();
                    for question in questions.iter().cycle() {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        failed.extend(ask(&url, question).await.err());
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                    failed
                })
            })
            .collect();
        let people: Vec<_> = (0..PEOPLE)
            .map(|person| {
                let walk = Walk {
                    url: self.proxy.url.clone(),
                    sink: self.deployment.sink.clone(),
                    asked: Arc::clone(&asked),
                };
                tokio::spawn(walk.on(person, Arc::clone(&over)))
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
        let mut changed = 0;
        for person in people {
            let (changes, error) = person.await.expect("no panic");
            changed += changes;
            failed.extend(error);
        }
        drop(self.replicas);
        self.deployment.close().await;
        Rolled {
            asked: asked.load(Ordering::Relaxed),
            changed,
            failed,
            restarts,
        }
    }

    /// What a client asks, over and over: something cheap, something from the database, a password.
    fn questions(&self, number: usize) -> [Question; 3] {
        let session = |password| {
            post(
                "/v1/session",
                &json!({ "email": ANN, "password": password }),
            )
        };
        [
            Question {
                request: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
                is_right: |said| said.status == 200,
            },
            Question {
                request: post("/v1/email-change/inspect", &json!({ "token": self.link })),
                is_right: |said| said.status == 200 && said.field("state") == "usable",
            },
            if number.is_multiple_of(2) {
                Question {
                    request: session(PASSWORD),
                    is_right: |said| said.status == 200 && !said.field("access_token").is_empty(),
                }
            } else {
                Question {
                    request: session("wrong"),
                    is_right: |said| said.status == 401 && said.code() == "unauthenticated",
                }
            },
        ]
    }
}

fn address(person: usize, change: usize) -> String {
    format!("person{person}.{change}@example.com")
}

/// From one address to the next, through whichever replica the proxy finds.
struct Walk {
    url: String,
    sink: SmtpSink,
    asked: Arc<AtomicUsize>,
}

impl Walk {
    /// Until it is over or something fails; how often the address was changed.
    async fn on(self, person: usize, over: Arc<AtomicBool>) -> (usize, Option<String>) {
        let mut changed = 0;
        while !over.load(Ordering::Relaxed) {
            let (from, to) = (address(person, changed), address(person, changed + 1));
            if let Err(error) = self.change(&from, &to).await {
                return (changed, Some(error));
            }
            changed += 1;
        }
        (changed, None)
    }

    async fn change(&self, from: &str, to: &str) -> Result<(), String> {
        let credentials = json!({ "email": from, "password": PASSWORD });
        let session = post("/v1/session", &credentials);
        let session = self.ask(session, |said| said.status == 200).await?;
        let (access, password) = (
            session.field("access_token"),
            json!({ "password": PASSWORD }),
        );
        let request = post_as(&access, "/v1/email-change/request", &password);
        self.ask(request, |said| said.status == 202).await?;
        let confirm = self.step("confirm", "new-email", from, to);
        self.ask(confirm?, |said| said.status == 202).await?;
        let activate = self.step("activate", "email-activation", to, to);
        let is_activated = |said: &Said| said.field("status") == "activated";
        self.ask(activate?, is_activated).await.map(drop)
    }

    /// A step with the link to that page which came to that mailbox.
    fn step(&self, step: &str, page: &str, mailbox: &str, to: &str) -> Result<String, String> {
        let link = self.sink.newest(mailbox, |mail| mail.find_token(page));
        let link = link.ok_or_else(|| format!("{step}: no mail"))?;
        Ok(post(
            &format!("/v1/email-change/{step}"),
            &body(step, &link, to),
        ))
    }

    async fn ask(&self, request: String, is_right: fn(&Said) -> bool) -> Result<Said, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        ask(&self.url, &Question { request, is_right }).await
    }
}

/// One request on a connection of its own.
async fn ask(url: &str, question: &Question) -> Result<Said, String> {
    let what = question.request.lines().next().unwrap_or_default();
    let answer = async {
        let mut pipe = Pipe::try_open(url).await.ok()?;
        pipe.send(&question.request).await.ok()?;
        pipe.read().await
    };
    match answer.await {
        Some(answer) if (question.is_right)(&answer) => Ok(answer),
        Some(answer) => Err(format!("{what}: {} {}", answer.status, answer.body)),
        None => Err(format!("{what}: no answer")),
    }
}
