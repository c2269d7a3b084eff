//! Everything between the socket and the operations: routes, limits of the wire, and the promise
//! that every failure is answered as a problem document.
//!
//! The commands call [`serve`] with an [`App`]; [`front`] sees every request first, [`listen`] owns
//! the connections, [`docs`] is Swagger UI, [`pages`] are the pages that people see.

mod activity;
mod client;
mod cors;
mod docs;
mod encoding;
mod front;
mod listen;
mod pages;
mod scrape;
mod unreadable;

use std::future::{Future, pending};
use std::sync::OnceLock;

use hyper::body::Bytes;
use ipnet::IpNet;
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Request, Response, Route, get, handler};
use tokio::net::TcpListener;

use crate::api;
use crate::app::{App, Gauges};
use crate::language::Languages;
use crate::limits::Limits;

pub use client::client_address;
pub(crate) use listen::SHUTDOWN;
pub use listen::bind;
pub use pages::{Pages, PagesError};

/// Connections at once to where nothing but metrics is served.
const SCRAPERS: usize = 16;

/// How the service faces the network.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Proxies whose word on the client address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins that may call from a browser.
    pub cors_origins: Vec<String>,
    /// The most connections at once.
    pub max_connections: usize,
    /// Whether `/metrics` is here too, for this machine alone; if not, see [`serve_metrics`].
    pub metrics: bool,
}

/// Serves until `stop` resolves, then answers what is in flight, finishes what outlives its
/// callers, and returns: within 10 s in all. `extra` are routes of a command's own.
pub async fn serve(
    listener: TcpListener,
    app: App,
    settings: Settings,
    extra: Option<Route>,
    stop: impl Future<Output = ()>,
) {
    let (flow, readiness) = (app.flow.clone(), app.readiness.clone());
    let (limits, metrics) = (app.limits.clone(), app.gauges.metrics.clone());
    let languages = flow.letters.languages().clone();
    let front = front::Front::new(routes(app, extra), limits, metrics, languages, &settings);
    let stop = async {
        stop.await;
        readiness.stop();
    };
    let since = listen::serve(listener, front, settings.max_connections, stop).await;
    let _ = tokio::time::timeout_at(since + SHUTDOWN, flow.finish()).await;
}

/// Serves `/metrics`, and nothing else, until it is dropped.
pub async fn serve_metrics(listener: TcpListener, limits: Limits, gauges: Gauges) {
    let settings = Settings {
        trusted_proxies: vec![],
        cors_origins: vec![],
        max_connections: SCRAPERS,
        metrics: true,
    };
    let metrics = gauges.metrics.clone();
    let rest = Route::new()
        .at("/metrics", get(scrape::metrics))
        .data(gauges);
    let routes = Routes {
        operations: None,
        rest: rest.map_to_response().boxed(),
    };
    let front = front::Front::new(routes, limits, metrics, Languages::default(), &settings);
    listen::serve(listener, front.for_everybody(), SCRAPERS, pending()).await;
}

/// What answers.
struct Routes {
    /// The operations of the document. Apart from the rest, for a router within a router doubles what
    /// a refused link costs in them.
    operations: Option<BoxEndpoint<'static, Response>>,
    rest: BoxEndpoint<'static, Response>,
}

impl Routes {
    async fn call(&self, request: Request) -> poem::Result<Response> {
        match &self.operations {
            Some(operations) if request.uri().path().starts_with("/v1/") => {
                operations.call(request).await
            }
            _ => self.rest.call(request).await,
        }
    }
}

fn routes(app: App, extra: Option<Route>) -> Routes {
    let App {
        access,
        flow,
        readiness,
        limits: _,
        gauges,
    } = app;
    let rest = extra
        .unwrap_or_default()
        .at("/healthz", get(api::health::healthz))
        .at("/readyz", get(api::health::readyz))
        .at("/metrics", get(scrape::metrics))
        .at("/openapi.json", get(openapi))
        .at("/docs", get(docs::page))
        .data(readiness)
        .data(gauges)
        .into_endpoint()
        .map_to_response()
        .boxed();
    Routes {
        operations: Some(api::endpoint(access, flow).boxed()),
        rest,
    }
}

/// Made once: as large as it is, whoever asks for it again and again, and does not read the answers,
/// must not cost anything.
static DOCUMENT: OnceLock<Bytes> = OnceLock::new();

#[handler]
fn openapi() -> Response {
    Response::builder()
        .content_type("application/json")
        .header("Cache-Control", "no-cache")
        .body(
            DOCUMENT
                .get_or_init(|| Bytes::from(api::document::document()))
                .clone(),
        )
}

/// Which methods a path takes, for `Allow`. Reading paths take GET, and HEAD with it; everything
/// that matters takes POST.
fn allowed(path: &str) -> &'static str {
    if path.starts_with("/v1/") && path != "/v1/me" {
        "POST"
    } else {
        "GET, HEAD"
    }
}
