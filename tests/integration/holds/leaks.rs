//! Leaks: nothing secret is ever said, however much is logged and whatever goes wrong.
//!
//! The real binary at trace level, with a canary in everything that is secret: passwords, tokens,
//! addresses, keys, and the URLs of database and mail server. Then everything that was logged or
//! answered is searched.

use std::fmt::Write as _;

use serde_json::{Value, json};
use url::Url;

use super::canaries::Canaries;
use super::deployment::{Deployment, body};
use super::volume::{figure, seeded, volume};
use super::{cheap, events};
use crate::support::database::TestDatabase;
use crate::support::process::{Running, Shell};
use crate::support::proxy::free_port;
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

/// Who may use a test's database, with a password that is a canary: the test's own URL has none.
struct Guest {
    name: String,
    password: String,
    url: Url,
}

impl Guest {
    /// Nobody where a file is the database.
    async fn of(database: &TestDatabase, rng: &mut fastrand::Rng) -> Option<Self> {
        // A server's own, and so of this run alone.
        let name = format!("guest_{}", uuid::Uuid::now_v7().simple());
        let password = canary(rng);
        let mut url = Url::parse(&database.url).expect("a URL");
        let welcome = match database.engine {
            Engine::Sqlite => return None,
            Engine::Postgres => {
                let schema = database.text("SELECT CAST(current_schema AS text)").await;
                let schema = schema.expect("a schema of its own");
                [
                    format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"),
                    format!("GRANT USAGE ON SCHEMA {schema} TO {name}"),
                    format!("GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name}"),
                ]
                .to_vec()
            }
            Engine::MariaDb => {
                let own = url.path().trim_start_matches('/');
                [
                    format!("CREATE USER {name} IDENTIFIED BY '{password}'"),
                    format!("GRANT ALL ON {own}.* TO {name}"),
                ]
                .to_vec()
            }
        };
        for statement in welcome {
            database.execute(&statement).await;
        }
        url.set_username(&name).expect("a URL with a host");
        url.set_password(Some(&password)).expect("the same");
        Some(Self {
            name,
            password,
            url,
        })
    }

    async fn leave(&self, database: &TestDatabase) {
        let name = &self.name;
        if database.engine == Engine::Postgres {
            database.execute(&format!("DROP OWNED BY {name}")).await;
            database.execute(&format!("DROP ROLE {name}")).await;
        } else {
            database.execute(&format!("DROP USER {name}")).await;
        }
    }
}

/// What whoever opens a database says of a port where nobody listens, of a name that it does not
/// know, and of a password that is wrong.
async fn said_of_no_database(shell: &mut Shell, right: &Url) -> String {
    let [mut nowhere, mut unknown, mut refused] = [right.clone(), right.clone(), right.clone()];
    nowhere.set_port(Some(free_port())).expect("a host");
    unknown.set_path("no_such_database");
    let wrong = format!("{}-not", right.password().expect("a password"));
    refused.set_password(Some(&wrong)).expect("a host");
    let mut said = String::new();
    for (url, must_fail) in [(nowhere, true), (unknown, true), (refused, false)] {
        shell.set("READDRESS_DATABASE_URL", url.as_str());
        // A PostgreSQL may trust whoever comes, and a server that serves does not end.
        let commands: &[&str] = if must_fail {
            &["check", "serve"]
        } else {
            &["check"]
        };
        for command in commands {
            let ended = shell.run(&[command]).await;
            assert!(!must_fail || ended.code != Some(0), "{command}: {ended:?}");
            let _ = write!(said, "{}{}", ended.stdout, ended.stderr);
        }
    }
    said
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

/// How many boundaries each step passes before it answers.
const BOUNDARIES: [(&str, usize); 5] = [
    ("request", 4),
    ("confirm", 4),
    ("activate", 4),
    ("cancel", 2),
    ("undo", 2),
];

/// Wherever it happens, and whatever it would say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_says_where_it_was_and_nothing_else() {
    let (mut deployment, mut rng, mut canaries) =
        (Deployment::on_sqlite().await, seeded(), Canaries::default());
    let (_, key) = deployment
        .shell
        .get("READDRESS_SECRET_KEYS")
        .split_once(':')
        .expect("a kid");
    canaries.add("the key", key);
    deployment.shell.set("RUST_LOG", "trace");
    let calm = deployment.shell.start("serve").await;
    let each = BOUNDARIES
        .iter()
        .flat_map(|(step, last)| (1..=*last).map(|n| (*step, n)));
    for (step, boundary) in each {
        let [secret, password, old, new] = std::array::from_fn(|_| canary(&mut rng));
        canaries.add("what was being worked on", &secret);
        canaries.add("a password", &password);
        canaries.add("an address", &old);
        canaries.add("a new address", &new);
        let hash = cheap::hash_of(&password, &mut rng);
        canaries.add("a password hash", hash.rsplit('$').next().expect("a hash"));
        let (old, new) = (format!("{old}@example.com"), format!("{new}@new.example"));
        deployment.add_with(&old, &hash).await;
        deployment
            .shell
            .set("STOP_AT_BOUNDARY", &boundary.to_string());
        deployment.shell.set(
            "PANIC_AT_BOUNDARY",
            &format!("of {secret} of {password} of {old}"),
        );
        let server = deployment.shell.start("serve").await;
        let mut walker = Walker {
            deployment: &deployment,
            server: &calm,
            canaries: &mut canaries,
            answers: vec![],
            password,
        };
        let (access, link) = walker.walk_to(step, &old, &new).await;
        walker.server = &server;
        let answer = if step == "request" {
            let password = json!({ "password": walker.password });
            walker.post(REQUEST, Some(&access), password).await
        } else {
            walker.step(step, &link, &new).await
        };
        assert_eq!(answer.status, 500, "{step}, {boundary}: {}", answer.text);
        answer.problem(500, "internal");
        let answers = walker.answers.concat();
        server.get("/healthz").await.ok(200);
        let stdout = server.stdout();
        let (code, log) = server.end("TERM").await;
        assert_eq!(code, Some(0), "it goes on, and ends when it is told to");
        assert_eq!(
            log.matches("panicked: this is a defect").count(),
            1,
            "{log}"
        );
        assert!(log.contains("boundary.rs"), "{log}");
        assert_eq!(
            canaries.found_in(&format!("{log}{stdout}{answers}")),
            [""; 0]
        );
    }
    calm.end("TERM").await;
    deployment.close().await;
}
