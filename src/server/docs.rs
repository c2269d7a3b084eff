//! Swagger UI: one page from the binary, nothing from outside.

use std::io::Write;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::http::header;
use poem::{Request, Response, handler};
use sha2::{Digest, Sha256};

use super::encoding::takes_gzip;
use crate::api::document::swagger_ui;

/// Made at the first visit: at start it would cost more than everything else together.
static PAGE: OnceLock<Page> = OnceLock::new();

struct Page {
    html: Bytes,
    gzip: Bytes,
    policy: String,
}

#[handler]
pub(super) async fn page(request: &Request) -> Response {
    let takes_gzip = takes_gzip(request);
    let Ok(page) = tokio::task::spawn_blocking(|| PAGE.get_or_init(make)).await else {
        return crate::api::problem::internal().respond("");
    };
    let body = if takes_gzip { &page.gzip } else { &page.html };
    let response = Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::VARY, "Accept-Encoding")
        .header(header::CONTENT_SECURITY_POLICY, &page.policy);
    let response = if takes_gzip {
        response.header(header::CONTENT_ENCODING, "gzip")
    } else {
        response
    };
    response.body(body.clone())
}

fn make() -> Page {
    let html = swagger_ui();
    // The page's own inline scripts, by their hashes. Its styles are set by script all over.
    let scripts = scripts(&html)
        .map(|script| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script))));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        scripts.collect::<Vec<_>>().join(" ")
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    let written = gzip.write_all(html.as_bytes()).and_then(|()| gzip.finish());
    Page {
        gzip: written.unwrap_or_default().into(),
        html: html.into(),
        policy,
    }
}

/// What stands between `<script …>` and `</script>`, as a browser reads it: an opening tag inside a
/// script is text.
fn scripts(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, opened) = rest.split_once("<script")?;
        let (script, after) = opened.split_once('>')?.1.split_once("</script>")?;
        rest = after;
        Some(script)
    })
}
