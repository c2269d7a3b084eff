//! Leaks: nothing secret is ever said, however much is logged and whatever goes wrong.
//!
//! The real binary at trace level, with a canary in everything that is secret: passwords, tokens,
//! addresses, keys, and the URLs of database and mail server. Then everything that was logged or
//! answered is searched, for the canaries as they are, in percent form and in base64.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::cheap;
use super::deployment::{Deployment, body};
use super::volume::{figure, seeded, volume};
use crate::support::process::Running;
use crate::support::{Answer, Engine, Fault};

/// Of a canary, in characters: shorter ones are found by chance.
const SHORTEST: usize = 8;

/// Everything that must not be said.
#[derive(Default)]
struct Canaries(Vec<(String, Vec<String>)>);

impl Canaries {
    fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= SHORTEST, "{what} is short");
        let mut percent = String::new();
        for byte in secret.bytes() {
            let _ = write!(percent, "%{byte:02X}");
        }
        let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent];
        // Wherever in a longer text it stands, one of three alignments: without the characters at
        // either end, which its neighbours share.
        for before in 0..3 {
            let padded = [vec![0; before], secret.as_bytes().to_vec()].concat();
            let whole = padded.len() / 3 * 4;
            let encoded = STANDARD_NO_PAD.encode(&padded);
            let inner = &encoded[(before * 8).div_ceil(6)..whole];
            forms.push(inner.to_owned());
            forms.push(inner.replace('+', "-").replace('/', "_"));
        }
        self.0.push((what.to_owned(), forms));
    }

    /// Each that is in there, and as what. In one pass: of thousands of flows there are a million
    /// forms to look for.
    fn found_in(&self, said: &str) -> Vec<String> {
        let mut by_start = HashMap::<&[u8], Vec<(&str, &str)>>::new();
        for (what, forms) in &self.0 {
            for form in forms {
                let start = &form.as_bytes()[..SHORTEST];
                by_start.entry(start).or_default().push((what, form));
            }
        }
        let mut found = BTreeSet::new();
        for (at, start) in said.as_bytes().windows(SHORTEST).enumerate() {
            let here = &said.as_bytes()[at..];
            for (what, form) in by_start.get(start).into_iter().flatten() {
                if here.starts_with(form.as_bytes()) {
                    found.insert(format!("{what} as {form}"));
                }
            }
        }
        found.into_iter().collect()
    }
}

/// What a token must not be known by: its claims and its signature. Its header is no secret.
fn add_token(canaries: &mut Canaries, what: &str, token: &str) {
    for part in token.split('.').skip(1) {
        canaries.add(what, part);
    }
}

/// Somebody whose every secret is a canary.
struct Walker<'a> {
    deployment: &'a Deployment,
    server: &'a Running,
    canaries: &'a mut Canaries,
    answers: Vec<String>,
    password: String,
}

