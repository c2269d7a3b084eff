//! The front: every request passes here first, every answer last.
//!
//! Gives the request its id, its caller and its deadline; reads the body within bounds; keeps the
//! number of requests in flight bounded; turns whatever went wrong, a panic included, into a
//! problem document; and puts the security headers on every answer.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use ipnet::IpNet;
use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::{HeaderName, HeaderValue, header};
use poem::web::RemoteAddr;
use poem::{Addr, Body, Request, Response};
use poem_openapi::error::{AuthorizationError, ContentTypeError};
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tracing::{Instrument, field::Empty};
use uuid::Uuid;

use super::client::client_address;
use super::cors::{self, Cors};
use super::{Routes, Settings, allowed, scrape};
use crate::api::problem::{Code, Problem};
use crate::deadline::{self, Deadline};
use crate::email_change::Caller;
use crate::language::{Language, Languages};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::telemetry;
use crate::trace::{TRACEPARENT, Trace};

/// The largest body: a link is under 2 KiB, an address under 1 KiB.
const MAX_BODY: u64 = 16 * 1024;
/// Of a body that is too large, so much is read and thrown away so that its sender gets the answer.
const MAX_DISCARDED: u64 = 2 * 1024 * 1024;
/// How long a body may take to arrive.
const BODY: Duration = Duration::from_secs(5);
/// Requests at once: HTTP/2 puts many on one connection, so connections alone bound nothing.
const MAX_IN_FLIGHT: usize = 512;
/// Bodies that are being read at once, beyond one a connection: what can be held of heads and bodies
/// is bounded by this, and nobody who sends one request at a time is ever refused for it.
const MAX_READ_BESIDE: usize = 512;
/// Beyond the request's own deadline, for whatever failed to keep it.
const GRACE: Duration = Duration::from_millis(500);

/// The step that needs an access token.
const REQUEST: &str = "requestEmailChange";
/// What a browser asks before a request from another origin.
const PREFLIGHT: &str = "preflight";
/// What an answer that is no problem is counted as.
const OK: &str = "ok";

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) struct Front {
    routes: Routes,
    cors: Cors,
    trusted_proxies: Vec<IpNet>,
    limits: Limits,
    metrics: Metrics,
    /// Who may read `/metrics` here.
    readers: Readers,
    languages: Languages,
    in_flight: Semaphore,
    read_beside: Semaphore,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Nobody,
    ThisMachine,
    Everybody,
}

impl Front {
    pub(super) fn new(
        routes: Routes,
        limits: Limits,
        metrics: Metrics,
        languages: Languages,
        settings: &Settings,
    ) -> Self {
        Self {
            routes,
            cors: Cors::new(settings.cors_origins.clone()),
            trusted_proxies: settings.trusted_proxies.clone(),
            limits,
            metrics,
            readers: if settings.metrics {
                Readers::ThisMachine
            } else {
                Readers::Nobody
            },
            languages,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            read_beside: Semaphore::new(MAX_READ_BESIDE),
        }
    }

    /// `/metrics` is for everybody who reaches this address.
    pub(super) fn for_everybody(mut self) -> Self {
        self.readers = Readers::Everybody;
        self
    }

