//! An e-mail address in the one form this service accepts as a new one.
//!
//! Parse, don't validate: whoever holds an [`EmailAddress`] holds the canonical form, and that form
//! is what is compared, signed, mailed and stored. The rules are narrower than RFC 5321 on purpose:
//! every form that a mail server could read as another mailbox (quotes, source routes, several
//! recipients, options, homographs in the local part) is refused instead of escaped.

use std::fmt;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The longest local part, in octets (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;
/// The longest address, in octets: the path limit of 256 less its angle brackets (RFC 5321,
/// section 4.5.3.1.3).
const MAX_ADDRESS: usize = 254;

/// A canonical address: ASCII, lower case, one `@`, a domain with a dot in A-label form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// The text is not an address that this service would mail to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address this service can send to")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// Reads what a person typed.
    ///
    /// # Errors
    ///
    /// [`InvalidEmailAddress`] for anything that is not, after trimming: one RFC 5321 dot-atom
    /// (ASCII, at most 64 octets, without `%`, `!` or a leading `-`), one `@`, and a domain that
    /// strict IDNA (UTS 46 with STD3 rules, hyphen and length checks) turns into A-labels, with a
    /// dot and a last label that is not a number; at most 254 octets in all.
    pub fn parse(typed: &str) -> Result<Self, InvalidEmailAddress> {
        let (local, domain) = typed.trim().split_once('@').ok_or(InvalidEmailAddress)?;
        if !is_plain_dot_atom(local) {
            return Err(InvalidEmailAddress);
        }
        let domain = Uts46::new()
            .to_ascii(
                domain.as_bytes(),
                AsciiDenyList::STD3,
                Hyphens::Check,
                DnsLength::Verify,
            )
            .map_err(|_| InvalidEmailAddress)?;
        let (_, last_label) = domain.rsplit_once('.').ok_or(InvalidEmailAddress)?;
        if last_label.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidEmailAddress);
        }
        let canonical = format!("{local}@{domain}").to_ascii_lowercase();
        if canonical.len() > MAX_ADDRESS {
            return Err(InvalidEmailAddress);
        }
        Ok(Self(canonical))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain_dot_atom(local: &str) -> bool {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"#$&'*+-/=?^_`{|}~".contains(&byte);
    local.len() <= MAX_LOCAL_PART
        && !local.starts_with('-')
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// Whether two addresses are the same, by ASCII case folding: rows that an application wrote may
/// be in mixed case.
#[must_use]
pub fn same_address(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// An address as it may be shown to someone who should recognise it but not learn it, and as it
/// may be logged: `a***@example.com`.
#[must_use]
pub fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let shown: String = if local.chars().count() > 2 {
        local.chars().take(1).collect()
    } else {
        String::new()
    };
    // A stored address can hold anything; only a well-formed domain is worth repeating.
    let domain = if domain
        .chars()
        .all(|c| c.is_alphanumeric() || c == '.' || c == '-')
    {
        domain
    } else {
        ""
    };
    format!("{}***@{domain}", shown.escape_default())
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Masked, so that a derived `Debug` around it never leaks a full address into a log.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({})", masked(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(typed: &str) -> Option<String> {
        EmailAddress::parse(typed).ok().map(|address| address.0)
    }

    #[test]
    fn an_address_becomes_canonical() {
        for (typed, expected) in [
            ("ann@example.com", "ann@example.com"),
            ("  Ann.Lee+news@Example.COM\t", "ann.lee+news@example.com"),
            ("ann@bücher.example", "ann@xn--bcher-kva.example"),
            ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
            ("ann@example。com", "ann@example.com"),
            ("o'hara@a.b-c.example", "o'hara@a.b-c.example"),
        ] {
            assert_eq!(canonical(typed).as_deref(), Some(expected), "{typed}");
        }
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form() {
        for typed in [
            "Ann@Bücher.example",
            "x@faß.example",
            "a@xn--bcher-kva.example",
        ] {
            let once = canonical(typed).expect("a valid address");
            assert_eq!(canonical(&once), Some(once.clone()), "{typed}");
        }
    }

    #[test]
    fn everything_that_could_mean_another_mailbox_is_refused() {
        for typed in [
            "",
            "@",
            "ann",
            "ann@",
            "@example.com",
            "ann@localhost",
            "ann@example.com.",
            "ann@example.com@evil.example",
            "a b@example.com",
            "ann@exa mple.com",
            "\"ann\"@example.com",
            "ann%evil@example.com",
            "evil!ann@example.com",
            "-oQ/tmp@example.com",
            ".ann@example.com",
            "ann.@example.com",
            "an..n@example.com",
            "mıke@example.com",
            "ann@[127.0.0.1]",
            "ann@127.0.0.1",
            "ann@example.123",
            "ann@-example.com",
            "ann@example-.com",
            "ann@ex_ample.com",
            "ann@ab--cd.com",
            "ann@xn--a.example",
            "Ann <ann@example.com>",
            "ann@example.com,bob@example.com",
            "ann@example.com\r\nBcc: eve@evil.example",
            "ann@example..com",
            "ann\0@example.com",
            "ann@exam\u{0}ple.com",
            "ann@example.com>",
        ] {
            assert_eq!(canonical(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn lengths_end_where_the_rfc_ends_them() {
        let domain = "example.com";
        assert!(canonical(&format!("{}@{domain}", "a".repeat(64))).is_some());
        assert!(canonical(&format!("{}@{domain}", "a".repeat(65))).is_none());
        let long_domain = |n: usize| {
            format!(
                "{}.{}.{}.com",
                "b".repeat(63),
                "c".repeat(63),
                "d".repeat(n)
            )
        };
        let at_limit = format!("{}@{}", "a".repeat(64), long_domain(57));
        assert_eq!(at_limit.len(), 254);
        assert!(canonical(&at_limit).is_some());
        assert!(canonical(&format!("{}@{}", "a".repeat(64), long_domain(58))).is_none());
        assert!(canonical(&format!("a@{}.com", "b".repeat(64))).is_none());
    }

    #[test]
    fn a_masked_address_never_shows_the_local_part() {
        assert_eq!(masked("ann.lee@example.com"), "a***@example.com");
        assert_eq!(masked("al@example.com"), "***@example.com");
        assert_eq!(masked("no address"), "n***@");
        assert_eq!(masked("x\ny\u{1b}[31m@ex\nample.com"), "x***@");
        let address = EmailAddress::parse("ann.lee@example.com").expect("valid");
        assert_eq!(format!("{address:?}"), "EmailAddress(a***@example.com)");
    }
}
