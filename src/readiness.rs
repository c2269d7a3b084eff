//! Whether the service can work, for `/readyz`: database, mail server and keys, each by itself.
//!
//! Whoever asks, and however often, the database is asked once in two seconds and the mail server
//! once in thirty, by one probe at a time. Only the database decides whether the service is ready:
//! without it no step works. Without mail, half of them do (inspecting, cancelling, undoing), and
//! the mail server is the same for all replicas: taking each of them out of service would turn
//! clear, retryable answers into none at all. The same holds for the keys of the host application.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::host::HostTokens;
use crate::deadline::Deadline;
use crate::email_change::chain;
use crate::mailer::Mailer;
use crate::metrics::Metrics;
use crate::users::Users;

/// How long the database's word holds.
const DATABASE_HOLDS: Duration = Duration::from_secs(2);
/// As long as a request would wait for a connection.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);
/// How long the mail server's word holds: each probe is a connection and a login.
const MAIL_HOLDS: Duration = Duration::from_secs(30);
/// Nobody waits for it.
const MAIL_PATIENCE: Duration = Duration::from_secs(8);

/// Finds out, and remembers for a while. Cheap to clone.
#[derive(Clone)]
pub struct Readiness(Arc<Inner>);

struct Inner {
    users: Users,
    mailer: Mailer,
    host_tokens: Option<HostTokens>,
    metrics: Metrics,
    /// Held by the one probe that is under way.
    database: tokio::sync::Mutex<Option<Found>>,
    mail: Mutex<Mail>,
    is_stopping: AtomicBool,
}

#[derive(Clone, Copy)]
struct Found {
    is_good: bool,
    at: Instant,
}

#[derive(Default)]
struct Mail {
    is_good: Option<bool>,
    asked_at: Option<Instant>,
}

/// What was found of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Good,
    /// It does not.
    Failing,
    /// It has not answered yet.
    Unknown,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The database answers and has its columns.
    pub database: State,
    /// The mail server can be talked to, login included.
    pub mail: State,
    /// There is a key for every token: ours always, the host application's once they were had.
    pub keys: State,
    /// The service was told to stop.
    pub is_stopping: bool,
}

impl Report {
    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_stopping && self.database == State::Good
    }
}

impl State {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
        }
    }
}

impl From<bool> for State {
    fn from(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Failing }
    }
}

impl Readiness {
    /// Asks nobody yet.
    #[must_use]
    pub fn new(
        users: Users,
        mailer: Mailer,
        host_tokens: Option<HostTokens>,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Inner {
            users,
            mailer,
            host_tokens,
            metrics,
            database: tokio::sync::Mutex::default(),
            mail: Mutex::default(),
            is_stopping: AtomicBool::new(false),
        }))
    }

    /// From now on the service is not ready.
    pub fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// What is known; waits for nothing but the database, and for that two seconds at most.
    pub async fn report(&self) -> Report {
        let is_stopping = || self.0.is_stopping.load(Ordering::Acquire);
        let mail = self.mail();
        let database = if is_stopping() {
            State::Unknown
        } else {
            // Goes on if its caller does not: the next one finds the result.
            let probe = tokio::spawn({
                let this = self.clone();
                async move { this.database().await }
            });
            probe.await.unwrap_or(false).into()
        };
        let tokens = self.0.host_tokens.as_ref();
        let has_keys = tokens.is_none_or(HostTokens::has_keys);
        self.0.metrics.ready("keys", has_keys);
        Report {
            database,
            mail,
            keys: has_keys.into(),
            is_stopping: is_stopping(),
        }
    }

    async fn database(&self) -> bool {
        let mut found = self.0.database.lock().await;
        if let Some(found) = found.filter(|found| found.at.elapsed() < DATABASE_HOLDS) {
            return found.is_good;
        }
        let probed = self.0.users.probe(Deadline::after(DATABASE_PATIENCE)).await;
        if let Err(error) = &probed {
            tracing::error!(error = chain(error), "database unavailable");
        }
        let is_good = probed.is_ok();
        let at = Instant::now();
        *found = Some(Found { is_good, at });
        self.0.metrics.ready("database", is_good);
        is_good
    }

    /// What the mail server said last; asks it anew, beside this request, if that was long ago.
    fn mail(&self) -> State {
        let mut mail = self.0.mail.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = |asked_at: Instant| asked_at.elapsed() < MAIL_HOLDS;
        if !mail.asked_at.is_some_and(is_fresh) {
            mail.asked_at = Some(Instant::now());
            let this = self.clone();
            tokio::spawn(async move { this.ask_mail_server().await });
        }
        mail.is_good.map_or(State::Unknown, State::from)
    }

    async fn ask_mail_server(&self) {
        let probed = self.0.mailer.probe(Deadline::after(MAIL_PATIENCE)).await;
        if let Err(error) = &probed {
            tracing::warn!(error = chain(error), "the mail server cannot be used");
        }
        let is_good = probed.is_ok();
        self.0.metrics.ready("mail", is_good);
        let mut mail = self.0.mail.lock().unwrap_or_else(PoisonError::into_inner);
        mail.is_good = Some(is_good);
    }
}
