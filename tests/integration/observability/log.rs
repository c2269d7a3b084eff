//! The log for machines: flat, with documented fields alone, and the same id throughout a request.

use serde_json::Value;

use super::documented::table;
use crate::holds::deployment::{Deployment, request, show, sign_in};

const ANN: &str = "ann@example.com";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn log_of_a_change() -> Vec<Value> {
    let mut deployment = Deployment::on_sqlite().await;
    deployment.add(ANN, &mut fastrand::Rng::with_seed(1)).await;
    deployment.shell.set("READDRESS_LOG_FORMAT", "json");
    let server = deployment.shell.start("serve").await;
    let access = sign_in(&server, ANN).await;
    request(&server, &access).await.ok(202);
    let confirm = deployment.await_link("new-email", ANN).await;
    show(&server, "confirm", &confirm, "ann@new.example")
        .await
        .ok(202);
    show(&server, "activate", "forged", "")
        .await
        .problem(400, "invalid_link");
    let traced = server
        .http
        .post(format!("{}/v1/email-change/cancel", server.url))
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header("Content-Type", "application/json")
        .body(r#"{"token":"forged"}"#);
    assert_eq!(
        traced.send().await.expect("an answer").status().as_u16(),
        400
    );
    deployment.sink.stop();
    request(&server, &access)
        .await
        .problem(503, "mail_unavailable");
    let (_, log) = server.end("TERM").await;
    deployment.close().await;
    let lines = log.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("lines of JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_is_one_flat_object_of_documented_fields() {
    let documented = table("docs/operations.md", &["field", "meaning"]);
    let documented: Vec<_> = documented
        .iter()
        .map(|line| line[0].trim_matches('`'))
        .collect();
    let lines = log_of_a_change().await;
    assert!(lines.len() >= 8, "{lines:?}");
    for line in &lines {
        for (field, value) in line.as_object().expect("an object") {
            assert!(
                !value.is_object() && !value.is_array(),
                "{field} is nested: {line}"
            );
            assert!(
                documented.contains(&field.as_str()),
                "{field} is not documented: {line}"
            );
        }
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        let timestamp = line["timestamp"].as_str().expect("a text");
        assert!(
            timestamp.len() == 24 && timestamp.ends_with('Z'),
            "{timestamp}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_a_request_names_it_and_its_trace() {
    let lines = log_of_a_change().await;
    let event = |name: &str| {
        let found = lines.iter().find(|line| line["message"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {lines:?}"))
    };
    let confirmed = event("email_change.confirmed");
    let id = confirmed["request_id"].as_str().expect("an id");
    assert_eq!(
        confirmed["trace_id"],
        id.replace('-', ""),
        "a trace of our own"
    );
    assert_eq!(confirmed["operation"], "confirmEmailChange");
    let refused = lines
        .iter()
        .filter(|line| line["message"] == "email_change.refused");
    let traced: Vec<_> = refused.filter(|line| line["trace_id"] == TRACE).collect();
    assert_eq!(traced.len(), 1, "the caller's trace: {lines:?}");
    assert_eq!(traced[0]["step"], "cancel");
    assert_eq!(traced[0]["reason"], "invalid_link");
    assert!(event("mail unavailable")["request_id"].is_string());
}
