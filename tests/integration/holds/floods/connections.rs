//! More connections than there is room for: in the queue of the system, and among file descriptors.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::{CLOSED, flooded};
use crate::holds::deployment::Deployment;
use crate::holds::pipe::Pipe;
use crate::holds::volume::{cpu_ms, figure};

/// Of processor time, in two seconds of waiting.
const IDLE_MS: u64 = 500;

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
        spent.is_none_or(|spent| spent < IDLE_MS),
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

/// The control: a busy loop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_spins_is_noticed() {
    let mut busy = Command::new("sh")
        .args(["-c", "while :; do :; done"])
        .stdin(Stdio::null())
        .spawn()
        .expect("a shell");
    let (pid, began) = (busy.id().to_string(), Instant::now());
    // Beside other tests it has not a processor to itself.
    while cpu_ms(&pid).is_some_and(|spent| spent < IDLE_MS) {
        assert!(began.elapsed() < CLOSED, "{:?}", cpu_ms(&pid));
        sleep(Duration::from_millis(100)).await;
    }
    busy.kill().and_then(|()| busy.wait()).expect("an end");
}

/// Three hundred connections at once; nothing if one is not let in before it would try again.
async fn burst(url: &str) -> Option<Vec<Pipe>> {
    let burst = (0..300).map(|_| Pipe::open(url));
    let let_in = timeout(Duration::from_millis(900), join_all(burst)).await;
    let_in.ok()
}

/// The control: the queue that a socket has if nobody asks for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_without_room_is_noticed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    assert!(burst(&url).await.is_none());
}

/// Whoever comes while the service has no time for them is not sent away: otherwise they would try
/// again a second later, and another two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_connections_finds_room_while_nobody_accepts_them() {
    let (deployment, server) = flooded(&[]).await;
    let signal = |name: &str| {
        let kill = format!("kill -{name} {}", server.pid());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.expect("a shell").success());
    };
    signal("STOP");
    let burst = burst(&server.url).await;
    signal("CONT");
    let mut burst = burst.expect("all of them are let in at once");
    let asked = burst
        .iter_mut()
        .map(|pipe| pipe.ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"));
    let answers = join_all(asked).await;
    assert!(answers.iter().all(|said| said.status == 200));
    server.end("TERM").await;
    deployment.close().await;
}
