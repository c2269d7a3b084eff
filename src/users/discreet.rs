//! What a database says of a failure, without what it repeats of a row.
//!
//! Operators need its words: which right is missing, which column. But they can hold an address or a
//! password hash: in the key of a duplicate, in a value that does not fit, in a message that the
//! application's own trigger makes up. `DatabaseError` shows them through here.

use sea_orm::DbErr;

/// Every word but those that look like an address, or like a PHC string or one of its kin
/// (`$2b$…`, `pbkdf2_sha256$…`); in one line, which tells a terminal nothing.
pub(super) fn words(error: &DbErr) -> String {
    let said = error.to_string();
    let words = said.split_inclusive(char::is_whitespace).map(|word| {
        if word.contains('@') || word.matches('$').count() > 1 {
            "*** "
        } else {
            word
        }
    });
    let words: String = words.collect();
    words
        .trim_end()
        .replace(|c: char| c.is_control() || TURNS_A_LINE.contains(&c), " ")
}

/// The line breaks and the marks of direction (UAX #9) that are no control characters, but end a line
/// or turn it around where it is read.
const TURNS_A_LINE: [char; 14] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202b}', '\u{202c}',
    '\u{202d}', '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words_of_it: &str) -> String {
        words(&DbErr::Custom(words_of_it.to_owned()))
    }

    #[test]
    fn what_an_operator_needs_is_kept() {
        for kept in [
            "permission denied for table users",
            "no such column: email_change_nonce",
            "could not determine data type of parameter $1",
        ] {
            assert!(said(kept).ends_with(kept), "{}", said(kept));
        }
    }

    #[test]
    fn it_is_one_line() {
        let words = said("no\r\n2027-01-15 forged\u{1b}[31m \u{85}again\u{2028}and \u{202e}back\n");
        assert!(
            words.ends_with("no  2027-01-15 forged [31m  again and  back"),
            "{words}"
        );
    }

    #[test]
    fn what_may_be_a_persons_is_not() {
        for (words, left) in [
            (
                "Duplicate entry 'ann@example.com' for key 'mail'",
                "Duplicate entry *** for key 'mail'",
            ),
            (
                "Key (email)=(ann@example.com) already exists.",
                "Key *** already exists.",
            ),
            ("not $2b$12$R9h/cIPz0gi.URNNX3kh2O again", "not *** again"),
            ("pbkdf2_sha256$1000000$salt$hash", "***"),
        ] {
            assert!(said(words).ends_with(left), "{}", said(words));
            assert!(!said(words).contains("ann") && !said(words).contains("hash"));
        }
    }
}
