//! Access tokens of the host application, made by the libraries of their issuers
//! (`tests/vectors/make_tokens.py`). What each claim may be is tested beside the code; here is what it
//! means for a caller, and what a host that publishes its keys can do to us.

use std::time::{Duration, Instant};

use readdress::access::host::{Audience, HostTokenKeys, HostTokenRules};
use serde_json::{Value, json};

use crate::support::app::{PASSWORD, START, at_once};
use crate::support::certificates::Authority;
use crate::support::forge;
use crate::support::key_server::{KeyServer, Serves};
use crate::support::{Options, TestApp, story};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/tokens.json")).expect("vectors")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A token of jose, by its name.
fn jose(name: &str) -> String {
    let tokens = vectors()["jose"]["tokens"].take();
    let mut tokens = tokens.as_array().expect("tokens").iter();
    let found = tokens.find(|token| token["name"] == name);
    text(&found.unwrap_or_else(|| panic!("no token {name}"))["token"])
}

/// What jose has published, in the first and in the second year.
fn set(generation: usize) -> Value {
    vectors()["jose"]["sets"][generation].take()
}

fn of(set: &Value, kids: &[&str]) -> Value {
    let keys = set["keys"].as_array().expect("keys").iter();
    let chosen = keys.filter(|key| kids.contains(&key["kid"].as_str().expect("a kid")));
    json!({ "keys": chosen.collect::<Vec<_>>() })
}

/// The host's secret, as simplejwt uses it without further settings.
fn with_secret() -> Options {
    Options {
        sign_in: false,
        host_tokens: Some((
            HostTokenKeys::Secret(text(&vectors()["secret"]).into()),
            HostTokenRules {
                issuer: None,
                audience: Audience::Nobody,
                user_id: "user_id".to_owned(),
                required: vec![],
            },
        )),
        ..Options::default()
    }
}

fn with_set(server: &KeyServer) -> Options {
    let vectors = vectors();
    Options {
        host_tokens: Some((
            HostTokenKeys::Jwks {
                url: server.url.clone(),
                authorities: None,
            },
            HostTokenRules {
                issuer: Some(text(&vectors["issuer"])),
                audience: Audience::One(text(&vectors["audience"])),
                user_id: "sub".to_owned(),
                required: vec![],
            },
        )),
        ..Options::default()
    }
}

/// The user whose tokens the host has made.
async fn add_host_user(app: &TestApp) {
    assert_eq!(START, vectors()["now"], "the tokens are of the tests' time");
    app.add_user("ann@example.com", PASSWORD).await;
    let sql = format!(
        "UPDATE users SET id = '{}' WHERE email = 'ann@example.com'",
        text(&vectors()["user"])
    );
    assert_eq!(app.database.execute(&sql).await, 1);
}

/// The first good token of that library that HS256 verifies: the plainest.
fn simplejwt_access() -> String {
    text(&vectors()["tokens"][0]["token"])
}

story! {
    async fn the_host_s_access_token_is_all_that_a_change_needs(app with with_secret()) {
        add_host_user(app).await;
        let access = simplejwt_access();
        assert_eq!(app.me(&access).await.ok(200)["email"], "ann@example.com");
        app.request(&access, "wrong").await.problem(403, "wrong_password");
        app.request(&access, PASSWORD).await.ok(202);
        let confirm = app.mail_to("ann@example.com").token("new-email");
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.ok(202);
        let activate = app.mail_to("ann@new.example").token("email-activation");
        app.activate(&activate).await.ok(200);
        assert_eq!(app.me(&access).await.ok(200)["email"], "ann@new.example");
        // It holds until it expires, to the second.
        app.clock.advance(Duration::from_secs(299));
        app.me(&access).await.ok(200);
        app.clock.advance(Duration::from_secs(1));
        app.me(&access).await.problem(401, "unauthenticated");
    }
}

