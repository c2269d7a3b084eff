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
mod unreadable;

use std::future::Future;

use ipnet::IpNet;
use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, IntoEndpoint, Response, Route, get, handler};
use tokio::net::TcpListener;

use crate::api;
use crate::app::App;

pub use client::client_address;
pub(crate) use listen::SHUTDOWN;
pub use pages::{Pages, PagesError};

/// How the service faces the network.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Proxies whose word on the client address is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins that may call from a browser.
    pub cors_origins: Vec<String>,
    /// The most connections at once.
    pub max_connections: usize,
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
    let flow = app.flow.clone();
    let max_connections = settings.max_connections;
    let limits = app.limits.clone();
    let front = front::Front::new(routes(app, extra), limits, &settings);
    let since = listen::serve(listener, front, max_connections, stop).await;
    let _ = tokio::time::timeout_at(since + SHUTDOWN, flow.finish()).await;
}

fn routes(app: App, extra: Option<Route>) -> BoxEndpoint<'static, Response> {
    let App {
        access,
        flow,
        users,
        limits: _,
    } = app;
    extra
        .unwrap_or_default()
        .nest_no_strip("/v1", api::endpoint(access, flow))
        .at("/healthz", get(api::health::healthz))
        .at("/readyz", get(api::health::readyz))
        .at("/openapi.json", get(openapi))
        .at("/docs", get(docs::page))
        .data(users)
        .into_endpoint()
        .map_to_response()
        .boxed()
}

#[handler]
fn openapi() -> Response {
    Response::builder()
        .content_type("application/json")
        .header("Cache-Control", "no-cache")
        .body(api::document::document())
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
