//! A database behind TLS: what is wrong is told apart, each with the option that mends it.
//!
//! A fake speaks PostgreSQL up to the handshake, which is where each of these ends; MariaDB's own
//! options are named to who uses MariaDB.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{CANARY, Fresh, SmtpSink, assert_refused};
use crate::support::Engine;
use crate::support::certificates::Authority;

/// Answers the request for TLS with a handshake, or with "no"; its port.
async fn server(tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut request = [0; 8];
                if stream.read_exact(&mut request).await.is_err() {
                    return;
                }
                let answer = if tls.is_some() { b"S" } else { b"N" };
                let _ = stream.write_all(answer).await;
                if let Some(tls) = tls {
                    let _ = tls.accept(stream).await;
                }
            });
        }
    });
    port
}

/// Says yes to TLS, and then nothing; its port.
async fn hangs_up() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read_exact(&mut [0; 8]).await;
            let _ = stream.write_all(b"S").await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_tls_is_told_apart_and_the_option_is_named() {
    let sink = SmtpSink::start().await;
    let mut fresh = Fresh::on_sqlite();
    fresh.configure(&sink.url());
    let authority = Authority::new("Example Authority");
    let file = fresh.shell.path().join("ca.pem");
    std::fs::write(&file, &authority.pem).expect("written");
    let trusted = format!("sslmode=verify-full&sslrootcert={}", file.display());
    let none = "sslmode=verify-full&sslrootcert=/canary-7f3a.pem";
    let strict = "sslmode=verify-full";
    let other = fresh.shell.path().join("other.pem");
    std::fs::write(
        &other,
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    )
    .expect("written");
    let garbled = format!("{strict}&sslrootcert={}", other.display());
    let good = || Some(authority.server("localhost"));
    for (tls, options, says, mends) in [
        (None, strict, "offers no TLS", "ssl = on"),
        (
            good(),
            strict,
            "not signed by an authority",
            "set sslrootcert=",
        ),
        (good(), none, "a file of certificates", "let sslrootcert in"),
        (
            good(),
            &garbled,
            "a file of certificates",
            "let sslrootcert in",
        ),
        (
            Some(authority.server("db.example")),
            &trusted,
            "another host name",
            "sslmode=verify-ca",
        ),
        (
            Some(authority.expired("localhost")),
            &trusted,
            "has expired",
            "renew",
        ),
        (
            Some(authority.not_yet_valid("localhost")),
            &trusted,
            "not valid yet",
            "the clock",
        ),
    ] {
        let port = server(tls).await;
        let url = format!("postgres://me:{CANARY}@localhost:{port}/app?{options}");
        fresh.shell.set("READDRESS_DATABASE_URL", &url);
        let checked = fresh.shell.run(&["check"]).await;
        assert_refused(&checked, &["FAIL  database", says, mends, "ok    mail"]);
    }
    let port = hangs_up().await;
    let url = format!("postgres://me:{CANARY}@localhost:{port}/app?{trusted}");
    fresh.shell.set("READDRESS_DATABASE_URL", &url);
    let checked = fresh.shell.run(&["check"]).await;
    assert_refused(&checked, &["FAIL  database"]);
    assert!(
        !checked.stdout.contains("a file of certificates"),
        "{checked:?}"
    );
    let nowhere = format!("postgres://me:{CANARY}@nowhere.invalid/app");
    fresh.shell.set("READDRESS_DATABASE_URL", &nowhere);
    let checked = fresh.shell.run(&["check"]).await;
    assert_refused(
        &checked,
        &["FAIL  database", "its name is not known", "getent hosts"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_uses_mariadb_is_told_its_options() {
    let Some(mut fresh) = Fresh::on(Engine::MariaDb).await else {
        return;
    };
    let sink = SmtpSink::start().await;
    fresh.configure(&sink.url());
    let mut url = url::Url::parse(&fresh.url).expect("a URL");
    url.set_query(Some("ssl-mode=VERIFY_CA"));
    fresh.shell.set("READDRESS_DATABASE_URL", url.as_str());
    let checked = fresh.shell.run(&["check"]).await;
    assert_refused(&checked, &["FAIL  database", "ssl-"]);
    assert!(!checked.stdout.contains("sslmode"), "{checked:?}");
    fresh.close().await;
}
