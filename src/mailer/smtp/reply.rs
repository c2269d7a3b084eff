//! What a mail server answered, without its words: they often repeat the recipient.

use std::error::Error;
use std::fmt;

use lettre::transport::smtp;
use lettre::transport::smtp::response::Response;

/// Enhanced status codes that speak of the mailbox itself (RFC 3463, section 3.2 and 3.3).
const MAILBOX_IS_GONE: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];
/// The same in servers that give no enhanced code (RFC 5321, section 4.2.3).
const MAILBOX_IS_GONE_BASIC: [u16; 3] = [550, 551, 553];
/// The server is about to hang up (RFC 5321, section 3.8).
const CLOSING: u16 = 421;

/// Why a command did not do what it should have done.
#[derive(Debug)]
pub struct Refusal {
    what: &'static str,
    code: Option<u16>,
    enhanced: Option<String>,
}

impl Refusal {
    /// The command was answered, but not as it must be: 250 to DATA accepts no message.
    pub(super) fn unexpected(response: &Response) -> Self {
        Self {
            what: "answered out of turn",
            code: Some(response.code().into()),
            enhanced: None,
        }
    }

    /// The server hung up, or said that it is about to.
    pub(super) fn is_of_a_stale_connection(&self) -> bool {
        self.code.is_none_or(|code| code == CLOSING)
    }

    /// At RCPT: the server refuses this mailbox itself, not us.
    pub(super) fn says_the_mailbox_is_gone(&self) -> bool {
        let Some(code @ 500..=599) = self.code else {
            return false;
        };
        match self.enhanced.as_deref() {
            Some(enhanced) => MAILBOX_IS_GONE.contains(&enhanced),
            None => MAILBOX_IS_GONE_BASIC.contains(&code),
        }
    }
}

impl From<smtp::Error> for Refusal {
    fn from(error: smtp::Error) -> Self {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        let what = if error.is_timeout() {
            "timed out"
        } else if error.status().is_some() {
            "refused"
        } else {
            "connection lost"
        };
        Self {
            what,
            code: error.status().map(Into::into),
            enhanced: enhanced_code(&text).map(ToOwned::to_owned),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SMTP: {}", self.what)?;
        if let Some(code) = self.code {
            write!(f, " with {code}")?;
        }
        if let Some(enhanced) = &self.enhanced {
            write!(f, " {enhanced}")?;
        }
        Ok(())
    }
}

impl Error for Refusal {}

/// `5.1.1` at the start of a reply's text (RFC 2034, section 4).
fn enhanced_code(text: &str) -> Option<&str> {
    let first = text.split_whitespace().next()?;
    let numbers = first
        .split('.')
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    (first.split('.').count() == 3 && numbers.count() == 3).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_read_from_the_start_of_a_reply() {
        assert_eq!(enhanced_code("5.1.1 No such user"), Some("5.1.1"));
        assert_eq!(enhanced_code("5.1.10"), Some("5.1.10"));
        assert_eq!(enhanced_code("No such user 5.1.1"), None);
        assert_eq!(enhanced_code("1.2.3.4 is blocked"), None);
        assert_eq!(enhanced_code(""), None);
    }
}
