//! The service on a port of its own, with a mailbox, a database and a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use readdress::access::host::{HostTokenKeys, HostTokenRules, HostTokens};
use readdress::app::{App, Blueprint};
use readdress::clock::Clock;
use readdress::deadline::Deadline;
use readdress::email_address::EmailAddress;
use readdress::email_change::EmailChange;
use readdress::email_change::link::Lifetimes;
use readdress::email_change::mail::{Letters, LinkTemplates, Look};
use readdress::email_change::set_by_operator::{
    Operator, Order, Reason, SetByOperator, SetByOperatorError,
};
use readdress::keys::{self, KeyRing};
use readdress::limits::Quotas;
use readdress::mailer::{Authorities, Mailer, Smtp};
use readdress::metrics::Metrics;
use readdress::password::{self, Checker, Password};
use readdress::server;
use readdress::users::{Layout, Users};
use reqwest::Method;
use reqwest::header::{ACCEPT_LANGUAGE, HeaderValue};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::answer::Answer;
use super::database::{Engine, TestDatabase};
use super::smtp::{Received, SmtpSink};
use super::{contract, forge};

pub const APP_URL: &str = "https://app.example.com";
pub const PASSWORD: &str = "correct horse battery staple";
/// 15 January 2027, 08:00 UTC.
pub const START: i64 = 1_800_000_000;
pub const HOUR: Duration = Duration::from_hours(1);

/// How a test wants its service.
#[derive(Clone)]
pub struct Options {
    pub quotas: Quotas,
    pub lifetimes: Lifetimes,
    pub keys: String,
    pub sign_in: bool,
    pub host_tokens: Option<(HostTokenKeys, HostTokenRules)>,
    pub password_threads: usize,
    pub server: server::Settings,
    pub look: Look,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            quotas: Quotas {
                passwords: None,
                recipient: None,
                recipient_all: None,
                client: None,
            },
            lifetimes: Lifetimes {
                confirm: HOUR,
                activate: 24 * HOUR,
                undo: 7 * 24 * HOUR,
            },
            keys: keys::generate().expect("random").to_string(),
            sign_in: true,
            host_tokens: None,
            password_threads: 2,
            server: server::Settings {
                trusted_proxies: vec![],
                cors_origins: vec![],
                max_connections: 500,
                metrics: true,
            },
            look: Look::default(),
        }
    }
}

impl Options {
    /// One limit, the others off.
    pub fn limited(set: impl FnOnce(&mut Quotas)) -> Self {
        let mut options = Self::default();
        set(&mut options.quotas);
        options
    }
}

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub email: String,
    pub access: String,
}

