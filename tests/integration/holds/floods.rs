//! Floods: whoever comes in numbers is turned away fast, and the others do not notice.
//!
//! The real binary in a process of its own, so that its memory and its time are its own. Figures are
//! held to their bounds when a flood lasts; the few seconds of `cargo test` only show that it works.
//! The control of most is a [`naive`] server, which does what a flood hopes for.

mod connections;
mod naive;
mod passwords;
mod slow;
mod streams;

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::deployment::{Deployment, request, show, sign_in};
use super::pipe::{Pipe, post};
use super::statistics::percentile;
use super::volume::{complaint, forget_peak, peak_kib, resident_kib, seeded};
use crate::support::process::Running;

/// A flood of so many seconds is held to the bounds.
const LASTS: usize = 30;
/// Of an activation while there is a flood.
const ACTIVATION_P99_MS: f64 = 250.0;
/// Of a refusal.
const REFUSAL: Duration = Duration::from_secs(1);
/// A connection of no use is closed by then.
const CLOSED: Duration = Duration::from_secs(15);
/// What a flood may add: 19 MiB for each of two threads, and 64 MiB for everything else.
const GROWTH_KIB: u64 = (2 * 19 + 64) * 1024;

async fn flooded(settings: &[(&str, &str)]) -> (Deployment, Running) {
    let mut deployment = Deployment::on_sqlite().await;
    deployment.shell.set("READDRESS_PASSWORD_THREADS", "2");
    deployment.shell.set("RUST_LOG", "warn,readdress::cli=info");
    for (name, value) in settings {
        deployment.shell.set(name, value);
    }
    let server = deployment.shell.start("serve").await;
    (deployment, server)
}

/// People with an activate link each.
async fn activate_links(deployment: &Deployment, server: &Running, count: usize) -> Vec<String> {
    let (mut rng, mut links) = (seeded(), Vec::new());
    for number in 0..count {
        let (old, new) = (
            format!("ann{number}@example.com"),
            format!("ann{number}@new.example"),
        );
        deployment.sink.forget();
        deployment.add(&old, &mut rng).await;
        let access = sign_in(server, &old).await;
        request(server, &access).await.ok(202);
        let confirm = deployment.await_link("new-email", &old).await;
        show(server, "confirm", &confirm, &new).await.ok(202);
        links.push(deployment.await_link("email-activation", &new).await);
    }
    links
}

/// Shows this link over a connection of its own, and says how many milliseconds that took.
async fn activation(url: &str, link: &str) -> f64 {
    let began = Instant::now();
    let (mut pipe, body) = (Pipe::open(url).await, json!({ "token": link }));
    let said = pipe.ask(&post("/v1/email-change/activate", &body)).await;
    assert_eq!(said.status, 200, "{said:?}");
    began.elapsed().as_secs_f64() * 1e3
}

/// The same for these, one after the other.
async fn activations(url: &str, links: &[String], pause: Duration) -> Vec<f64> {
    let mut times = Vec::new();
    for link in links {
        times.push(activation(url, link).await);
        sleep(pause).await;
    }
    times
}

/// A flood of so many rounds, and what activations take from its first to its last: of these links,
/// as far apart as there are enough of them for.
async fn activations_throughout(
    url: &str,
    links: &[String],
    rounds: usize,
    mut round: impl AsyncFnMut(usize),
) -> Vec<f64> {
    let (every, (beat, mut beats)) = (rounds.div_ceil(links.len()), mpsc::unbounded_channel());
    let flood = async {
        for number in 0..rounds {
            if number % every == 0 {
                beat.send(()).expect("somebody who listens");
            }
            round(number).await;
        }
    };
    let activations = async {
        let mut times = Vec::new();
        for link in &links[..rounds.div_ceil(every)] {
            beats.recv().await.expect("a beat");
            times.push(activation(url, link).await);
        }
        times
    };
    tokio::join!(flood, activations).1
}

/// In milliseconds, which 99 of a hundred took at most; held to its bound if that `counts`.
fn p99(mut times: Vec<f64>, counts: bool) -> f64 {
    let p99 = percentile(&mut times, 99);
    assert!(
        !counts || p99 < ACTIVATION_P99_MS,
        "activation p99 {p99} ms"
    );
    p99
}

/// What a process holds at most, more than at first.
struct Growth {
    pid: String,
    before: Option<u64>,
}

impl Growth {
    fn of(server: &Running) -> Self {
        Self::of_process(server.pid().to_string())
    }

    fn of_process(pid: String) -> Self {
        forget_peak(&pid);
        let before = resident_kib(&pid);
        Self { pid, before }
    }

    /// In KiB; nothing where the system does not tell.
    fn kib(&self) -> u64 {
        let most = self.before.zip(peak_kib(&self.pid));
        most.map_or(0, |(before, most)| most.saturating_sub(before))
    }

    /// The same, within the bound.
    fn bounded(&self) -> u64 {
        let grown = self.kib();
        assert!(grown < GROWTH_KIB, "{grown} KiB");
        grown
    }
}

/// The control: memory that is there no longer when it is asked for.
#[tokio::test]
async fn a_process_that_grows_is_noticed() {
    let growth = Growth::of_process("self".to_owned());
    if growth.before.is_none() {
        return; // no /proc
    }
    let much = usize::try_from(2 * 1024 * GROWTH_KIB).expect("a size");
    drop(std::hint::black_box(vec![1_u8; much]));
    let complaint = complaint(async { growth.bounded() }).await;
    assert!(complaint.contains("KiB"), "{complaint}");
}
