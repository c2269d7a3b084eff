//! Clients that mean harm: who never reads, never asks, resets, lies about the host, or holds
//! places with bodies that never end.

use std::time::{Duration, Instant};

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{answer_to, exchange};
use crate::support::app::PASSWORD;
use crate::support::{Options, TestApp};

/// "Every slow connection closed within 15 s."
const PATIENCE: Duration = Duration::from_secs(15);

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.url.trim_start_matches("http://"))
        .await
        .expect("connects")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_cannot_be_read_is_a_problem_document_too() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let too_long = format!(
        "GET /healthz HTTP/1.1\r\nX: {}canary\r\n\r\n",
        "x".repeat(20_000)
    );
    for head in [
        "canary\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nno colon canary\r\n\r\n",
        "POST /v1/session HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /v1/session HTTP/1.1\r\nContent-Length: canary\r\n\r\n",
        &too_long,
    ] {
        let answer = exchange(&app.url, head.as_bytes()).await;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {answer:?}"));
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            head.contains("x-request-id: ") && head.contains("application/problem+json"),
            "{answer}"
        );
        assert!(
            head.contains("no-store") && head.contains("nosniff"),
            "{answer}"
        );
        let problem: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(problem["code"], "malformed_request");
        assert!(!answer.contains("canary"), "{answer}");
    }
    let two = exchange(
        &app.url,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n",
    )
    .await;
    assert!(
        two.starts_with("HTTP/1.1 200") && two.contains("malformed_request"),
        "{two}"
    );
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_the_answer_is_let_go() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let mut stream = connect(&app).await;
    // Without gzip, the page is larger than every buffer on the way.
    let ask = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20);
    stream.write_all(&ask).await.expect("sent");
    let since = Instant::now();
    // A write fails once the other side has closed; what it sends meanwhile stays unread.
    while stream.write_all(b" ").await.is_ok() {
        assert!(since.elapsed() < PATIENCE, "still open");
        sleep(Duration::from_millis(200)).await;
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_http_2_connection_that_only_answers_pings_is_let_go() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let io = TokioIo::new(connect(&app).await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io)
            .await
            .expect("a handshake");
    assert!(timeout(PATIENCE, connection).await.is_ok(), "still open");
    drop(sender);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_end_keep_nobody_from_being_answered() {
    let mut options = Options::default();
    options.server.max_connections = 1_000;
    let app = TestApp::on_sqlite(options).await;
    let ann = app.person("ann@example.com").await;
    let half = "POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let mut slow = Vec::new();
    for _ in 0..700 {
        let mut stream = connect(&app).await;
        stream.write_all(half.as_bytes()).await.expect("sent");
        slow.push(stream);
    }
    sleep(Duration::from_millis(300)).await;
    app.request(&ann.access, PASSWORD).await.ok(202);
    drop(slow);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_at_once_end_their_connection_and_nothing_else() {
    // CVE-2023-44487. Written by hand: a client library would not do it.
    const RESET: [u8; 13] = [0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 8];
    let app = TestApp::on_sqlite(Options::default()).await;
    let mut stream = connect(&app).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .expect("sent");
    stream
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .expect("sent");
    // GET http / with an authority of one letter, from the static table (RFC 7541, appendix A).
    let block = [0x82, 0x86, 0x84, 0x41, 0x01, b'x'];
    let mut flood = Vec::new();
    for number in 0..2_000_u32 {
        let id = (2 * number + 1).to_be_bytes();
        flood.extend([0, 0, 6, 1, 5]);
        flood.extend(id);
        flood.extend(block);
        flood.extend(&RESET[..5]);
        flood.extend(id);
        flood.extend(&RESET[9..]);
    }
    let (mut reader, mut writer) = stream.into_split();
    let write = tokio::spawn(async move {
        let _ = writer.write_all(&flood).await;
        sleep(PATIENCE).await;
    });
    let mut answer = Vec::new();
    let closed = timeout(Duration::from_secs(3), reader.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the connection is still open");
    write.abort();
    let goes_away = answer.windows(4).any(|frame| frame == [0, 0, 0, 11]);
    assert!(
        goes_away,
        "ENHANCE_YOUR_CALM (RFC 9113, section 7): {answer:?}"
    );
    answer_to(app.http.get(format!("{}/healthz", app.url)))
        .await
        .ok(200);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_to_the_application_whatever_host_a_request_names() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let post = app
        .http
        .post(format!("{}/v1/email-change/request", app.url))
        .header("Authorization", format!("Bearer {}", ann.access))
        .header("Content-Type", "application/json")
        .header("Host", "evil.example")
        .header("X-Forwarded-Host", "evil.example")
        .header("Forwarded", "host=evil.example;proto=http")
        .header("Origin", "https://evil.example")
        .header("Referer", "https://evil.example/")
        .body(json!({ "password": PASSWORD }).to_string());
    app.receive(post, "POST", "/v1/email-change/request")
        .await
        .ok(202);
    let mail = app.mail_to("ann@example.com");
    assert!(
        !mail.raw.contains("evil") && !mail.text.contains("evil") && !mail.html.contains("evil"),
        "{}",
        mail.raw
    );
    mail.token("new-email");
    app.close().await;
}
