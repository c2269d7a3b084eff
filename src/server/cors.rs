//! Which pages of other origins may call from a browser: the configured ones, none by default.
//!
//! The framework's own middleware refuses every request from elsewhere, those without any need for
//! CORS included, and leaves answers that it did not see, problems above all, unreadable.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: &str = "600";

/// The configured origins.
pub(super) struct Cors(Vec<String>);

impl Cors {
    pub(super) fn new(origins: Vec<String>) -> Self {
        Self(origins)
    }

    /// The origin of the request, if it is one of the configured.
    pub(super) fn allowed(&self, request: &Request) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        self.0
            .iter()
            .any(|allowed| origin == allowed)
            .then(|| origin.clone())
    }

    /// Lets the page read the answer.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap, origin: Option<HeaderValue>) {
        if self.0.is_empty() {
            return;
        }
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static("Retry-After, X-Request-Id");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// Whether a browser asks beforehand.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// What it may send: no cookies, and nothing that the operations do not read.
pub(super) fn answer_preflight() -> Response {
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST")
        .header(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type",
        )
        .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)
        .finish()
}
