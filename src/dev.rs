//! The mailbox page of `readdress dev`: every mail sent, newest first, with its links working.

mod mailbox;

use poem::{EndpointExt, Route, get};

use crate::mailer::Folder;

/// The demo user's password: known to everybody, so good on loopback alone.
pub const DEMO_PASSWORD: &str = "correct horse battery staple";

/// The routes that only `dev` has, for the service at `url`.
#[must_use]
pub fn pages(folder: &Folder, url: &str) -> Route {
    let page = |endpoint: poem::endpoint::BoxEndpoint<'static>| {
        endpoint
            .data(folder.clone())
            .data(mailbox::Url(url.to_owned()))
    };
    let pages = [
        "/new-email",
        "/email-activation",
        "/cancel-email-change",
        "/undo-email-change",
    ];
    let mailbox = Route::new()
        .at("/", get(mailbox::home))
        .at("/dev/mailbox", page(get(mailbox::list).boxed()))
        .at(
            "/dev/mailbox/latest.txt",
            page(get(mailbox::latest).boxed()),
        )
        .at("/dev/mailbox/:name", page(get(mailbox::show).boxed()))
        .at(
            "/dev/mailbox/:name/html",
            page(get(mailbox::as_html).boxed()),
        );
    pages.iter().fold(mailbox, |routes, path| {
        routes.at(*path, page(get(mailbox::stand_in).boxed()))
    })
}
