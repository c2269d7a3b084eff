//! Traces over OTLP: the real binary, built with the feature `otel`, and a collector that keeps what
//! it is sent. Run by `make test-traces`.

#![cfg(feature = "otel")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "integration/holds/canaries.rs"]
#[allow(dead_code, reason = "the other tests use more of it")]
mod canaries;

use std::convert::Infallible;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const PASSWORD: &str = "correct horse battery staple";
const DEMO: &str = "demo@example.com";
/// In everything that must not be sent.
const CANARY: &str = "canary-7f3a";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const UNSAMPLED: &str = "5bf92f3577b34da6a3ce929d0e0e4737";

/// Everything that was posted to it.
type Kept = Arc<Mutex<Vec<u8>>>;

async fn collector() -> (String, Kept) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let kept = Kept::default();
    let keeping = Arc::clone(&kept);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Arc::clone(&keeping);
            let keep = service_fn(move |request: Request<Incoming>| {
                let kept = Arc::clone(&kept);
                async move {
                    assert_eq!(request.uri(), "/v1/traces");
                    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                    let body = request.into_body().collect().await.expect("a body");
                    kept.lock().expect("not poisoned").extend(body.to_bytes());
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), keep));
        }
    });
    (url, kept)
}

async fn start(folder: &TempDir, collector: &str) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_readdress"))
        .arg("dev")
        .current_dir(folder.path())
        .env_clear()
        .env("READDRESS_LISTEN", "127.0.0.1:0")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("RUST_LOG", "off")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let said = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("a greeting");
            if let Some(at) = line.find("http://127.0.0.1:") {
                return line[at..]
                    .split(['/', ' '])
                    .nth(2)
                    .expect("an address")
                    .to_owned();
            }
        }
    };
    let address = timeout(Duration::from_secs(30), said)
        .await
        .expect("in time");
    // Whoever greets on goes on being listened to.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, format!("http://{address}"))
}

/// Ends it as an operator would, which sends what was not sent yet.
async fn end(mut server: Child) {
    let pid = server.id().expect("it runs").to_string();
    let kill = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(kill.expect("a command").success());
    let ended = timeout(Duration::from_secs(15), server.wait()).await;
    assert_eq!(ended.expect("in time").expect("an end").code(), Some(0));
}