story! {
    async fn every_refusal_is_the_same_401(app with with_secret()) {
        add_host_user(app).await;
        let reference = app.me("nonsense").await;
        let without_id = |answer: &crate::support::Answer| {
            let mut json = answer.json.clone();
            json["request_id"].take();
            (answer.header("www-authenticate").map(ToOwned::to_owned), json)
        };
        let vectors = vectors();
        let refused = vectors["tokens"].as_array().expect("tokens").iter();
        let refused = refused.filter(|vector| vector["good"] == false && vector["key"] == "HS256" && vector["rules"] == json!({}));
        let mut tokens: Vec<String> = refused.map(|vector| text(&vector["token"])).collect();
        assert!(tokens.len() > 20, "{}", tokens.len());
        // Of a user who is not there.
        tokens.push(text(&vectors["tokens"][1]["token"]));
        let mut gone = forge::open(&simplejwt_access());
        gone.claims["user_id"] = json!("019b2a00-0000-7000-8000-000000000043");
        tokens.push(gone.sign(text(&vectors["secret"]).as_bytes()));
        for token in &tokens {
            let answer = app.me(token).await;
            answer.problem(401, "unauthenticated");
            assert_eq!(without_id(&answer), without_id(&reference), "{token}");
        }
    }
}

story! {
    async fn our_links_are_no_access_tokens_and_access_tokens_are_no_links(app with Options { sign_in: true, ..with_secret() }) {
        add_host_user(app).await;
        let access = simplejwt_access();
        app.request(&access, PASSWORD).await.ok(202);
        let confirm = app.mail_to("ann@example.com").token("new-email");
        let cancel = app.mail_to("ann@example.com").token("cancel-email-change");
        app.confirm(&confirm, PASSWORD, "ann@new.example").await.ok(202);
        let activate = app.mail_to("ann@new.example").token("email-activation");
        let secret = text(&vectors()["secret"]);
        for link in [&confirm, &cancel, &activate] {
            app.me(link).await.problem(401, "unauthenticated");
            // Not even if the host's secret had signed it.
            let mut forged = forge::open(link);
            forged.claims["user_id"] = vectors()["user"].take();
            app.me(&forged.sign(secret.as_bytes())).await.problem(401, "unauthenticated");
        }
        app.confirm(&access, PASSWORD, "ann@new.example").await.problem(400, "invalid_link");
        app.activate(&access).await.problem(400, "invalid_link");
        app.cancel(&access).await.problem(400, "invalid_link");

        // Our own access tokens go on holding beside the host's, and neither passes for the other.
        let ours = app.sign_in_as("ann@example.com", PASSWORD).await.access;
        app.me(&ours).await.ok(200);
        let mut forged = forge::open(&ours);
        forged.claims["user_id"] = vectors()["user"].take();
        app.me(&forged.sign(secret.as_bytes())).await.problem(401, "unauthenticated");
        let mut forged = forge::open(&access);
        app.me(&forged.sign(app.ring().signing().access_secret())).await.problem(401, "unauthenticated");
        forged.header["typ"] = json!("readdress-access+jwt");
        app.me(&forged.sign(secret.as_bytes())).await.problem(401, "unauthenticated");
    }
}

