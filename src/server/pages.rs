//! The built pages, from the folder that `READDRESS_WEB_ROOT` names.
//!
//! The whole folder is read once, at start, and a request's path is looked up among the names that
//! were found: nothing is opened for a request, so no path and no link leads out of the folder. The
//! pages are some 500 kB; reading and compressing them costs the start some milliseconds, and every
//! answer comes from memory. A new build needs a restart, like everything else that is configured.

mod folder;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, Request, Response, Route};

use super::encoding::takes_gzip;

/// What a browser gets for every page; the script in it looks at the address.
const INDEX: &str = "/index.html";
/// The addresses of the pages: those that the links in mails lead to, and the one to begin with.
const PAGES: [&str; 5] = [
    "/",
    "/new-email",
    "/email-activation",
    "/cancel-email-change",
    "/undo-email-change",
];
/// Stands in the page where it can be told that it is a demo.
const DEMO_MARK: &str = "<!-- readdress-demo -->";
/// Nothing inline and nothing from elsewhere: a page that holds a token runs what was built, no more.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// It is not what the build makes.
    #[error("has no index.html")]
    NoIndex,
    /// It is something else altogether.
    #[error("holds more than 16 MiB")]
    TooLarge,
    /// It cannot be read.
    #[error("cannot be read ({0})")]
    Io(#[from] io::Error),
}

/// The built pages, in memory.
#[derive(Debug)]
pub struct Pages {
    index: File,
    /// By path, the pages' own among them.
    files: BTreeMap<String, File>,
}

/// One file as it is answered. Cheap to clone.
#[derive(Clone, Debug)]
struct File {
    content_type: &'static str,
    cache_control: &'static str,
    policy: Option<&'static str>,
    plain: Bytes,
    /// Where it is smaller.
    gzip: Option<Bytes>,
}

impl Pages {
    /// Reads the folder.
    ///
    /// # Errors
    ///
    /// [`PagesError`].
    pub fn read(root: &Path) -> Result<Self, PagesError> {
        let mut contents = folder::read(root)?;
        let index = contents.remove(INDEX).ok_or(PagesError::NoIndex)?;
        let mut files: BTreeMap<_, _> = contents
            .into_iter()
            .map(|(path, content)| (path.clone(), File::of_build(&path, content)))
            .collect();
        let index = File::page(index);
        files.extend(PAGES.map(|path| (path.to_owned(), index.clone())));
        Ok(Self { index, files })
    }

    /// Puts the tag `demo` into the page where it leaves room for it.
    #[must_use]
    pub fn with_demo(mut self, demo: &str) -> Self {
        let page = String::from_utf8_lossy(&self.index.plain).replace(DEMO_MARK, demo);
        self.index = File::page(page.into_bytes());
        let pages = PAGES.map(|path| (path.to_owned(), self.index.clone()));
        self.files.extend(pages);
        self
    }

    /// Answers what no other route does.
    #[must_use]
    pub fn behind(self, routes: Route) -> Route {
        routes.at("/*path", self)
    }

    /// The pages alone.
    #[must_use]
    pub fn routes(self) -> Route {
        self.behind(Route::new())
    }

    /// How many files there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files.len() - PAGES.len() + 1
    }
}

impl Endpoint for Pages {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut response = match self.files.get(request.uri().path()) {
            Some(file) if reads => file.answer(&request),
            Some(_) => return Err(MethodNotAllowedError.into()),
            // A person gets the page that says so, a program the problem document.
            None if reads && accepts_html(&request) => {
                let mut page = self.index.answer(&request);
                page.set_status(StatusCode::NOT_FOUND);
                page
            }
            None => return Err(NotFoundError.into()),
        };
        if *request.method() == Method::HEAD {
            response.set_body(());
        }
        Ok(response)
    }
}

impl File {
    fn page(content: Vec<u8>) -> Self {
        Self {
            policy: Some(POLICY),
            ..Self::new("text/html; charset=utf-8", "no-store", content)
        }
    }

    fn of_build(path: &str, content: Vec<u8>) -> Self {
        // The build names these by their content, so a name never means anything else.
        let cache_control = if path.starts_with("/assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        Self::new(content_type(path), cache_control, content)
    }

    fn new(content_type: &'static str, cache_control: &'static str, content: Vec<u8>) -> Self {
        let gzip = compress(&content).filter(|gzip| gzip.len() < content.len());
        Self {
            content_type,
            cache_control,
            policy: None,
            plain: content.into(),
            gzip: gzip.map(Bytes::from),
        }
    }

    fn answer(&self, request: &Request) -> Response {
        let mut response = Response::builder()
            .content_type(self.content_type)
            .header(header::CACHE_CONTROL, self.cache_control)
            .header(header::VARY, "Accept-Encoding");
        if let Some(policy) = self.policy {
            response = response.header(header::CONTENT_SECURITY_POLICY, policy);
        }
        match &self.gzip {
            Some(gzip) if takes_gzip(request) => response
                .header(header::CONTENT_ENCODING, "gzip")
                .body(gzip.clone()),
            _ => response.body(self.plain.clone()),
        }
    }
}

fn accepts_html(request: &Request) -> bool {
    request
        .header(header::ACCEPT)
        .is_some_and(|accept| accept.contains("text/html"))
}

/// What a build of the pages may hold; `nosniff` makes browsers believe it.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn compress(content: &[u8]) -> Option<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content).and_then(|()| gzip.finish()).ok()
}