pub struct TestApp {
    pub url: String,
    pub clock: Clock,
    pub smtp: SmtpSink,
    pub database: TestDatabase,
    pub users: Users,
    pub options: Options,
    pub http: reqwest::Client,
    pub flow: EmailChange,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl TestApp {
    pub async fn on_sqlite(options: Options) -> Self {
        let app = Self::on(Engine::Sqlite, options).await;
        app.expect("SQLite is built in")
    }

    pub async fn on(engine: Engine, options: Options) -> Option<Self> {
        Some(Self::within(engine.database().await?, options).await)
    }

    /// With a table of its own in that database.
    pub async fn within(database: TestDatabase, options: Options) -> Self {
        readdress_migrations::up(&database.pool)
            .await
            .expect("migrates");
        Self::beside(database, &Layout::own(), options).await
    }

    /// Beside an application whose table is in that database.
    pub async fn beside(database: TestDatabase, layout: &Layout, options: Options) -> Self {
        let users = database.users(layout, false).await;
        Self::start(options, database, users).await
    }

    pub async fn start(options: Options, database: TestDatabase, users: Users) -> Self {
        let (clock, smtp) = (Clock::manual(START), SmtpSink::start().await);
        let Served {
            url,
            flow,
            stop,
            server,
        } = serve(&options, &users, &smtp, &clock).await;
        Self {
            url,
            flow,
            clock,
            smtp,
            users,
            database,
            options,
            http: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
            stop: Some(stop),
            server,
        }
    }

    /// Another replica on the same database, through connections of its own, with the same mailbox
    /// and clock and with these keys. The table is our own. Stops with the first.
    pub async fn replica(&self, keys: &str) -> Replica {
        let options = Options {
            keys: keys.to_owned(),
            ..self.options.clone()
        };
        let users = self.database.users_of_another(&Layout::own()).await;
        let served = serve(&options, &users, &self.smtp, &self.clock).await;
        Replica {
            url: served.url,
            flow: served.flow,
            _stop: served.stop,
            _server: served.server,
        }
    }

    pub async fn close(mut self) {
        drop(self.stop.take());
        self.server.await.expect("the server ends well");
        self.database.close().await;
    }

    // People and their rows.

    pub async fn person(&self, email: &str) -> Person {
        self.add_user(email, PASSWORD).await;
        self.sign_in_as(email, PASSWORD).await
    }

    pub async fn add_user(&self, email: &str, password: &str) {
        let address = EmailAddress::parse(email).expect("an address");
        let hash = password::hash(&Password::new(password.to_owned())).expect("a hash");
        assert!(
            self.users
                .add(&address, &hash, Deadline::of_request())
                .await
                .expect("a database")
        );
    }

    pub async fn sign_in_as(&self, email: &str, password: &str) -> Person {
        let answer = self.sign_in(email, password).await;
        let access = answer.ok(200)["access_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        let id = forge::open(&access).claims["sub"]
            .as_str()
            .expect("an id")
            .to_owned();
        Person {
            id,
            email: email.to_owned(),
            access,
        }
    }

    /// What the host application does when a password is changed.
    pub async fn set_password(&self, person: &Person, password: &str) {
        let hash = password::hash(&Password::new(password.to_owned())).expect("a hash");
        let sql = format!(
            "UPDATE users SET password_hash = '{hash}' WHERE id = '{}'",
            person.id
        );
        assert_eq!(self.database.execute(&sql).await, 1);
    }

    pub async fn email_of(&self, person: &Person) -> String {
        let sql = format!("SELECT email FROM users WHERE id = '{}'", person.id);
        self.database.text(&sql).await.expect("a row")
    }

    /// Everything in the table but what a limit writes: equal before and after whatever must
    /// change nothing.
    pub async fn state(&self) -> String {
        let sql = "SELECT CONCAT_WS('|', email, password_hash, COALESCE(CAST(email_change_nonce AS char(20)), '-'), \
                   COALESCE(CAST(undo_opened_at AS char(20)), '-'), COALESCE(CAST(passwords_tat AS char(20)), '-')) \
                   AS state FROM users ORDER BY id";
        self.database.texts(sql).await.join("; ")
    }

    // Mail.

    /// The mails received so far.
    pub fn mails(&self) -> Vec<Received> {
        self.smtp.received()
    }

    /// Waits until `count` mails have arrived: those that nothing depends on follow the answer.
    pub async fn mails_after(&self, count: usize) -> Vec<Received> {
        for _ in 0..400 {
            if self.mails().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mails = self.mails();
        assert_eq!(
            mails.len(),
            count,
            "{:?}",
            mails.iter().map(|mail| &mail.subject).collect::<Vec<_>>()
        );
        mails
    }

    /// The newest mail to that address.
    pub fn mail_to(&self, to: &str) -> Received {
        let mails = self.mails();
        mails
            .into_iter()
            .rev()
            .find(|mail| mail.to == to)
            .unwrap_or_else(|| panic!("no mail to {to}"))
    }

    /// What the browser says from now on that its user reads.
    pub fn speak(&mut self, accept_language: &str) {
        let value = HeaderValue::from_bytes(accept_language.as_bytes()).expect("a header");
        self.http = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .default_headers([(ACCEPT_LANGUAGE, value)].into_iter().collect())
            .build()
            .expect("a client");
    }

    // The operations, a verb each.

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/v1/session",
            json!({ "email": email, "password": password }),
        )
        .await
    }

    pub async fn me(&self, access: &str) -> Answer {
        self.send(Method::GET, "/v1/me", Some(access), None).await
    }

    pub async fn request(&self, access: &str, password: &str) -> Answer {
        let body = json!({ "password": password });
        self.send(
            Method::POST,
            "/v1/email-change/request",
            Some(access),
            Some(body),
        )
        .await
    }

    pub async fn confirm(&self, token: &str, password: &str, new_email: &str) -> Answer {
        let body = json!({ "token": token, "password": password, "new_email": new_email });
        self.post("/v1/email-change/confirm", body).await
    }

    pub async fn activate(&self, token: &str) -> Answer {
        self.post("/v1/email-change/activate", json!({ "token": token }))
            .await
    }

    pub async fn cancel(&self, token: &str) -> Answer {
        self.post("/v1/email-change/cancel", json!({ "token": token }))
            .await
    }

    pub async fn undo(&self, token: &str, password: &str) -> Answer {
        self.post(
            "/v1/email-change/undo",
            json!({ "token": token, "password": password }),
        )
        .await
    }

    pub async fn inspect(&self, token: &str) -> Answer {
        self.post("/v1/email-change/inspect", json!({ "token": token }))
            .await
    }

    pub async fn state_of(&self, token: &str) -> String {
        self.inspect(token).await.field("state").to_owned()
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, None, Some(body)).await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        access: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url));
        if let Some(access) = access {
            request = request.header("Authorization", format!("Bearer {access}"));
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_string());
        }
        self.receive(request, method.as_str(), path).await
    }

    /// Sends whatever a test has made, and validates what comes back.
    pub async fn receive(
        &self,
        request: reqwest::RequestBuilder,
        method: &str,
        path: &str,
    ) -> Answer {
        let answer = Answer::read(request.send().await.expect("an answer")).await;
        contract::validate(
            method,
            path,
            answer.status.as_u16(),
            &answer.headers,
            &answer.json,
        );
        answer
    }

    // The operator.

    /// What `readdress user set-email` works with.
    pub fn operator(&self) -> Operator {
        let links = LinkTemplates::below(APP_URL);
        Operator {
            users: self.users.clone(),
            letters: Letters::new(Look::default(), APP_URL, links).expect("templates"),
            mailer: mailer(&self.smtp, &self.clock),
            clock: self.clock.clone(),
        }
    }

    pub async fn set_email(
        &self,
        from: &str,
        to: &str,
    ) -> Result<SetByOperator, SetByOperatorError> {
        self.operator()
            .set_email(&order(None, Some(from), to))
            .await
    }

    // The story so far.

    /// A confirm link, fresh from the current mailbox.
    pub async fn confirm_link(&self, person: &Person) -> String {
        self.links_of_request(person).await.0
    }

    /// The confirm and the cancel link of one request.
    pub async fn links_of_request(&self, person: &Person) -> (String, String) {
        self.request(&person.access, PASSWORD).await.ok(202);
        let mail = self.mail_to(&self.email_of(person).await);
        (mail.token("new-email"), mail.token("cancel-email-change"))
    }

    /// An activate link, fresh from the new mailbox.
    pub async fn activate_link(&self, person: &Person, new_email: &str) -> String {
        let confirm = self.confirm_link(person).await;
        self.confirm(&confirm, PASSWORD, new_email).await.ok(202);
        self.mail_to(new_email).token("email-activation")
    }

    /// The whole change; the undo link that the old mailbox got, if it got one.
    pub async fn change(&self, person: &Person, new_email: &str) -> Option<String> {
        let old_email = self.email_of(person).await;
        let activate = self.activate_link(person, new_email).await;
        let before = self.mails().len();
        assert_eq!(
            self.activate(&activate).await.ok(200)["status"],
            "activated"
        );
        self.mails_after(before + 2).await;
        self.mail_to(&old_email).find_token("undo-email-change")
    }

    /// The secret that signs links.
    pub fn signing_secret(&self) -> Vec<u8> {
        self.ring().signing().signing_secret().to_vec()
    }

    pub fn ring(&self) -> KeyRing {
        KeyRing::parse(&self.options.keys).expect("a ring")
    }
}

