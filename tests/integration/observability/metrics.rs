//! `/metrics`: what is counted, and who may read it.

use std::time::Duration;

use serde_json::json;

use super::Scrape;
use crate::holds::deployment::{Deployment, body, request, show, sign_in};
use crate::support::app::PASSWORD;
use crate::support::process::Running;
use crate::support::{Answer, Fault};

const ANN: &str = "ann@example.com";
const NEW: &str = "ann@new.example";

async fn deployed() -> Deployment {
    let deployment = Deployment::on_sqlite().await;
    deployment.add(ANN, &mut fastrand::Rng::with_seed(1)).await;
    deployment
}

/// A link that activates.
async fn confirmed(deployment: &Deployment, server: &Running) -> String {
    let access = sign_in(server, ANN).await;
    request(server, &access).await.ok(202);
    let confirm = deployment.await_link("new-email", ANN).await;
    show(server, "confirm", &confirm, NEW).await.ok(202);
    deployment.await_link("email-activation", NEW).await
}

/// The answer, as whoever asked with that header got it.
async fn ask_with(server: &Running, header: &str) -> Answer {
    let request = server.http.get(format!("{}/metrics", server.url));
    let request = request.header(header, "192.0.2.1");
    Answer::read(request.send().await.expect("an answer")).await
}

