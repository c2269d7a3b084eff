//! Lines: nothing that is sent makes a line of the log, or tells a terminal what to do.

use serde_json::{Value, json};

use super::deployment::{Deployment, request, show, sign_in};
use super::pipe::Pipe;
use crate::support::Answer;
use crate::support::process::Running;

/// Lines that are not one of ours whole, or that repeat what was sent.
fn made_by_input<'a>(log: &'a str, format: &str) -> Vec<&'a str> {
    let is_whole = |line: &str| match format {
        "json" => serde_json::from_str::<Value>(line).is_ok(),
        _ => line.starts_with("20"),
    };
    let lines = log.split('\n').filter(|line| !line.is_empty());
    lines
        .filter(|line| !is_whole(line) || is_forged(line))
        .collect()
}

/// A database's own words are repeated, but in a line that says whose they are.
fn is_forged(line: &str) -> bool {
    let is_quoted = line.contains("the database failed: ");
    line.contains(char::is_control) || (line.contains("forged") && !is_quoted)
}

const EVIL: [&str; 6] = [
    "\r\n2027-01-15 forged",
    "\n{\"forged\":1}",
    "\u{1b}[31mforged",
    "\u{85}forged",
    "\u{2028}forged",
    "\u{0}forged",
];

/// What no client library sends; HTTP lets some of it through.
const RAW: [&[u8]; 8] = [
    b"\x1b[31mforged",
    b"\x85forged",
    b"\xc2\x85forged",
    b"\0forged",
    b"\rforged",
    b"\nforged: 1",
    b"\r\nforged: 1",
    b"\r\n 2027-01-15 forged",
];

/// Everything that is read of a request before its body.
const HEADERS: [&str; 10] = [
    "X-Forwarded-For: 192.0.2.1, ",
    "Forwarded: for=192.0.2.1, for=\"",
    "Authorization: Bearer ",
    "Accept-Language: de, ",
    "X-Request-Id: ",
    "traceparent: 00-",
    "User-Agent: ",
    "Origin: https://",
    "Content-Type: application/json; charset=",
    "Content-Encoding: ",
];

/// Sends bytes as they are; refused or not, the answer repeats none of them.
async fn send(server: &Running, head: &[u8], body: &[u8]) {
    let mut pipe = Pipe::open(&server.url).await;
    let length = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    let rest = b"\r\nHost: x\r\nConnection: close";
    let request = [head, rest, length.as_bytes(), body].concat();
    // Whoever is refused early may find the connection closed.
    let _ = pipe.send(request).await;
    let said = pipe.read_to_end().await;
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.starts_with("HTTP/1.1 ") && !said.contains("forged"),
        "{said}"
    );
}

async fn send_raw(server: &Running) {
    let body = json!({ "email": "ann@example.com", "password": "wrong" }).to_string();
    let post = b"POST /v1/session HTTP/1.1\r\n";
    for raw in RAW {
        for header in HEADERS {
            let content = b"\r\nContent-Type: application/json";
            let content = if header.starts_with("Content-Type") {
                &b""[..]
            } else {
                content
            };
            let head = [post, header.as_bytes(), raw, content].concat();
            send(server, &head, body.as_bytes()).await;
        }
        for path in ["/", "/v1/session?", "/v1/email-change/", "http://"] {
            let head = [b"POST ", path.as_bytes(), raw, b" HTTP/1.1"].concat();
            send(server, &head, b"").await;
        }
        send(server, &[raw, b" / HTTP/1.1"].concat(), b"").await;
        let head = [post, &b"Content-Type: application/json"[..]].concat();
        send(server, &head, &[b"{\"email\":\"", raw, b"\"}"].concat()).await;
        send(server, &head, raw).await;
    }
}

