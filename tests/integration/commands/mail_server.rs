//! Mail servers with TLS, a login and an authority of their own: the mails get through, and what is
//! wrong is told apart, in `readdress check` and in what is logged when a mail is not sent.

use readdress::clock::Clock;
use readdress::deadline::Deadline;
use readdress::email_change::chain;
use readdress::mailer::{Authorities, Mail, Mailer, Smtp};

use super::{Fresh, assert_good};
use crate::support::certificates::Authority;
use crate::support::smtp::{Encryption, LOGIN, SmtpSink};

/// A mail server, and how its operator thinks that it must be spoken to.
struct Server {
    sink: SmtpSink,
    authority: Authority,
    scheme: &'static str,
    password: &'static str,
}

impl Server {
    async fn start(scheme: &'static str, tls: impl FnOnce(&Authority) -> Encryption) -> Self {
        let authority = Authority::new("Example Authority");
        Self {
            sink: SmtpSink::start_with(tls(&authority), true).await,
            authority,
            scheme,
            password: LOGIN.1,
        }
    }

    fn url(&self) -> String {
        let mut url = url::Url::parse(&format!("{}://localhost", self.scheme)).expect("a URL");
        url.set_port(Some(self.sink.address.port()))
            .expect("a port");
        url.set_username(LOGIN.0).expect("a user");
        url.set_password(Some(self.password)).expect("a password");
        url.into()
    }

    /// Sends a mail; what is logged if it cannot be sent.
    async fn send(&self) -> Result<(), String> {
        let authorities = Authorities::from_pem(self.authority.pem.as_bytes());
        let smtp = Smtp::new(
            self.url().parse().expect("a URL"),
            authorities.expect("one"),
            1,
        );
        let sender = "accounts@app.example.com".parse().expect("a sender");
        let mail = Mail {
            kind: "confirm",
            to: "ann@example.com".to_owned(),
            language: "en".into(),
            subject: "Hello".to_owned(),
            text: "Hello\n".to_owned(),
            html: "<p>Hello</p>\n".to_owned(),
        };
        let mailer = Mailer::smtp(smtp, sender, Clock::System);
        let sent = mailer.send(mail, Deadline::of_request()).await;
        sent.map_err(|error| chain(&error))
    }

    /// What `check` says of it, as one text.
    async fn check(&self, fresh: &mut Fresh) -> (Option<i32>, String) {
        let file = fresh.shell.path().join("ca.pem");
        std::fs::write(&file, &self.authority.pem).expect("written");
        fresh
            .shell
            .set("READDRESS_SMTP_CA_FILE", file.to_str().expect("UTF-8"));
        fresh.shell.set("READDRESS_SMTP_URL", &self.url());
        let checked = fresh.shell.run(&["check"]).await;
        (checked.code, checked.stdout + &checked.stderr)
    }
}

