//! A line for machines: one flat object, with the fields of the request beside those of the event.
//!
//! The library's own format nests spans, so that a query for a request id would have to know how
//! deep; and it reads and writes the fields of a span anew for each that comes to be known. Here a
//! field is written as JSON once. The fields are listed in docs/operations.md, and a test holds the
//! list to its word.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::clock::{Clock, rfc3339_with_millis};

/// After a name and after a value, in what is kept of a span: JSON has neither, but for escaped.
const NAME_ENDS: char = '\u{1f}';
const VALUE_ENDS: char = '\u{1e}';

/// Keeps the fields of spans, each value as JSON.
pub(super) struct Kept;

impl<'writer> FormatFields<'writer> for Kept {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut read = Fields::default();
        fields.record(&mut read);
        for (name, value) in read.0 {
            write!(writer, "{name}{NAME_ENDS}{value}{VALUE_ENDS}")?;
        }
        Ok(())
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Writes `timestamp`, `level`, `target`, `message`; then the fields of the spans around it, outer
/// ones first; then its own, which win.
pub(super) struct Flat;

impl<S> FormatEvent<S, Kept> for Flat
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Kept>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let now = rfc3339_with_millis(Clock::System.micros());
        let mut line = Line::default();
        line.put("timestamp", json(now));
        line.put("level", json(metadata.level().as_str()));
        line.put("target", json(metadata.target()));
        line.put("message", json(Value::Null));
        let spans = context.event_scope().into_iter().flat_map(Scope::from_root);
        for span in spans {
            let extensions = span.extensions();
            let Some(kept) = extensions.get::<FormattedFields<Kept>>() else {
                continue;
            };
            let fields = kept.split_terminator(VALUE_ENDS);
            for (name, value) in fields.filter_map(|field| field.split_once(NAME_ENDS)) {
                line.put(name.to_owned(), value.to_owned());
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        for (name, value) in own.0 {
            line.put(name, value);
        }
        line.write(&mut writer)
    }
}

fn json(value: impl Into<Value>) -> String {
    value.into().to_string()
}

/// Names and values of one line, in the order in which they came.
#[derive(Default)]
struct Line(Vec<(Cow<'static, str>, String)>);

impl Line {
    /// What was said last of a name holds.
    fn put(&mut self, name: impl Into<Cow<'static, str>>, value: String) {
        let name = name.into();
        match self.0.iter_mut().find(|(said, _)| *said == name) {
            Some((_, said)) => *said = value,
            None => self.0.push((name, value)),
        }
    }

    fn write(self, writer: &mut Writer<'_>) -> fmt::Result {
        let mut before = '{';
        for (name, value) in self.0 {
            // A name is an identifier of the source.
            write!(writer, "{before}\"{name}\":{value}")?;
            before = ',';
        }
        writeln!(writer, "}}")
    }
}

/// The fields of a span or an event.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), json(value)));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}
