//! Where the mail server is and how to talk to it: `READDRESS_SMTP_URL`, read once by the
//! configuration.

use std::str::FromStr;

use url::{Host, Url};
use zeroize::Zeroizing;

/// How the conversation is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte: `smtps://`.
    Implicit,
    /// STARTTLS or nothing is sent: the default.
    Required,
    /// STARTTLS if it is offered. An attacker in between can take the offer away.
    Opportunistic,
    /// Never.
    None,
}

/// Where the mail server is and how to talk to it, read from
/// `smtp://user:pass@host:port?tls=required`.
#[derive(Clone)]
pub struct SmtpUrl {
    host: Host<String>,
    pub(super) port: u16,
    tls: Tls,
    pub(super) credentials: Option<(String, Zeroizing<String>)>,
}

/// What is wrong with an SMTP URL. Never repeats any part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// Not `smtp://…` or `smtps://…` with a host.
    #[error("is not written as smtp://user:pass@host:port or smtps://user:pass@host:port")]
    Malformed,
    /// An option other than `tls`, or an unknown value of it.
    #[error("has an option other than ?tls=required, ?tls=opportunistic or ?tls=none")]
    UnknownOption,
}

impl FromStr for SmtpUrl {
    type Err = SmtpUrlError;

    fn from_str(text: &str) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(text).map_err(|_| SmtpUrlError::Malformed)?;
        let implicit = match url.scheme() {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(SmtpUrlError::Malformed),
        };
        let host = url.host().ok_or(SmtpUrlError::Malformed)?.to_owned();
        if !matches!(url.path(), "" | "/") {
            return Err(SmtpUrlError::Malformed);
        }
        let mut tls = if implicit {
            Tls::Implicit
        } else {
            Tls::Required
        };
        for (option, value) in url.query_pairs() {
            tls = match (option.as_ref(), value.as_ref(), implicit) {
                ("tls", "required", _) => tls,
                ("tls", "opportunistic", false) => Tls::Opportunistic,
                ("tls", "none", false) => Tls::None,
                _ => return Err(SmtpUrlError::UnknownOption),
            };
        }
        let credentials = match (url.username(), url.password()) {
            ("", _) => None,
            (user, password) => Some((
                decode(user)?,
                Zeroizing::new(decode(password.unwrap_or_default())?),
            )),
        };
        // RFC 8314, sections 3.3 and 3.2: submission ports.
        let port = url.port().unwrap_or(if implicit { 465 } else { 587 });
        Ok(Self {
            host: loopback_as_ip(host),
            port,
            tls,
            credentials,
        })
    }
}

impl SmtpUrl {
    /// How the conversation is encrypted.
    #[must_use]
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// The host, as it is connected to and as its certificate must name it.
    pub(super) fn host(&self) -> String {
        match &self.host {
            Host::Domain(domain) => domain.clone(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        }
    }

    /// Whether the server is on this very machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(domain) => domain == "localhost",
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        }
    }
}

/// `smtp` is no special scheme to the URL standard, so its hosts are not parsed as addresses.
fn loopback_as_ip(host: Host<String>) -> Host<String> {
    let Host::Domain(domain) = host else {
        return host;
    };
    match domain.parse() {
        Ok(ip) => Host::Ipv4(ip),
        Err(_) => Host::Domain(domain.to_ascii_lowercase()),
    }
}

fn decode(part: &str) -> Result<String, SmtpUrlError> {
    let query = format!("x={}", part.replace('+', "%2B"));
    let decoded = url::form_urlencoded::parse(query.as_bytes()).next();
    decoded
        .map(|(_, value)| value.into_owned())
        .ok_or(SmtpUrlError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SmtpUrl, SmtpUrlError> {
        text.parse()
    }

    #[test]
    fn an_smtp_url_is_encrypted_unless_it_says_otherwise() {
        let url = read("smtp://us%40er:p%3Ass+w@mail.example.com").expect("a URL");
        assert_eq!((url.tls, url.port), (Tls::Required, 587));
        let (user, password) = url.credentials.as_ref().expect("credentials");
        assert_eq!((user.as_str(), password.as_str()), ("us@er", "p:ss+w"));
        assert!(!url.is_loopback());
        let url = read("smtps://mail.example.com").expect("a URL");
        assert_eq!((url.tls, url.port), (Tls::Implicit, 465));
        let url = read("smtp://127.0.0.1:2525/?tls=none").expect("a URL");
        assert_eq!(
            (url.tls, url.port, url.is_loopback()),
            (Tls::None, 2525, true)
        );
        assert!(read("smtp://localhost:25").expect("a URL").is_loopback());
        assert!(read("smtp://[::1]:25").expect("a URL").is_loopback());
        assert_eq!(
            read("smtp://h?tls=opportunistic").expect("a URL").tls,
            Tls::Opportunistic
        );
    }

    #[test]
    fn a_url_that_could_be_misread_is_refused() {
        for wrong in [
            "",
            "mail.example.com",
            "http://h",
            "smtp://",
            "smtp://h/path",
        ] {
            assert_eq!(read(wrong).err(), Some(SmtpUrlError::Malformed), "{wrong}");
        }
        for wrong in [
            "smtp://h?tls=maybe",
            "smtp://h?ssl=no",
            "smtps://h?tls=none",
        ] {
            assert_eq!(
                read(wrong).err(),
                Some(SmtpUrlError::UnknownOption),
                "{wrong}"
            );
        }
    }
}
