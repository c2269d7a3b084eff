//! Security events: each step says in the log what happened, to whom, with which key and in which
//! request.

use serde_json::{Value, json};

use super::deployment::{Deployment, request, show, sign_in};
use super::volume::{complaint, seeded};

const EVENTS: [&str; 6] = [
    "requested",
    "confirmed",
    "activated",
    "cancelled",
    "undone",
    "refused",
];

/// Found before the row is read: nobody knows yet which address it has.
const NO_ROW: [&str; 4] = [
    "invalid_link",
    "link_expired",
    "invalid_email",
    "unauthenticated",
];
/// What is no link or no access token of ours is nobody's.
const NOBODYS: [&str; 2] = ["invalid_link", "unauthenticated"];

/// Each step says what happened, to whom, with which key and in which request.
pub fn check(log: &str, flows: usize) -> usize {
    let mut checked = 0;
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("a line of JSON: {line}"));
        let Some(event) = line["message"]
            .as_str()
            .filter(|message| message.starts_with("email_change."))
        else {
            continue;
        };
        let event = event.to_owned();
        assert!(line["request_id"].is_string(), "{event}: {line}");
        if event == "email_change.refused" {
            let reason = line["reason"].as_str().unwrap_or_default();
            assert!(!reason.is_empty(), "{line}");
            let is_known = !NOBODYS.contains(&reason);
            let has_link = is_known && line["step"] != "request";
            assert!(!is_known || line["user_id"].is_string(), "{line}");
            assert!(!has_link || line["kid"].is_string(), "{line}");
            assert!(
                NO_ROW.contains(&reason) || is_masked(&line["account"]),
                "{line}"
            );
        } else {
            assert!(line["user_id"].is_string(), "{line}");
            assert!(line["kid"].is_string(), "{line}");
            let address = ["sent_to", "from", "email"]
                .iter()
                .find(|name| !line[**name].is_null());
            assert!(
                address.is_some_and(|name| is_masked(&line[*name])),
                "{line}"
            );
            assert!(is_masked(&line["account"]), "{line}");
        }
        checked += 1;
    }
    for event in EVENTS {
        let times = log.matches(&format!("email_change.{event}\"")).count();
        assert!(
            times >= flows,
            "email_change.{event} {times} times in {flows} flows"
        );
    }
    checked
}

/// It was signed by us, so it is known whose it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_has_expired_says_whose_it_was() {
    let mut deployment = Deployment::on_sqlite().await;
    deployment.shell.set("READDRESS_LOG_FORMAT", "json");
    deployment.shell.set("READDRESS_CONFIRM_TTL", "1s");
    let server = deployment.shell.start("serve").await;
    deployment.add("ann@example.com", &mut seeded()).await;
    let access = sign_in(&server, "ann@example.com").await;
    request(&server, &access).await.ok(202);
    let confirm = deployment.await_link("new-email", "ann@example.com").await;
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    show(&server, "confirm", &confirm, "ann@new.example")
        .await
        .problem(410, "link_expired");
    let (_, log) = server.end("TERM").await;
    let mut refused = lines(&log).filter(|line| line["reason"] == "link_expired");
    let line = refused.next().expect("the refusal is logged");
    assert!(
        line["user_id"].is_string() && line["kid"].is_string(),
        "{line}"
    );
    deployment.close().await;
}

/// A wrong password and a wrong token are events too, and say whose account it is as far as that is
/// known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_logged() {
    let mut deployment = Deployment::on_sqlite().await;
    deployment.shell.set("READDRESS_LOG_FORMAT", "json");
    deployment.shell.set("READDRESS_LIMIT_PASSWORDS", "2/1h");
    let server = deployment.shell.start("serve").await;
    deployment.add("ann@example.com", &mut seeded()).await;
    for (email, status) in [
        ("ann@example.com", 401),
        ("Ann@example.com", 401),
        ("ANN@example.com", 429),
        ("nobody@example.com", 401),
    ] {
        let wrong = json!({ "email": email, "password": "wrong" });
        let answer = server.post("/v1/session", None, wrong).await;
        assert_eq!(answer.status, status, "{email}: {}", answer.text);
    }
    request(&server, "no.token.at-all")
        .await
        .problem(401, "unauthenticated");
    let (_, log) = server.end("TERM").await;
    let refused = lines(&log).filter(|line| {
        let event = line["message"].as_str().unwrap_or_default();
        event.ends_with(".refused")
    });
    let said: Vec<_> = refused
        .map(|line| {
            assert!(line["request_id"].is_string(), "{line}");
            let whose = line["user_id"].is_string() && is_masked(&line["account"]);
            (
                line["message"].as_str().unwrap_or_default().to_owned(),
                line["reason"].as_str().unwrap_or_default().to_owned(),
                line["client"].is_string(),
                whose,
            )
        })
        .collect();
    let session =
        |reason: &str, whose| ("session.refused".to_owned(), reason.to_owned(), true, whose);
    let step = (
        "email_change.refused".to_owned(),
        "unauthenticated".to_owned(),
        false,
        false,
    );
    assert_eq!(
        said,
        [
            session("unauthenticated", true),
            session("unauthenticated", true),
            session("rate_limited", false),
            session("unauthenticated", false),
            step,
        ]
    );
    deployment.close().await;
}

/// What is no JSON was said before the log began.
fn lines(log: &str) -> impl Iterator<Item = Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

fn is_masked(address: &Value) -> bool {
    address.as_str().is_some_and(|text| text.contains("***@"))
}

/// The control: every field that an event must have, taken away in turn.
#[tokio::test]
async fn an_event_that_says_too_little_is_noticed() {
    let event = |name: &str| {
        json!({ "message": format!("email_change.{name}"), "request_id": "7f3a", "user_id": "1",
            "kid": "k1", "account": "a***@x.example", "sent_to": "a***@x.example",
            "step": "activate", "reason": "link_used" })
    };
    let good: Vec<Value> = EVENTS.into_iter().map(event).collect();
    let log = |events: &[Value]| -> String {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        lines.join("\n")
    };
    assert_eq!(complaint(async { check(&log(&good), 1) }).await, "");
    for at in 0..good.len() {
        let mut missing = good.clone();
        missing.remove(at);
        assert_ne!(complaint(async { check(&log(&missing), 1) }).await, "");
        let needed: &[&str] = if EVENTS[at] == "refused" {
            &["request_id", "user_id", "account", "kid", "reason"]
        } else {
            &["request_id", "user_id", "account", "kid", "sent_to"]
        };
        for name in needed {
            let mut bare = good.clone();
            bare[at].as_object_mut().expect("an object").remove(*name);
            let complaint = complaint(async { check(&log(&bare), 1) }).await;
            assert_ne!(complaint, "", "{} without {name}", EVENTS[at]);
        }
    }
}
