//! Traces over OTLP (protobuf in HTTP), in a build with the feature `otel`, to where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says; without that variable nothing is sent.
//!
//! One span a request, of the kind `server` and with the name of its operation, with what the flow
//! says of itself as its events: the same fields as in the log, and so nothing secret. It has the ids that the log and `traceparent` have, and, if it was
//! refused, the `code`; what is our fault is an error (OpenTelemetry's conventions for HTTP servers).
//! Whether it is recorded is the caller's decision, or that of `OTEL_TRACES_SAMPLER`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, Response};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::access::fetch::Document;
use crate::trace::Trace;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Sends what is recorded, at the latest when it is dropped.
pub(super) struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        // What the collector does not take in time is lost: that harms nobody.
        let _ = self.0.shutdown();
    }
}

/// Why no traces are sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TracesError {
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is no URL: set it to http(s)://host:port")]
    Endpoint,
    #[error("the exporter of traces cannot be set up")]
    Exporter(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Sends to the configured collector, if there is one.
pub(super) fn start() -> Result<Option<Traces>, TracesError> {
    match std::env::var(ENDPOINT) {
        Ok(endpoint) if !endpoint.is_empty() => send_to(&endpoint).map(Some),
        _ => Ok(None),
    }
}

fn send_to(endpoint: &str) -> Result<Traces, TracesError> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let parsed = Url::parse(&url).map_err(|_| TracesError::Endpoint)?;
    let collector = Document::new(parsed, None).map_err(|_| TracesError::Endpoint)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector(Arc::new(collector), Handle::current()))
        .with_endpoint(url)
        .build()
        .map_err(|error| TracesError::Exporter(error.into()))?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder()
        .with_service_name("readdress")
        .with_attribute(version);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_id_generator(Ids(RandomIdGenerator::default()))
        .with_resource(resource.build());
    Ok(Traces(provider.build()))
}

/// Records our requests, and what is said within them.
pub(super) fn layer<S>(traces: &Traces) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup> + Send + Sync,
{
    let is_ours = filter_fn(|metadata| {
        metadata.target().starts_with("readdress") && *metadata.level() <= Level::INFO
    });
    tracing_opentelemetry::layer()
        .with_tracer(Server(traces.0.tracer("readdress")))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(is_ours.with_max_level_hint(LevelFilter::INFO))
}

/// Puts the span of a request into the trace of its caller.
pub(super) fn join(span: &Span, trace: &Trace) {
    let Some(parent) = trace.parent.as_deref() else {
        return;
    };
    let (Ok(id), Ok(parent)) = (TraceId::from_hex(&trace.id), SpanId::from_hex(parent)) else {
        return;
    };
    let flags = if trace.is_sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let parent = SpanContext::new(id, parent, flags, true, TraceState::default());
    // Fails where traces are not sent.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// How the request was answered, if it was refused.
pub(super) fn answered(code: &'static str, is_failure: bool) {
    let span = Span::current();
    span.set_attribute("code", code);
    if is_failure {
        span.set_status(Status::error(code));
    }
}

/// Whether the current span is; `None` where traces are not sent.
pub(super) fn is_recorded() -> Option<bool> {
    let context = Span::current().context();
    let current = context.span().span_context().clone();
    current.is_valid().then(|| current.is_sampled())
}

/// Every span is a request that is served, named after its operation.
struct Server(SdkTracer);

impl Tracer for Server {
    type Span = <SdkTracer as Tracer>::Span;

    fn build_with_context(&self, mut builder: SpanBuilder, parent: &Context) -> Self::Span {
        let mut attributes = builder.attributes.iter().flatten();
        let operation = attributes.find(|one| one.key.as_str() == "operation");
        if let Some(operation) = operation {
            builder.name = operation.value.to_string().into();
        }
        builder.span_kind = Some(SpanKind::Server);
        self.0.build_with_context(builder, parent)
    }
}

/// The ids that the log and `traceparent` have: a request has one span.
#[derive(Debug)]
struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let named = Trace::current().and_then(|trace| TraceId::from_hex(&trace.id).ok());
        named.unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        let named = Trace::current().and_then(|trace| SpanId::from_hex(&trace.span).ok());
        named.unwrap_or_else(|| self.0.new_span_id())
    }
}

/// Speaks to the collector on our own runtime: the exporter has a thread without one.
struct Collector(Arc<Document>, Handle);

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    fn send_bytes<'life, 'sent>(&'life self, request: Request<Bytes>) -> Sent<'sent>
    where
        'life: 'sent,
        Self: 'sent,
    {
        let (mut parts, body) = request.into_parts();
        let collector = Arc::clone(&self.0);
        let sent = self.1.spawn(async move {
            parts.uri = collector.target().parse()?;
            let request = Request::from_parts(parts, Full::new(body));
            Ok::<_, HttpError>(collector.send(request).await?)
        });
        Box::pin(async move { sent.await? })
    }
}
