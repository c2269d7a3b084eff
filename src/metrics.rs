//! Metrics: what is counted and measured, and under which names Prometheus finds it.
//!
//! Every service has a registry of its own, passed in like the clock: two of them in one process
//! do not add up. The front, the lane, the limits and the mailer tell it what happened; what is
//! merely so (pool, keys, depth) is put in when somebody asks ([`Metrics::render`]). The crate that
//! writes the format lives here and nowhere else; [`instruments`] has every name and label.

mod instruments;
mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use self::instruments::{
    Cause, Check, Flow, Lane, Limit, Mail, Operation, Outcome, Registrar, Request, State, Step,
    Surroundings, Wire,
};
use crate::clock::Clock;

/// The media type of what [`Metrics::render`] writes.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

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
/// The operations of the document.
pub(crate) const OPERATIONS: [&str; 8] = [
    "signIn",
    "getCurrentUser",
    "requestEmailChange",
    "confirmEmailChange",
    "activateEmailChange",
    "cancelEmailChange",
    "undoEmailChange",
    "inspectLink",
];
/// The answers that somebody is woken for: the first of them must be seen.
const FAILURES: [&str; 5] = [
    "internal",
    "database_unavailable",
    "mail_unavailable",
    "overloaded",
    "invalid_link",
];
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
    wire: Wire,
    lane: Lane,
    flow: Flow,
    surroundings: Surroundings,
    registry: Registry,
    described: Vec<Described>,
}

/// One metric, for the documentation and the test that holds it to its word.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// As it is exported, without the suffixes of a histogram.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
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
    /// The same on every replica that has the same ring.
    pub key_ring: i64,
    /// When the signing key was made, in Unix seconds, if its kid tells.
    pub signing_key_made: Option<i64>,
}

impl Metrics {
    /// Metrics of a service in which nothing has happened yet.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        let mut all = Registrar::default();
        instruments::build(&mut all);
        let wire = Wire::register(&mut all);
        let lane = Lane::register(&mut all);
        let flow = Flow::register(&mut all);
        let surroundings = Surroundings::register(&mut all);
        let process = process::Process::begun(clock);
        all.registry.register_collector(Box::new(process));
        all.described.extend(process::DESCRIBED);
        let begun = Self(Arc::new(Inner {
            wire,
            lane,
            flow,
            surroundings,
            registry: all.registry,
            described: all.described,
        }));
        begun.at_zero()
    }

    /// What can happen is there with a zero before it happens: otherwise nobody sees the first.
    fn at_zero(self) -> Self {
        let (lane, flow) = (&self.0.lane, &self.0.flow);
        for operation in OPERATIONS {
            for code in FAILURES {
                let requests = &self.0.wire.requests;
                requests.get_or_create_owned(&Request { operation, code });
            }
        }
        for limit in LIMITS {
            flow.limits.get_or_create_owned(&Limit { limit });
        }
        for kind in KINDS {
            for result in RESULTS {
                flow.mails.get_or_create_owned(&Mail { kind, result });
            }
        }
        for result in RESULTS {
            flow.deliveries.get_or_create_owned(&Outcome { result });
        }
        for step in STEPS {
            let outcome = DONE;
            flow.ended.get_or_create_owned(&Step { step, outcome });
        }
        for cause in ["full", "late"] {
            lane.refusals.get_or_create_owned(&Cause { cause });
        }
        self
    }

    /// A request begins; it is in flight until what is returned is answered or dropped.
    pub(crate) fn request(&self, operation: &'static str) -> InFlight {
        self.0.wire.in_flight.inc();
        InFlight {
            metrics: self.clone(),
            operation,
            since: tokio::time::Instant::now(),
            code: "abandoned",
        }
    }

    /// A connection is open until what is returned is dropped.
    pub(crate) fn connection(&self) -> Open {
        self.0.wire.connections.inc();
        Open(self.clone())
    }

    /// A step ended so.
    pub(crate) fn step(&self, step: &'static str, outcome: &'static str) {
        self.0
            .flow
            .ended
            .get_or_create(&Step { step, outcome })
            .inc();
    }

    /// The lane refused somebody: `full` or `late`.
    pub(crate) fn lane_refused(&self, cause: &'static str) {
        self.0.lane.refusals.get_or_create(&Cause { cause }).inc();
    }

    /// A password waited so long for a thread.
    pub(crate) fn password_waited(&self, wait: Duration) {
        self.0.lane.waits.observe(wait.as_secs_f64());
    }

    /// Its hash took so long.
    pub(crate) fn password_checked(&self, took: Duration) {
        self.0.lane.hashes.observe(took.as_secs_f64());
    }

    /// A mail ended so, after so long.
    pub(crate) fn mail(&self, kind: &'static str, result: &'static str, took: Duration) {
        let flow = &self.0.flow;
        let took = took.as_secs_f64();
        flow.mails.get_or_create(&Mail { kind, result }).inc();
        flow.deliveries
            .get_or_create(&Outcome { result })
            .observe(took);
    }

    /// That limit refused somebody.
    pub(crate) fn limited(&self, limit: &'static str) {
        self.0.flow.limits.get_or_create(&Limit { limit }).inc();
    }

    /// A check of readiness found that.
    pub(crate) fn ready(&self, check: &'static str, is_good: bool) {
        self.0
            .surroundings
            .ready
            .get_or_create(&Check { check })
            .set(i64::from(is_good));
    }

    /// Everything, in Prometheus' text format.
    #[must_use]
    pub fn render(&self, now: &Now) -> String {
        let (lane, around) = (&self.0.lane, &self.0.surroundings);
        lane.depth.set(whole(now.lane_depth));
        lane.places.set(whole(now.lane_places));
        let [used, idle, max] = now.pool;
        for (state, count) in [("used", used), ("idle", idle)] {
            let gauge = around.pool.get_or_create_owned(&State { state });
            gauge.set(i64::from(count));
        }
        around.pool_max.set(i64::from(max));
        around.keys.set(whole(now.keys));
        around.key_ring.set(now.key_ring);
        if let Some(made) = now.signing_key_made {
            around.signing_key_made.get_or_create_owned(&[]).set(made);
        }
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a string does not fail.
        let _ = prometheus_text::encode(&mut text, &self.0.registry);
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
        inner.wire.in_flight.dec();
        inner
            .wire
            .requests
            .get_or_create(&Request { operation, code })
            .inc();
        inner
            .wire
            .answers
            .get_or_create(&Operation { operation })
            .observe(self.since.elapsed().as_secs_f64());
    }
}

/// An open connection.
pub(crate) struct Open(Metrics);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.wire.connections.dec();
    }
}
