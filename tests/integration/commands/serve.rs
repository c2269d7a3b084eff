//! `readdress serve` and `readdress health`.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::Full;
use readdress::clock::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{CANARY, Fresh, assert_good, assert_refused, on_every_database};
use crate::support::app::PASSWORD;
use crate::support::forge;
use crate::support::key_server::{KeyServer, Serves};
use crate::support::process::{Running, Shell};
use crate::support::smtp::SmtpSink;
use crate::support::{Answer, Fault, Received};
use crate::wire::over_http_2;

const REQUIRED: [&str; 5] = [
    "READDRESS_SECRET_KEYS",
    "READDRESS_APP_URL",
    "READDRESS_DATABASE_URL",
    "READDRESS_SMTP_URL",
    "READDRESS_MAIL_FROM",
];
const ANN: &str = "ann@example.com";
const NEW: &str = "ann@new.example";

async fn mails_after(sink: &SmtpSink, count: usize) -> Vec<Received> {
    for _ in 0..500 {
        if sink.received().len() >= count {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let mails = sink.received();
    assert_eq!(
        mails.len(),
        count,
        "{:?}",
        mails.iter().map(|mail| &mail.subject).collect::<Vec<_>>()
    );
    mails
}

/// The whole change and back again; every secret that was met on the way.
async fn walk(server: &Running, sink: &SmtpSink) -> Vec<String> {
    let post = |step: &'static str, access: Option<String>, body| async move {
        server
            .post(&format!("/v1/email-change/{step}"), access.as_deref(), body)
            .await
    };
    let session = server
        .post(
            "/v1/session",
            None,
            json!({ "email": "Ann@example.com", "password": PASSWORD }),
        )
        .await;
    session.ok(200);
    let access = session.field("access_token").to_owned();
    let request = || {
        post(
            "request",
            Some(access.clone()),
            json!({ "password": PASSWORD }),
        )
    };
    assert_eq!(request().await.ok(202)["sent_to"], "a***@example.com");
    let first = mails_after(sink, 1).await.remove(0);
    let (confirm, cancel) = (first.token("new-email"), first.token("cancel-email-change"));
    let body = json!({ "token": confirm, "password": PASSWORD, "new_email": "Ann@New.Example" });
    assert_eq!(post("confirm", None, body).await.ok(202)["sent_to"], NEW);
    let second = mails_after(sink, 2).await.remove(1);
    let activate = second.token("email-activation");
    assert_eq!(
        post("inspect", None, json!({ "token": activate }))
            .await
            .ok(200)["new_email"],
        NEW
    );
    for status in ["activated", "already_active"] {
        let activated = post("activate", None, json!({ "token": activate })).await;
        assert_eq!(
            activated.ok(200),
            &json!({ "status": status, "email": NEW })
        );
    }
    let notice = mails_after(sink, 4).await.remove(2);
    assert_eq!((notice.to.as_str(), second.to.as_str()), (ANN, NEW));
    let undo = notice.token("undo-email-change");
    let undone = post("undo", None, json!({ "token": undo, "password": PASSWORD })).await;
    assert_eq!(undone.ok(200), &json!({ "status": "undone", "email": ANN }));
    mails_after(sink, 5).await;
    request().await.ok(202);
    let last = mails_after(sink, 6).await.pop().expect("a mail");
    let last_cancel = last.token("cancel-email-change");
    assert_eq!(
        post("cancel", None, json!({ "token": last_cancel }))
            .await
            .ok(200)["status"],
        "cancelled"
    );
    let used = post(
        "confirm",
        None,
        json!({ "token": last.token("new-email"), "password": PASSWORD, "new_email": NEW }),
    )
    .await;
    used.problem(410, "link_used");
    vec![
        access,
        confirm,
        cancel,
        activate,
        undo,
        last_cancel,
        last.token("new-email"),
    ]
}

on_every_database! {
    async fn serve_takes_a_person_through_the_whole_change_and_ends_when_it_is_told(fresh) {
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        let on_sqlite = fresh.database.is_none();
        if !on_sqlite {
            for name in ["READDRESS_SECRET_KEYS", "READDRESS_DATABASE_URL", "READDRESS_SMTP_URL"] {
                fresh.shell.move_to_file(name);
            }
        }
        fresh.migrate().await;
        assert_good(&fresh.shell.run_with(&["user", "add", ANN], &format!("{PASSWORD}\n")).await);
        let server = fresh.shell.start("serve").await;
        let asker = Shell::new().with("READDRESS_LISTEN", server.address());
        assert_good(&asker.run(&["health"]).await);
        server.get("/readyz").await.ok(200);
        walk(&server, &sink).await;
        let address = server.address().to_owned();
        let (code, log) = server.end(if on_sqlite { "TERM" } else { "INT" }).await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopping") && log.contains("stopped"), "{log}");
        assert_refused(&asker.run(&["health"]).await, &[&address]);
    }
}

on_every_database! {
    async fn with_host_tokens_nobody_signs_in_here_unless_that_is_said(fresh) {
        let sink = SmtpSink::start().await;
        let keys = KeyServer::start(Serves::Nothing).await;
        fresh.configure(&sink.url());
        fresh.migrate().await;
        assert_good(&fresh.shell.run_with(&["user", "add", ANN], &format!("{PASSWORD}\n")).await);
        let secret = "canary-7f3a x7Qm2vT9 pLr4Zk8WnB1cYs6-HdJ3fG";
        fresh.shell.set("READDRESS_HOST_TOKEN_SECRET", secret);
        fresh.shell.set("READDRESS_HOST_TOKEN_USER_ID", "user_id");
        fresh.shell.set("READDRESS_SIGN_IN", "on");
        let session = json!({ "email": ANN, "password": PASSWORD });
        let server = fresh.shell.start("serve").await;
        let access = server.post("/v1/session", None, session.clone()).await;
        let id = forge::open(access.field("access_token")).claims["sub"].clone();
        assert_eq!(server.end("TERM").await.0, Some(0));

        fresh.shell.set("READDRESS_SIGN_IN", "");
        let server = fresh.shell.start("serve").await;
        server.post("/v1/session", None, session).await.problem(404, "not_found");
        let claims = json!({ "user_id": id, "exp": Clock::System.seconds() + 60 });
        let token = forge::sign(r#"{"alg":"HS256"}"#, &claims.to_string(), secret.as_bytes());
        let body = json!({ "password": PASSWORD });
        server.post("/v1/email-change/request", Some(&token), body.clone()).await.ok(202);
        let forged = forge::sign(r#"{"alg":"HS256"}"#, &claims.to_string(), b"another secret");
        server.post("/v1/email-change/request", Some(&forged), body.clone()).await.problem(401, "unauthenticated");
        let (code, log) = server.end("TERM").await;
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains(&token) && !log.contains(CANARY), "{log}");

        // A host whose keys cannot be had is no reason not to start.
        fresh.shell.set("READDRESS_HOST_TOKEN_SECRET", "");
        for (name, value) in [("JWKS_URL", keys.url.as_str()), ("ISSUER", "any"), ("AUDIENCE", "any")] {
            fresh.shell.set(&format!("READDRESS_HOST_TOKEN_{name}"), value);
        }
        let server = fresh.shell.start("serve").await;
        server.post("/v1/session", None, body).await.problem(400, "malformed_request");
        server.get("/readyz").await.ok(200);
        let (code, log) = server.end("TERM").await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("host keys unavailable"), "{log}");
    }
}

on_every_database! {
    async fn the_log_says_what_happened_and_no_secret(fresh) {
        let sink = SmtpSink::start().await;
        fresh.configure(&sink.url());
        fresh.shell.set("RUST_LOG", "trace");
        fresh.shell.set("READDRESS_LOG_FORMAT", if fresh.database.is_none() { "json" } else { "text" });
        let keys = readdress::keys::generate().expect("random");
        fresh.shell.set("READDRESS_SECRET_KEYS", &keys);
        fresh.migrate().await;
        assert_good(&fresh.shell.run_with(&["user", "add", ANN], &format!("{PASSWORD}\n")).await);
        let server = fresh.shell.start("serve").await;
        let mut secrets = walk(&server, &sink).await;
        go_wrong(&server, &sink, &secrets).await;
        let metrics = server.get("/metrics").await.text;
        assert!(metrics.contains("readdress_steps_total"), "{metrics}");
        let (code, log) = server.end("TERM").await;
        assert_eq!(code, Some(0), "{log}");
        for event in ["requested", "confirmed", "activated", "cancelled", "undone", "refused"] {
            assert!(log.contains(&format!("email_change.{event}")), "{event}: {log}");
        }
        assert!(!log.contains("h2::") && !log.contains("hyper"), "libraries are heard below `warn`: {log}");
        // Neither whole nor in parts: what stands between the dots is a secret of its own.
        let parts = secrets.clone();
        secrets.extend(parts.iter().flat_map(|token| token.split('.').skip(1)).map(ToOwned::to_owned));
        let key = keys.split_once(':').expect("kid:key").1;
        let more = [PASSWORD, key, ANN, NEW, "Ann@New.Example", CANARY, "$argon2", &fresh.url, "new_email=", "Bearer"];
        secrets.extend(more.map(ToOwned::to_owned));
        for secret in secrets {
            assert!(!log.contains(&secret), "the log has {secret}: {log}");
            assert!(!metrics.contains(&secret), "the metrics have {secret}: {metrics}");
        }
    }
}

/// Everything that is logged because it failed.
async fn go_wrong(server: &Running, sink: &SmtpSink, tokens: &[String]) {
    let access = tokens[0].as_str();
    // The library of HTTP/2 prints headers, if it is let.
    let me = hyper::Request::get(format!("{}/v1/me?canary-7f3a", server.url))
        .header("Authorization", format!("Bearer {access}"));
    let me = over_http_2(&server.url)
        .await
        .send_request(me.body(Full::default()).expect("a request"))
        .await;
    assert_eq!(me.expect("an answer").status().as_u16(), 200);
    let wrong = json!({ "password": CANARY });
    server
        .post("/v1/email-change/request", Some(access), wrong)
        .await
        .problem(403, "wrong_password");
    server
        .post(
            "/v1/email-change/request",
            Some(CANARY),
            json!({ "password": CANARY }),
        )
        .await
        .problem(401, "unauthenticated");
    let session = json!({ "email": "canary-7f3a@example.com", "password": CANARY });
    server
        .post("/v1/session", None, session)
        .await
        .problem(401, "unauthenticated");
    for step in ["confirm", "activate", "cancel", "undo", "inspect"] {
        let body = json!({ "token": CANARY, "canary-7f3a": CANARY });
        server
            .post(&format!("/v1/email-change/{step}"), None, body)
            .await
            .problem(400, "malformed_request");
    }
    for token in tokens {
        server
            .post("/v1/email-change/activate", None, json!({ "token": token }))
            .await;
        server
            .get(&format!("/v1/canary-7f3a?token={token}"))
            .await
            .problem(404, "not_found");
    }
    for fault in [
        Fault::RefuseSender("550 5.1.1 <canary-7f3a@example.com> is not you"),
        Fault::RefuseRecipient("450 4.2.1 <ann@example.com> is greylisted"),
        Fault::RefuseRecipient("550 5.7.1 <ann@example.com> is blocked"),
        Fault::RefuseMessage("554 5.6.0 for <ann@example.com>"),
        Fault::HangUpAtOnce,
    ] {
        sink.fault(fault);
        let answer = server
            .post(
                "/v1/email-change/request",
                Some(access),
                json!({ "password": PASSWORD }),
            )
            .await;
        answer.problem(503, "mail_unavailable");
    }
    sink.fault(Fault::RefuseRecipient(
        "550 5.1.1 <ann@example.com> is unknown",
    ));
    let answer = server
        .post(
            "/v1/email-change/request",
            Some(access),
            json!({ "password": PASSWORD }),
        )
        .await;
    answer.problem(422, "undeliverable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_refuses_to_start_with_nothing_and_names_all_of_it() {
    for command in ["serve", "check"] {
        let refused = Shell::new().run(&[command]).await;
        assert_refused(&refused, &REQUIRED);
        assert_refused(
            &refused,
            &["readdress keygen", "https://", "postgres://", "smtp://"],
        );
    }
    for command in [
        &["migrate", "up"][..],
        &["migrate", "status"],
        &["user", "add", ANN],
    ] {
        assert_refused(
            &Shell::new().run(command).await,
            &["READDRESS_DATABASE_URL"],
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_refuses_what_is_unsafe_and_never_prints_it() {
    let repeated = "canary-7f3a:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE";
    let unsafe_values = [
        ("READDRESS_SECRET_KEYS", "k1:canary-7f3a"),
        ("READDRESS_SECRET_KEYS", repeated),
        ("READDRESS_SECRET_KEYS", "canary-7f3a"),
        ("READDRESS_APP_URL", "http://canary-7f3a.example.com"),
        ("READDRESS_APP_URL", "ftp://canary-7f3a.example.com"),
        (
            "READDRESS_APP_URL",
            "https://user:canary-7f3a@app.example.com",
        ),
        (
            "READDRESS_SMTP_URL",
            "smtp://u:canary-7f3a@mail.example.com?tls=none",
        ),
        (
            "READDRESS_SMTP_URL",
            "smtp://u:canary-7f3a@mail.example.com?tls=canary-7f3a",
        ),
        ("READDRESS_SMTP_URL", "canary-7f3a"),
        ("READDRESS_DATABASE_URL", "canary-7f3a"),
        (
            "READDRESS_DATABASE_URL",
            "mysql://u:canary-7f3a@db.example.com/app",
        ),
        ("READDRESS_MAIL_FROM", "canary-7f3a"),
        ("READDRESS_LISTEN", "canary-7f3a"),
        ("READDRESS_CONFIRM_TTL", "canary-7f3a"),
        ("READDRESS_LIMIT_PASSWORDS", "canary-7f3a"),
        (
            "READDRESS_LINK_CONFIRM",
            "http://canary-7f3a.example.com/{token}",
        ),
        (
            "READDRESS_CORS_ORIGINS",
            "https://canary-7f3a.example.com/path",
        ),
        ("READDRESS_TRUSTED_PROXIES", "canary-7f3a"),
        ("READDRESS_LOG_FORMAT", "canary-7f3a"),
        ("READDRESS_SIGN_IN", "canary-7f3a"),
        ("READDRESS_CONFIRM_TTL_", "canary-7f3a"),
        ("READDRESS_SECRET_KEYS_FILE", "/canary-7f3a"),
    ];
    let refusals = unsafe_values.map(|(name, value)| async move {
        let mut fresh = Fresh::on_sqlite();
        fresh.configure("smtp://127.0.0.1:1?tls=none");
        fresh.shell.set(name, value);
        fresh.shell.set("RUST_LOG", "trace");
        (name, fresh.shell.run(&["serve"]).await)
    });
    for (name, refused) in join_all(refusals).await {
        assert_refused(&refused, &[name]);
    }
}

on_every_database! {
    async fn serve_refuses_a_database_that_is_not_migrated(fresh) {
        fresh.configure("smtp://127.0.0.1:1?tls=none");
        if fresh.database.is_none() {
            std::fs::write(fresh.shell.path().join("users.db"), "").expect("written");
        }
        let refused = fresh.shell.run(&["serve"]).await;
        assert_refused(&refused, &["readdress migrate up"]);
        assert!(!refused.stderr.contains("listening"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_names_a_database_that_is_not_there() {
    let urls = [
        "postgres://canary-7f3a:canary-7f3a@127.0.0.1:1/canary-7f3a",
        "postgres://u:canary-7f3a@canary-7f3a.invalid/canary-7f3a",
        "postgres://u:p@127.0.0.1:1/app?pasword=canary-7f3a",
        "postgres:canary-7f3a",
        "postgres://u:p@127.0.0.1:99999/canary-7f3a",
        "postgres://u:p@127.0.0.1:1/app?sslmode=canary-7f3a",
        "sqlite:///nowhere/canary-7f3a.db",
        "sqlite:///nowhere/users.db?mode=canary-7f3a",
        "sqlite:///nowhere/users.db?canary-7f3a=canary-7f3a",
    ];
    let refusals = urls.map(|url| async move {
        let mut fresh = Fresh::on_sqlite();
        fresh.configure("smtp://127.0.0.1:1?tls=none");
        fresh.shell.set("READDRESS_DATABASE_URL", url);
        fresh.shell.set("RUST_LOG", "trace");
        (url, fresh.shell.run(&["serve"]).await)
    });
    let mut wrong = Vec::new();
    for (url, refused) in join_all(refusals).await {
        let names = refused.stderr.contains("READDRESS_DATABASE_URL");
        if refused.code != Some(1) || !names || refused.stderr.contains(CANARY) {
            wrong.push(format!("{url}: {refused:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_names_a_port_that_is_in_use() {
    let mut fresh = Fresh::on_sqlite();
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    fresh.migrate().await;
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    fresh.shell.set("READDRESS_LISTEN", &address);
    assert_refused(
        &fresh.shell.run(&["serve"]).await,
        &["READDRESS_LISTEN", &address],
    );
    assert_refused(
        &Shell::new()
            .with("READDRESS_LISTEN", &address)
            .run(&["dev"])
            .await,
        &["READDRESS_LISTEN"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_turn_signing_in_off_and_limits_up() {
    let mut fresh = Fresh::on_sqlite();
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    fresh.migrate().await;
    fresh.shell.set("READDRESS_SIGN_IN", "off");
    fresh.shell.set("READDRESS_LIMIT_CLIENT", "2/1h");
    let server = fresh.shell.start("serve").await;
    let session = json!({ "email": ANN, "password": PASSWORD });
    server
        .post("/v1/session", None, session.clone())
        .await
        .problem(404, "not_found");
    server
        .post("/v1/session", None, session.clone())
        .await
        .problem(404, "not_found");
    let limited = server.post("/v1/session", None, session).await;
    limited.problem(429, "rate_limited");
    assert!(
        (1_790..=1_800).contains(&limited.retry_after()),
        "{}",
        limited.retry_after()
    );
    assert_eq!(server.end("INT").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_told_to_end_answers_what_is_in_flight_first() {
    let mut fresh = Fresh::on_sqlite();
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.migrate().await;
    assert_good(&fresh.shell.run_with(&["user", "add", ANN], PASSWORD).await);
    let server = fresh.shell.start("serve").await;
    let session = server
        .post(
            "/v1/session",
            None,
            json!({ "email": ANN, "password": PASSWORD }),
        )
        .await;
    sink.fault(Fault::Slow(Duration::from_millis(1_500)));
    let post = server
        .http
        .post(format!("{}/v1/email-change/request", server.url));
    let post = post
        .header("Content-Type", "application/json")
        .header(
            "Authorization",
            format!("Bearer {}", session.field("access_token")),
        )
        .body(json!({ "password": PASSWORD }).to_string());
    let in_flight =
        tokio::spawn(async move { Answer::read(post.send().await.expect("an answer")).await });
    let body = json!({ "token": CANARY }).to_string();
    let head = format!(
        "POST /v1/email-change/inspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut slow = TcpStream::connect(server.address())
        .await
        .expect("connects");
    slow.write_all(head.as_bytes()).await.expect("taken");
    while sink.connections() == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let half_sent = tokio::spawn(async move {
        sleep(Duration::from_millis(2_500)).await;
        let mut answer = String::new();
        slow.write_all(body.as_bytes()).await.expect("taken");
        slow.read_to_string(&mut answer).await.expect("an answer");
        answer
    });
    assert_eq!(server.end("TERM").await.0, Some(0));
    let answer = half_sent.await.expect("no panic");
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("invalid_link"),
        "{answer:?}"
    );
    in_flight.await.expect("no panic").ok(202);
    assert_eq!(sink.received().len(), 1);
}
