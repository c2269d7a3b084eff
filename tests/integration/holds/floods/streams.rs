//! Streams that are opened and reset at once (CVE-2023-44487): their sender is told to calm down
//! (`ENHANCE_YOUR_CALM`) and loses the connection.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{
    CLOSED, Growth, LASTS, REFUSAL, activate_links, activations_throughout, flooded, naive, p99,
};
use crate::holds::pipe::Pipe;
use crate::holds::volume::{figure, volume};

/// RFC 9113, section 7.
const ENHANCE_YOUR_CALM: u8 = 0xb;

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

/// Resets a thousand streams on a connection of its own. What is said when that is closed; nothing if
/// it is not, by then.
async fn told(url: &str, by_then: Duration) -> Option<Vec<u8>> {
    let mut pipe = Pipe::open(url).await;
    // It may be closed before all of it is sent: that is the point.
    let _ = pipe.send(resets(1_000)).await;
    timeout(by_then, pipe.read_to_end()).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_opened_and_reset_cost_their_sender_the_connection() {
    let connections = volume("SOAK_RESETS", 5);
    let (deployment, server) = flooded(&[]).await;
    let links = activate_links(&deployment, &server, connections.min(100)).await;
    let (growth, began) = (Growth::of(&server), Instant::now());
    let times = activations_throughout(&server.url, &links, connections, async |_| {
        let told = told(&server.url, CLOSED).await.expect("closed");
        assert_eq!(goaway(&told), Some(ENHANCE_YOUR_CALM), "{told:?}");
    })
    .await;
    let took = began.elapsed();
    let asked = Instant::now();
    server.get("/healthz").await.ok(200);
    assert!(asked.elapsed() < REFUSAL, "{:?}", asked.elapsed());
    figure(format_args!(
        "rapid reset: {connections} connections of 1000 streams each in {:.1} s, every one closed; {} activations, p99 {:.0} ms; memory +{} KiB",
        took.as_secs_f64(),
        times.len(),
        p99(times, connections >= LASTS),
        growth.bounded()
    ));
    server.end("TERM").await;
    deployment.close().await;
}

/// The control.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_puts_up_with_it_is_noticed() {
    let url = naive::start();
    let mut pipe = Pipe::open(&url).await;
    let served = pipe.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(served.status, 200);
    let told = told(&url, Duration::from_secs(2)).await;
    assert_eq!(told, None, "it is left open");
}
