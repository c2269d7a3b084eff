//! The mail templates: every one is read.

use crate::app::service_name;
use crate::email_change::chain;
use crate::email_change::mail::{Letters, LinkTemplates};
use crate::finding::Finding;

/// What `serve` would refuse to start with; nothing if all is well.
pub(super) fn find(app_url: &str, links: LinkTemplates) -> Vec<Finding> {
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
