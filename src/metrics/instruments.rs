//! Every metric there is: its name, its labels, its meaning, its buckets.
//!
//! A label is a `&'static str`: text that stands in the source. Nothing that came from outside,
//! be it an address, an id, a token or a path, can become one, and their number is bounded.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::Described;

/// From a refused link (under a millisecond) to the deadline of a request, in seconds.
const ANSWERS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 9.5,
];
/// A wait in the lane ends after a second, a hash takes from some milliseconds on.
const HASHES: [f64; 9] = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0];
/// A mail may take 8 s.
const MAILS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.5, 8.0];

/// Registers metrics, and keeps what they are called.
#[derive(Default)]
pub(super) struct Registrar {
    pub(super) registry: Registry,
    pub(super) described: Vec<Described>,
}

impl Registrar {
    fn add<M: Metric + Clone>(&mut self, name: &'static str, help: &'static str, metric: M) -> M {
        // The crate adds the suffix that it asks us to leave out.
        let bare = name.strip_suffix("_total").unwrap_or(name);
        self.registry.register(bare, help, metric.clone());
        self.described.push(Described { name, help });
        metric
    }
}

/// Always 1, with the version.
pub(super) fn build(all: &mut Registrar) {
    let build: Family<Build, Gauge> = all.add(
        "readdress_build_info",
        "Always 1; `version` is the version",
        Family::default(),
    );
    let version = env!("CARGO_PKG_VERSION");
    build.get_or_create_owned(&Build { version }).set(1);
}

/// Requests and connections.
pub(super) struct Wire {
    pub(super) requests: Family<Request, Counter>,
    pub(super) answers: Family<Operation, Histogram, Buckets>,
    pub(super) in_flight: Gauge,
    pub(super) connections: Gauge,
}

impl Wire {
    pub(super) fn register(all: &mut Registrar) -> Self {
        Self {
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
        }
    }
}

/// The lane in which passwords are checked.
pub(super) struct Lane {
    pub(super) depth: Gauge,
    pub(super) places: Gauge,
    pub(super) waits: Histogram,
    pub(super) hashes: Histogram,
    pub(super) refusals: Family<Cause, Counter>,
}

impl Lane {
    pub(super) fn register(all: &mut Registrar) -> Self {
        Self {
            depth: all.add(
                "readdress_password_lane_depth",
                "Passwords being checked or waiting for it",
                Gauge::default(),
            ),
            places: all.add(
                "readdress_password_lane_places",
                "The most there can be before the lane refuses",
                Gauge::default(),
            ),
            waits: all.add(
                "readdress_password_wait_seconds",
                "How long a password waited for a thread",
                Histogram::new(HASHES),
            ),
            hashes: all.add(
                "readdress_password_check_seconds",
                "How long its hash took",
                Histogram::new(HASHES),
            ),
            refusals: all.add(
                "readdress_password_lane_refusals_total",
                "Passwords refused for lack of time, by `cause`: `full` at once, `late` within a second",
                Family::default(),
            ),
        }
    }
}

/// How steps end, and what turns them away.
pub(super) struct Flow {
    pub(super) ended: Family<Step, Counter>,
    pub(super) mails: Family<Mail, Counter>,
    pub(super) deliveries: Family<Outcome, Histogram, Buckets>,
    pub(super) limits: Family<Limit, Counter>,
}

impl Flow {
    pub(super) fn register(all: &mut Registrar) -> Self {
        Self {
            ended: all.add(
                "readdress_steps_total",
                "How steps of the flow ended, by `step` and `outcome`: `done`, `repeated` (a confirm or undo pressed again), the code of the refusal, or `abandoned` if it failed when the client had gone",
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
        }
    }
}

/// What the service depends on.
pub(super) struct Surroundings {
    pub(super) pool: Family<State, Gauge>,
    pub(super) pool_max: Gauge,
    pub(super) ready: Family<Check, Gauge>,
    pub(super) keys: Gauge,
    pub(super) key_ring: Gauge,
    pub(super) signing_key_made: Family<Nothing, Gauge>,
}

impl Surroundings {
    pub(super) fn register(all: &mut Registrar) -> Self {
        Self {
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
                "What was found last by `/readyz` or a scrape, which ask in the same way, by `check`: `database`, `mail` or `keys`; 1 is good, and what has not answered yet is not there",
                Family::default(),
            ),
            keys: all.add(
                "readdress_keys",
                "Keys in the ring: 1, or more during a rotation",
                Gauge::default(),
            ),
            key_ring: all.add(
                "readdress_key_ring",
                "A number derived from the keys and their order, the same on every replica that has the same ring. Tells nothing of them",
                Gauge::default(),
            ),
            signing_key_made: all.add(
                "readdress_signing_key_created_timestamp_seconds",
                "The day on which the signing key was made, if its kid is one of `readdress keygen`",
                Family::default(),
            ),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub(super) operation: &'static str,
    pub(super) code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Operation {
    pub(super) operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Step {
    pub(super) step: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Cause {
    pub(super) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Mail {
    pub(super) kind: &'static str,
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Limit {
    pub(super) limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct State {
    pub(super) state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Check {
    pub(super) check: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// No labels at all, and yet nothing is exported until there is something to say.
pub(super) type Nothing = [(&'static str, &'static str); 0];

/// The buckets of a histogram that has labels.
#[derive(Clone)]
pub(super) struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}
