//! The mail templates: every mail of every language, rendered once.

use crate::email_change::mail::{Letters, LinkTemplates, Look};
use crate::finding::Finding;

/// What `serve` would refuse to start with; nothing if all is well.
pub(super) fn find(look: &Look, app_url: &str, links: LinkTemplates) -> Vec<Finding> {
    let Err(errors) = Letters::new(look.clone(), app_url, links) else {
        return Vec::new();
    };
    let found = errors.0.iter().map(|error| {
        let line = error
            .line
            .map_or_else(String::new, |line| format!(", line {line}"));
        Finding::grave(
            error.to_string(),
            "this mail could not be sent as it is meant",
            format!("edit {}{line} (docs/mails.md), or take it away", error.file),
        )
    });
    found.collect()
}
