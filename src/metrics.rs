//! Metrics: what is counted and measured, and under which names Prometheus finds it.
//!
//! Every service has a registry of its own, passed in like the clock: two of them in one process
//! do not add up. The front, the lane, the limits and the mailer tell it what happened; what is
//! merely so (pool, keys, depth) is put in when somebody asks ([`Metrics::render`]). The crate that
//! writes the format lives here and nowhere else.
//!
//! A label is a `&'static str`: text that stands in the source. Nothing that came from outside,
//! be it an address, an id, a token or a path, can become one, and their number is bounded.

mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::clock::Clock;

/// The media type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// From a refused link (under a millisecond) to the deadline of a request, in seconds.
const ANSWERS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 9.5,
];
/// A wait in the lane ends after a second, a hash takes from some milliseconds on.
const HASHES: [f64; 9] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];
/// A mail may take 8 s.
const MAILS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 8.0];

/// All limits, as they are named in metrics.
const LIMITS: [&str; 6] = [
    "account",
    "recipient",
    "recipient_all",
    "client",
    "sign_in",
    "undo",
];
/// All kinds of mails, and how a delivery ends.
const KINDS: [&str; 6] = [
    "confirm",
    "activate",
    "changing",
    "changed",
    "cancelled",
    "undone",
];
const RESULTS: [&str; 3] = ["accepted", "undeliverable", "unavailable"];
/// The steps that say when they are done.
const STEPS: [&str; 6] = [
    "request", "confirm", "activate", "cancel", "undo", "sign_in",
];

/// What a step that went well ended as; every other outcome is a code.
pub const DONE: &str = "done";

/// Counts and measures. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    described: Vec<Described>,
    requests: Family<Request, Counter>,
    answers: Family<Operation, Histogram, Buckets>,
    in_flight: Gauge,
    connections: Gauge,
    steps: Family<Step, Counter>,
    lane_refusals: Family<Cause, Counter>,
    lane_waits: Histogram,
    hashes: Histogram,
    lane_depth: Gauge,
    lane_places: Gauge,
    mails: Family<Mail, Counter>,
    deliveries: Family<Outcome, Histogram, Buckets>,
    limits: Family<Limit, Counter>,
    pool: Family<State, Gauge>,
    pool_max: Gauge,
    ready: Family<Check, Gauge>,
    keys: Gauge,
    signing_key_made: Family<Nothing, Gauge>,
}

/// One metric, for the documentation and the test that holds it to its word.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// As it is exported, without the suffixes of a histogram.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    operation: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Step {
    step: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mail {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    check: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// No labels at all, and yet nothing is exported until there is something to say.
type Nothing = [(&'static str, &'static str); 0];

/// The buckets of a histogram that has labels.
#[derive(Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// What is so at this moment, asked for at each scrape.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Passwords in the lane, waiting or being checked.
    pub lane_depth: usize,
    /// The most there can be.
    pub lane_places: usize,
    /// Connections of the pool: in use, idle, and the most there can be.
    pub pool: [u32; 3],
    /// Keys in the ring.
    pub keys: usize,
    /// When the signing key was made, in Unix seconds, if its kid tells.
    pub signing_key_made: Option<i64>,
}

/// Registers a metric and keeps what it is called.
struct Registrar(Registry, Vec<Described>);

impl Registrar {
    fn add<M: Metric + Clone>(&mut self, name: &'static str, help: &'static str, metric: M) -> M {
        // The crate adds what it asks us to leave out.
        let bare = name.strip_suffix("_total").unwrap_or(name);
        self.0
            .register(bare, help.trim_end_matches('.'), metric.clone());
        self.1.push(Described { name, help });
        metric
    }
}