impl Walker<'_> {
    async fn post(&mut self, path: &str, access: Option<&str>, body: Value) -> Answer {
        let answer = self.server.post(path, access, body).await;
        // A success may say what its caller just said; a problem must not.
        if !answer.status.is_success() {
            self.answers
                .push(format!("{:?} {}", answer.headers, answer.text));
        }
        answer
    }

    async fn step(&mut self, step: &str, token: &str, new_email: &str) -> Answer {
        let mut body = body(step, token, new_email);
        if !body["password"].is_null() {
            body["password"] = self.password.as_str().into();
        }
        self.post(&format!("/v1/email-change/{step}"), None, body)
            .await
    }

    /// The whole change and back, with every way of failing on the way.
    async fn walk(&mut self, old: &str, new: &str) {
        let wrong = json!({ "email": old, "password": format!("not-{}", self.password) });
        self.post("/v1/session", None, wrong)
            .await
            .problem(401, "unauthenticated");
        let right = json!({ "email": old, "password": self.password });
        let session = self.post("/v1/session", None, right).await;
        session.ok(200);
        let access = session.field("access_token").to_owned();
        add_token(self.canaries, "an access token", &access);
        let password = json!({ "password": self.password });
        let request = "/v1/email-change/request";
        self.post(
            request,
            Some(&access),
            json!({ "password": format!("not-{}", self.password) }),
        )
        .await
        .problem(403, "wrong_password");
        self.post(request, Some(&format!("{access}x")), password.clone())
            .await
            .problem(401, "unauthenticated");
        self.deployment
            .sink
            .fault(Fault::RefuseRecipient("550 5.1.1 no such user"));
        self.post(request, Some(&access), password.clone())
            .await
            .problem(422, "undeliverable");
        self.deployment
            .sink
            .fault(Fault::RefuseMessage("554 5.6.0 what was that"));
        self.post(request, Some(&access), password.clone())
            .await
            .problem(503, "mail_unavailable");
        self.deployment.sink.fault(None);
        self.post(request, Some(&access), password.clone())
            .await
            .ok(202);
        let cancel = self.link("cancel-email-change", old).await;
        self.step("cancel", &cancel, "").await.ok(200);
        self.deployment.sink.forget();
        self.post(request, Some(&access), password).await.ok(202);
        let confirm = self.link("new-email", old).await;
        let cancel = self.link("cancel-email-change", old).await;
        self.step(
            "confirm",
            &confirm,
            "no address: secret-canary-of-an-address",
        )
        .await
        .problem(422, "invalid_email");
        self.step("confirm", &confirm, old)
            .await
            .problem(422, "same_email");
        self.step("confirm", &confirm, new).await.ok(202);
        let activate = self.link("email-activation", new).await;
        self.step("confirm", &confirm, old)
            .await
            .problem(410, "link_used");
        self.step("activate", &confirm, "")
            .await
            .problem(400, "invalid_link");
        self.step("inspect", &activate, "").await.ok(200);
        self.step("activate", &activate, "").await.ok(200);
        self.step("cancel", &cancel, "")
            .await
            .problem(410, "link_used");
        let undo = self.link("undo-email-change", old).await;
        self.step("undo", &undo, "").await.ok(200);
        self.post(
            "/v1/email-change/activate",
            None,
            json!({ "token": activate, "more": self.password }),
        )
        .await
        .problem(400, "malformed_request");
        self.post(
            "/v1/email-change/activate",
            None,
            json!([activate, self.password]),
        )
        .await
        .problem(400, "malformed_request");
        let elsewhere = format!("/v1/email-change/{}?token={activate}", self.password);
        let lost = self.server.get(&elsewhere).await;
        self.answers
            .push(format!("{:?} {}", lost.headers, lost.text));
    }

    async fn link(&mut self, page: &str, to: &str) -> String {
        let link = self.deployment.await_link(page, to).await;
        add_token(self.canaries, page, &link);
        link
    }
}

