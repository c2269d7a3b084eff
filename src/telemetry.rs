//! The log: one line an event, on standard error, filtered by `RUST_LOG`.
//!
//! Libraries are heard from `error` up only, whatever the filter says: at `trace` some of them print
//! header frames and with them access tokens, and at `warn` the options of a database URL.
//!
//! [`json`] writes lines for machines; [`steps`] counts what the flow says of itself, whatever the
//! filter of the log.

mod json;
mod steps;

use std::panic;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::metrics::Metrics;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Starts logging. A second call in one process does nothing.
pub fn start(format: Format, metrics: Metrics) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let is_ours_or_grave = filter_fn(is_ours_or_grave).with_max_level_hint(LevelFilter::TRACE);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines
            .fmt_fields(fmt::format::JsonFields::new())
            .event_format(json::Flat)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(is_ours_or_grave)))
        .with(steps::layer(metrics))
        .try_init();
    if started.is_ok() {
        // A panic's message may hold what was being worked on: only its place is logged.
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, "panicked: this is a defect");
        }));
    }
}

fn is_ours_or_grave(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("readdress") || *metadata.level() == Level::ERROR
}
