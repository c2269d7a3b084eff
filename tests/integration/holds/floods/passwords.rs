//! Floods of passwords: over many connections, over one, and by those who do not wait for the answer.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;
use tokio::time::sleep;

use super::{
    ACTIVATION_P99_MS, Growth, LASTS, REFUSAL, activate_links, activations, activations_throughout,
    flooded, p99,
};
use crate::holds::deployment::{sign_in, state_of};
use crate::holds::pipe::{Pipe, post};
use crate::holds::statistics::percentile;
use crate::holds::volume::{complaint, figure, seeded, volume};
use crate::support::process::Running;
use crate::wire::over_http_2;

/// What became of the passwords of a flood.
#[derive(Default)]
struct Flooded {
    hashed: usize,
    refused: usize,
    /// Until the slowest refusal.
    slowest: Duration,
}

/// Wrong passwords from so many clients, each of whom sends the next as soon as it has an answer.
async fn flood(url: &str, clients: usize, lasts: Duration) -> Flooded {
    let ends = Instant::now() + lasts;
    let client = |number: usize| async move {
        let body = json!({ "email": format!("nobody{number}@example.com"), "password": "wrong" });
        let (request, mut pipe) = (post("/v1/session", &body), Pipe::open(url).await);
        let mut came = Flooded::default();
        while Instant::now() < ends {
            let began = Instant::now();
            let said = pipe.ask(&request).await;
            match said.status {
                401 => came.hashed += 1,
                503 => {
                    came.refused += 1;
                    came.slowest = came.slowest.max(began.elapsed());
                    sleep(Duration::from_millis(50)).await;
                }
                _ => panic!("{said:?}"),
            }
        }
        came
    };
    let mut all = Flooded::default();
    for came in join_all((0..clients).map(client)).await {
        all.hashed += came.hashed;
        all.refused += came.refused;
        all.slowest = all.slowest.max(came.slowest);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_in_numbers_do_not_slow_an_activation() {
    let (seconds, clients) = (
        volume("SOAK_FLOOD_SECONDS", 3),
        volume("SOAK_FLOOD_CLIENTS", 60),
    );
    let (deployment, server) = flooded(&[]).await;
    let links = activate_links(&deployment, &server, seconds * 4).await;
    let (growth, url) = (Growth::of(&server), server.url.clone());
    let lasts = Duration::from_secs(seconds as u64);
    let flood = tokio::spawn(async move { flood(&url, clients, lasts).await });
    sleep(Duration::from_millis(300)).await;
    let times = activations(&server.url, &links, Duration::from_millis(200)).await;
    let Flooded {
        hashed,
        refused,
        slowest,
    } = flood.await.expect("no panic");
    assert!(hashed > 0 && refused > 0, "no flood: {hashed}, {refused}");
    let (counts, grown) = (seconds >= LASTS, growth.bounded());
    figure(format_args!(
        "flood of passwords: {clients} clients for {seconds} s, {hashed} hashed, {refused} refused within {:.2} s; {} activations, p99 {:.0} ms; memory +{} MiB",
        slowest.as_secs_f64(),
        times.len(),
        p99(times, counts),
        grown / 1024
    ));
    assert!(!counts || slowest < REFUSAL, "a refusal took {slowest:?}");
    server.end("TERM").await;
    deployment.close().await;
}

/// The control.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_that_waits_behind_passwords_is_noticed() {
    let url = super::naive::start();
    let (flooded, mut times) = tokio::join!(flood(&url, 60, Duration::from_secs(2)), async {
        sleep(Duration::from_millis(300)).await;
        activations(&url, &["a link".to_owned()], Duration::ZERO).await
    });
    assert_eq!(flooded.refused, 0);
    let p99 = percentile(&mut times, 99);
    assert!(p99 > ACTIVATION_P99_MS, "{p99} ms");
}

fn over_2(url: &str, path: &str, body: &serde_json::Value) -> hyper::Request<Full<Bytes>> {
    let request =
        hyper::Request::post(format!("{url}{path}")).header("Content-Type", "application/json");
    request
        .body(Full::from(body.to_string()))
        .expect("a request")
}

/// Two hundred passwords at once on one connection of HTTP/2: what each is answered, and when.
async fn two_hundred(url: &str) -> Vec<(String, Duration)> {
    let began = Instant::now();
    let sender = over_http_2(url).await;
    let asked = (0..200).map(|number| {
        let body = json!({ "email": format!("nobody{number}@example.com"), "password": "wrong" });
        let asked = sender
            .clone()
            .send_request(over_2(url, "/v1/session", &body));
        async move {
            let said = match asked.await {
                Ok(answer) => answer.status().as_u16().to_string(),
                // More streams than this client was told of when it began.
                Err(error) => format!("{error:?}"),
            };
            (said, began.elapsed())
        }
    });
    join_all(asked).await
}

/// How many of them were hashed, how many refused, and when the last of those was.
fn sorted(answers: &[(String, Duration)]) -> (usize, usize, Duration) {
    let is_refusal = |said: &str| said == "503" || said.contains("REFUSED_STREAM");
    let hashed = answers.iter().filter(|(said, _)| said == "401").count();
    let refused = answers.iter().filter(|(said, _)| is_refusal(said));
    let slowest = refused.clone().map(|(_, after)| *after).max();
    assert_eq!(hashed + refused.count(), 200, "{answers:?}");
    assert!(hashed > 0, "nobody was hashed");
    (hashed, 200 - hashed, slowest.expect("nobody was refused"))
}

/// Many passwords on one connection wait in the same lane as everybody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_passwords_on_one_connection_are_hashed_or_refused() {
    let rounds = volume("SOAK_STREAMS", 1);
    let (deployment, server) = flooded(&[]).await;
    let links = activate_links(&deployment, &server, rounds.min(100)).await;
    let growth = Growth::of(&server);
    let (url, began) = (server.url.clone(), Instant::now());
    let (mut hashed, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    let times = activations_throughout(&url, &links, rounds, async |_| {
        let (now_hashed, now_refused, now_slowest) = sorted(&two_hundred(&url).await);
        hashed += now_hashed;
        refused += now_refused;
        slowest = slowest.max(now_slowest);
    })
    .await;
    let counts = rounds >= LASTS;
    assert!(!counts || slowest < REFUSAL, "a refusal took {slowest:?}");
    figure(format_args!(
        "passwords on one connection: {rounds} times 200 in {:.0} s, {hashed} hashed, {refused} refused within {:.2} s; {} activations, p99 {:.0} ms; memory +{} MiB",
        began.elapsed().as_secs_f64(),
        slowest.as_secs_f64(),
        times.len(),
        p99(times, counts),
        growth.bounded() / 1024
    ));
    server.get("/healthz").await.ok(200);
    server.end("TERM").await;
    deployment.close().await;
}

/// The control.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hashes_all_of_them_is_noticed() {
    let answers = two_hundred(&super::naive::start()).await;
    let complaint = complaint(async { sorted(&answers) }).await;
    assert!(complaint.contains("nobody was refused"), "{complaint}");
}

