//! Floods: whoever comes in numbers is turned away fast, and the others do not notice.
//!
//! The real binary in a process of its own, so that its memory and its time are its own. Figures are
//! held to their bounds when a flood lasts; the few seconds of `cargo test` only show that it works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::deployment::{Deployment, request, show, sign_in, state_of};
use super::pipe::{Pipe, post};
use super::statistics::percentile;
use super::volume::{cpu_ms, figure, resident_kib, seeded, volume};
use crate::support::process::Running;
use crate::wire::over_http_2;

/// A flood of so many seconds is held to the bounds.
const LASTS: usize = 30;
/// Of an activation while passwords are flooded.
const ACTIVATION_P99_MS: f64 = 250.0;
/// Of a refusal.
const REFUSAL: Duration = Duration::from_secs(1);
/// A connection of no use is closed by then.
const CLOSED: Duration = Duration::from_secs(15);
/// What a connection of no use may hold, the garbage of the allocator among it.
const SLOW_KIB: u64 = 64;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_in_numbers_do_not_slow_an_activation() {
    let (seconds, clients) = (
        volume("SOAK_FLOOD_SECONDS", 3),
        volume("SOAK_FLOOD_CLIENTS", 60),
    );
    let (deployment, server) = flooded(&[]).await;
    let links = activate_links(&deployment, &server, seconds * 4).await;
    let (pid, ends) = (
        server.pid().to_string(),
        Instant::now() + Duration::from_secs(seconds as u64),
    );
    let before = resident_kib(&pid);
    let flood: Vec<_> = (0..clients)
        .map(|number| {
            let url = server.url.clone();
            tokio::spawn(async move {
                let body =
                    json!({ "email": format!("nobody{number}@example.com"), "password": "wrong" });
                let (request, mut pipe) = (post("/v1/session", &body), Pipe::open(&url).await);
                let (mut hashed, mut refused, mut slowest) = (0, 0, Duration::ZERO);
                while Instant::now() < ends {
                    let began = Instant::now();
                    let said = pipe.ask(&request).await;
                    match said.status {
                        401 => hashed += 1,
                        503 => {
                            refused += 1;
                            slowest = slowest.max(began.elapsed());
                            sleep(Duration::from_millis(50)).await;
                        }
                        _ => panic!("{said:?}"),
                    }
                }
                (hashed, refused, slowest)
            })
        })
        .collect();
    sleep(Duration::from_millis(300)).await;
    let mut times = Vec::new();
    for link in &links {
        let (mut pipe, body) = (Pipe::open(&server.url).await, json!({ "token": link }));
        let began = Instant::now();
        let said = pipe.ask(&post("/v1/email-change/activate", &body)).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(said.status, 200, "{said:?}");
        sleep(Duration::from_millis(200)).await;
    }
    let (mut hashed, mut refused, mut slowest) = (0, 0, Duration::ZERO);
    for client in flood {
        let (one, other, slow) = client.await.expect("no panic");
        (hashed, refused, slowest) = (hashed + one, refused + other, slowest.max(slow));
    }
    let grown = before
        .zip(resident_kib(&pid))
        .map(|(before, now)| now.saturating_sub(before));
    assert!(hashed > 0 && refused > 0, "no flood: {hashed}, {refused}");
    let p99 = percentile(&mut times, 99);
    figure(format_args!(
        "flood of passwords: {clients} clients for {seconds} s, {hashed} hashed, {refused} refused within {:.2} s; {} activations, p99 {p99:.0} ms; memory +{} MiB",
        slowest.as_secs_f64(),
        times.len(),
        grown.unwrap_or_default() / 1024
    ));
    if seconds >= LASTS {
        assert!(
            p99 < ACTIVATION_P99_MS && slowest < REFUSAL,
            "p99 {p99} ms, a refusal took {slowest:?}"
        );
    }
    assert!(
        grown.is_none_or(|grown| grown < GROWTH_KIB),
        "{grown:?} KiB"
    );
    server.end("TERM").await;
    deployment.close().await;
}

