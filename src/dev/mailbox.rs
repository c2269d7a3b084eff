//! The mailbox: a list, and a page for each mail.
//!
//! A mail's HTML is shown in a frame of its own, sandboxed: it can be looked at and its links
//! followed, and nothing else. They open in a new tab, as from any mailbox on the web. No page here
//! has a script: one that reloads by itself would take the place from who is reading it.

use std::sync::LazyLock;

use minijinja::{Environment, Value, context};
use poem::http::header;
use poem::web::{Data, Path};
use poem::{Request, Response, handler};

use super::curl::Curl;
use super::mail::Mail;
use crate::api::problem::{Code, Problem, internal};
use crate::mailer::Folder;

const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
// A mail brings its styles with it: mail programs read no others.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    for (name, source) in [
        (
            "layout.html",
            include_str!("../../templates/dev/layout.html"),
        ),
        ("list.html", include_str!("../../templates/dev/list.html")),
        ("mail.html", include_str!("../../templates/dev/mail.html")),
        ("link.html", include_str!("../../templates/dev/link.html")),
    ] {
        // One that cannot be read is missing when it is asked for, and the answer is `internal`.
        let _ = environment.add_template(name, source);
    }
    environment
});

/// What the pages need.
#[derive(Clone)]
pub(super) struct Mailbox {
    pub(super) folder: Folder,
    /// Where the service is, for `curl` lines.
    pub(super) url: String,
    /// Whether links lead to pages.
    pub(super) has_pages: bool,
}

impl Mailbox {
    async fn names(&self) -> Result<Vec<String>, Problem> {
        self.folder.list().await.map_err(|_| internal())
    }

    async fn read(&self, name: &str) -> Result<Mail, Problem> {
        let message = self.folder.read(name).await.map_err(|_| internal())?;
        message
            .and_then(|message| Mail::read(name, &message))
            .ok_or(Problem::new(Code::NotFound))
    }
}

/// Begin at the mailbox.
#[handler]
pub(super) fn home() -> Response {
    Response::builder()
        .status(poem::http::StatusCode::FOUND)
        .header(header::LOCATION, super::MAILBOX)
        .finish()
}

/// How the pages look.
#[handler]
pub(super) fn style() -> Response {
    Response::builder()
        .content_type("text/css; charset=utf-8")
        .body(include_str!("../../templates/dev/style.css"))
}

/// All mails, newest first.
#[handler]
pub(super) async fn list(mailbox: Data<&Mailbox>) -> poem::Result<Response> {
    let mut mails = Vec::new();
    for name in mailbox.names().await? {
        mails.extend(mailbox.read(&name).await.ok().map(Value::from));
    }
    let facts = context! { mails, has_pages => mailbox.has_pages };
    page("list.html", facts)
}

/// One mail.
#[handler]
pub(super) async fn show(
    mailbox: Data<&Mailbox>,
    Path(name): Path<String>,
) -> poem::Result<Response> {
    let mail = mailbox.read(&name).await?;
    let curls = mail.links().filter_map(|link| Curl::of(link, &mailbox.url));
    let curls: Vec<_> = curls
        .filter(|_| !mailbox.has_pages)
        .map(Value::from)
        .collect();
    page(
        "mail.html",
        context! { mail, curls, has_pages => mailbox.has_pages },
    )
}

/// One mail's HTML, for the frame.
#[handler]
pub(super) async fn as_html(
    mailbox: Data<&Mailbox>,
    Path(name): Path<String>,
) -> poem::Result<Response> {
    let mail = mailbox.read(&name).await?;
    let html = mail
        .html
        .replacen("<head>", "<head><base target=\"_blank\">", 1);
    Ok(respond(html, MAIL_POLICY))
}

/// Where a link leads while there are no pages: says how to go on. Reads its own address and
/// nothing else, and changes nothing.
#[handler]
#[expect(
    clippy::unused_async,
    reason = "the framework takes extractors by value from async handlers"
)]
pub(super) async fn stand_in(request: &Request, mailbox: Data<&Mailbox>) -> poem::Result<Response> {
    let link = format!("{}{}", mailbox.url, request.original_uri());
    let curl = Curl::of(&link, &mailbox.url).ok_or(Problem::new(Code::NotFound))?;
    page("link.html", context! { curl })
}

/// The newest mail's text, for `curl`.
#[handler]
pub(super) async fn latest(mailbox: Data<&Mailbox>) -> poem::Result<Response> {
    let names = mailbox.names().await?;
    let name = names.first().ok_or(Problem::new(Code::NotFound))?;
    let mail = mailbox.read(name).await?;
    Ok(Response::builder()
        .content_type("text/plain; charset=utf-8")
        .body(mail.text))
}

fn page(name: &str, facts: Value) -> poem::Result<Response> {
    let rendered = TEMPLATES
        .get_template(name)
        .and_then(|template| template.render(facts));
    Ok(respond(rendered.map_err(|_| internal())?, PAGE_POLICY))
}

fn respond(page: String, policy: &str) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .body(page)
}