/// What somebody is woken for, or draws, is there before it happens: or the first would not be seen.
fn what_can_happen_is_there(before: &Scrape) {
    let version = env!("CARGO_PKG_VERSION");
    let build = format!(r#"readdress_build_info{{version="{version}"}}"#);
    before.assert(&[(&build, 1)]);
    for step in [
        "request", "confirm", "activate", "cancel", "undo", "sign_in",
    ] {
        let series = format!(r#"readdress_steps_total{{step="{step}",outcome="done"}}"#);
        before.assert(&[(&series, 0)]);
    }

    for operation in ["signIn", "activateEmailChange", "inspectLink"] {
        for code in [
            "internal",
            "database_unavailable",
            "mail_unavailable",
            "overloaded",
        ] {
            let series =
                format!(r#"readdress_requests_total{{operation="{operation}",code="{code}"}}"#);
            before.assert(&[(&series, 0)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_step_by_step() {
    let deployment = deployed().await;
    let server = deployment.shell.start("serve").await;
    let before = Scrape::of(&server).await;
    what_can_happen_is_there(&before);
    let guess = json!({ "email": ANN, "password": "wrong" });
    server
        .post("/v1/session", None, guess)
        .await
        .problem(401, "unauthenticated");
    request(&server, "no.token.at-all")
        .await
        .problem(401, "unauthenticated");
    let access = sign_in(&server, ANN).await;
    let wrong = json!({ "password": "wrong" });
    let path = "/v1/email-change/request";
    server
        .post(path, Some(&access), wrong)
        .await
        .problem(403, "wrong_password");
    request(&server, &access).await.ok(202);
    let confirm = deployment.await_link("new-email", ANN).await;
    show(&server, "confirm", &confirm, NEW).await.ok(202);
    let activate = deployment.await_link("email-activation", NEW).await;
    show(&server, "activate", "forged", "")
        .await
        .problem(400, "invalid_link");
    show(&server, "activate", &activate, "").await.ok(200);
    let undo = deployment.await_link("undo-email-change", ANN).await;
    show(&server, "undo", &undo, "").await.ok(200);
    server
        .get("/nothing/of/ann@example.com")
        .await
        .problem(404, "not_found");

    let after = Scrape::of(&server).await;
    after.assert(&[
        (r#"readdress_steps_total{step="sign_in",outcome="done"}"#, 1),
        (
            r#"readdress_steps_total{step="sign_in",outcome="unauthenticated"}"#,
            1,
        ),
        (
            r#"readdress_steps_total{step="request",outcome="unauthenticated"}"#,
            1,
        ),
        (r#"readdress_steps_total{step="request",outcome="done"}"#, 1),
        (
            r#"readdress_steps_total{step="request",outcome="wrong_password"}"#,
            1,
        ),
        (r#"readdress_steps_total{step="confirm",outcome="done"}"#, 1),
        (
            r#"readdress_steps_total{step="activate",outcome="done"}"#,
            1,
        ),
        (
            r#"readdress_steps_total{step="activate",outcome="invalid_link"}"#,
            1,
        ),
        (r#"readdress_steps_total{step="undo",outcome="done"}"#, 1),
        (
            r#"readdress_requests_total{operation="activateEmailChange",code="ok"}"#,
            1,
        ),
        (
            r#"readdress_requests_total{operation="activateEmailChange",code="invalid_link"}"#,
            1,
        ),
        (
            r#"readdress_requests_total{operation="other",code="not_found"}"#,
            1,
        ),
        (
            r#"readdress_request_duration_seconds_count{operation="activateEmailChange"}"#,
            2,
        ),
        (
            r#"readdress_mails_total{kind="confirm",result="accepted"}"#,
            1,
        ),
        (
            r#"readdress_mails_total{kind="activate",result="accepted"}"#,
            1,
        ),
        (
            r#"readdress_mails_total{kind="changing",result="accepted"}"#,
            1,
        ),
        ("readdress_password_wait_seconds_count", 6),
        ("readdress_password_check_seconds_count", 6),
    ]);
    deployment.close().await;
}

/// What the alert of that name compares.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_with_another_ring_can_be_told_from_those_with_the_same() {
    let mut deployment = deployed().await;
    let ring = |keys: &[&str]| keys.join(",");
    let [one, two, other] = [(); 3].map(|()| readdress::keys::generate().expect("random"));
    let same = ring(&[&one, &two]);
    let mut values = Vec::new();
    for keys in [&same, &same, &ring(&[&two, &one]), &ring(&[&one, &other])] {
        deployment.shell.set("READDRESS_SECRET_KEYS", keys);
        let server = deployment.shell.start("serve").await;
        values.push(Scrape::of(&server).await.count("readdress_key_ring"));
    }
    assert_eq!(values[0], values[1]);
    for value in &values[2..] {
        assert_ne!(values[0], *value, "{values:?}");
    }
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_things_stand_is_seen() {
    let deployment = deployed().await;
    let server = deployment.shell.start("serve").await;
    let after = Scrape::of(&server).await;
    after.assert(&[
        ("readdress_password_lane_depth", 0),
        ("readdress_requests_in_flight", 1),
        ("readdress_keys", 1),
        ("readdress_database_connections_max", 10),
    ]);
    assert!(after.value("readdress_connections") >= 1.0);
    assert!(after.value("process_resident_memory_bytes") > 1e6);
    assert!(after.value("process_open_fds") > 5.0);
    let made = after.value("readdress_signing_key_created_timestamp_seconds");
    assert!(after.value("process_start_time_seconds") - made < 2.0 * 86_400.0);
    deployment.close().await;
}

/// The metrics must not tell what the answer does not (design, promise 6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_an_address_is_taken_cannot_be_seen() {
    let deployment = deployed().await;
    deployment
        .add("bob@example.com", &mut fastrand::Rng::with_seed(2))
        .await;
    let server = deployment.shell.start("serve").await;
    let access = sign_in(&server, ANN).await;
    let mut seen = Vec::new();
    for new in ["free@new.example", "bob@example.com"] {
        request(&server, &access).await.ok(202);
        let confirm = deployment.await_link("new-email", ANN).await;
        deployment.sink.forget();
        let before = Scrape::of(&server).await;
        show(&server, "confirm", &confirm, new).await.ok(202);
        let after = Scrape::of(&server).await;
        let changed = after.0.lines().filter(|line| !before.0.contains(*line));
        let counts = changed.filter_map(|line| line.rsplit_once(' '));
        // But for times, and for what scraping itself moves.
        let counts = counts.filter(|(series, _)| {
            series.contains("_total{") && !series.contains(r#"operation="metrics""#)
        });
        seen.push(
            counts
                .map(|(series, _)| series.to_owned())
                .collect::<Vec<_>>(),
        );
    }
    assert!(seen[0].len() >= 3, "{seen:?}");
    assert_eq!(seen[0], seen[1]);
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_counted_by_what_failed() {
    let mut deployment = deployed().await;
    deployment.shell.set("READDRESS_LIMIT_CLIENT", "4/1h");
    let server = deployment.shell.start("serve").await;
    let access = sign_in(&server, ANN).await;
    deployment
        .sink
        .fault(Fault::RefuseRecipient("550 5.1.1 no such user"));
    request(&server, &access)
        .await
        .problem(422, "undeliverable");
    deployment
        .sink
        .fault(Fault::RefuseMessage("554 5.6.0 what was that"));
    request(&server, &access)
        .await
        .problem(503, "mail_unavailable");
    request(&server, &access)
        .await
        .problem(503, "mail_unavailable");
    request(&server, &access).await.problem(429, "rate_limited");
    let scrape = Scrape::of(&server).await;
    scrape.assert(&[
        (
            r#"readdress_mails_total{kind="confirm",result="undeliverable"}"#,
            1,
        ),
        (
            r#"readdress_mails_total{kind="confirm",result="unavailable"}"#,
            2,
        ),
        (r#"readdress_limit_refusals_total{limit="client"}"#, 1),
        (r#"readdress_limit_refusals_total{limit="account"}"#, 0),
        (
            r#"readdress_requests_total{operation="requestEmailChange",code="rate_limited"}"#,
            1,
        ),
    ]);
    for _ in 0..20 {
        Scrape::of(&server).await;
    }
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_an_account_is_counted_where_its_row_keeps_it() {
    let mut deployment = deployed().await;
    deployment.shell.set("READDRESS_LIMIT_PASSWORDS", "1/1h");
    let server = deployment.shell.start("serve").await;
    let access = sign_in(&server, ANN).await;
    request(&server, &access).await.ok(202);
    request(&server, &access).await.problem(429, "rate_limited");
    let session = json!({ "email": ANN, "password": PASSWORD });
    server
        .post("/v1/session", None, session)
        .await
        .problem(429, "rate_limited");
    let scrape = Scrape::of(&server).await;
    for limit in ["account", "sign_in"] {
        let series = format!(r#"readdress_limit_refusals_total{{limit="{limit}"}}"#);
        scrape.assert(&[(&series, 1)]);
    }
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_whose_caller_has_gone_is_counted_all_the_same() {
    let deployment = deployed().await;
    let server = deployment.shell.start("serve").await;
    let activate = confirmed(&deployment, &server).await;
    deployment
        .sink
        .fault(Fault::Slow(Duration::from_millis(300)));
    activate_impatiently(&server, &activate).await;
    let abandoned = r#"readdress_requests_total{operation="activateEmailChange",code="abandoned"}"#;
    let done = r#"readdress_steps_total{step="activate",outcome="done"}"#;
    for _ in 0..200 {
        let scrape = Scrape::of(&server).await;
        if scrape.0.contains(&format!("{abandoned} 1\n")) && scrape.count(done) == 1 {
            deployment.close().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{}", Scrape::of(&server).await.0);
}

/// Nobody waits for the answer.
async fn activate_impatiently(server: &Running, token: &str) {
    let impatient = server
        .http
        .post(format!("{}/v1/email-change/activate", server.url))
        .header("Content-Type", "application/json")
        .body(body("activate", token, "").to_string())
        .timeout(Duration::from_millis(150));
    assert!(impatient.send().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_fails_when_its_caller_has_gone_is_counted_and_logged_with_its_reason() {
    let deployment = deployed().await;
    let server = deployment.shell.start("serve").await;
    let activate = confirmed(&deployment, &server).await;
    deployment.sink.fault(Fault::Slow(Duration::from_secs(2)));
    activate_impatiently(&server, &activate).await;
    let rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        deployment.database.execute(&sql).await;
    };
    rename("users", "gone").await;
    let failed = r#"readdress_steps_total{step="activate",outcome="abandoned"}"#;
    let mut tries = 0;
    while Scrape::of(&server).await.find(failed).is_none() {
        assert!(tries < 200, "{}", Scrape::of(&server).await.0);
        tries += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rename("gone", "users").await;
    let (_, log) = server.end("TERM").await;
    let line = log
        .lines()
        .find(|line| line.contains("when its caller had gone"))
        .expect("a line");
    for part in ["WARN", "activate", "no such table"] {
        assert!(line.contains(part), "{line}");
    }
    deployment.close().await;
}

/// Undone is a change, however often somebody presses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_pressed_again_is_not_counted_as_another_one() {
    let deployment = deployed().await;
    let server = deployment.shell.start("serve").await;
    let access = sign_in(&server, ANN).await;
    request(&server, &access).await.ok(202);
    let confirm = deployment.await_link("new-email", ANN).await;
    for _ in 0..3 {
        show(&server, "confirm", &confirm, NEW).await.ok(202);
    }
    let activate = deployment.await_link("email-activation", NEW).await;
    show(&server, "activate", &activate, "").await.ok(200);
    let undo = deployment.await_link("undo-email-change", ANN).await;
    for _ in 0..3 {
        show(&server, "undo", &undo, "").await.ok(200);
    }
    Scrape::of(&server).await.assert(&[
        (r#"readdress_steps_total{step="confirm",outcome="done"}"#, 1),
        (
            r#"readdress_steps_total{step="confirm",outcome="repeated"}"#,
            2,
        ),
        (r#"readdress_steps_total{step="undo",outcome="done"}"#, 1),
        (
            r#"readdress_steps_total{step="undo",outcome="repeated"}"#,
            2,
        ),
    ]);
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_asks_before_a_step_is_not_counted_as_one() {
    let mut deployment = deployed().await;
    let origin = "https://app.example.com";
    deployment.shell.set("READDRESS_CORS_ORIGINS", origin);
    let server = deployment.shell.start("serve").await;
    let url = format!("{}/v1/email-change/activate", server.url);
    let preflight = server
        .http
        .request(reqwest::Method::OPTIONS, url)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST");
    let answered = preflight.send().await.expect("an answer");
    assert!(answered.status().is_success(), "{answered:?}");
    let scrape = Scrape::of(&server).await;
    let counted = |operation: &str| {
        scrape.find(&format!(
            r#"readdress_requests_total{{operation="{operation}",code="ok"}}"#
        ))
    };
    assert_eq!(counted("activateEmailChange"), None);
    assert_eq!(counted("preflight"), Some(1.0));
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_for_this_machine_alone() {
    let deployment = deployed().await;
    let server = deployment.shell.start("serve").await;
    Scrape::of(&server).await;
    for header in ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"] {
        ask_with(&server, header).await.problem(404, "not_found");
    }
    let log = server.end("TERM").await.1;
    assert!(!log.contains("metrics"), "{log}");
    deployment.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_address_of_their_own_they_are_there_alone() {
    let mut deployment = deployed().await;
    deployment
        .shell
        .set("READDRESS_METRICS_LISTEN", "127.0.0.1:0");
    let server = deployment.shell.start("serve").await;
    server.get("/metrics").await.problem(404, "not_found");
    let said = server.stderr();
    let line = said
        .lines()
        .find(|line| line.contains(" metrics "))
        .expect("a line");
    let address = line.split("address=").nth(1).expect("an address").trim();
    let get = |path: &str| server.http.get(format!("http://{address}{path}"));
    let scraped = get("/metrics")
        .header("X-Forwarded-For", "192.0.2.1")
        .send()
        .await;
    let scraped = scraped.expect("an answer");
    assert_eq!(scraped.status().as_u16(), 200);
    assert!(
        scraped
            .text()
            .await
            .expect("a body")
            .contains("readdress_build_info")
    );
    for path in ["/", "/healthz", "/v1/me", "/docs", "/openapi.json"] {
        let other = get(path).send().await.expect("an answer");
        assert_eq!(other.status().as_u16(), 404, "{path}");
    }
    let (code, log) = server.end("TERM").await;
    assert_eq!(code, Some(0), "{log}");
    deployment.close().await;
}
