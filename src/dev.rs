//! What only `readdress dev` has: a mailbox in which every mail sent can be read and its links
//! followed.
//!
//! The links lead to the pages. Where those were not built, each leads to a stand-in that shows the
//! `curl` line doing what its page would.

mod curl;
mod mail;
mod mailbox;

use poem::endpoint::BoxEndpoint;
use poem::{EndpointExt, Route, get};

use crate::mailer::Folder;
use crate::server::Pages;

/// The demo user's password: known to everybody, so good on loopback alone.
pub const DEMO_PASSWORD: &str = "correct horse battery staple";
/// The demo user's address.
pub const DEMO_USER: &str = "demo@example.com";
/// Where the mailbox is.
pub const MAILBOX: &str = "/dev/mailbox";

/// The mailbox, and what its links lead to, for the service at `url`.
#[must_use]
pub fn routes(folder: &Folder, url: &str, pages: Option<Pages>) -> Route {
    let mailbox = mailbox::Mailbox {
        folder: folder.clone(),
        url: url.to_owned(),
        has_pages: pages.is_some(),
    };
    let page = |endpoint: BoxEndpoint<'static>| endpoint.data(mailbox.clone());
    let routes = Route::new()
        .at(MAILBOX, page(get(mailbox::list).boxed()))
        .at("/dev/mailbox/style.css", get(mailbox::style))
        .at(
            "/dev/mailbox/latest.txt",
            page(get(mailbox::latest).boxed()),
        )
        .at("/dev/mailbox/:name", page(get(mailbox::show).boxed()))
        .at(
            "/dev/mailbox/:name/html",
            page(get(mailbox::as_html).boxed()),
        );
    let Some(pages) = pages else {
        let routes = routes.at("/", get(mailbox::home));
        return curl::PAGES.iter().fold(routes, |routes, path| {
            routes.at(*path, page(get(mailbox::stand_in).boxed()))
        });
    };
    pages.with_demo(&demo()).behind(routes)
}

/// What tells the pages where the mails are, and whom to sign in as.
fn demo() -> String {
    format!(
        "<meta name=\"readdress-demo\" content=\"{MAILBOX}\" data-email=\"{DEMO_USER}\" data-password=\"{DEMO_PASSWORD}\">"
    )
}
