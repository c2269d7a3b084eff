//! Leaks: nothing secret is ever said, however much is logged and whatever goes wrong.
//!
//! The real binary at trace level, with a canary in everything that is secret: passwords, tokens,
//! addresses, keys, and the URLs of database and mail server. Then everything that was logged or
//! answered is searched.

mod guest;
mod panics;

use serde_json::{Value, json};

use self::guest::{Guest, said_of_no_database};
use super::canaries::Canaries;
use super::deployment::{Deployment, body};
use super::volume::{figure, seeded, volume};
use super::{cheap, events};
use crate::support::process::Running;
use crate::support::{Answer, Engine, Fault};

/// What a token must not be known by: its claims and its signature. Its header is no secret.
fn add_token(canaries: &mut Canaries, what: &str, token: &str) {
    for part in token.split('.').skip(1) {
        canaries.add(what, part);
    }
}

const REQUEST: &str = "/v1/email-change/request";

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

    /// The whole change and back, with every way of failing on the way. `taken` is somebody else's.
    async fn walk(&mut self, old: &str, new: &str, taken: &str) {
        let access = self.sign_in(old).await;
        self.fail_to_request(&access).await;
        self.request(&access).await;
        let confirm = self.link("new-email", old).await;
        self.step("confirm", &confirm, taken).await.ok(202);
        self.deployment.sink.forget();
        self.request(&access).await;
        let cancel = self.link("cancel-email-change", old).await;
        self.step("cancel", &cancel, "").await.ok(200);
        self.deployment.sink.forget();
        self.request(&access).await;
        self.change_and_back(old, new).await;
    }

    async fn sign_in(&mut self, old: &str) -> String {
        let wrong = json!({ "email": old, "password": format!("not-{}", self.password) });
        self.post("/v1/session", None, wrong)
            .await
            .problem(401, "unauthenticated");
        let right = json!({ "email": old, "password": self.password });
        let session = self.post("/v1/session", None, right).await;
        session.ok(200);
        let access = session.field("access_token").to_owned();
        add_token(self.canaries, "an access token", &access);
        access
    }

    async fn request(&mut self, access: &str) {
        let password = json!({ "password": self.password });
        self.post(REQUEST, Some(access), password).await.ok(202);
    }

    /// Every mail server that does not take it among the reasons.
    async fn fail_to_request(&mut self, access: &str) {
        let wrong = json!({ "password": format!("not-{}", self.password) });
        self.post(REQUEST, Some(access), wrong)
            .await
            .problem(403, "wrong_password");
        let password = json!({ "password": self.password });
        self.post(REQUEST, Some(&format!("{access}x")), password.clone())
            .await
            .problem(401, "unauthenticated");
        self.deployment
            .sink
            .fault(Fault::RefuseRecipient("550 5.1.1 no such user"));
        self.post(REQUEST, Some(access), password.clone())
            .await
            .problem(422, "undeliverable");
        self.deployment
            .sink
            .fault(Fault::RefuseMessage("554 5.6.0 what was that"));
        self.post(REQUEST, Some(access), password.clone())
            .await
            .problem(503, "mail_unavailable");
        self.deployment.sink.stop();
        self.post(REQUEST, Some(access), password.clone())
            .await
            .problem(503, "mail_unavailable");
        // A connection of its own meets that.
        self.deployment.sink.restart().await;
        self.deployment.sink.fault(Fault::RefuseLogin);
        self.post(REQUEST, Some(access), password.clone())
            .await
            .problem(503, "mail_unavailable");
        self.deployment.sink.fault(None);
    }

    /// With what was requested last.
    async fn change_and_back(&mut self, old: &str, new: &str) {
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
        // Somebody else gets the address first, and goes away again.
        let database = &self.deployment.database;
        self.deployment.add_with(new, "!").await;
        self.step("activate", &activate, "")
            .await
            .problem(409, "email_taken");
        let leave = format!("DELETE FROM users WHERE email = '{new}'");
        assert_eq!(database.execute(&leave).await, 1);
        for statement in talkative(database.engine) {
            database.execute(statement).await;
        }
        self.step("activate", &activate, "")
            .await
            .problem(503, "database_unavailable");
        let quiet = match database.engine {
            Engine::Postgres => "DROP TRIGGER talk ON users",
            _ => "DROP TRIGGER talk",
        };
        database.execute(quiet).await;
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

    /// To where that step can be taken: an access token, and the step's link if it has one.
    async fn walk_to(&mut self, step: &str, old: &str, new: &str) -> (String, String) {
        let access = self.sign_in(old).await;
        if step == "request" {
            return (access, String::new());
        }
        self.request(&access).await;
        let confirm = self.link("new-email", old).await;
        if step == "confirm" {
            return (access, confirm);
        }
        self.step("confirm", &confirm, new).await.ok(202);
        if step == "cancel" {
            return (access, self.link("cancel-email-change", old).await);
        }
        let activate = self.link("email-activation", new).await;
        if step == "activate" {
            return (access, activate);
        }
        self.step("activate", &activate, "").await.ok(200);
        (access, self.link("undo-email-change", old).await)
    }

    async fn link(&mut self, page: &str, to: &str) -> String {
        let link = self.deployment.await_link(page, to).await;
        add_token(self.canaries, page, &link);
        link
    }
}

