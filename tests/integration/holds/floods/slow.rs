//! Connections of no use: half a head, a head without its body, a body drop by drop, a word of HTTP/2
//! and then nothing. Each is closed before long, and nobody waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{CLOSED, Growth, LASTS, activate_links, activations, flooded, naive, p99};
use crate::holds::pipe::Pipe;
use crate::holds::volume::{figure, open_files, volume};

/// What such a connection may hold, the garbage of the allocator among it.
const SLOW_KIB: u64 = 64;
/// How each begins; two of them drip.
const BEGINS: [&str; 6] = [
    "",
    "GET / HT",
    "POST /v1/session HTTP/1.1\r\nHost: x\r\nX-Drop: ",
    "POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "PRI * HTTP",
];
const DRIPS: [usize; 2] = [2, 3];

/// How long such a connection is left open; looked at for as long as it may be.
async fn lasts(mut pipe: Pipe, kind: usize) -> Duration {
    let opened = Instant::now();
    let _ = pipe.send(BEGINS[kind]).await;
    let pause = if DRIPS.contains(&kind) {
        Duration::from_secs(1)
    } else {
        CLOSED
    };
    while opened.elapsed() < CLOSED {
        if timeout(pause, pipe.read_to_end()).await.is_ok() || pipe.send("x").await.is_err() {
            break;
        }
    }
    opened.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_no_use_is_closed() {
    let (rounds, many) = (
        volume("SOAK_SLOW_ROUNDS", 1),
        volume("SOAK_SLOW_CONNECTIONS", 200),
    );
    let (deployment, server) =
        flooded(&[("READDRESS_MAX_CONNECTIONS", &(many + 50).to_string())]).await;
    // Ten for each round, in the seconds in which it is full.
    let links = activate_links(&deployment, &server, rounds * 10).await;
    let (growth, mut open_at_once) = (Growth::of(&server), many);
    let own = open_files(&server.pid().to_string());
    let (began, mut slowest, mut times) = (Instant::now(), Duration::ZERO, Vec::new());
    // A client that makes ten thousand at once is the one that has no time for them.
    let gate = Arc::new(Semaphore::new(500));
    for links in links.chunks(10) {
        let slow: Vec<_> = (0..many)
            .map(|number| {
                let (url, gate) = (server.url.clone(), Arc::clone(&gate));
                tokio::spawn(async move {
                    let permit = gate.acquire().await;
                    let pipe = Pipe::open(&url).await;
                    drop(permit);
                    lasts(pipe, number % BEGINS.len()).await
                })
            })
            .collect();
        // Until all of them are open, or the first are given up.
        let full = Instant::now();
        let mut open_now = 0;
        while open_now < many && full.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(50)).await;
            let open = own.zip(open_files(&server.pid().to_string()));
            open_now = open.map_or(many, |(own, open)| open_now.max(open.saturating_sub(own)));
        }
        open_at_once = open_at_once.min(open_now);
        times.extend(activations(&server.url, links, Duration::from_millis(200)).await);
        for connection in slow {
            slowest = slowest.max(connection.await.expect("no panic"));
        }
    }
    assert!(slowest < CLOSED, "{slowest:?}");
    // But for what else was open at first, and is not any more.
    assert!(open_at_once + 5 >= many, "{open_at_once} were open at once");
    let each = growth.kib() / many as u64;
    assert!(each < SLOW_KIB, "{each} KiB for each connection");
    figure(format_args!(
        "slow connections: {rounds} times {many} in {:.0} s, {open_at_once} at least open at once, the last closed after {:.1} s; {} activations meanwhile, p99 {:.0} ms; memory +{each} KiB each",
        began.elapsed().as_secs_f64(),
        slowest.as_secs_f64(),
        times.len(),
        p99(times, rounds >= LASTS),
    ));
    server.end("TERM").await;
    deployment.close().await;
}

/// The control.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_left_open_is_noticed() {
    let url = naive::start();
    let all = (0..BEGINS.len()).map(|kind| {
        let url = &url;
        async move { lasts(Pipe::open(url).await, kind).await }
    });
    for (kind, lasted) in join_all(all).await.into_iter().enumerate() {
        assert!(lasted >= CLOSED, "{:?}: {lasted:?}", BEGINS[kind]);
    }
}