/// Each body of each operation, with what opens it and without.
async fn send_in_bodies(server: &Running, access: &str, confirm: &str) {
    for evil in EVIL {
        let email = format!("ann{evil}@example.com");
        for (path, bearer, body) in [
            ("session", None, json!({ "email": email, "password": evil })),
            ("session", None, json!({ evil: evil })),
            (
                "email-change/request",
                Some(access),
                json!({ "password": evil }),
            ),
            ("email-change/request", Some(access), json!({ evil: evil })),
            (
                "email-change/confirm",
                None,
                json!({ "token": evil, "password": evil, "new_email": evil }),
            ),
            (
                "email-change/confirm",
                None,
                json!({ "token": confirm, "password": evil, "new_email": "ann@new.example" }),
            ),
            (
                "email-change/confirm",
                None,
                json!({ "token": confirm, "password": "x", "new_email": email }),
            ),
            ("email-change/activate", None, json!({ "token": evil })),
            (
                "email-change/activate",
                None,
                json!({ "token": format!("{confirm}{evil}") }),
            ),
            ("email-change/cancel", None, json!({ "token": evil })),
            (
                "email-change/undo",
                None,
                json!({ "token": evil, "password": evil }),
            ),
            ("email-change/inspect", None, json!({ "token": evil })),
        ] {
            let answer = server.post(&format!("/v1/{path}"), bearer, body).await;
            is_silent(&answer);
        }
    }
    for evil in [
        "%0D%0Aforged",
        "%0Aforged",
        "%1B[31mforged",
        "%C2%85forged",
        "%85forged",
        "%00forged",
    ] {
        for path in [
            "/",
            "/v1/session/",
            "/v1/email-change/confirm?token=",
            "/healthz?",
            "/.well-known/",
        ] {
            is_silent(&server.get(&format!("{path}{evil}")).await);
        }
    }
}

fn is_silent(answer: &Answer) {
    let said = format!("{:?}{}", answer.headers, answer.text);
    assert!(!said.contains("forged"), "{said}");
}

/// An application's own trigger, which raises what looks like a line of the log.
const TALKATIVE: &str = "CREATE TRIGGER talk BEFORE UPDATE OF email ON users BEGIN SELECT \
    RAISE(ABORT, 'no' || char(13, 10) || '2027-01-15T10:00:00Z  INFO forged ' || char(27) || '[31mforged' || char(133) || 'forged'); END";

/// Whatever is sent, a line of the log is a line, and a terminal is not told what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_input_makes_a_line_of_its_own() {
    for format in ["text", "json"] {
        let mut deployment = Deployment::on_sqlite().await;
        deployment.shell.set("RUST_LOG", "trace");
        deployment.shell.set("READDRESS_LOG_FORMAT", format);
        deployment
            .shell
            .set("READDRESS_TRUSTED_PROXIES", "127.0.0.0/8,192.0.2.1/32");
        let server = deployment.shell.start("serve").await;
        deployment
            .add("ann@example.com", &mut super::volume::seeded())
            .await;
        let access = sign_in(&server, "ann@example.com").await;
        request(&server, &access).await.ok(202);
        let confirm = deployment.await_link("new-email", "ann@example.com").await;
        send_in_bodies(&server, &access, &confirm).await;
        send_raw(&server).await;
        let head = b"POST /v1/session HTTP/1.1\r\nContent-Type: application/json\r\nX-Forwarded-For: forged, 198.51.100.7";
        let wrong = json!({ "email": "ann@example.com", "password": "wrong" }).to_string();
        send(&server, head, wrong.as_bytes()).await;

        show(&server, "confirm", &confirm, "ann@new.example")
            .await
            .ok(202);
        let activate = deployment
            .await_link("email-activation", "ann@new.example")
            .await;
        deployment.database.execute(TALKATIVE).await;
        show(&server, "activate", &activate, "")
            .await
            .problem(503, "database_unavailable");
        let (_, log) = server.end("TERM").await;
        assert!(log.contains("session.refused"), "{log}");
        assert!(
            log.contains("198.51.100.7"),
            "forwarded headers are read: {log}"
        );
        assert!(log.contains("forged"), "the database was heard: {log}");
        assert_eq!(made_by_input(&log, format), [""; 0]);

        let set = [
            "user",
            "set-email",
            "--reason",
            "x",
            "--from",
            "ann@example.com",
            "--to",
            "ann@new.example",
        ];
        let said = deployment.shell.run(&set).await;
        assert!(
            said.stderr.contains("forged"),
            "the database was heard: {said:?}"
        );
        let forged: Vec<_> = said
            .stderr
            .split('\n')
            .filter(|line| is_forged(line))
            .collect();
        assert_eq!(forged, [""; 0]);
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
            "the database failed: no\n2027-01-15 forged",
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