/// What an application may do: refuse an address, and say of whom.
fn talkative(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Sqlite => &["CREATE TRIGGER talk BEFORE UPDATE OF email ON users BEGIN \
            SELECT RAISE(ABORT, 'no ' || NEW.email || ' for ' || OLD.email || ' (' || OLD.password_hash || ')'); END"],
        Engine::Postgres => &[
            "CREATE OR REPLACE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'no % for % (%)', NEW.email, OLD.email, OLD.password_hash; END $$",
            "CREATE TRIGGER talk BEFORE UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION talk()",
        ],
        Engine::MariaDb => &[
            "CREATE TRIGGER talk BEFORE UPDATE ON users FOR EACH ROW BEGIN \
            DECLARE words TEXT DEFAULT CONCAT('no ', NEW.email, ' for ', OLD.email, ' (', OLD.password_hash, ')'); \
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = words; END",
        ],
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
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::MariaDb] {
        let Some(mut deployment) = Deployment::on(engine).await else {
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
        let guest = Guest::of(&deployment.database, &mut rng).await;
        let mut said = String::new();
        if let Some(guest) = &guest {
            canaries.add("the password of the database", &guest.password);
            said = said_of_no_database(&mut deployment.shell, &guest.url).await;
            deployment
                .shell
                .set("READDRESS_DATABASE_URL", guest.url.as_str());
        }
        assert!(guest.is_some() || engine == Engine::Sqlite);
        let [user, password] = std::array::from_fn(|_| canary(&mut rng));
        canaries.add("the user of the mail server", &user);
        canaries.add("the password of the mail server", &password);
        deployment.sink.offer("AUTH PLAIN LOGIN");
        deployment.shell.set(
            "READDRESS_SMTP_URL",
            &deployment
                .sink
                .url()
                .replace("://", &format!("://{user}:{password}@")),
        );
        let server = deployment.shell.start("serve").await;
        let mut answers = Vec::new();
        for _ in 0..flows {
            deployment.sink.forget();
            let [password, old, new, taken] = std::array::from_fn(|_| canary(&mut rng));
            canaries.add("a password", &password);
            canaries.add("an address", &old);
            canaries.add("a new address", &new);
            canaries.add("somebody else's address", &taken);
            let hash = cheap::hash_of(&password, &mut rng);
            canaries.add("a password hash", hash.rsplit('$').next().expect("a hash"));
            let (old, new) = (format!("{old}@example.com"), format!("{new}@new.example"));
            let taken = format!("{taken}@example.com");
            deployment.add_with(&old, &hash).await;
            deployment.add_with(&taken, "!").await;
            let mut walker = Walker {
                deployment: &deployment,
                server: &server,
                canaries: &mut canaries,
                answers: vec![],
                password,
            };
            walker.walk(&old, &new, &taken).await;
            answers.append(&mut walker.answers);
        }
        canaries.add("what was no address", "secret-canary-of-an-address");
        let metrics = server.get("/metrics").await.text;
        assert!(metrics.contains("readdress_mails_total"), "{metrics}");
        let stdout = server.stdout();
        let (_, log) = server.end("TERM").await;
        let said = format!("{said}{log}{stdout}{metrics}{}", answers.concat());
        let found = canaries.found_in(&said);
        assert!(found.is_empty(), "{found:#?}");
        let events = events::check(&log, flows);
        figure(format_args!(
            "leaks: {engine:?}, {flows} flows at trace level, {} lines logged, {events} events checked, {} canaries in four forms: none found",
            log.lines().count(),
            canaries.count()
        ));
        if let Some(guest) = guest {
            guest.leave(&deployment.database).await;
        }
        deployment.close().await;
    }
}