/// Half a head, a head without its body, a body drop by drop, a word of HTTP/2 and then nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_no_use_is_closed() {
    let (rounds, many) = (
        volume("SOAK_SLOW_ROUNDS", 1),
        volume("SOAK_SLOW_CONNECTIONS", 200),
    );
    let (deployment, server) =
        flooded(&[("READDRESS_MAX_CONNECTIONS", &(many + 50).to_string())]).await;
    let links = activate_links(&deployment, &server, rounds).await;
    let pid = server.pid().to_string();
    let (before, mut most) = (resident_kib(&pid), None);
    let (began, mut slowest, mut times) = (Instant::now(), Duration::ZERO, Vec::new());
    // More at once than the kernel's queue holds are tried again a second later, and never all there.
    let gate = Arc::new(Semaphore::new(50));
    for link in &links {
        let slow: Vec<_> = (0..many)
            .map(|number| {
                let (url, gate) = (server.url.clone(), Arc::clone(&gate));
                tokio::spawn(async move {
                    let permit = gate.acquire().await;
                    let mut pipe = Pipe::open(&url).await;
                    drop(permit);
                    let opened = Instant::now();
                    let begins = [
                        "", "GET / HT", "POST /v1/session HTTP/1.1\r\nHost: x\r\nX-Drop: ",
                        "POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP",
                    ];
                    let kind = number % begins.len();
                    let _ = pipe.send(begins[kind]).await;
                    // Those that drip, drip until they are closed.
                    let mut drops = 0;
                    loop {
                        let drips = kind == 2 || kind == 3;
                        let wait = if drips { Duration::from_secs(1) } else { CLOSED + CLOSED };
                        if timeout(wait, pipe.read_to_end()).await.is_ok() {
                            return opened.elapsed();
                        }
                        drops += 1;
                        if drops > 40 || pipe.send("x").await.is_err() {
                            return opened.elapsed();
                        }
                    }
                })
            })
            .collect();
        // Meanwhile the others are served.
        sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        show(&server, "activate", link, "").await.ok(200);
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        most = most.max(resident_kib(&pid));
        for connection in slow {
            slowest = slowest.max(connection.await.expect("no panic"));
        }
    }
    assert!(slowest < CLOSED, "{slowest:?}");
    let grown = before
        .zip(most)
        .map(|(before, most)| most.saturating_sub(before));
    let each = grown.unwrap_or_default() / many as u64;
    assert!(each < SLOW_KIB, "{each} KiB for each connection");
    figure(format_args!(
        "slow connections: {rounds} times {many} in {:.0} s, the last closed after {:.1} s; an activation meanwhile at most {:.0} ms; memory +{each} KiB each",
        began.elapsed().as_secs_f64(),
        slowest.as_secs_f64(),
        percentile(&mut times, 100)
    ));
    server.end("TERM").await;
    deployment.close().await;
}

fn over_2(url: &str, path: &str, body: &serde_json::Value) -> hyper::Request<Full<Bytes>> {
    let request =
        hyper::Request::post(format!("{url}{path}")).header("Content-Type", "application/json");
    request
        .body(Full::from(body.to_string()))
        .expect("a request")
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame");
    let head = [
        &length.to_be_bytes()[1..],
        &[kind, flags],
        &stream.to_be_bytes(),
    ]
    .concat();
    [&head, payload].concat()
}

/// Preface and settings, then streams that are each opened (`GET /`, from the static table of HPACK)
/// and reset at once.
fn resets(count: u32) -> Vec<u8> {
    let (settings, headers, reset) = (4, 1, 3);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(settings, 0, 0, &[]));
    for number in 0..count {
        let stream = 2 * number + 1;
        bytes.extend(frame(headers, 0x5, stream, &[0x82, 0x86, 0x84]));
        bytes.extend(frame(reset, 0, stream, &8_u32.to_be_bytes()));
    }
    bytes
}

/// The error code of the GOAWAY among these frames.
fn goaway(mut frames: &[u8]) -> Option<u8> {
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(..length)?;
        if head[3] == 7 {
            return payload.get(7).copied();
        }
        frames = &rest[length..];
    }
    None
}

/// CVE-2023-44487: who opens streams and resets them is told to calm down (`ENHANCE_YOUR_CALM`), and
/// loses the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_reset_cost_their_sender_the_connection() {
    let connections = volume("SOAK_RESETS", 5);
    let (deployment, server) = flooded(&[]).await;
    let pid = server.pid().to_string();
    let before = resident_kib(&pid);
    for _ in 0..connections {
        let mut pipe = Pipe::open(&server.url).await;
        // It may be closed before all of it is sent: that is the point.
        let _ = pipe.send(resets(1_000)).await;
        let told = timeout(CLOSED, pipe.read_to_end()).await.expect("closed");
        assert_eq!(goaway(&told), Some(0xb), "{told:?}");
    }
    let asked = Instant::now();
    server.get("/healthz").await.ok(200);
    assert!(asked.elapsed() < REFUSAL, "{:?}", asked.elapsed());
    let grown = before
        .zip(resident_kib(&pid))
        .map(|(before, now)| now.saturating_sub(before));
    assert!(
        grown.is_none_or(|grown| grown < GROWTH_KIB),
        "{grown:?} KiB"
    );
    figure(format_args!(
        "rapid reset: {connections} connections of 1000 streams each, every one closed; memory +{} KiB",
        grown.unwrap_or_default()
    ));
    server.end("TERM").await;
    deployment.close().await;
}

