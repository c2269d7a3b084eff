//! Counts how steps end by the events they log.
//!
//! The flow knows nothing of metrics; and an event is said even where the caller has gone and no
//! answer is left to be counted. Not subject to the filter of the log.

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::api::problem::Code;
use crate::email_change::UNHEARD;
use crate::metrics::{DONE, Metrics};

/// Which event ends which step; of a refusal, the event says which step it was.
const EVENTS: [(&str, &str); 6] = [
    ("email_change.requested", "request"),
    ("email_change.confirmed", "confirm"),
    ("email_change.activated", "activate"),
    ("email_change.cancelled", "cancel"),
    ("email_change.undone", "undo"),
    ("session.created", "sign_in"),
];
/// It had been done before: a press that changed nothing is not another change.
const AGAIN: &str = "repeated";
const REFUSED: &str = "email_change.refused";
const NOT_SIGNED_IN: &str = "session.refused";

struct Steps(Metrics);

/// Hears our events alone.
pub(super) fn layer<S>(metrics: Metrics) -> impl Layer<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let is_ours = |metadata: &Metadata<'_>| {
        metadata.is_event()
            && *metadata.level() == Level::INFO
            && metadata.target().starts_with("readdress")
    };
    Steps(metrics).with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO))
}

impl<S: Subscriber> Layer<S> for Steps {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        if let Some(done) = said.done {
            self.0.step(done, if said.is_again { AGAIN } else { DONE });
        }
        if let (true, Some(step), Some(reason)) = (said.is_refusal, said.step, said.reason) {
            self.0.step(step, reason);
        }
    }
}

#[derive(Default)]
struct Said {
    done: Option<&'static str>,
    is_refusal: bool,
    step: Option<&'static str>,
    reason: Option<&'static str>,
    is_again: bool,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let message = format!("{value:?}");
            let ended = EVENTS.iter().find(|(event, _)| *event == message);
            self.done = ended.map(|(_, step)| *step);
            self.is_refusal = message == REFUSED || message == NOT_SIGNED_IN;
            if message == NOT_SIGNED_IN {
                self.step = Some("sign_in");
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "step" => {
                let known = EVENTS.iter().find(|(_, step)| *step == value);
                self.step = known.map(|(_, step)| *step);
            }
            "reason" if value == UNHEARD => self.reason = Some(UNHEARD),
            "reason" => self.reason = Code::named(value).map(Code::name),
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "repeated" {
            self.is_again = value;
        }
    }
}