/// A name that is in nothing else.
fn canary(rng: &mut fastrand::Rng) -> String {
    std::iter::repeat_with(|| rng.lowercase())
        .take(16)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_logged_or_answered() {
    let (flows, mut rng, mut canaries) = (volume("SOAK_LEAKS", 2), seeded(), Canaries::default());
    for database in ["SQLite", "PostgreSQL"] {
        let deployment = match database {
            "SQLite" => Some(Deployment::on_sqlite().await),
            _ => Deployment::on(Engine::Postgres).await,
        };
        let Some(mut deployment) = deployment else {
            continue;
        };
        deployment.shell.set("RUST_LOG", "trace");
        deployment.shell.set("READDRESS_LOG_FORMAT", "json");
        canaries.add(
            "the key",
            deployment
                .shell
                .get("READDRESS_SECRET_KEYS")
                .split_once(':')
                .expect("a kid")
                .1,
        );
        if let Some((start, rest)) = deployment.database.url.split_once("postgres@") {
            // Trusted whatever it is.
            let password = canary(&mut rng);
            canaries.add("the password of the database", &password);
            deployment.shell.set(
                "READDRESS_DATABASE_URL",
                &format!("{start}postgres:{password}@{rest}"),
            );
        }
        let password = canary(&mut rng);
        canaries.add("the password of the mail server", &password);
        deployment.sink.offer("AUTH PLAIN LOGIN");
        deployment.shell.set(
            "READDRESS_SMTP_URL",
            &deployment
                .sink
                .url()
                .replace("://", &format!("://mailer:{password}@")),
        );
        let server = deployment.shell.start("serve").await;
        let mut answers = Vec::new();
        for _ in 0..flows {
            deployment.sink.forget();
            let [password, old, new] = std::array::from_fn(|_| canary(&mut rng));
            canaries.add("a password", &password);
            canaries.add("an address", &old);
            canaries.add("a new address", &new);
            let (old, new) = (format!("{old}@example.com"), format!("{new}@new.example"));
            deployment
                .add_with(&old, &cheap::hash_of(&password, &mut rng))
                .await;
            let mut walker = Walker {
                deployment: &deployment,
                server: &server,
                canaries: &mut canaries,
                answers: vec![],
                password,
            };
            walker.walk(&old, &new).await;
            answers.append(&mut walker.answers);
        }
        canaries.add("what was no address", "secret-canary-of-an-address");
        let metrics = server.get("/metrics").await.text;
        assert!(metrics.contains("readdress_mails_total"), "{metrics}");
        let stdout = server.stdout();
        let (_, log) = server.end("TERM").await;
        let found = canaries.found_in(&format!("{log}{stdout}{metrics}{}", answers.concat()));
        assert!(found.is_empty(), "{found:#?}");
        let events = check_events(&log, flows);
        figure(format_args!(
            "leaks: {database}, {flows} flows at trace level, {} lines logged, {events} events checked, {} canaries in four forms: none found",
            log.lines().count(),
            canaries.0.len()
        ));
        deployment.close().await;
    }
}

/// Reasons that are found with the row at hand, and with the link.
const WHO: [&str; 5] = [
    "wrong_password",
    "same_email",
    "undeliverable",
    "mail_unavailable",
    "link_used",
];
const LINK: [&str; 2] = ["same_email", "link_used"];

/// Each step says what happened, to whom, with which key and in which request.
fn check_events(log: &str, flows: usize) -> usize {
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
            let [knows_who, knows_link] = [&WHO[..], &LINK[..]].map(|of| of.contains(&reason));
            assert!(!reason.is_empty(), "{line}");
            assert!(!knows_who || line["user_id"].is_string(), "{line}");
            assert!(!knows_link || line["kid"].is_string(), "{line}");
        } else {
            assert!(line["user_id"].is_string(), "{line}");
            assert!(line["kid"].is_string(), "{line}");
            let masked = ["sent_to", "from", "email"]
                .iter()
                .find_map(|name| line[name].as_str());
            assert!(
                masked.is_some_and(|masked| masked.contains("***@")),
                "{line}"
            );
        }
        checked += 1;
    }
    for event in [
        "requested",
        "confirmed",
        "activated",
        "cancelled",
        "undone",
        "refused",
    ] {
        let times = log.matches(&format!("email_change.{event}\"")).count();
        assert!(
            times >= flows,
            "email_change.{event} {times} times in {flows} flows"
        );
    }
    checked
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
        assert!(!log.contains("forged") && !log.contains('\u{1b}'), "{log}");
        for line in log.lines() {
            let whole = if format == "json" {
                serde_json::from_str::<Value>(line).is_ok()
            } else {
                line.starts_with("20")
            };
            assert!(whole, "{line}");
        }
        deployment.close().await;
    }
}

/// The control: every form is found, in the middle of something else.
#[test]
fn a_canary_is_found_in_every_form() {
    let mut canaries = Canaries::default();
    canaries.add("it", "hunter2-hunter2");
    assert!(canaries.found_in("nothing of the kind").is_empty());
    for said in [
        "x hunter2-hunter2 y".to_owned(),
        "%68%75%6E%74%65%72%32%2D%68%75%6E%74%65%72%32".to_owned(),
    ] {
        assert!(!canaries.found_in(&said).is_empty(), "{said}");
    }
    for before in 0..7 {
        let said = STANDARD_NO_PAD.encode(format!(
            "{}hunter2-hunter2{}",
            "x".repeat(before),
            "y".repeat(9 - before)
        ));
        assert!(!canaries.found_in(&said).is_empty(), "{said}");
    }
}
