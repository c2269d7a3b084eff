//! What any HTTP client can meet: paths, methods, headers, limits of the wire.

mod browsers;
mod connections;
mod document;
mod hostile;
mod limits;
mod malformed;

pub(crate) use connections::over_http_2;

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::PASSWORD;
use crate::support::{Answer, Options, TestApp};

/// In everything bad that is sent; in nothing that is answered.
const CANARY: &str = "canary-7f3a";
/// What is read with GET, and HEAD with it.
const READING: [&str; 5] = ["/v1/me", "/healthz", "/readyz", "/openapi.json", "/docs"];

/// An operation with a body, and a body that it would take.
struct Operation {
    path: &'static str,
    access: Option<String>,
    fields: Vec<(&'static str, String)>,
}

/// All of them, with links that can be used.
async fn operations(app: &TestApp) -> Vec<Operation> {
    let ann = app.person("ann@example.com").await;
    let bob = app.person("bob@example.com").await;
    let eve = app.person("eve@example.com").await;
    let (confirm, cancel) = app.links_of_request(&ann).await;
    let activate = app.activate_link(&bob, "bob@new.example").await;
    let undo = app
        .change(&eve, "eve@new.example")
        .await
        .expect("an undo link");
    let password = || ("password", PASSWORD.to_owned());
    let new_email = ("new_email", "ann@new.example".to_owned());
    let of = |path, fields| Operation {
        path,
        access: None,
        fields,
    };
    vec![
        of("/v1/session", vec![("email", ann.email), password()]),
        Operation {
            access: Some(ann.access),
            ..of("/v1/email-change/request", vec![password()])
        },
        of(
            "/v1/email-change/confirm",
            vec![("token", confirm.clone()), password(), new_email],
        ),
        of("/v1/email-change/activate", vec![("token", activate)]),
        of("/v1/email-change/cancel", vec![("token", cancel)]),
        of("/v1/email-change/undo", vec![("token", undo), password()]),
        of("/v1/email-change/inspect", vec![("token", confirm)]),
    ]
}

impl Operation {
    fn body(&self) -> String {
        let fields = self.fields.iter();
        let fields: Map<String, Value> = fields
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        Value::from(fields).to_string()
    }

    fn request(&self, app: &TestApp, method: Method, query: &str) -> RequestBuilder {
        let request = app
            .http
            .request(method, format!("{}{}{query}", app.url, self.path));
        match &self.access {
            Some(access) => request.header("Authorization", format!("Bearer {access}")),
            None => request,
        }
    }

    async fn post(&self, app: &TestApp, content_type: Option<&[u8]>, body: Vec<u8>) -> Answer {
        let mut request = self.request(app, Method::POST, "").body(body);
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        app.receive(request, "POST", self.path).await
    }

    /// Nothing that was sent, good or bad, is in the answer.
    #[track_caller]
    fn assert_silent(&self, answer: &Answer, what: &str) {
        let said = format!("{:?}\n{}", answer.headers, answer.text);
        let sent = self
            .fields
            .iter()
            .map(|(_, value)| value.as_str())
            .chain([CANARY]);
        for sent in sent.chain(self.access.as_deref()) {
            assert!(
                !said.contains(sent),
                "{}: {what}: {said} repeats {sent}",
                self.path
            );
        }
    }
}

/// Everything that bad requests must leave as it is.
async fn everything(app: &TestApp) -> (String, usize) {
    tokio::time::sleep(Duration::from_millis(50)).await;
    (app.state().await, app.mails().len())
}

async fn answer_to(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("an answer")).await
}

/// Writes these bytes, then reads until the other side closes.
pub(crate) async fn exchange(url: &str, bytes: &[u8]) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("connects");
    stream.write_all(bytes).await.expect("everything is taken");
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(10), read).await;
    read.expect("closed in time").expect("not reset");
    String::from_utf8_lossy(&answer).into_owned()
}

