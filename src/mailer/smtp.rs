//! SMTP: connections kept warm, few at once, one transaction a mail.
//!
//! The library's own pool hides at which command a server refused, and that decides everything: a
//! refusal at RCPT may mean that the mailbox is gone, the same code elsewhere means that *we* are
//! not welcome. So the transaction is spelt out here on the library's connections.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::DeliveryError;

/// A connection that has been idle longer is not tried again: most servers have hung up by then.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// Enhanced status codes that speak of the mailbox itself (RFC 3463, section 3.2 and 3.3).
const MAILBOX_IS_GONE: [&str; 6] = ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"];
/// The same in servers that give no enhanced code (RFC 5321, section 4.2.3).
const MAILBOX_IS_GONE_BASIC: [u16; 3] = [550, 551, 553];

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
    port: u16,
    tls: Tls,
    credentials: Option<(String, Zeroizing<String>)>,
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

/// An SMTP server.
pub struct Smtp {
    url: SmtpUrl,
    hello: ClientId,
    /// Connections in use; more would be refused by most servers, and queue in vain.
    turns: Semaphore,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

/// Where in the transaction an error came up.
enum Refused {
    /// Before RCPT, by a connection that had been idle: it may just have been stale.
    AtOnce(lettre::transport::smtp::Error),
    /// At RCPT.
    Recipient(lettre::transport::smtp::Error),
    /// Anywhere else.
    Later(lettre::transport::smtp::Error),
}

impl Smtp {
    /// Talks to the server at `url` over at most `connections` at once. Connects at the first mail.
    #[must_use]
    pub fn new(url: SmtpUrl, connections: usize) -> Self {
        Self {
            url,
            hello: ClientId::default(),
            turns: Semaphore::new(connections.max(1)),
            idle: Mutex::default(),
        }
    }

    pub(super) async fn send(
        &self,
        from: &Address,
        to: &Address,
        message: &[u8],
    ) -> Result<(), DeliveryError> {
        let _turn = self.turns.acquire().await.map_err(unavailable)?;
        if let Some(mut connection) = self.take_idle() {
            match transact(&mut connection, from, to, message).await {
                Ok(()) => {
                    self.keep(connection);
                    return Ok(());
                }
                Err(Refused::AtOnce(error)) if is_stale(&error) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        let mut connection = self.connect().await.map_err(unavailable)?;
        transact(&mut connection, from, to, message).await?;
        self.keep(connection);
        Ok(())
    }

    pub(super) async fn probe(&self) -> Result<(), DeliveryError> {
        let mut connection = self.connect().await.map_err(unavailable)?;
        let _ = connection.quit().await;
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Box<dyn Error + Send + Sync>> {
        let host = match &self.url.host {
            Host::Domain(domain) => domain.clone(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        };
        let address = (host.as_str(), self.url.port);
        let tls = || TlsParameters::new(host.clone());
        let mut connection = if self.url.tls == Tls::Implicit {
            AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, Some(tls()?), None)
                .await?
        } else {
            let stream = TcpStream::connect(address).await?;
            // Without it, every command of a warm connection waits for a delayed ACK.
            stream.set_nodelay(true)?;
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?
        };
        let starttls = match self.url.tls {
            Tls::Required => true,
            Tls::Opportunistic => connection.can_starttls(),
            Tls::Implicit | Tls::None => false,
        };
        if starttls {
            connection.starttls(tls()?, &self.hello).await?;
        }
        if let Some((user, password)) = &self.url.credentials {
            let credentials = Credentials::new(user.clone(), password.to_string());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < LONGEST_IDLE);
        idle.pop().map(|(connection, _)| connection)
    }

    fn keep(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }
}

async fn transact(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
    message: &[u8],
) -> Result<(), Refused> {
    connection
        .command(Mail::new(Some(from.clone()), vec![]))
        .await
        .map_err(Refused::AtOnce)?;
    connection
        .command(Rcpt::new(to.clone(), vec![]))
        .await
        .map_err(Refused::Recipient)?;
    connection.command(Data).await.map_err(Refused::Later)?;
    connection.message(message).await.map_err(Refused::Later)?;
    Ok(())
}

impl From<Refused> for DeliveryError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Recipient(error) if mailbox_is_gone(&error) => Self::Undeliverable,
            Refused::AtOnce(error) | Refused::Recipient(error) | Refused::Later(error) => {
                Self::Unavailable(Box::new(SmtpReply::from(error)))
            }
        }
    }
}

/// The server hung up, or said that it is about to (421, RFC 5321, section 3.8).
fn is_stale(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_none_or(|code| u16::from(code) == 421)
}

fn mailbox_is_gone(error: &lettre::transport::smtp::Error) -> bool {
    let Some(code) = error.status() else {
        return false;
    };
    if code.severity != Severity::PermanentNegativeCompletion {
        return false;
    }
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    match enhanced_code(&text) {
        Some(enhanced) => MAILBOX_IS_GONE.contains(&enhanced),
        None => MAILBOX_IS_GONE_BASIC.contains(&code.into()),
    }
}

/// `5.1.1` at the start of a reply's text (RFC 2034, section 4).
fn enhanced_code(text: &str) -> Option<&str> {
    let first = text.split_whitespace().next()?;
    let numbers = first
        .split('.')
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    (first.split('.').count() == 3 && numbers.count() == 3).then_some(first)
}

/// What a server said, without its words: they often repeat the recipient.
#[derive(Debug)]
struct SmtpReply(Option<u16>, Option<String>, &'static str);

impl From<lettre::transport::smtp::Error> for SmtpReply {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        let text = error.source().map(ToString::to_string).unwrap_or_default();
        let kind = if error.is_tls() {
            "TLS failed"
        } else if error.is_timeout() {
            "timed out"
        } else if error.status().is_some() {
            "refused"
        } else {
            "connection lost"
        };
        Self(
            error.status().map(Into::into),
            enhanced_code(&text).map(ToOwned::to_owned),
            kind,
        )
    }
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(code, enhanced, kind) = self;
        write!(f, "SMTP: {kind}")?;
        if let Some(code) = code {
            write!(f, " with {code}")?;
        }
        if let Some(enhanced) = enhanced {
            write!(f, " {enhanced}")?;
        }
        Ok(())
    }
}

impl Error for SmtpReply {}

fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> DeliveryError {
    let error = error.into();
    DeliveryError::Unavailable(match error.downcast::<lettre::transport::smtp::Error>() {
        Ok(error) => Box::new(SmtpReply::from(*error)),
        Err(error) => error,
    })
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

    #[test]
    fn enhanced_codes_are_read_from_the_start_of_a_reply() {
        assert_eq!(enhanced_code("5.1.1 No such user"), Some("5.1.1"));
        assert_eq!(enhanced_code("5.1.10"), Some("5.1.10"));
        assert_eq!(enhanced_code("No such user 5.1.1"), None);
        assert_eq!(enhanced_code("1.2.3.4 is blocked"), None);
        assert_eq!(enhanced_code(""), None);
    }
}