/// Another process of the same service.
pub struct Replica {
    pub url: String,
    pub flow: EmailChange,
    _stop: oneshot::Sender<()>,
    _server: JoinHandle<()>,
}

/// One process, so to speak.
struct Served {
    url: String,
    flow: EmailChange,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

fn mailer(smtp: &SmtpSink, clock: &Clock) -> Mailer {
    let sender = "Accounts <accounts@app.example.com>"
        .parse()
        .expect("a sender");
    let smtp = Smtp::new(
        smtp.url().parse().expect("a URL"),
        Authorities::default(),
        4,
    );
    Mailer::smtp(smtp, sender, clock.clone())
}

/// What an operator types.
pub fn order(id: Option<&str>, from: Option<&str>, to: &str) -> Order {
    Order {
        id: id.map(ToOwned::to_owned),
        from: from.map(ToOwned::to_owned),
        to: EmailAddress::parse(to).expect("an address"),
        reason: Reason::parse("ticket 4711").expect("a reason"),
        by: "operator".to_owned(),
        language: "en".to_owned(),
    }
}

async fn serve(options: &Options, users: &Users, smtp: &SmtpSink, clock: &Clock) -> Served {
    let app = App::build(Blueprint {
        clock: clock.clone(),
        keys: KeyRing::parse(&options.keys).expect("keys"),
        app_url: APP_URL.to_owned(),
        links: LinkTemplates::below(APP_URL),
        look: options.look.clone(),
        lifetimes: options.lifetimes,
        access_lifetime: Duration::from_mins(15),
        sign_in: options.sign_in,
        host_tokens: options.host_tokens.as_ref().map(|(keys, rules)| {
            HostTokens::new(keys, rules.clone(), clock.clone()).expect("host tokens")
        }),
        quotas: options.quotas,
        password_threads: options.password_threads,
        passwords: Checker::default(),
        users: users.clone(),
        mailer: mailer(smtp, clock),
        metrics: Metrics::new(clock),
    })
    .expect("a service");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, stopped) = oneshot::channel();
    let (settings, flow) = (options.server.clone(), app.flow.clone());
    let server = tokio::spawn(server::serve(listener, app, settings, None, async {
        let _ = stopped.await;
    }));
    Served {
        url,
        flow,
        stop,
        server,
    }
}

/// Runs `count` of the same at once.
pub async fn at_once<T: Send + 'static, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (barrier, work) = (Arc::clone(&barrier), make(index));
            tokio::spawn(async move {
                barrier.wait().await;
                work.await
            })
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.expect("no panic"));
    }
    done
}