fn methods(names: &str) -> Vec<Method> {
    let names = names.split(' ');
    names
        .map(|name| name.parse().expect("a method name"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_takes_post_and_nothing_else_even_with_everything_right() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    let before = everything(&app).await;
    for operation in &operations {
        let (_, link) = &operation.fields[0];
        for method in methods("GET HEAD PUT DELETE PATCH OPTIONS TRACE CANARY") {
            for query in ["", &format!("?token={link}&password={PASSWORD}")] {
                let request = operation.request(&app, method.clone(), query);
                let request = request
                    .header("Content-Type", "application/json")
                    .header("X-HTTP-Method-Override", "POST")
                    .body(operation.body());
                let answer = answer_to(request).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.header("allow")),
                    (405, Some("POST")),
                    "{method} {}{query}: {}",
                    operation.path,
                    answer.text
                );
                operation.assert_silent(&answer, method.as_str());
                if method != Method::HEAD {
                    answer.problem(405, "method_not_allowed");
                }
            }
        }
    }
    assert_eq!(everything(&app).await, before);
    for operation in operations.iter().skip(2) {
        assert_eq!(
            app.state_of(&operation.fields[0].1).await,
            "usable",
            "{}",
            operation.path
        );
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_path_takes_get_and_head_and_nothing_else() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let before = everything(&app).await;
    let ask = |method: Method, path: &str| {
        let request = app.http.request(method, format!("{}{path}", app.url));
        answer_to(request.header("Authorization", format!("Bearer {}", ann.access)))
    };
    for path in READING {
        for method in methods("POST PUT DELETE PATCH OPTIONS TRACE CANARY") {
            let answer = ask(method.clone(), path).await;
            answer.problem(405, "method_not_allowed");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
        let (got, head) = (ask(Method::GET, path).await, ask(Method::HEAD, path).await);
        assert_eq!(
            (got.status.as_u16(), head.status.as_u16()),
            (200, 200),
            "{path}"
        );
        assert!(!got.text.is_empty() && head.text.is_empty(), "{path}");
        assert_eq!(
            got.header("content-type"),
            head.header("content-type"),
            "{path}"
        );
    }
    assert_eq!(everything(&app).await, before);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_are_exact_and_the_pages_of_links_are_not_here() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let operations = operations(&app).await;
    let before = everything(&app).await;
    let activate = &operations[3].fields[0].1;
    let mut paths: Vec<String> = READING.map(|path| format!("{path}/")).to_vec();
    paths.extend(
        operations
            .iter()
            .map(|operation| format!("{}/", operation.path)),
    );
    paths.extend(
        [
            "/canary-7f3a",
            "/v1",
            "/v1/",
            "/v1/email-change",
            "/V1/me",
            "//v1/me",
            "/v1//me",
            "/v1/me/canary-7f3a",
            "/dev/mailbox",
            "/dev/mailbox/latest.txt",
            "/.env",
            "/canary-7f3a%00",
            "/%ff%fe?canary-7f3a=canary-7f3a",
        ]
        .map(ToOwned::to_owned),
    );
    for page in [
        "new-email",
        "email-activation",
        "cancel-email-change",
        "undo-email-change",
    ] {
        paths.push(format!("/{page}?token={activate}"));
    }
    for path in paths {
        for method in methods("GET HEAD POST") {
            let request = app
                .http
                .request(method.clone(), format!("{}{path}", app.url));
            let answer = answer_to(request.body(operations[3].body())).await;
            assert_eq!(
                answer.status.as_u16(),
                404,
                "{method} {path}: {}",
                answer.text
            );
            operations[3].assert_silent(&answer, &path);
            if method != Method::HEAD {
                answer.problem(404, "not_found");
            }
        }
    }
    assert_eq!(everything(&app).await, before);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_the_security_headers_and_an_id_of_its_own() {
    let app = TestApp::on_sqlite(Options::default()).await;
    let ann = app.person("ann@example.com").await;
    let get = |path: &str| app.http.get(format!("{}{path}", app.url));
    let post = |path: &str, body: String| {
        let request = app.http.post(format!("{}{path}", app.url)).body(body);
        request.header("Content-Type", "application/json")
    };
    let token = json!({ "token": CANARY }).to_string();
    let session = json!({ "email": ann.email, "password": PASSWORD }).to_string();
    let request = json!({ "password": PASSWORD }).to_string();
    let bearer = format!("Bearer {}", ann.access);
    let requests = [
        (200, get("/healthz")),
        (200, get("/readyz")),
        (200, get("/openapi.json")),
        (200, get("/docs")),
        (200, app.http.head(format!("{}/docs", app.url))),
        (200, get("/v1/me").header("Authorization", &bearer)),
        (200, post("/v1/session", session)),
        (
            202,
            post("/v1/email-change/request", request).header("Authorization", &bearer),
        ),
        (400, post("/v1/email-change/inspect", token.clone())),
        (401, get("/v1/me")),
        (404, get("/canary")),
        (404, get("/v1/canary")),
        (405, get("/v1/session")),
        (405, post("/docs", String::new())),
        (405, app.http.head(format!("{}/v1/session", app.url))),
        (413, post("/v1/session", " ".repeat(17 * 1024))),
        (
            415,
            app.http
                .post(format!("{}/v1/email-change/cancel", app.url))
                .body(token),
        ),
    ];
    let mut ids = BTreeSet::new();
    for (status, request) in requests {
        let sent = request.try_clone().expect("a request that can be repeated");
        let path = sent.build().expect("a request").url().path().to_owned();
        let answer = answer_to(request.header("X-Request-Id", CANARY)).await;
        let context = format!("{status} {path}: {:?} {}", answer.headers, answer.text);
        assert_eq!(answer.status.as_u16(), status, "{context}");
        let id = answer.header("x-request-id").expect("an id").to_owned();
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{context}");
        assert!(ids.insert(id), "an id twice: {context}");
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{context}"
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{context}"
        );
        let policy = answer
            .header("content-security-policy")
            .expect("a content policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{context}");
        assert!(policy.contains("default-src 'none'"), "{context}");
        if status >= 400 || path.starts_with("/v1/") {
            assert_eq!(
                answer.header("cache-control"),
                Some("no-store"),
                "{context}"
            );
        }
        for name in ["server", "x-powered-by", "set-cookie"] {
            assert_eq!(answer.header(name), None, "{context}");
        }
    }
    app.close().await;
}
