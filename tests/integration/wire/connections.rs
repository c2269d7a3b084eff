//! Connections: what is too large, too slow or too much, HTTP/2, and the end.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Answer, answer_to, exchange, operations};
use crate::support::app::{PASSWORD, at_once};
use crate::support::{Fault, Options, TestApp};

const KIB: usize = 1024;
/// The longest that anybody who says nothing is waited for, with room for a busy machine.
const PATIENCE: Duration = Duration::from_millis(7_500);

fn head(path: &str, more: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: readdress\r\nConnection: close\r\nContent-Type: application/json\r\n{more}\r\n"
    )
}

fn with_length(path: &str, body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", body.len());
    [head(path, &length).as_bytes(), body.as_bytes()].concat()
}

fn chunked(path: &str, body: &str) -> Vec<u8> {
    let mut bytes = head(path, "Transfer-Encoding: chunked\r\n").into_bytes();
    for chunk in body.as_bytes().chunks(4_000) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Status and body of an answer as it came over the socket.
#[track_caller]
fn parse(answer: &str) -> (u16, Value) {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).expect("a status line");
    assert!(head.to_lowercase().contains("x-request-id: "), "{head}");
    (
        status.parse().expect("a status"),
        serde_json::from_str(body).unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_16_kib_is_refused_and_its_sender_is_told() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    for operation in &operations {
        for length in [16 * KIB + 1, 17 * KIB, 64 * KIB, KIB * KIB, 2 * KIB * KIB] {
            let good = operation.body();
            let body = format!("{good}{}", " ".repeat(length - good.len()));
            for bytes in [
                with_length(operation.path, &body),
                chunked(operation.path, &body),
            ] {
                let (status, problem) = parse(&exchange(&app.url, &bytes).await);
                assert_eq!(
                    (status, &problem["code"]),
                    (413, &json!("payload_too_large")),
                    "{length} {}",
                    operation.path
                );
            }
        }
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_exactly_16_kib_is_read() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let inspect = operations(&app).await.pop().expect("an operation");
    let good = inspect.body();
    let body = format!("{good}{}", " ".repeat(16 * KIB - good.len()));
    for bytes in [
        with_length(inspect.path, &body),
        chunked(inspect.path, &body),
    ] {
        let (status, link) = parse(&exchange(&app.url, &bytes).await);
        assert_eq!((status, &link["state"]), (200, &json!("usable")));
    }
    app.close().await;
}

/// Somebody slow: writes each part and waits after it, until the other side closes.
struct Slow {
    what: &'static str,
    parts: Vec<(Vec<u8>, Duration)>,
    /// What must be answered before that.
    status: Option<u16>,
    /// When it must be over.
    within: Duration,
}

fn slow(what: &'static str, status: Option<u16>, parts: &[&str]) -> Slow {
    let parts = parts
        .iter()
        .map(|part| (part.as_bytes().to_vec(), Duration::ZERO));
    Slow {
        what,
        parts: parts.collect(),
        status,
        within: PATIENCE,
    }
}

fn dripping(what: &'static str, status: Option<u16>, start: &str, drop: &str) -> Slow {
    let mut slow = slow(what, status, &[start]);
    for _ in 0..60 {
        slow.parts
            .push((drop.as_bytes().to_vec(), Duration::from_millis(300)));
    }
    slow
}

/// What came back, and when the other side closed; nothing if it did not.
async fn patience_with(url: &str, slow: &Slow) -> (String, Option<Duration>) {
    let stream = TcpStream::connect(url.trim_start_matches("http://"))
        .await
        .expect("connects");
    let (mut reader, mut writer) = stream.into_split();
    let since = Instant::now();
    let mut answer = Vec::new();
    let write = async {
        for (part, wait) in &slow.parts {
            if writer.write_all(part).await.is_err() {
                break;
            }
            sleep(*wait).await;
        }
        std::future::pending::<()>().await;
    };
    let read = timeout(Duration::from_secs(12), reader.read_to_end(&mut answer));
    let closed = tokio::select! {
        // A reset is an end as well.
        read = read => read.is_ok().then(|| since.elapsed()),
        () = write => None,
    };
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_waited_for_longer_than_a_few_seconds() {
    const LONG: &str = "Content-Length: 1000\r\n";
    let app = TestApp::on_sqlite(Options::default()).await;
    let activate = |more: &str| head("/v1/email-change/activate", more);
    let cases = [
        slow("nothing", None, &[]),
        slow("one byte of anything", None, &["G"]),
        slow("one byte that HTTP/2 begins with too", None, &["P"]),
        slow("half a method that HTTP/2 begins with too", None, &["PR"]),
        slow("half an HTTP/2 preface", None, &["PRI * HTTP/2.0\r\n"]),
        Slow {
            // One ping, and the wait for its answer.
            within: PATIENCE + Duration::from_secs(4),
            ..slow("an HTTP/2 preface and no more", None, &[PREFACE])
        },
        slow(
            "half a head",
            None,
            &["POST /v1/session HTTP/1.1\r\nHost: x\r\n"],
        ),
        dripping(
            "a head in drops",
            None,
            "POST /v1/session HTTP/1.1\r\nX: ",
            "x",
        ),
        slow("a head without its body", Some(408), &[&activate(LONG)]),
        slow(
            "half a body",
            Some(408),
            &[&activate(LONG), "{\"token\":\"canary"],
        ),
        dripping("a body in drops", Some(408), &activate(LONG), " "),
        dripping(
            "a chunked body in drops",
            Some(408),
            &activate("Transfer-Encoding: chunked\r\n"),
            "1\r\n \r\n",
        ),
        slow(
            "a keep-alive connection",
            Some(200),
            &["GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"],
        ),
    ];
    let url = &app.url;
    let all = cases
        .iter()
        .map(|slow| async move { (slow, patience_with(url, slow).await) });
    let mut wrong = Vec::new();
    for (slow, (answer, closed)) in futures_util::future::join_all(all).await {
        match closed {
            Some(after) if after < slow.within => {}
            closed => wrong.push(format!("{}: closed after {closed:?}", slow.what)),
        }
        if let Some(expected) = slow.status {
            let (status, body) = parse(&answer);
            if status != expected || (status == 408 && body["code"] != "request_timeout") {
                wrong.push(format!("{}: {answer}", slow.what));
            }
        }
        assert!(!answer.contains("canary"), "{answer}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_that_stalls_is_answered_all_the_same() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let stalls = head("/v1/session", "Content-Length: 1048576\r\n") + &" ".repeat(17 * KIB);
    let (answer, closed) = patience_with(&app.url, &slow("a large body", None, &[&stalls])).await;
    let (status, _) = parse(&answer);
    assert!([408, 413].contains(&status), "{answer}");
    assert!(closed.is_some_and(|after| after < PATIENCE), "{closed:?}");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_passwords_is_refused_fast_and_leaves_the_rest_alone() {
    let app = TestApp::on_sqlite(Options {
        password_threads: 1,
        ..Options::default()
    })
    .await;
    app.add_user("ann@example.com", PASSWORD).await;
    let body = json!({ "email": "ann@example.com", "password": "guess" }).to_string();
    let flood = at_once(120, |_| {
        let post = app
            .http
            .post(format!("{}/v1/session", app.url))
            .body(body.clone());
        let post = post.header("Content-Type", "application/json");
        async move {
            let since = Instant::now();
            (answer_to(post).await, since.elapsed())
        }
    });
    let health = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let since = Instant::now();
            answer_to(app.http.get(format!("{}/healthz", app.url)))
                .await
                .ok(200);
            slowest = slowest.max(since.elapsed());
            sleep(Duration::from_millis(10)).await;
        }
        slowest
    };
    let (answers, slowest) = tokio::join!(flood, health);
    assert!(slowest < Duration::from_secs(2), "health took {slowest:?}");
    let (mut refused, mut soon, mut checked) = (0, 0, 0);
    for (answer, took) in &answers {
        assert!(*took < Duration::from_secs(3), "{took:?}: {}", answer.text);
        if answer.status.as_u16() == 503 {
            answer.problem(503, "overloaded");
            assert!(answer.retry_after() >= 1);
            refused += 1;
            soon += usize::from(*took < Duration::from_secs(1));
        } else {
            answer.problem(401, "unauthenticated");
            checked += 1;
        }
    }
    assert!(
        refused > 0 && checked > 0,
        "{refused} refused, {checked} checked"
    );
    assert!(
        soon >= 20,
        "{soon} of {refused} are told before a second is over"
    );
    app.sign_in("ann@example.com", PASSWORD).await.ok(200);
    app.close().await;
}

/// A connection of HTTP/2 with prior knowledge.
pub(crate) async fn over_http_2(url: &str) -> SendRequest<Full<Bytes>> {
    let address = url.trim_start_matches("http://");
    let stream = TcpStream::connect(address).await.expect("connects");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    sender
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_spoken_with_prior_knowledge() {
    let app = TestApp::on_sqlite(Options::default()).await;
    app.add_user("ann@example.com", PASSWORD).await;
    let mut sender = over_http_2(&app.url).await;
    let post = |body: Value| {
        let request = hyper::Request::post(format!("{}/v1/session", app.url))
            .header("Content-Type", "application/json");
        request
            .body(Full::<Bytes>::from(body.to_string()))
            .expect("a request")
    };
    let good = sender.send_request(post(
        json!({ "email": "ann@example.com", "password": PASSWORD }),
    ));
    let bad = sender.send_request(post(
        json!({ "email": "ann@example.com", "password": PASSWORD, "more": 1 }),
    ));
    let (good, bad) = tokio::join!(good, bad);
    let (good, bad) = (good.expect("an answer"), bad.expect("an answer"));
    assert_eq!(
        (good.version(), good.status().as_u16()),
        (hyper::Version::HTTP_2, 200)
    );
    assert_eq!(
        (bad.status().as_u16(), &bad.headers()["content-type"]),
        (400, &"application/problem+json".parse().expect("a header"))
    );
    let session = good.into_body().collect().await.expect("a body").to_bytes();
    let session: Value = serde_json::from_slice(&session).expect("JSON");
    assert_eq!(session["token_type"], "Bearer");
    let too_large = sender.send_request(post(
        json!({ "email": " ".repeat(17 * KIB), "password": "" }),
    ));
    assert_eq!(too_large.await.expect("an answer").status().as_u16(), 413);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_what_is_in_flight_is_answered_and_nobody_new_is_let_in() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let (address, sink) = (
        app.url.trim_start_matches("http://").to_owned(),
        app.smtp.clone(),
    );
    let mut half_open = TcpStream::connect(&address).await.expect("connects");
    half_open
        .write_all(b"POST /v1/session HTTP/1.1\r\n")
        .await
        .expect("taken");
    sink.fault(Fault::Slow(Duration::from_millis(1_500)));
    let post = app
        .http
        .post(format!("{}/v1/email-change/request", app.url));
    let post = post
        .header("Content-Type", "application/json")
        .header("Authorization", format!("Bearer {}", ann.access))
        .body(json!({ "password": PASSWORD }).to_string());
    let in_flight = tokio::spawn(answer_to(post));
    while sink.connections() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let since = Instant::now();
    let late = tokio::spawn(async move {
        sleep(Duration::from_millis(500)).await;
        TcpStream::connect(&address).await.map(|_| ())
    });
    app.close().await;
    let took = since.elapsed();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(10),
        "{took:?}"
    );
    let answer: Answer = in_flight.await.expect("no panic");
    assert_eq!(answer.ok(202)["sent_to"], "a***@example.com");
    assert_eq!(sink.received().len(), 1);
    let late = late.await.expect("no panic").expect_err("nobody is let in");
    assert_eq!(late.kind(), std::io::ErrorKind::ConnectionRefused);
}
