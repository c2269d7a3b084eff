//! Variables, and the keys among them.

use super::report::{Part, UNUSABLE};
use crate::config::{ConfigError, VARIABLES, Variable};
use crate::finding::Finding;
use crate::keys::KeyRing;

pub(super) fn look(read: Result<(), Vec<ConfigError>>) -> Part {
    let errors = read.err().unwrap_or_default();
    let findings = errors.iter().map(finding).collect();
    Part::new("configuration", "every variable can be used", findings)
}

fn finding(error: &ConfigError) -> Finding {
    let name = error.variable.as_str();
    // `…_FILE` of a secret, but some variables are called so themselves.
    let of_file =
        |variable: &&Variable| variable.secret && name.strip_suffix("_FILE") == Some(variable.name);
    let mut variables = VARIABLES.iter();
    let known = variables.find(|variable| variable.name == name || of_file(variable));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_every_variable_that_there_is_the_meaning_is_told() {
        let why = |name: &str| {
            let error = ConfigError {
                variable: name.to_owned(),
                problem: String::new(),
                mend: String::new(),
            };
            finding(&error).why
        };
        for variable in VARIABLES {
            let meaning = variable.meaning.replace('`', "");
            assert!(why(variable.name).ends_with(&meaning), "{}", variable.name);
            let file = why(&format!("{}_FILE", variable.name));
            assert_eq!(file.ends_with(&meaning), variable.secret, "{file}");
        }
        assert!(why("READDRESS_LISTNE").contains("misspelt"));
    }
}