    /// What connections count with.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers one request; whether it `is_beside` others on its connection. Never fails.
    pub(super) async fn answer(&self, request: Request, is_beside: bool) -> Response {
        let id = Uuid::now_v7();
        let request_id = id.to_string();
        let parents = request.headers().get_all(TRACEPARENT).iter();
        let trace = Trace::of(parents.map(HeaderValue::as_bytes), id);
        let path = request.uri().path().to_owned();
        let origin = self.cors.allowed(&request);
        let is_preflight = origin.is_some() && cors::is_preflight(&request);
        // A browser's question is no step, and would make every outage look half as bad.
        let operation = if is_preflight {
            PREFLIGHT
        } else {
            operation(&path)
        };
        let span = tracing::info_span!(
            "request",
            operation,
            request_id,
            trace_id = trace.id,
            user_id = Empty,
            account = Empty,
            kid = Empty
        );
        telemetry::join(&span, &trace);
        let counted = self.metrics.request(operation);
        let answered = async {
            if is_preflight {
                return (cors::answer_preflight(), OK);
            }
            let work = AssertUnwindSafe(self.work(request, is_beside))
                .catch_unwind()
                .await;
            let answered = work.unwrap_or_else(|_| Err(Problem::new(Code::Internal).into()));
            match answered {
                Ok(response) => (response, OK),
                Err(error) => {
                    let problem = to_problem(error, &path);
                    let code = problem.code.name();
                    if problem.code == Code::Unauthenticated && operation == REQUEST {
                        // Refused before its handler, which says the others.
                        tracing::info!(step = "request", reason = code, "email_change.refused");
                    }
                    telemetry::answered(code, problem.code.status().is_server_error());
                    (problem.respond(&request_id), code)
                }
            }
        };
        let (mut response, code) = trace.scope(answered.instrument(span)).await;
        counted.answered(code);
        add_headers(&mut response, &request_id);
        self.cors.add_headers(response.headers_mut(), origin);
        response
    }

    async fn work(&self, mut request: Request, is_beside: bool) -> poem::Result<Response> {
        let path = request.uri().path();
        let is_health = matches!(path, "/healthz" | "/readyz" | "/metrics");
        let end = Deadline::after(deadline::REQUEST + GRACE);
        let caller = Caller {
            ip: self.client_of(&request),
            deadline: Deadline::of_request(),
            language: self.language_of(&request),
        };
        if path == "/metrics" && !self.may_read_metrics(&request) {
            return Err(Problem::new(Code::NotFound).into());
        }
        if is_limited(path) {
            self.limits.client(caller.ip).map_err(Problem::limited)?;
        }
        let body = request.take_body();
        let body = if body.is_empty() {
            Vec::new()
        } else {
            self.read(body, is_beside).await?
        };
        // Only now: whoever sends slowly keeps nobody from being answered.
        let _permit = match self.in_flight.try_acquire() {
            Ok(permit) => Some(permit),
            Err(_) if is_health => None,
            Err(_) => return Err(Problem::new(Code::Overloaded).into()),
        };
        request.set_body(body);
        request.set_data(caller);
        let answer = self.routes.call(request);
        match end.bound(answer).await {
            Ok(answered) => answered,
            Err(_) => Err(Problem::new(Code::Overloaded).into()),
        }
    }

    async fn read(&self, body: Body, is_beside: bool) -> Result<Vec<u8>, Problem> {
        let beside = is_beside.then(|| self.read_beside.try_acquire());
        let _beside = beside
            .transpose()
            .map_err(|_| Problem::new(Code::Overloaded))?;
        read_body(body).await
    }

    fn may_read_metrics(&self, request: &Request) -> bool {
        match self.readers {
            Readers::Nobody => false,
            Readers::ThisMachine => scrape::is_local(peer_of(request), request.headers()),
            Readers::Everybody => true,
        }
    }

    fn language_of(&self, request: &Request) -> Language {
        let lines = request.headers().get_all(header::ACCEPT_LANGUAGE);
        self.languages
            .choose(lines.iter().filter_map(|line| line.to_str().ok()))
    }

    fn client_of(&self, request: &Request) -> IpAddr {
        client_address(peer_of(request), request.headers(), &self.trusted_proxies)
    }
}

