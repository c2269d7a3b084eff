//! The log: one line an event, on standard error, filtered by `RUST_LOG`.
//!
//! Libraries are heard from `error` up only, whatever the filter says: at `trace` some of them print
//! header frames and with them access tokens, and at `warn` the options of a database URL.
//!
//! One event is written whatever the filter says: what an operator did to somebody else's account has
//! no other trace.
//!
//! [`json`] writes lines for machines; [`steps`] counts what the flow says of itself, whatever the
//! filter of the log; with the feature `otel`, `otel` sends traces.

mod json;
#[cfg(feature = "otel")]
mod otel;
mod steps;

use std::panic;

use tracing::{Level, Metadata, Span};
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::email_change::set_by_operator;
use crate::metrics::Metrics;
use crate::trace::Trace;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What must be kept until the end, so that what was recorded last is sent.
#[must_use = "traces are sent until this is dropped"]
#[derive(Default)]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    _traces: Option<otel::Traces>,
}

/// Starts logging. A second call in one process does nothing.
pub fn start(format: Format, metrics: Metrics) -> Telemetry {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let is_ours_or_grave = filter_fn(is_ours_or_grave).with_max_level_hint(LevelFilter::TRACE);
    let is_of_record = filter_fn(is_of_record).with_max_level_hint(LevelFilter::INFO);
    let heard = filter.and(is_ours_or_grave).or(is_of_record);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines
            .fmt_fields(json::Kept)
            .event_format(json::Flat)
            .boxed(),
    };
    let registry = tracing_subscriber::registry()
        .with(lines.with_filter(heard))
        .with(steps::layer(metrics));
    #[cfg(feature = "otel")]
    let (registry, traces) = {
        let traces = otel::start();
        let layer = traces.as_ref().ok().and_then(Option::as_ref);
        (registry.with(layer.map(otel::layer)), traces)
    };
    let started = registry.try_init();
    if started.is_ok() {
        // A panic's message may hold what was being worked on: only its place is logged.
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, "panicked: this is a defect");
        }));
    }
    #[cfg(feature = "otel")]
    let telemetry = Telemetry {
        _traces: traces.unwrap_or_else(|error| {
            let error = crate::email_change::chain(&error);
            tracing::error!(error, "traces are not sent");
            None
        }),
    };
    #[cfg(not(feature = "otel"))]
    let telemetry = Telemetry::default();
    telemetry
}

/// Puts the span of a request into the trace of its caller, where traces are sent.
#[cfg_attr(
    not(feature = "otel"),
    expect(unused_variables, reason = "nothing is sent")
)]
pub(crate) fn join(span: &Span, trace: &Trace) {
    #[cfg(feature = "otel")]
    otel::join(span, trace);
}

/// Says in the trace of the request that is worked for how it was answered, if not as it should be.
#[cfg_attr(
    not(feature = "otel"),
    expect(unused_variables, reason = "nothing is sent")
)]
pub(crate) fn answered(code: &'static str, is_failure: bool) {
    #[cfg(feature = "otel")]
    otel::answered(code, is_failure);
}

/// Whether the request that is worked for is recorded: by us, or at least by its caller.
pub(crate) fn is_recorded(trace: &Trace) -> bool {
    #[cfg(feature = "otel")]
    if let Some(is_recorded) = otel::is_recorded() {
        return is_recorded;
    }
    trace.is_sampled
}

fn is_ours_or_grave(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("readdress") || *metadata.level() == Level::ERROR
}

fn is_of_record(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target() == set_by_operator::RECORD
}
