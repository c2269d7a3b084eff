//! Reads the folder of mails and shows it.
//!
//! A mail's HTML is shown in a frame of its own, sandboxed: it can be looked at and its links
//! followed, and nothing else.

use mail_parser::MessageParser;
use minijinja::{Environment, Value, context};
use poem::http::header;
use poem::web::{Data, Path};
use poem::{Request, Response, handler};

use super::DEMO_PASSWORD;
use crate::api::problem::{Code, Problem, internal};
use crate::mailer::Folder;

/// Where the service is, for `curl` lines.
#[derive(Clone)]
pub(super) struct Url(pub(super) String);

const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

/// One mail as it is shown.
struct Shown {
    name: String,
    to: String,
    subject: String,
    date: String,
    text: String,
    html: String,
    curls: Vec<Curl>,
}

/// What can be done with a link, until there are pages.
struct Curl {
    does: &'static str,
    command: String,
}

impl Shown {
    fn facts(&self) -> Value {
        let curls = self
            .curls
            .iter()
            .map(|curl| context! { does => curl.does, command => curl.command.as_str() });
        context! {
            name => self.name.as_str(), to => self.to.as_str(), subject => self.subject.as_str(),
            date => self.date.as_str(), text => self.text.as_str(), curls => curls.collect::<Vec<_>>(),
        }
    }
}

/// Begin at the mailbox.
#[handler]
pub(super) fn home() -> Response {
    Response::builder()
        .status(poem::http::StatusCode::FOUND)
        .header(header::LOCATION, "/dev/mailbox")
        .finish()
}

/// All mails, newest first.
#[handler]
pub(super) async fn list(folder: Data<&Folder>, url: Data<&Url>) -> poem::Result<Response> {
    let names = folder.list().await.map_err(|_| internal())?;
    let mut mails = Vec::new();
    for name in names {
        mails.extend(read(&folder, &name, &url.0.0).await?);
    }
    page(
        "list.html",
        include_str!("../../templates/dev/list.html"),
        context! { mails => mails.iter().map(Shown::facts).collect::<Vec<_>>() },
    )
}

/// One mail.
#[handler]
pub(super) async fn show(
    folder: Data<&Folder>,
    url: Data<&Url>,
    Path(name): Path<String>,
) -> poem::Result<Response> {
    let mail = read(&folder, &name, &url.0.0)
        .await?
        .ok_or(Problem::new(Code::NotFound))?;
    page(
        "mail.html",
        include_str!("../../templates/dev/mail.html"),
        context! { mail => mail.facts() },
    )
}

/// One mail's HTML, for the frame.
#[handler]
pub(super) async fn as_html(
    folder: Data<&Folder>,
    Path(name): Path<String>,
) -> poem::Result<Response> {
    let mail = read(&folder, &name, "")
        .await?
        .ok_or(Problem::new(Code::NotFound))?;
    // Links lead out of the frame.
    let html = mail
        .html
        .replacen("<head>", "<head><base target=\"_top\">", 1);
    Ok(respond(html, MAIL_POLICY))
}

/// Where a link leads until there are pages: says how to go on. Reads its own address and nothing
/// else, and changes nothing.
#[handler]
#[expect(
    clippy::unused_async,
    reason = "the framework takes extractors by value from async handlers"
)]
pub(super) async fn stand_in(request: &Request, url: Data<&Url>) -> poem::Result<Response> {
    let link = format!("{}{}", url.0.0, request.original_uri());
    let curl = curl(&link, &url.0.0).ok_or(Problem::new(Code::NotFound))?;
    let facts = context! { does => curl.does, command => curl.command.as_str() };
    page(
        "link.html",
        include_str!("../../templates/dev/link.html"),
        facts,
    )
}

/// The newest mail's text, for `curl`.
#[handler]
pub(super) async fn latest(folder: Data<&Folder>) -> poem::Result<Response> {
    let names = folder.list().await.map_err(|_| internal())?;
    let name = names.first().ok_or(Problem::new(Code::NotFound))?;
    let mail = read(&folder, name, "")
        .await?
        .ok_or(Problem::new(Code::NotFound))?;
    Ok(Response::builder()
        .content_type("text/plain; charset=utf-8")
        .body(mail.text))
}

async fn read(folder: &Folder, name: &str, url: &str) -> Result<Option<Shown>, Problem> {
    let Some(bytes) = folder.read(name).await.map_err(|_| internal())? else {
        return Ok(None);
    };
    let Some(message) = MessageParser::default().parse(&bytes) else {
        return Ok(None);
    };
    let to = message
        .to()
        .and_then(|to| to.first())
        .and_then(|to| to.address())
        .unwrap_or_default();
    let text = message
        .body_text(0)
        .unwrap_or_default()
        .replace("\r\n", "\n");
    Ok(Some(Shown {
        name: name.to_owned(),
        to: to.to_owned(),
        subject: message.subject().unwrap_or_default().to_owned(),
        date: message
            .date()
            .map(mail_parser::DateTime::to_rfc3339)
            .unwrap_or_default(),
        html: message.body_html(0).unwrap_or_default().into_owned(),
        curls: text.lines().filter_map(|line| curl(line, url)).collect(),
        text,
    }))
}

/// The `curl` line for a line that is a link.
fn curl(line: &str, url: &str) -> Option<Curl> {
    let (page, token) = line.split_once("?token=")?;
    // It ends up in a shell: nothing but what a token is made of.
    if !token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return None;
    }
    let (does, path, more) = match page.rsplit_once('/')?.1 {
        "new-email" => (
            "Choose the new address",
            "confirm",
            format!(",\"password\":\"{DEMO_PASSWORD}\",\"new_email\":\"new@example.org\""),
        ),
        "email-activation" => ("Activate the new address", "activate", String::new()),
        "cancel-email-change" => ("Stop the change", "cancel", String::new()),
        "undo-email-change" => (
            "Take the change back",
            "undo",
            format!(",\"password\":\"{DEMO_PASSWORD}\""),
        ),
        _ => return None,
    };
    let body = format!("{{\"token\":\"{token}\"{more}}}");
    let command = format!(
        "curl -sS {url}/v1/email-change/{path} -H 'Content-Type: application/json' -d '{body}'"
    );
    Some(Curl { does, command })
}

fn page(name: &str, source: &str, facts: Value) -> poem::Result<Response> {
    let environment = Environment::new();
    let rendered = environment
        .template_from_named_str(name, source)
        .and_then(|template| template.render(facts));
    Ok(respond(rendered.map_err(|_| internal())?, PAGE_POLICY))
}

fn respond(page: String, policy: &str) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .body(page)
}
