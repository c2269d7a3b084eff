//! Puts the service together from plain values: the same for `serve`, for `dev` and for tests.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::access::Access;
use crate::access::host::HostTokens;
use crate::clock::Clock;
use crate::email_change::link::Lifetimes;
use crate::email_change::links::Links;
use crate::email_change::mail::{Letters, LinkTemplates, Look, TemplateErrors};
use crate::email_change::{EmailChange, Tools, Unfinished};
use crate::jwt::Jwts;
use crate::keys::KeyRing;
use crate::limits::{Limits, Quotas};
use crate::mailer::Mailer;
use crate::metrics::{Metrics, Now};
use crate::password::Checker;
use crate::password::lane::Lane;
use crate::readiness::Readiness;
use crate::users::Users;

/// What a service is made from.
pub struct Blueprint {
    /// The time.
    pub clock: Clock,
    /// The keys.
    pub keys: KeyRing,
    /// Issuer and audience of every token, and the name people know the application by, if the
    /// mails are given no other.
    pub app_url: String,
    /// Where each link leads.
    pub links: LinkTemplates,
    /// How the mails look.
    pub look: Look,
    /// How long links live.
    pub lifetimes: Lifetimes,
    /// How long access tokens hold.
    pub access_lifetime: Duration,
    /// Whether `signIn` is offered.
    pub sign_in: bool,
    /// Recognises the host application's access tokens.
    pub host_tokens: Option<HostTokens>,
    /// What each limit allows.
    pub quotas: Quotas,
    /// Threads that check passwords.
    pub password_threads: usize,
    /// What they are checked with.
    pub passwords: Checker,
    /// Where the users are.
    pub users: Users,
    /// Sends mails.
    pub mailer: Mailer,
    /// Counts and measures.
    pub metrics: Metrics,
}

/// What the operations work with.
pub struct App {
    /// Who is calling.
    pub access: Access,
    /// The flow.
    pub flow: EmailChange,
    /// Whether they can work.
    pub readiness: Readiness,
    /// The limits in memory.
    pub limits: Limits,
    /// What they count and measure, and how things stand.
    pub gauges: Gauges,
}

/// Everything that is measured. Cheap to clone.
#[derive(Clone)]
pub struct Gauges {
    /// What was counted and measured so far.
    pub metrics: Metrics,
    lane: Lane,
    users: Users,
    keys: Arc<KeyRing>,
    readiness: Readiness,
}

impl Gauges {
    /// Everything, as it is at this moment, in Prometheus' text format. Looks first at what the
    /// service depends on, which may take two seconds: where nobody asks `/readyz`, an alert must
    /// still see that it is not ready.
    pub async fn render(&self) -> String {
        self.readiness.report().await;
        let (lane_depth, lane_places) = self.lane.depth();
        self.metrics.render(&Now {
            lane_depth,
            lane_places,
            pool: self.users.pool(),
            keys: self.keys.count(),
            key_ring: self.keys.check_value(),
            signing_key_made: self.keys.signing().made(),
        })
    }
}

/// Why a service could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// No thread could be started.
    #[error("the threads that check passwords could not be started")]
    Threads(#[from] io::Error),
    /// Mail templates cannot be used.
    #[error(transparent)]
    Templates(#[from] TemplateErrors),
}

impl App {
    /// Starts the password lane; everything else waits for its first use.
    ///
    /// # Errors
    ///
    /// [`AppError`].
    pub fn build(blueprint: Blueprint) -> Result<Self, AppError> {
        let Blueprint {
            clock,
            keys,
            app_url,
            lifetimes,
            metrics,
            host_tokens,
            ..
        } = blueprint;
        let (users, keys) = (blueprint.users, Arc::new(keys));
        let (threads, passwords) = (blueprint.password_threads, blueprint.passwords);
        let lane = Lane::start(threads, passwords, metrics.clone())?;
        let limits = Limits::new(blueprint.quotas, &clock, metrics.clone());
        let mailer = blueprint.mailer.measured(metrics.clone());
        let letters = Letters::new(blueprint.look, &app_url, blueprint.links)?;
        let jwts = Jwts::new(Arc::clone(&keys), app_url, clock.clone());
        let access = Access::new(
            jwts.clone(),
            users.clone(),
            lane.clone(),
            limits.clone(),
            blueprint.access_lifetime,
            blueprint.sign_in,
            host_tokens.clone(),
        );
        let readiness = Readiness::new(users.clone(), mailer.clone(), host_tokens, metrics.clone());
        let gauges = Gauges {
            metrics,
            lane: lane.clone(),
            users: users.clone(),
            keys,
            readiness: readiness.clone(),
        };
        let flow = EmailChange::new(Tools {
            users,
            links: Links::new(jwts, lifetimes),
            lane,
            limits: limits.clone(),
            mailer,
            letters,
            clock,
            unfinished: Unfinished::default(),
        });
        Ok(Self {
            access,
            flow,
            readiness,
            limits,
            gauges,
        })
    }
}