fn has(kept: &[u8], part: &[u8]) -> bool {
    kept.windows(part.len()).any(|window| window == part)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex
        .as_bytes()
        .chunks(2)
        .map(|two| std::str::from_utf8(two).expect("ASCII"));
    digits
        .map(|two| u8::from_str_radix(two, 16).expect("hex"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_a_span_of_its_callers_trace_and_says_nothing_secret() {
    let (collector, kept) = collector().await;
    let folder = TempDir::new().expect("a folder");
    let (server, url) = start(&folder, &collector).await;
    let http = reqwest::Client::new();
    let post = async |path: &str, trace: &str, access: Option<&str>, body: Value| {
        let mut request = http
            .post(format!("{url}{path}"))
            .header("traceparent", trace)
            .header("content-type", "application/json");
        if let Some(access) = access {
            request = request.header("authorization", format!("Bearer {access}"));
        }
        let answer = request
            .body(body.to_string())
            .send()
            .await
            .expect("an answer");
        let text = answer.text().await.expect("a body");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let session = json!({ "email": DEMO, "password": PASSWORD });
    let session = post("/v1/session", &sampled, None, session).await;
    let access = session["access_token"].as_str().expect("a token");
    let request = "/v1/email-change/request";
    let body = json!({ "password": PASSWORD });
    post(
        request,
        &format!("00-{UNSAMPLED}-{PARENT}-00"),
        Some(access),
        body,
    )
    .await;
    let wrong = json!({ "password": CANARY });
    let refused = post(request, "none", Some(access), wrong).await;
    assert_eq!(refused["code"], "wrong_password");
    let forged =
        json!({ "token": CANARY, "password": CANARY, "new_email": "canary-7f3a@example.org" });
    post("/v1/email-change/confirm", &sampled, Some(CANARY), forged).await;
    post(
        &format!("/v1/{CANARY}?token={CANARY}"),
        CANARY,
        None,
        json!({}),
    )
    .await;

    end(server).await;

    let kept = kept.lock().expect("not poisoned").clone();
    for part in [
        "readdress",
        "request",
        "signIn",
        "session.created",
        "email_change.refused",
        "wrong_password",
    ] {
        assert!(
            has(&kept, part.as_bytes()),
            "no {part} in {} bytes",
            kept.len()
        );
    }
    // Field 5 is the name, 6 the kind, of which 2 is `server` (opentelemetry/proto/trace/v1).
    assert!(has(&kept, b"\x2a\x06signIn\x30\x02"), "named and served");
    assert!(has(&kept, b"\x0a\x04code\x12"), "how it was answered");
    assert!(has(&kept, &bytes(TRACE)), "the caller's trace goes on");
    assert!(has(&kept, &bytes(PARENT)), "and its span is the parent");
    let own = refused["request_id"]
        .as_str()
        .expect("an id")
        .replace('-', "");
    assert!(
        has(&kept, &bytes(&own)),
        "a trace that begins here is named after its request"
    );
    assert!(
        !has(&kept, &bytes(UNSAMPLED)),
        "what the caller does not record is not recorded"
    );
    let claims = access.split('.').nth(1).expect("claims");
    for secret in [PASSWORD, DEMO, CANARY, access, claims] {
        assert!(!has(&kept, secret.as_bytes()), "{secret} was sent");
    }
}

/// The newest link to that page, as the mailbox shows it.
async fn token(http: &reqwest::Client, url: &str, page: &str) -> String {
    let start = format!("/{page}?token=");
    for _ in 0..100 {
        let list = get(http, &format!("{url}/dev/mailbox")).await;
        for entry in list.split("<li><a href=\"").skip(1) {
            let path = entry.split('"').next().expect("a path");
            let mail = get(http, &format!("{url}{path}")).await;
            let mail = mail.replace("&#x2f;", "/").replace("&#61;", "=");
            if let Some((_, token)) = mail.split_once(&start) {
                let is_end =
                    |letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter);
                return token.split(is_end).next().expect("a token").to_owned();
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no link to {page}");
}

async fn get(http: &reqwest::Client, url: &str) -> String {
    let answer = http.get(url).send().await.expect("an answer");
    answer.text().await.expect("a body")
}

/// Every step, with everything that is secret in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_change_and_its_undo_are_traced_without_a_secret() {
    let (collector, kept) = collector().await;
    let folder = TempDir::new().expect("a folder");
    let (server, url) = start(&folder, &collector).await;
    let http = reqwest::Client::new();
    let mut canaries = canaries::Canaries::default();
    let new = "secret-canary-of-an-address@new.example";
    for secret in [
        PASSWORD,
        DEMO,
        "demo@example",
        "secret-canary-of-an-address",
    ] {
        canaries.add("a password or an address", secret);
    }
    let post = async |path: &str, access: Option<&str>, body: Value| {
        let request = http
            .post(format!("{url}/v1/{path}"))
            .header("content-type", "application/json");
        let request = match access {
            Some(access) => request.header("authorization", format!("Bearer {access}")),
            None => request,
        };
        let answer = request.body(body.to_string()).send().await;
        let answer = answer.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let text = answer.text().await.expect("a body");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let mut secret = |token: &str| {
        for part in token.split('.').skip(1) {
            canaries.add("a token", part);
        }
    };
    let session = json!({ "email": DEMO, "password": PASSWORD });
    let session = post("session", None, session).await;
    let access = session["access_token"].as_str().expect("a token");
    secret(access);
    let password = json!({ "password": PASSWORD });
    post("email-change/request", Some(access), password.clone()).await;
    let cancel = token(&http, &url, "cancel-email-change").await;
    secret(&cancel);
    post("email-change/cancel", None, json!({ "token": cancel })).await;
    post("email-change/request", Some(access), password).await;
    let confirm = token(&http, &url, "new-email").await;
    secret(&confirm);
    let body = json!({ "token": confirm, "password": PASSWORD, "new_email": new });
    post("email-change/confirm", None, body).await;
    let activate = token(&http, &url, "email-activation").await;
    secret(&activate);
    post("email-change/activate", None, json!({ "token": activate })).await;
    let undo = token(&http, &url, "undo-email-change").await;
    secret(&undo);
    let body = json!({ "token": undo, "password": PASSWORD });
    post("email-change/undo", None, body).await;
    end(server).await;

    let kept = kept.lock().expect("not poisoned").clone();
    for step in ["requested", "confirmed", "activated", "cancelled", "undone"] {
        let event = format!("email_change.{step}");
        assert!(has(&kept, event.as_bytes()), "no {event}");
    }
    let sent = String::from_utf8_lossy(&kept);
    assert_eq!(canaries.found_in(&sent), [""; 0]);
}
