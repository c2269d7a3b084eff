//! `/metrics`: who may read it, and the answer.
//!
//! It tells nothing of anybody, but how much is going on is nobody's business outside. With an
//! address of its own it is there alone. Without one, it is on the service's own, for this machine
//! alone: a request that came through a proxy comes from elsewhere, whoever asks the proxy.

use std::net::IpAddr;

use poem::http::HeaderMap;
use poem::web::Data;
use poem::{Response, handler};

use crate::app::Gauges;
use crate::metrics::CONTENT_TYPE;

/// What a proxy adds to a request.
const PROXIED: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

#[handler]
pub(super) async fn metrics(gauges: Data<&Gauges>) -> Response {
    Response::builder()
        .content_type(CONTENT_TYPE)
        .body(gauges.render().await)
}

/// Whether a request was made on this machine.
pub(super) fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    peer.to_canonical().is_loopback() && !PROXIED.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_on_this_machine_does_not_make_a_request_local() {
        let local = |peer: &str, headers: &[&'static str]| {
            let headers = headers.iter().map(|name| {
                let name = poem::http::HeaderName::from_static(name);
                (name, "127.0.0.1".parse().expect("a value"))
            });
            is_local(peer.parse().expect("an address"), &headers.collect())
        };
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(local(peer, &[]), "{peer}");
            for name in PROXIED {
                assert!(!local(peer, &[name]), "{peer} {name}");
            }
        }
        for peer in ["10.0.0.1", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(!local(peer, &[]), "{peer}");
        }
    }
}
