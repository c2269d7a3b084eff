//! The limit of a client, and who the client is.

use std::time::Duration;

use readdress::server::Settings;

use super::{CANARY, answer_to};
use crate::support::{Answer, Options, TestApp};

/// Three requests a minute from one client, and these proxies.
fn three_a_minute(trusted: &[&str]) -> Options {
    let quota = Some("3/1m".parse().expect("a quota"));
    let nets = trusted.iter().map(|net| net.parse().expect("a net"));
    let server = Settings {
        trusted_proxies: nets.collect(),
        ..Options::default().server
    };
    Options {
        server,
        ..Options::limited(|quotas| quotas.client = quota)
    }
}

async fn ask_as(app: &TestApp, client: &str) -> Answer {
    let request = app.http.get(format!("{}/v1/me", app.url));
    let request = request.header("X-Forwarded-For", client);
    app.receive(request, "GET", "/v1/me").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_limited_for_as_long_as_retry_after_says() {
    let app = TestApp::on_sqlite(three_a_minute(&[])).await;
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        ask_as(&app, client).await.problem(401, "unauthenticated");
    }
    let limited = ask_as(&app, "192.0.2.4").await;
    limited.problem(429, "rate_limited");
    assert_eq!(limited.retry_after(), 20, "nobody believes the header");
    app.clock.advance(Duration::from_secs(19));
    let limited = ask_as(&app, "192.0.2.5").await;
    limited.problem(429, "rate_limited");
    assert_eq!(limited.retry_after(), 1);
    app.clock.advance(Duration::from_secs(1));
    ask_as(&app, "192.0.2.6")
        .await
        .problem(401, "unauthenticated");
    ask_as(&app, "192.0.2.7").await.problem(429, "rate_limited");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_says_which_client_it_is() {
    let app = TestApp::on_sqlite(three_a_minute(&["127.0.0.0/8", "10.0.0.0/8"])).await;
    for _ in 0..3 {
        ask_as(&app, "192.0.2.1")
            .await
            .problem(401, "unauthenticated");
    }
    ask_as(&app, "192.0.2.1").await.problem(429, "rate_limited");
    // The last hop that nobody trusts is the client, whatever it wrote in front of itself.
    ask_as(&app, "198.51.100.9, 192.0.2.1, 10.1.2.3")
        .await
        .problem(429, "rate_limited");
    ask_as(&app, "192.0.2.2")
        .await
        .problem(401, "unauthenticated");
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_document_and_cancel_are_never_limited() {
    let app = TestApp::on_sqlite(three_a_minute(&[])).await;
    for round in 0..10 {
        for path in ["/healthz", "/readyz", "/openapi.json", "/docs"] {
            let answer = answer_to(app.http.get(format!("{}{path}", app.url))).await;
            assert_eq!(answer.status.as_u16(), 200, "{path} in round {round}");
        }
        app.cancel(CANARY).await.problem(400, "invalid_link");
    }
    for _ in 0..3 {
        ask_as(&app, "").await.problem(401, "unauthenticated");
    }
    ask_as(&app, "").await.problem(429, "rate_limited");
    app.cancel(CANARY).await.problem(400, "invalid_link");
    app.close().await;
}
