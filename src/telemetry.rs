//! The log: one line an event, on standard error, filtered by `RUST_LOG`.
//!
//! Libraries are heard from `error` up only, whatever the filter says: at `trace` some of them print
//! header frames and with them access tokens, and at `warn` the options of a database URL.

use std::panic;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Starts logging. A second call in one process does nothing.
pub fn start(format: Format) {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.with_ansi(false).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(filter_fn(is_ours_or_grave)))
        .with(filter)
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