/// Many passwords on one connection wait in the same lane as everybody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_passwords_on_one_connection_are_hashed_or_refused() {
    let (deployment, server) = flooded(&[]).await;
    let sender = over_http_2(&server.url).await;
    let asked = (0..200).map(|number| {
        let body = json!({ "email": format!("nobody{number}@example.com"), "password": "wrong" });
        let request = over_2(&server.url, "/v1/session", &body);
        let asked = sender.clone().send_request(request);
        async move {
            match asked.await {
                Ok(answer) => answer.status().as_u16().to_string(),
                // More streams than this client was told of when it began.
                Err(error) => format!("{error:?}"),
            }
        }
    });
    let began = Instant::now();
    let answers = join_all(asked).await;
    let count = |what: &str| {
        answers
            .iter()
            .filter(|answer| answer.contains(what))
            .count()
    };
    assert!(count("401") > 0);
    assert_eq!(
        count("401") + count("503") + count("REFUSED_STREAM"),
        200,
        "{answers:?}"
    );
    assert!(count("401") < 200, "nobody was refused");
    figure(format_args!(
        "200 passwords on one connection: {} hashed, {} refused, all answered in {:.1} s",
        count("401"),
        200 - count("401"),
        began.elapsed().as_secs_f64()
    ));
    server.get("/healthz").await.ok(200);
    server.end("TERM").await;
    deployment.close().await;
}

/// Who hangs up in the middle of a hash frees nothing early, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hangs_up_while_being_hashed_leaves_nothing_behind() {
    let rounds = volume("SOAK_DISCONNECTS", 3);
    let (deployment, server) = flooded(&[]).await;
    let pid = server.pid().to_string();
    let link = activate_links(&deployment, &server, 1).await.remove(0);
    let body = post(
        "/v1/session",
        &json!({ "email": "nobody@example.com", "password": "wrong" }),
    );
    let mut warm = None;
    for round in 0..rounds {
        let mut pipes = join_all((0..100).map(|_| Pipe::open(&server.url))).await;
        join_all(pipes.iter_mut().map(|pipe| pipe.send(&body))).await;
        sleep(Duration::from_millis(5)).await;
        drop(pipes);
        if round == rounds / 10 {
            warm = resident_kib(&pid);
        }
    }
    // The lane is free again as soon as what was begun is done.
    sleep(Duration::from_secs(2)).await;
    deployment.add("bob@example.com", &mut seeded()).await;
    sign_in(&server, "bob@example.com").await;
    assert_eq!(state_of(&server, &link).await, "usable");
    let grown = warm
        .zip(resident_kib(&pid))
        .map(|(warm, now)| now.saturating_sub(warm));
    assert!(
        grown.is_none_or(|grown| grown < GROWTH_KIB),
        "{grown:?} KiB"
    );
    figure(format_args!(
        "disconnects: {rounds} times 100 in mid-hash, memory +{} KiB",
        grown.unwrap_or_default()
    ));
    server.end("TERM").await;
    deployment.close().await;
}

/// Out of file descriptors: no busy loop, and everybody is served again once there are some.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_it_waits_and_does_not_spin() {
    let mut deployment = Deployment::on_sqlite().await;
    deployment.shell.wrap("ulimit -n 48;");
    let server = deployment.shell.start("serve").await;
    let pid = server.pid().to_string();
    let pipes = join_all((0..150).map(|_| Pipe::try_open(&server.url))).await;
    sleep(Duration::from_millis(500)).await;
    let before = cpu_ms(&pid);
    sleep(Duration::from_secs(2)).await;
    let spent = before.zip(cpu_ms(&pid)).map(|(before, now)| now - before);
    assert!(
        spent.is_none_or(|spent| spent < 500),
        "{spent:?} ms of processor time in 2 s of waiting"
    );
    drop(pipes);
    let mut pipe = timeout(CLOSED, Pipe::open(&server.url))
        .await
        .expect("in time");
    let healthy = timeout(CLOSED, pipe.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await
        .expect("in time");
    assert_eq!(healthy.status, 200);
    figure(format_args!(
        "file descriptors: none left for 2 s, {} ms of processor time",
        spent.unwrap_or_default()
    ));
    let (_, log) = server.end("TERM").await;
    assert!(log.contains("could not be accepted"), "{log}");
    deployment.close().await;
}