story! {
    async fn without_sign_in_nobody_is_given_a_token_of_ours(app with with_secret()) {
        add_host_user(app).await;
        app.sign_in("ann@example.com", PASSWORD).await.problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_once_and_kept() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    assert_eq!(server.requests(), 0, "not before they are needed");
    for name in [
        "RS256-2026",
        "ES256-2026",
        "EdDSA-2026",
        "RS256-unnamed-2026",
    ] {
        app.me(&jose(name)).await.ok(200);
    }
    assert_eq!(server.requests(), 1);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_in_the_trace_of_who_needs_them() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736";
    let me = app
        .http
        .get(format!("{}/v1/me", app.url))
        .header("Authorization", format!("Bearer {}", jose("RS256-2026")))
        .header("traceparent", format!("{trace}-00f067aa0ba902b7-01"));
    app.receive(me, "GET", "/v1/me").await.ok(200);
    let traces = server.traces();
    assert_eq!(traces.len(), 1);
    assert!(traces[0].starts_with(trace), "{traces:?}");
    assert!(traces[0].ends_with("-01") && !traces[0].contains("00f067aa0ba902b7"));
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_is_found_and_strangers_make_us_ask_once_a_minute_at_most() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    app.me(&jose("RS256-2026")).await.ok(200);
    for _ in 0..20 {
        app.me(&jose("ES256-2027"))
            .await
            .problem(401, "unauthenticated");
    }
    assert_eq!(server.requests(), 1, "the set is a minute old at most");
    // The kid of one key with the algorithm of another asks nobody.
    app.clock.advance(Duration::from_mins(1));
    let mut mixed = forge::open(&jose("RS256-2026"));
    mixed.header["kid"] = json!("ES256-2026");
    app.me(&mixed.sign(b""))
        .await
        .problem(401, "unauthenticated");
    mixed.header = json!({ "alg": "HS256", "kid": "RS256-2026" });
    app.me(&mixed.sign(b""))
        .await
        .problem(401, "unauthenticated");
    assert_eq!(server.requests(), 1);

    server.serve(Serves::Set(set(1)));
    app.me(&jose("ES256-2027")).await.ok(200);
    assert_eq!(server.requests(), 2);
    app.me(&jose("RS256-2026"))
        .await
        .problem(401, "unauthenticated");
    app.me(&jose("EdDSA-2027")).await.ok(200);
    assert_eq!(server.requests(), 2);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_for_a_new_key_at_once_are_all_let_in_by_one_fetch() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    app.me(&jose("RS256-2026")).await.ok(200);
    app.clock.advance(Duration::from_mins(1));
    server.serve(Serves::Late(Duration::from_millis(300), set(1)));
    let (http, url) = (app.http.clone(), format!("{}/v1/me", app.url));
    let statuses = at_once(16, |_| {
        let request = http.get(&url).bearer_auth(jose("RS256-2027"));
        async move { request.send().await.expect("an answer").status().as_u16() }
    });
    assert_eq!(statuses.await, [200; 16]);
    assert_eq!(server.requests(), 2);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_withdrawn_is_forgotten_within_ten_minutes() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    app.me(&jose("RS256-2026")).await.ok(200);
    server.serve(Serves::Set(of(&set(0), &["ES256-2026"])));
    app.clock.advance(Duration::from_secs(599));
    app.me(&jose("RS256-2026")).await.ok(200);
    app.clock.advance(Duration::from_secs(1));
    app.me(&jose("RS256-2026"))
        .await
        .problem(401, "unauthenticated");
    app.me(&jose("ES256-2026")).await.ok(200);
    app.close().await;
}

/// Everything that a URL can do instead of answering with keys.
fn failures() -> Vec<Serves> {
    vec![
        Serves::Nothing,
        Serves::Text(String::new()),
        Serves::Text("<html>Sign in".to_owned()),
        Serves::Text("{\"keys\": null}".to_owned()),
        Serves::Text("[".repeat(200_000)),
        Serves::Set(json!({ "keys": [] })),
        Serves::Set(
            json!({ "keys": [1, null, {}, { "kty": "oct", "k": "AAAA", "kid": "RS256-2026" }, { "kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "EdDSA-2026" }] }),
        ),
        Serves::Status(302, set(0)),
        Serves::Status(404, set(0)),
        Serves::Status(500, set(0)),
        Serves::Endless,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_url_fails_the_last_good_set_goes_on_serving() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    app.me(&jose("RS256-2026")).await.ok(200);
    for (number, failure) in failures().into_iter().enumerate() {
        server.serve(failure.clone());
        app.clock.advance(Duration::from_mins(10));
        app.me(&jose("RS256-2026")).await.ok(200);
        app.me(&jose("ES256-2027"))
            .await
            .problem(401, "unauthenticated");
        assert_eq!(server.requests(), number + 2, "{failure:?}");
    }
    server.serve(Serves::Set(set(1)));
    app.clock.advance(Duration::from_mins(1));
    app.me(&jose("ES256-2027")).await.ok(200);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_set_a_token_cannot_be_judged_and_soon_is() {
    let server = KeyServer::start(Serves::Nothing).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    for failure in failures() {
        server.serve(failure);
        app.clock.advance(Duration::from_secs(5));
        let answer = app.me(&jose("RS256-2026")).await;
        answer.problem(503, "overloaded");
        assert!(answer.retry_after() > 0);
    }
    // What cannot be good in any case is refused all the same.
    app.me("nonsense").await.problem(401, "unauthenticated");
    // Others do not need those keys.
    app.sign_in("ann@example.com", PASSWORD).await.ok(200);
    server.serve(Serves::Set(set(0)));
    app.clock.advance(Duration::from_secs(5));
    app.me(&jose("RS256-2026")).await.ok(200);
    app.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_url_keeps_one_caller_waiting_three_seconds_and_nobody_else() {
    for slow in [Serves::Stalls, Serves::Late(Duration::from_mins(1), set(1))] {
        let server = KeyServer::start(Serves::Set(set(0))).await;
        let app = TestApp::on_sqlite(with_set(&server)).await;
        add_host_user(&app).await;
        app.me(&jose("RS256-2026")).await.ok(200);
        server.serve(slow);
        app.clock.advance(Duration::from_mins(10));
        let began = Instant::now();
        let (http, url) = (app.http.clone(), format!("{}/v1/me", app.url));
        let waits = at_once(8, |_| {
            let request = http.get(&url).bearer_auth(jose("RS256-2026"));
            async move {
                assert_eq!(request.send().await.expect("an answer").status(), 200);
                began.elapsed()
            }
        });
        let mut waits = waits.await;
        waits.sort_unstable();
        assert!(waits[6] < Duration::from_secs(2), "{waits:?}");
        assert!(waits[7] < Duration::from_secs(5), "{waits:?}");
        assert_eq!(server.requests(), 2);
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_over_tls_is_believed_only_from_the_server_that_was_named() {
    let ours = Authority::new("ours");
    let stranger = Authority::new("stranger");
    let name = "127.0.0.1";
    for (tls, status) in [
        (ours.server(name), 200),
        (stranger.server(name), 503),
        (ours.server("127.0.0.2"), 503),
        (ours.expired(name), 503),
        (ours.not_yet_valid(name), 503),
        (ours.as_authority(name), 503),
    ] {
        let server = KeyServer::start_tls(Serves::Set(set(0)), tls).await;
        let mut options = with_set(&server);
        let Some((HostTokenKeys::Jwks { authorities, .. }, _)) = &mut options.host_tokens else {
            unreachable!("a set")
        };
        *authorities = Some(ours.pem.clone().into_bytes());
        let app = TestApp::on_sqlite(options).await;
        add_host_user(&app).await;
        let answer = app.me(&jose("RS256-2026")).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(server.requests(), usize::from(status == 200));
        app.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_cannot_say_where_its_key_is() {
    let server = KeyServer::start(Serves::Set(set(0))).await;
    let stranger = KeyServer::start(Serves::Set(set(1))).await;
    let app = TestApp::on_sqlite(with_set(&server)).await;
    add_host_user(&app).await;
    for name in ["jku", "x5u", "jwk"] {
        let mut token = forge::open(&jose("RS256-2027"));
        token.header[name] = if name == "jwk" {
            set(1)["keys"][0].take()
        } else {
            json!(stranger.url.as_str())
        };
        app.me(&token.sign(b""))
            .await
            .problem(401, "unauthenticated");
    }
    assert_eq!(stranger.requests(), 0);
    app.close().await;
}
