//! Variables, and the keys among them.

use super::report::{Part, UNUSABLE};
use crate::config::{ConfigError, VARIABLES};
use crate::finding::Finding;
use crate::keys::KeyRing;

pub(super) fn look(read: Result<(), Vec<ConfigError>>) -> Part {
    let errors = read.err().unwrap_or_default();
    let findings = errors.iter().map(finding).collect();
    Part::new("configuration", "every variable can be used", findings)
}

fn finding(error: &ConfigError) -> Finding {
    let name = error.variable.as_str();
    let secret = name.strip_suffix("_FILE").unwrap_or(name);
    let known = VARIABLES.iter().find(|variable| variable.name == secret);
    let why = match known {
        Some(variable) => format!(
            "`serve` refuses to start; this is: {}",
            variable.meaning.replace('`', "")
        ),
        None => "`serve` refuses to start: of a misspelt variable the default would be in force"
            .to_owned(),
    };
    let mend = error
        .mend
        .replacen("set it to", &format!("set {name} to"), 1);
    Finding::grave(format!("{name} {}", error.problem), why, mend)
}

/// Only names are told: the kids are public, they stand in every token.
pub(super) fn keys(ring: Option<&KeyRing>) -> Part {
    let Some(ring) = ring else {
        return Part::skipped("keys", UNUSABLE);
    };
    let kids: Vec<_> = ring.kids().collect();
    let summary = match kids.as_slice() {
        [signing, others @ ..] if !others.is_empty() => {
            format!("{signing} signs; still verified: {}", others.join(", "))
        }
        kids => format!("{} signs", kids.concat()),
    };
    Part::new("keys", summary, Vec::new())
}
