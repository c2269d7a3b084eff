//! Streams of HTTP/2 in numbers. Those that are opened and reset at once (CVE-2023-44487): their sender
//! is told to calm down (`ENHANCE_YOUR_CALM`) and loses the connection. Those whose bodies do not come,
//! or whose answers are not read: what they hold is bounded.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{
    CLOSED, Growth, LASTS, REFUSAL, activate_links, activations, activations_throughout, flooded,
    naive, p99,
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

/// As many streams as a connection may have.
const STREAMS: u32 = 64;
/// Bodies that are read at once, beyond one a connection.
const READ_BESIDE: usize = 512;
/// What such a connection may hold with all of its answers unread: of each, what is left of a request.
const UNREAD_KIB: u64 = 512;
const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// A connection that asks for that path as often as it may at once, with no room for the answers;
/// without the bodies, if it says that there are any.
async fn ask_for(url: &str, method: u8, path: &str) -> TcpStream {
    let (settings, no_window) = (4, [0, 4, 0, 0, 0, 0]);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(settings, 0, 0, &no_window));
    for number in 0..STREAMS {
        // HPACK: method and scheme from the static table, authority and path as they are.
        let mut block = vec![method, 0x86, 0x01, 1, b'x', 0x04];
        block.push(u8::try_from(path.len()).expect("a short path"));
        block.extend(path.as_bytes());
        let (headers, ended) = (1, u8::from(method == GET));
        bytes.extend(frame(headers, 0x4 | ended, 2 * number + 1, &block));
    }
    let stream = TcpStream::connect(url.trim_start_matches("http://")).await;
    let mut stream = stream.expect("connects");
    stream.write_all(&bytes).await.expect("sent");
    stream
}

/// How many answers begin, until there are that many or it is that late.
async fn answers(stream: &mut TcpStream, most: usize, until: Instant) -> usize {
    let (mut begun, headers) = (0, 1);
    let reading = async {
        let mut head = [0; 9];
        while begun < most && stream.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.expect("whole");
            begun += usize::from(head[3] == headers);
        }
    };
    let _ = timeout(until.saturating_duration_since(Instant::now()), reading).await;
    begun
}

/// The same on all of these connections together.
async fn answers_of_all(streams: &mut [TcpStream], until: Instant) -> usize {
    let all = streams
        .iter_mut()
        .map(|stream| answers(stream, STREAMS as usize, until));
    join_all(all).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_hold_no_memory() {
    let connections = volume("SOAK_UNREAD", 20);
    let (deployment, server) = flooded(&[]).await;
    server.get("/openapi.json").await.ok(200);
    let growth = Growth::of(&server);
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(ask_for(&server.url, GET, "/openapi.json").await);
    }
    let begun = answers_of_all(&mut streams, Instant::now() + CLOSED).await;
    assert_eq!(begun, connections * STREAMS as usize);
    let each = growth.kib() / connections as u64;
    assert!(each < UNREAD_KIB, "{each} KiB for each connection");
    figure(format_args!(
        "unread answers: {begun} of 140 KB on {connections} connections; memory +{each} KiB each"
    ));
    drop(streams);
    server.end("TERM").await;
    deployment.close().await;
}

/// Of one body a connection, and [`READ_BESIDE`] more, there is an end: the others are refused at
/// once, and those in time. Whoever sends no body, or is alone on their connection, is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_come_are_bounded_and_keep_nobody_from_being_answered() {
    let connections = 20;
    let (deployment, server) = flooded(&[]).await;
    let links = activate_links(&deployment, &server, 5).await;
    let growth = Growth::of(&server);
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(ask_for(&server.url, POST, "/v1/email-change/cancel").await);
    }
    let asked = connections * STREAMS as usize;
    // All of the others are given up after 5 s.
    let (given_up, began) = (connections + READ_BESIDE, Instant::now());
    let refused = answers_of_all(&mut streams, began + Duration::from_millis(2_500)).await;
    let times = activations(&server.url, &links, Duration::ZERO).await;
    let mut bodiless = ask_for(&server.url, GET, "/healthz").await;
    let answered = answers(&mut bodiless, STREAMS as usize, Instant::now() + CLOSED).await;
    let too_late = answers_of_all(&mut streams, began + Duration::from_secs(9)).await;
    assert_eq!((refused, too_late), (asked - given_up, given_up));
    assert_eq!(answered, STREAMS as usize, "without a body");
    figure(format_args!(
        "missing bodies: {asked} on {connections} connections, {refused} refused at once; {} activations, p99 {:.0} ms; memory +{} KiB",
        times.len(),
        p99(times, false),
        growth.bounded()
    ));
    server.end("TERM").await;
    deployment.close().await;
}
