//! The real binary on a database and a mail server of its own, as many processes of it as a test
//! starts; and the story told to one of them.

use std::time::Duration;

use readdress::deadline::Deadline;
use readdress::email_address::EmailAddress;
use readdress::keys;
use readdress::users::{Layout, Users};
use serde_json::{Value, json};

use super::cheap;
use crate::support::Answer;
use crate::support::app::{APP_URL, PASSWORD};
use crate::support::database::{Engine, TestDatabase};
use crate::support::process::{Running, Shell};
use crate::support::smtp::SmtpSink;

pub struct Deployment {
    pub shell: Shell,
    pub sink: SmtpSink,
    pub database: TestDatabase,
    users: Users,
}

impl Deployment {
    pub async fn on_sqlite() -> Self {
        Self::on(Engine::Sqlite).await.expect("SQLite is built in")
    }

    pub async fn on(engine: Engine) -> Option<Self> {
        Some(Self::within(engine.database().await?).await)
    }

    /// With a table of its own in that database.
    pub async fn within(database: TestDatabase) -> Self {
        readdress_migrations::up(&database.pool)
            .await
            .expect("migrates");
        let users = database.users(&Layout::own(), false).await;
        let sink = SmtpSink::start().await;
        let mut shell = Shell::new();
        let key = keys::generate().expect("random");
        for (name, value) in [
            ("READDRESS_LISTEN", "127.0.0.1:0"),
            ("READDRESS_APP_URL", APP_URL),
            ("READDRESS_SECRET_KEYS", &key),
            ("READDRESS_DATABASE_URL", &database.url),
            ("READDRESS_SMTP_URL", &sink.url()),
            ("READDRESS_MAIL_FROM", "accounts@app.example.com"),
            // On, so that it is charged; never reached.
            ("READDRESS_LIMIT_PASSWORDS", "1000000/1m"),
            ("READDRESS_LIMIT_RECIPIENT", "off"),
            ("READDRESS_LIMIT_RECIPIENT_ALL", "off"),
            ("READDRESS_LIMIT_CLIENT", "off"),
        ] {
            shell.set(name, value);
        }
        Self {
            shell,
            sink,
            database,
            users,
        }
    }

    pub async fn close(self) {
        self.database.close().await;
    }

    pub async fn add(&self, email: &str, rng: &mut fastrand::Rng) {
        self.add_with(email, &cheap::hash(rng)).await;
    }

    pub async fn add_with(&self, email: &str, hash: &str) {
        let address = EmailAddress::parse(email).expect("an address");
        let added = self.users.add(&address, hash, Deadline::of_request()).await;
        assert!(added.expect("a database"), "{email} is new");
    }

    /// Whether some account has that address.
    pub async fn has(&self, email: &str) -> bool {
        let sql = format!("SELECT email FROM users WHERE email = '{email}'");
        self.database.text(&sql).await.is_some()
    }

    /// The newest link to that page which that address got.
    pub fn link(&self, page: &str, to: &str) -> Option<String> {
        self.sink.newest(to, |mail| mail.find_token(page))
    }

    /// Waits for a mail with such a link: those that nothing depends on come after the answer.
    pub async fn await_link(&self, page: &str, to: &str) -> String {
        for _ in 0..500 {
            if let Some(link) = self.link(page, to) {
                return link;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no {page} link to {to}");
    }
}

pub async fn sign_in(server: &Running, email: &str) -> String {
    let body = json!({ "email": email, "password": PASSWORD });
    let session = server.post("/v1/session", None, body).await;
    session.ok(200);
    session.field("access_token").to_owned()
}

/// A step that shows a token: everything else as it must be.
pub async fn show(server: &Running, step: &str, token: &str, new_email: &str) -> Answer {
    server
        .post(
            &format!("/v1/email-change/{step}"),
            None,
            body(step, token, new_email),
        )
        .await
}

pub fn body(step: &str, token: &str, new_email: &str) -> Value {
    match step {
        "confirm" => json!({ "token": token, "password": PASSWORD, "new_email": new_email }),
        "undo" => json!({ "token": token, "password": PASSWORD }),
        _ => json!({ "token": token }),
    }
}

pub async fn request(server: &Running, access: &str) -> Answer {
    let body = json!({ "password": PASSWORD });
    server
        .post("/v1/email-change/request", Some(access), body)
        .await
}

/// What `inspect` says of a link.
pub async fn state_of(server: &Running, token: &str) -> String {
    show(server, "inspect", token, "")
        .await
        .field("state")
        .to_owned()
}