async fn configured() -> Fresh {
    let mut fresh = Fresh::on_sqlite();
    fresh.configure("smtp://127.0.0.1:1?tls=none");
    assert_good(&fresh.shell.run(&["migrate", "up"]).await);
    fresh
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_get_through_to_servers_with_tls_a_login_and_an_authority_of_their_own() {
    let mut fresh = configured().await;
    for server in [
        Server::start("smtp", |ca| Encryption::Starttls(ca.server("localhost"))).await,
        Server::start("smtps", |ca| Encryption::Implicit(ca.server("localhost"))).await,
    ] {
        server.send().await.expect("sent");
        let received = server.sink.received();
        assert_eq!((received.len(), server.sink.logins()), (1, 1));
        assert_eq!(
            (&*received[0].to, &*received[0].text),
            ("ann@example.com", "Hello\n")
        );
        let (code, said) = server.check(&mut fresh).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("ok    mail"), "{said}");
        assert_eq!((server.sink.received().len(), server.sink.logins()), (1, 2));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::too_many_lines,
    reason = "a list of servers, each with what is wrong with it"
)]
async fn what_is_wrong_with_a_mail_server_is_told_apart() {
    let mut fresh = configured().await;
    let unknown = Authority::new("Another Authority");
    let wrong_password = Server {
        password: "canary-7f3a",
        ..Server::start("smtps", |ca| Encryption::Implicit(ca.server("localhost"))).await
    };
    let no_login = Server {
        sink: SmtpSink::start_with(Encryption::None, false).await,
        ..Server::start("smtp", |_| Encryption::None).await
    };
    let no_auth = {
        let authority = Authority::new("Example Authority");
        let tls = Encryption::Starttls(authority.server("localhost"));
        Server {
            sink: SmtpSink::start_with(tls, false).await,
            authority,
            scheme: "smtp",
            password: LOGIN.1,
        }
    };
    let cases = [
        (
            "is for another host name",
            "let READDRESS_SMTP_URL name the server",
            Server::start("smtp", |ca| {
                Encryption::Starttls(ca.server("mail.example.com"))
            })
            .await,
        ),
        (
            "is for another host name",
            "let READDRESS_SMTP_URL name the server",
            Server::start("smtps", |ca| {
                Encryption::Implicit(ca.server("mail.example.com"))
            })
            .await,
        ),
        (
            "certificate has expired",
            "renew the certificate",
            Server::start("smtp", |ca| Encryption::Starttls(ca.expired("localhost"))).await,
        ),
        (
            "certificate has expired",
            "renew the certificate",
            Server::start("smtps", |ca| Encryption::Implicit(ca.expired("localhost"))).await,
        ),
        (
            "certificate is not valid yet",
            "check the clock",
            Server::start("smtps", |ca| {
                Encryption::Implicit(ca.not_yet_valid("localhost"))
            })
            .await,
        ),
        (
            "not signed by an authority that is trusted here",
            "set READDRESS_SMTP_CA_FILE",
            Server::start("smtp", |_| {
                Encryption::Starttls(unknown.server("localhost"))
            })
            .await,
        ),
        (
            "not signed by an authority that is trusted here",
            "set READDRESS_SMTP_CA_FILE",
            Server::start("smtps", |_| {
                Encryption::Implicit(unknown.server("localhost"))
            })
            .await,
        ),
        (
            "is an authority's own (CA:TRUE)",
            "a certificate with CA:FALSE",
            Server::start("smtps", |ca| {
                Encryption::Implicit(ca.as_authority("localhost"))
            })
            .await,
        ),
        (
            "refuses the login: SMTP: refused with 535 5.7.8",
            "check user and password in READDRESS_SMTP_URL",
            wrong_password,
        ),
        (
            "offers no STARTTLS",
            "let the mail server offer STARTTLS",
            no_login,
        ),
        (
            "offers no login (AUTH PLAIN or AUTH LOGIN)",
            "check the port in READDRESS_SMTP_URL",
            no_auth,
        ),
        (
            "does not speak TLS from the first byte",
            "begin READDRESS_SMTP_URL with smtp://",
            Server::start("smtps", |ca| Encryption::Starttls(ca.server("localhost"))).await,
        ),
    ];
    for (problem, mend, server) in cases {
        let logged = server.send().await.expect_err("not sent");
        assert!(logged.contains(problem), "{problem}: {logged}");
        let (code, said) = server.check(&mut fresh).await;
        assert_eq!(code, Some(1), "{said}");
        for words in ["FAIL  mail", problem, mend] {
            assert!(said.contains(words), "{words}: {said}");
        }
        for secret in ["canary", "not you", "mailer@", "AUTH PLAIN A"] {
            assert!(
                !logged.contains(secret) && !said.contains(secret),
                "{logged} {said}"
            );
        }
        assert!(server.sink.received().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorities_of_ones_own_stand_instead_of_the_public_ones() {
    let mut fresh = configured().await;
    let server = Server::start("smtps", |ca| Encryption::Implicit(ca.server("localhost"))).await;
    fresh.shell.set("READDRESS_SMTP_URL", &server.url());
    let checked = fresh.shell.run(&["check"]).await;
    assert!(checked.stdout.contains("trusted here"), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_or_says_nothing_is_told_apart_too() {
    let mut fresh = configured().await;
    let unreachable = fresh.shell.run(&["check"]).await;
    assert!(
        unreachable.stdout.contains("cannot be reached"),
        "{unreachable:?}"
    );
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = silent.local_addr().expect("an address");
    fresh
        .shell
        .set("READDRESS_SMTP_URL", &format!("smtp://{address}"));
    let silent = fresh.shell.run(&["check"]).await;
    assert!(silent.stdout.contains("did not answer"), "{silent:?}");
    assert!(silent.stdout.contains("465"), "{silent:?}");
}