fn peer_of(request: &Request) -> IpAddr {
    let RemoteAddr(peer) = request.remote_addr();
    match peer {
        Addr::SocketAddr(peer) => peer.ip(),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// What a path is counted as: an operation of the document, or what else there is.
fn operation(path: &str) -> &'static str {
    match path {
        "/v1/session" => "signIn",
        "/v1/me" => "getCurrentUser",
        "/v1/email-change/request" => REQUEST,
        "/v1/email-change/confirm" => "confirmEmailChange",
        "/v1/email-change/activate" => "activateEmailChange",
        "/v1/email-change/cancel" => "cancelEmailChange",
        "/v1/email-change/undo" => "undoEmailChange",
        "/v1/email-change/inspect" => "inspectLink",
        "/healthz" => "healthz",
        "/readyz" => "readyz",
        "/metrics" => "metrics",
        "/openapi.json" => "openapi",
        "/docs" => "docs",
        _ => "other",
    }
}

/// Stopping a change is never limited; neither are health, document and pages.
fn is_limited(path: &str) -> bool {
    path.starts_with("/v1/") && path != "/v1/email-change/cancel"
}

/// Reads a body of bounded size in bounded time; of one that is too large, so much of the rest that
/// its sender is still there to read the answer.
async fn read_body(body: Body) -> Result<Vec<u8>, Problem> {
    let mut reader = body.into_async_read();
    let mut bytes = Vec::new();
    let mut within_bounds = (&mut reader).take(MAX_BODY + 1);
    let read = Deadline::after(BODY)
        .bound(within_bounds.read_to_end(&mut bytes))
        .await;
    let read = read.map_err(|_| Problem::new(Code::RequestTimeout))?;
    read.map_err(|_| Problem::malformed("", "the body did not arrive whole"))?;
    if bytes.len() as u64 > MAX_BODY {
        let (mut rest, mut nowhere) = (reader.take(MAX_DISCARDED), tokio::io::sink());
        let _ = Deadline::after(BODY)
            .bound(tokio::io::copy(&mut rest, &mut nowhere))
            .await;
        return Err(Problem::new(Code::PayloadTooLarge));
    }
    Ok(bytes)
}

/// Whatever the framework says, in our words: its own would repeat what was sent.
fn to_problem(error: poem::Error, path: &str) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return problem,
        Err(error) => error,
    };
    if error.is::<NotFoundError>() {
        Problem::new(Code::NotFound)
    } else if error.is::<MethodNotAllowedError>() {
        Problem::method_not_allowed(allowed(path))
    } else if error.is::<AuthorizationError>() {
        Problem::unauthenticated(false)
    } else if error.is::<ContentTypeError>() {
        Problem::new(Code::UnsupportedMediaType)
    } else if error.status().is_client_error() {
        Problem::new(Code::MalformedRequest)
    } else {
        tracing::error!(
            status = error.status().as_u16(),
            "an error that nobody turned into a problem"
        );
        Problem::new(Code::Internal)
    }
}

pub(super) fn add_headers(response: &mut Response, request_id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::{EndpointExt, Route, get, handler};

    use super::*;
    use crate::clock::Clock;
    use crate::limits::Quotas;
    use crate::metrics::OPERATIONS;

    #[handler]
    fn broken() -> Response {
        panic!("with a secret in its message")
    }

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem_that_says_nothing_of_it() {
        let quotas = Quotas {
            passwords: None,
            recipient: None,
            recipient_all: None,
            client: None,
        };
        let settings = Settings {
            trusted_proxies: vec![],
            cors_origins: vec![],
            max_connections: 1,
            metrics: true,
        };
        let rest = Route::new().at("/broken", get(broken));
        let routes = Routes {
            operations: None,
            rest: rest.map_to_response().boxed(),
        };
        let metrics = Metrics::new(&Clock::System);
        let limits = Limits::new(quotas, &Clock::System, metrics.clone());
        let front = Front::new(routes, limits, metrics, Languages::default(), &settings);
        let request = Request::builder().uri_str("/broken").finish();
        let response = front.answer(request, false).await;
        assert_eq!(response.status().as_u16(), 500);
        assert_eq!(response.content_type(), Some("application/problem+json"));
        let body = response.into_body().into_string().await.expect("text");
        assert!(
            body.contains("\"internal\"") && !body.contains("secret"),
            "{body}"
        );
    }

    #[test]
    fn every_operation_of_the_document_is_counted_by_its_name() {
        let document: serde_json::Value =
            serde_json::from_str(&crate::api::document::document()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() >= 8);
        for (path, methods) in paths {
            for described in methods.as_object().expect("methods").values() {
                assert_eq!(described["operationId"], operation(path));
                assert!(OPERATIONS.contains(&operation(path)), "{path}");
            }
        }
        assert_eq!(operation("/v1/secret"), "other");
    }
}
