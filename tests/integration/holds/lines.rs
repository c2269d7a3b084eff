//! Lines: nothing that is sent makes a line of the log, or tells a terminal what to do.

use serde_json::{Value, json};

use super::deployment::Deployment;

/// Lines that are not one of ours whole, or that repeat what was sent.
fn made_by_input<'a>(log: &'a str, format: &str) -> Vec<&'a str> {
    let is_whole = |line: &str| match format {
        "json" => serde_json::from_str::<Value>(line).is_ok(),
        _ => line.starts_with("20"),
    };
    let lines = log.split('\n').filter(|line| !line.is_empty());
    lines
        .filter(|line| {
            !is_whole(line) || line.contains("forged") || line.contains(char::is_control)
        })
        .collect()
}

/// Whatever is sent, a line of the log is a line, and a terminal is not told what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_input_makes_a_line_of_its_own() {
    for format in ["text", "json"] {
        let mut deployment = Deployment::on_sqlite().await;
        deployment.shell.set("RUST_LOG", "trace");
        deployment.shell.set("READDRESS_LOG_FORMAT", format);
        let server = deployment.shell.start("serve").await;
        for evil in [
            "\r\n2027-01-15 forged",
            "\n{\"forged\":1}",
            "\u{1b}[31mforged",
            "\u{85}forged",
            "\u{2028}forged",
            "\u{0}forged",
        ] {
            for (path, body) in [
                (
                    "/v1/session",
                    json!({ "email": format!("ann{evil}@example.com"), "password": evil }),
                ),
                ("/v1/session", json!({ evil: evil })),
                (
                    "/v1/email-change/confirm",
                    json!({ "token": evil, "password": evil, "new_email": evil }),
                ),
                ("/v1/email-change/inspect", json!({ "token": evil })),
            ] {
                let answer = server.post(path, None, body).await;
                assert!(!answer.text.contains("forged"), "{}", answer.text);
            }
            let visible: String = evil.chars().filter(|c| !c.is_control()).collect();
            let path = format!(
                "{}/forged%0D%0A{}",
                server.url,
                visible
                    .replace(' ', "%20")
                    .replace(['{', '}', '"', '['], "_")
            );
            let asked = server
                .http
                .get(path)
                .header("X-Request-Id", "forged")
                .header("traceparent", "00-forged")
                .header("X-Forwarded-For", "forged")
                .header("User-Agent", "forged");
            assert!(
                !asked
                    .send()
                    .await
                    .expect("an answer")
                    .text()
                    .await
                    .expect("a body")
                    .contains("forged")
            );
        }
        let (_, log) = server.end("TERM").await;
        assert!(log.contains("session.refused"), "{log}");
        assert_eq!(made_by_input(&log, format), [""; 0]);
        deployment.close().await;
    }
}

/// The control: what a log would be like that repeats what it is sent.
#[test]
fn a_line_that_was_sent_is_noticed() {
    for (format, line) in [
        (
            "text",
            "2026-11-26T10:00:00Z  INFO session.refused client=1",
        ),
        ("json", r#"{"level":"INFO","message":"session.refused"}"#),
    ] {
        assert_eq!(made_by_input(&format!("{line}\n{line}\n"), format), [""; 0]);
        for sent in [
            "ann\r\n2027-01-15 forged",
            "\n{\"forged\":1}",
            "\nhalf a line",
            "\u{1b}[31m",
            "\r",
            "\u{85}",
            "\u{0}",
        ] {
            let log = format!("{line}{sent}\n{line}\n");
            assert!(
                !made_by_input(&log, format).is_empty(),
                "{sent:?} in {format}"
            );
        }
    }
}
