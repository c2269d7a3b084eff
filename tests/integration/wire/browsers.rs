//! Browsers from other origins (CORS).

use readdress::server::Settings;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::answer_to;
use crate::support::app::PASSWORD;
use crate::support::{Answer, Options, TestApp};

const ALLOWED: &str = "https://app.example.com";
const ALSO_ALLOWED: &str = "http://localhost:5173";

fn with_origins() -> Options {
    let quota = Some("40/1m".parse().expect("a quota"));
    let server = Settings {
        cors_origins: vec![ALLOWED.to_owned(), ALSO_ALLOWED.to_owned()],
        ..Options::default().server
    };
    Options {
        server,
        ..Options::limited(|quotas| quotas.client = quota)
    }
}

fn preflight(app: &TestApp, path: &str, origin: &str) -> RequestBuilder {
    app.http
        .request(Method::OPTIONS, format!("{}{path}", app.url))
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type",
        )
}

fn cors_headers(answer: &Answer) -> Vec<String> {
    let names = answer.headers.keys().map(ToString::to_string);
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

#[track_caller]
fn assert_allowed(answer: &Answer, origin: &str) {
    let context = format!("{:?} {}", answer.headers, answer.text);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(origin),
        "{context}"
    );
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        None,
        "{context}"
    );
    let exposed = answer
        .header("access-control-expose-headers")
        .unwrap_or_default()
        .to_lowercase();
    assert!(
        exposed.contains("retry-after") && exposed.contains("x-request-id"),
        "{context}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_no_other_origin_is_let_in() {
    let app = TestApp::on_sqlite(Options::default()).await;
    app.add_user("ann@example.com", PASSWORD).await;
    for origin in [ALLOWED, "null", "*", app.url.as_str()] {
        let answer = answer_to(preflight(&app, "/v1/session", origin)).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
        assert_eq!(cors_headers(&answer), Vec::<String>::new());
        let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
        let post = app.http.post(format!("{}/v1/session", app.url)).body(body);
        let post = post
            .header("Content-Type", "application/json")
            .header("Origin", origin);
        let answer = app.receive(post, "POST", "/v1/session").await;
        answer.ok(200);
        assert_eq!(cors_headers(&answer), Vec::<String>::new());
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_origin_is_let_in_and_no_other() {
    let app = TestApp::on_sqlite(with_origins()).await;
    app.add_user("ann@example.com", PASSWORD).await;
    let body = json!({ "email": "ann@example.com", "password": PASSWORD }).to_string();
    let sign_in = |origin: &str| {
        let post = app
            .http
            .post(format!("{}/v1/session", app.url))
            .body(body.clone());
        let post = post
            .header("Content-Type", "application/json")
            .header("Origin", origin);
        app.receive(post, "POST", "/v1/session")
    };
    for origin in [ALLOWED, ALSO_ALLOWED] {
        let answer = answer_to(preflight(&app, "/v1/email-change/request", origin)).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let methods = answer
            .header("access-control-allow-methods")
            .expect("methods");
        assert!(
            methods.contains("POST") && !methods.contains("DELETE"),
            "{methods}"
        );
        let headers = answer
            .header("access-control-allow-headers")
            .expect("headers")
            .to_lowercase();
        assert!(
            headers.contains("authorization") && headers.contains("content-type"),
            "{headers}"
        );
        let answer = sign_in(origin).await;
        answer.ok(200);
        assert_allowed(&answer, origin);
    }
    for origin in [
        "null",
        "*",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com/",
        "HTTPS://APP.EXAMPLE.COM",
        "https://sub.app.example.com",
    ] {
        let answer = answer_to(preflight(&app, "/v1/session", origin)).await;
        answer.problem(405, "method_not_allowed");
        assert_eq!(cors_headers(&answer), Vec::<String>::new(), "{origin}");
        let answer = sign_in(origin).await;
        answer.ok(200);
        assert_eq!(cors_headers(&answer), Vec::<String>::new(), "{origin}");
    }
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_configured_origin_can_read_every_problem() {
    let app = TestApp::on_sqlite(with_origins()).await;
    let get = |path: &str| {
        app.http
            .get(format!("{}{path}", app.url))
            .header("Origin", ALLOWED)
    };
    let post = |body: String| {
        let post = app
            .http
            .post(format!("{}/v1/email-change/inspect", app.url))
            .body(body);
        post.header("Origin", ALLOWED)
    };
    let json = |body: String| post(body).header("Content-Type", "application/json");
    let mut unreadable = Vec::new();
    let mut look = |answer: &Answer, status: u16| {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        if answer.header("access-control-allow-origin") != Some(ALLOWED) {
            unreadable.push(status);
        }
    };
    look(&answer_to(json("{".to_owned())).await, 400);
    look(&answer_to(get("/v1/me")).await, 401);
    look(&answer_to(get("/v1/nowhere")).await, 404);
    look(&answer_to(get("/v1/session")).await, 405);
    look(&answer_to(json(" ".repeat(17 * 1024))).await, 413);
    look(&answer_to(post("{}".to_owned())).await, 415);
    for _ in 0..40 {
        answer_to(get("/v1/me")).await;
    }
    look(&answer_to(get("/v1/me")).await, 429);
    assert!(
        unreadable.is_empty(),
        "a page cannot read the problems {unreadable:?}"
    );
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_preflight_is_a_method_that_is_not_allowed() {
    let app = TestApp::on_sqlite(with_origins()).await;
    let options = app
        .http
        .request(Method::OPTIONS, format!("{}/v1/session", app.url));
    let answer = answer_to(options.header("Origin", ALLOWED)).await;
    answer.problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    app.close().await;
}