/// A figure of `/metrics`.
async fn metric(server: &Running, name: &str) -> u64 {
    let metrics = server.get("/metrics").await.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {metrics}"))
}

/// Who hangs up in the middle of a hash frees nothing early, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_while_being_hashed_leaves_nothing_behind() {
    let rounds = volume("SOAK_DISCONNECTS", 10);
    let (deployment, server) = flooded(&[]).await;
    let mut links = activate_links(&deployment, &server, 1 + rounds.min(100)).await;
    let link = links.remove(0);
    let hashed = "readdress_password_check_seconds_count";
    let hashed_before = metric(&server, hashed).await;
    let body = post(
        "/v1/session",
        &json!({ "email": "nobody@example.com", "password": "wrong" }),
    );
    let mut warm = None;
    let times = activations_throughout(&server.url, &links, rounds, async |round| {
        let mut pipes = join_all((0..100).map(|_| Pipe::open(&server.url))).await;
        join_all(pipes.iter_mut().map(|pipe| pipe.send(&body))).await;
        // Long enough for some to be read, short enough for all to be waiting.
        sleep(Duration::from_millis(20)).await;
        drop(pipes);
        if round == rounds / 10 {
            warm = Some(Growth::of(&server));
        }
    })
    .await;
    // The lane is free again as soon as what was begun is done.
    sleep(Duration::from_secs(2)).await;
    assert_eq!(metric(&server, "readdress_password_lane_depth").await, 0);
    let hashed = metric(&server, hashed).await - hashed_before;
    assert!(hashed > 0, "nobody was being hashed");
    deployment.add("bob@example.com", &mut seeded()).await;
    sign_in(&server, "bob@example.com").await;
    assert_eq!(state_of(&server, &link).await, "usable");
    figure(format_args!(
        "disconnects: {rounds} times 100, {hashed} of them hashed for nobody; {} activations, p99 {:.0} ms; memory +{} KiB",
        times.len(),
        p99(times, rounds >= LASTS),
        warm.expect("a round").bounded()
    ));
    server.end("TERM").await;
    deployment.close().await;
}