impl Metrics {
    /// Metrics of a service in which nothing has happened yet.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        let mut all = Registrar(Registry::default(), Vec::new());
        let build: Family<Build, Gauge> = all.add(
            "readdress_build_info",
            "Always 1; `version` is the version",
            Family::default(),
        );
        build
            .get_or_create(&Build {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        let inner = Inner {
            requests: all.add(
                "readdress_requests_total",
                "Requests answered, by `operation` and `code`: `ok`, the code of the problem, or `abandoned` if the client had gone",
                Family::default(),
            ),
            answers: all.add(
                "readdress_request_duration_seconds",
                "From the head of a request to its answer, by `operation`",
                Family::new_with_constructor(Buckets(&ANSWERS)),
            ),
            in_flight: all.add(
                "readdress_requests_in_flight",
                "Requests being answered",
                Gauge::default(),
            ),
            connections: all.add(
                "readdress_connections",
                "Connections open, at most `READDRESS_MAX_CONNECTIONS`",
                Gauge::default(),
            ),
            steps: all.add(
                "readdress_steps_total",
                "How steps of the flow ended, by `step` and `outcome`: `done`, or the code of the refusal. Counted even if the client had gone",
                Family::default(),
            ),
            lane_depth: all.add(
                "readdress_password_lane_depth",
                "Passwords being checked or waiting for it",
                Gauge::default(),
            ),
            lane_places: all.add(
                "readdress_password_lane_places",
                "The most there can be before the lane refuses",
                Gauge::default(),
            ),
            lane_waits: all.add(
                "readdress_password_wait_seconds",
                "How long a password waited for a thread",
                Histogram::new(HASHES),
            ),
            hashes: all.add(
                "readdress_password_check_seconds",
                "How long its hash took",
                Histogram::new(HASHES),
            ),
            lane_refusals: all.add(
                "readdress_password_lane_refusals_total",
                "Passwords refused for lack of time, by `cause`: `full` at once, `late` after a second",
                Family::default(),
            ),
            mails: all.add(
                "readdress_mails_total",
                "Mails, by `kind` and `result`: `accepted`, `undeliverable` (that mailbox is refused) or `unavailable`. The warning that an address is taken counts as `activate`",
                Family::default(),
            ),
            deliveries: all.add(
                "readdress_mail_duration_seconds",
                "How long the mail server took, by `result`; the wait for a connection included",
                Family::new_with_constructor(Buckets(&MAILS)),
            ),
            limits: all.add(
                "readdress_limit_refusals_total",
                "Refusals with 429, by `limit`: `account`, `recipient`, `recipient_all`, `client`, `sign_in`, `undo`",
                Family::default(),
            ),
            pool: all.add(
                "readdress_database_connections",
                "Connections to the database, by `state`: `used` or `idle`",
                Family::default(),
            ),
            pool_max: all.add(
                "readdress_database_connections_max",
                "The most there can be: `READDRESS_DATABASE_CONNECTIONS`",
                Gauge::default(),
            ),
            ready: all.add(
                "readdress_ready",
                "What `/readyz` found last, by `check`: `database`, `mail` or `keys`; 1 is good, and what was never asked is not there",
                Family::default(),
            ),
            keys: all.add(
                "readdress_keys",
                "Keys in the ring: 1, or more during a rotation",
                Gauge::default(),
            ),
            signing_key_made: all.add(
                "readdress_signing_key_created_timestamp_seconds",
                "The day on which the signing key was made, if its kid is one of `readdress keygen`",
                Family::default(),
            ),
            registry: Registry::default(),
            described: Vec::new(),
        };
        all.0
            .register_collector(Box::new(process::Process::begun(clock)));
        all.1.extend(process::DESCRIBED);
        let Registrar(registry, described) = all;
        let inner = Inner {
            registry,
            described,
            ..inner
        };
        Self(Arc::new(inner)).begun()
    }

    /// What can happen is there with a zero before it happens: otherwise nobody sees the first.
    fn begun(self) -> Self {
        for limit in LIMITS {
            self.0.limits.get_or_create_owned(&Limit { limit });
        }
        for kind in KINDS {
            for result in RESULTS {
                self.0.mails.get_or_create_owned(&Mail { kind, result });
            }
        }
        for result in RESULTS {
            self.0.deliveries.get_or_create_owned(&Outcome { result });
        }
        for step in STEPS {
            let outcome = DONE;
            self.0.steps.get_or_create_owned(&Step { step, outcome });
        }
        for cause in ["full", "late"] {
            self.0.lane_refusals.get_or_create_owned(&Cause { cause });
        }
        self
    }

    /// A request begins; it is in flight until what is returned is answered or dropped.
    pub(crate) fn request(&self, operation: &'static str) -> InFlight {
        self.0.in_flight.inc();
        InFlight {
            metrics: self.clone(),
            operation,
            since: tokio::time::Instant::now(),
            code: "abandoned",
        }
    }

    /// A connection is open until what is returned is dropped.
    pub(crate) fn connection(&self) -> Open {
        self.0.connections.inc();
        Open(self.clone())
    }

    /// A step ended so.
    pub(crate) fn step(&self, step: &'static str, outcome: &'static str) {
        self.0.steps.get_or_create(&Step { step, outcome }).inc();
    }

    /// The lane refused somebody: `full` or `late`.
    pub(crate) fn lane_refused(&self, cause: &'static str) {
        self.0.lane_refusals.get_or_create(&Cause { cause }).inc();
    }

    /// A password waited so long for a thread.
    pub(crate) fn password_waited(&self, wait: Duration) {
        self.0.lane_waits.observe(wait.as_secs_f64());
    }

    /// Its hash took so long.
    pub(crate) fn password_checked(&self, took: Duration) {
        self.0.hashes.observe(took.as_secs_f64());
    }

    /// A mail ended so, after so long.
    pub(crate) fn mail(&self, kind: &'static str, result: &'static str, took: Duration) {
        self.0.mails.get_or_create(&Mail { kind, result }).inc();
        self.0
            .deliveries
            .get_or_create(&Outcome { result })
            .observe(took.as_secs_f64());
    }

    /// That limit refused somebody.
    pub(crate) fn limited(&self, limit: &'static str) {
        self.0.limits.get_or_create(&Limit { limit }).inc();
    }

    /// A check of readiness found that.
    pub(crate) fn ready(&self, check: &'static str, is_good: bool) {
        self.0
            .ready
            .get_or_create(&Check { check })
            .set(i64::from(is_good));
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self, now: &Now) -> String {
        let inner = &self.0;
        inner.lane_depth.set(whole(now.lane_depth));
        inner.lane_places.set(whole(now.lane_places));
        let [used, idle, max] = now.pool;
        for (state, count) in [("used", used), ("idle", idle)] {
            let gauge = inner.pool.get_or_create_owned(&State { state });
            gauge.set(i64::from(count));
        }
        inner.pool_max.set(i64::from(max));
        inner.keys.set(whole(now.keys));
        if let Some(made) = now.signing_key_made {
            inner.signing_key_made.get_or_create_owned(&[]).set(made);
        }
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a string does not fail.
        let _ = prometheus_text::encode(&mut text, &inner.registry);
        text
    }

    /// All metrics, in the order in which they are exported.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        &self.0.described
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A request in flight. Counted as abandoned if nobody says how it was answered.
pub(crate) struct InFlight {
    metrics: Metrics,
    operation: &'static str,
    since: tokio::time::Instant,
    code: &'static str,
}

impl InFlight {
    /// It was answered with that code.
    pub(crate) fn answered(mut self, code: &'static str) {
        self.code = code;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let inner = &self.metrics.0;
        let (operation, code) = (self.operation, self.code);
        inner.in_flight.dec();
        inner
            .requests
            .get_or_create(&Request { operation, code })
            .inc();
        inner
            .answers
            .get_or_create(&Operation { operation })
            .observe(self.since.elapsed().as_secs_f64());
    }
}

/// An open connection.
pub(crate) struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.connections.dec();
    }
}
