//! How the stored passwords are written: whether they can be checked here, and whether whoever is
//! unknown costs the same work as most of those who are not. No hash is printed, nor any part of one
//! but its format and parameters.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::report::Part;
use crate::finding::Finding;
use crate::password::{Unusable, Work, format_of};

/// What some rows hold.
#[derive(Default)]
struct Seen {
    rows: usize,
    /// How many of each format, as `READDRESS_PASSWORD_FORMAT` writes it.
    usable: BTreeMap<String, usize>,
    marked: usize,
    unknown: usize,
    malformed: usize,
    too_expensive: usize,
}

pub(super) fn judge(hashes: &[Option<Zeroizing<String>>], common: &Work) -> Part {
    let seen = Seen::of(hashes);
    let mut findings = seen.unusable();
    findings.extend(seen.uncommon(&common.to_string()));
    Part::new("passwords", seen.summary(), findings)
}

impl Seen {
    fn of(hashes: &[Option<Zeroizing<String>>]) -> Self {
        let mut seen = Self {
            rows: hashes.len(),
            ..Self::default()
        };
        for hash in hashes {
            let stored = hash.as_ref().map_or("", |hash| hash.as_str());
            match format_of(stored) {
                Ok(work) => *seen.usable.entry(work.to_string()).or_default() += 1,
                Err(Unusable::Marked) => seen.marked += 1,
                Err(Unusable::Unknown) => seen.unknown += 1,
                Err(Unusable::Malformed) => seen.malformed += 1,
                Err(Unusable::TooExpensive) => seen.too_expensive += 1,
            }
        }
        seen
    }

    fn summary(&self) -> String {
        if self.rows == 0 {
            return "no row yet to look at".to_owned();
        }
        let formats = self.usable.iter();
        let mut said: Vec<_> = formats
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        if self.marked > 0 {
            said.push(format!("{} without a password", self.marked));
        }
        format!("of {}: {}", rows(self.rows), said.join(", "))
    }

    /// Accounts without a password are no finding: most applications have some.
    fn unusable(&self) -> Vec<Finding> {
        let strange = self.unknown + self.malformed + self.too_expensive;
        let kinds = [
            (self.unknown, "are of no format that this service knows"),
            (self.malformed, "are of a known format, but malformed"),
            (
                self.too_expensive,
                "ask for more memory or time than this service gives to one password",
            ),
        ];
        let kinds = kinds.into_iter().filter(|(count, _)| *count > 0);
        if self.usable.is_empty() && strange > 0 {
            let said: Vec<_> = kinds.map(|(count, are)| format!("{count} {are}")).collect();
            return vec![Finding::grave(
                format!(
                    "no stored password can be checked (of {}, {})",
                    rows(self.rows),
                    said.join(", ")
                ),
                "everybody's password would be wrong: nobody could change anything",
                "set READDRESS_USERS_PASSWORD to the column of the password hashes; the formats are in docs/configuration.md#password-formats",
            )];
        }
        let notes = kinds.map(|(count, are)| {
            Finding::advice(
                format!("some stored passwords {are} ({count} of {})", rows(self.rows)),
                "to these people their password will be wrong here, whatever they type",
                "let the application hash anew at their next sign-in, in a format of docs/configuration.md#password-formats",
            )
        });
        notes.collect()
    }

    fn uncommon(&self, configured: &str) -> Option<Finding> {
        let (common, count) = self.usable.iter().max_by_key(|(_, count)| **count)?;
        let agrees = self.usable.get(configured) == Some(count);
        (!agrees).then(|| {
            Finding::advice(
                format!(
                    "what is stored is {common} ({count} of {}), READDRESS_PASSWORD_FORMAT is {configured}",
                    rows(self.rows)
                ),
                "an address without an account costs other work than one with: anybody could tell the two apart by the time",
                format!("READDRESS_PASSWORD_FORMAT={common}"),
            )
        })
    }
}

fn rows(count: usize) -> String {
    match count {
        1 => "1 row".to_owned(),
        count => format!("{count} rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;

    const DJANGO: &str =
        "pbkdf2_sha256$1500000$AbCdEfGhIjKlMnOpQrStUv$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=";
    const BCRYPT: &str = "$2b$12$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS";
    const MD5: &str = "md5$AbCdEfGh$67a1e09bb1f83f5007dc119c14d663aa";
    const HUGE: &str =
        "$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    fn judged(hashes: &[Option<&str>], common: &str) -> String {
        let owned = hashes
            .iter()
            .map(|hash| hash.map(|hash| Zeroizing::new(hash.to_owned())));
        let owned: Vec<_> = owned.collect();
        let said = Report(vec![judge(&owned, &common.parse().expect("a format"))]).to_string();
        for secret in ["AbCdEfGh", "LmNoPqRs", "rAhhOoaY", "c29tZXNh", "67a1e09b"] {
            assert!(!said.contains(secret), "{said}");
        }
        said
    }

    #[test]
    fn formats_are_counted_and_compared_with_the_common_one() {
        let rows = [Some(DJANGO), Some(DJANGO), Some(BCRYPT), None, Some("!x")];
        let agrees = judged(&rows, "pbkdf2_sha256:1500000");
        assert!(
            agrees.starts_with("ok    passwords      of 5 rows: 1 bcrypt:12, 2 pbkdf2_sha256:1500000, 2 without a password\n\nNothing"),
            "{agrees}"
        );
        let differs = judged(&rows, "argon2id:m=19456,t=2,p=1");
        assert!(differs.contains(
            "note  passwords      what is stored is pbkdf2_sha256:1500000 (2 of 5 rows)"
        ));
        assert!(
            differs.contains("mend  READDRESS_PASSWORD_FORMAT=pbkdf2_sha256:1500000\n"),
            "{differs}"
        );
    }

    #[test]
    fn as_many_of_the_configured_one_as_of_any_other_are_enough() {
        assert!(!judged(&[Some(DJANGO), Some(BCRYPT)], "bcrypt:12").contains("note"));
        assert!(!judged(&[Some(DJANGO), Some(BCRYPT)], "pbkdf2_sha256:1500000").contains("note"));
    }

    #[test]
    fn what_cannot_be_checked_is_a_note_unless_it_is_everything() {
        let some = judged(&[Some(BCRYPT), Some(MD5), Some(HUGE)], "bcrypt:12");
        assert_eq!(some.matches("note  passwords").count(), 2, "{some}");
        let all = judged(&[Some(MD5), Some(HUGE), None], "bcrypt:12");
        assert!(
            all.contains("FAIL  passwords      no stored password can be checked"),
            "{all}"
        );
        assert!(all.contains("READDRESS_USERS_PASSWORD"), "{all}");
    }

    #[test]
    fn an_empty_table_and_accounts_without_passwords_are_well() {
        assert!(judged(&[], "bcrypt:12").starts_with("ok    passwords      no row yet"));
        assert!(judged(&[None, Some("!")], "bcrypt:12").starts_with("ok  "));
    }
}
