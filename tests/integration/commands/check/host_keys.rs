//! What may be wrong with the URL of the host's keys, told apart.

use std::net::TcpListener;

use super::{Fresh, SmtpSink, assert_good, assert_refused};
use crate::support::certificates::Authority;
use crate::support::key_server::{KeyServer, Serves};

fn keys() -> serde_json::Value {
    let vectors = include_str!("../../../vectors/tokens.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).expect("vectors");
    vectors["jose"]["sets"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_hosts_keys_is_told_apart() {
    let mut fresh = Fresh::on_sqlite();
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.migrate().await;
    for name in ["ISSUER", "AUDIENCE"] {
        fresh
            .shell
            .set(&format!("READDRESS_HOST_TOKEN_{name}"), "any");
    }
    let authority = Authority::new("Example Authority");
    let untrusted = KeyServer::start_tls(Serves::Set(keys()), authority.server("127.0.0.1")).await;
    let discovery = KeyServer::start(Serves::Text("{\"jwks_uri\": \"x\"}".to_owned())).await;
    let useless = serde_json::json!({ "keys": [{ "kty": "oct", "k": "canary-7f3a" }] });
    let useless = KeyServer::start(Serves::Set(useless)).await;
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = format!("http://{}/", nobody.local_addr().expect("an address"));
    for (url, mend) in [
        (untrusted.url.as_str(), "set READDRESS_HOST_TOKEN_CA_FILE"),
        (discovery.url.as_str(), "not to the discovery document"),
        (
            useless.url.as_str(),
            "for HS256 set READDRESS_HOST_TOKEN_SECRET",
        ),
        (&nobody, "check host, port and path"),
    ] {
        fresh.shell.set("READDRESS_HOST_TOKEN_JWKS_URL", url);
        let checked = fresh.shell.run(&["check"]).await;
        assert_refused(&checked, &["FAIL  host tokens", mend, "ok    mail"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_names_of_the_hosts_keys_cannot_speak_to_a_terminal() {
    let mut fresh = Fresh::on_sqlite();
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    fresh.migrate().await;
    let mut set = keys();
    set["keys"][0]["kid"] = format!("\u{1b}[2Jok\r\n{}", "x".repeat(500)).into();
    let server = KeyServer::start(Serves::Set(set)).await;
    for (name, value) in [
        ("JWKS_URL", server.url.as_str()),
        ("ISSUER", "any"),
        ("AUDIENCE", "any"),
    ] {
        fresh
            .shell
            .set(&format!("READDRESS_HOST_TOKEN_{name}"), value);
    }
    let checked = fresh.shell.run(&["check"]).await;
    assert_good(&checked);
    assert!(!checked.stdout.contains(['\u{1b}', '\r']), "{checked:?}");
    let line = checked
        .stdout
        .lines()
        .find(|line| line.contains("host tokens"));
    assert!(line.expect("a line").len() < 250, "{checked:?}");
}
