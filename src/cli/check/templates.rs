//! The templates of the mails: every one is read. Templates from elsewhere are looked at here, too.

use super::report::{Part, UNUSABLE};
use crate::app::service_name;
use crate::email_change::chain;
use crate::email_change::mail::{Letters, LinkTemplates};
use crate::finding::Finding;

const NAME: &str = "templates";

pub(super) fn look(app_url: Option<String>, links: Option<LinkTemplates>) -> Part {
    let (Some(app_url), Some(links)) = (app_url, links) else {
        return Part::skipped(NAME, UNUSABLE);
    };
    let findings = findings(&app_url, links);
    Part::new(NAME, "those that are built in", findings)
}

fn findings(app_url: &str, links: LinkTemplates) -> Vec<Finding> {
    let read = Letters::new(service_name(app_url), links);
    let unreadable = read.err().map(|error| {
        Finding::grave(
            chain(&error),
            "no mail could be written: `serve` does not start",
            "build the binary anew from an unchanged release",
        )
    });
    unreadable.into_iter().collect()
}
