//! Sends one mail to one person.
//!
//! An enum of back ends, no trait: SMTP in production, a folder for `readdress dev`, memory for
//! tests. The steps call [`Mailer::send`] and learn one thing only: accepted, refused by that very
//! mailbox, or not now. `lettre` lives here and nowhere else.

mod folder;
mod smtp;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use tokio::time::Instant;
use uuid::Uuid;

pub use folder::Folder;
pub use smtp::{
    Authorities, AuthoritiesError, ConnectError, Refusal, Smtp, SmtpUrl, SmtpUrlError, Tls,
};

use crate::boundary;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::metrics::Metrics;

/// The longest a delivery may take, its wait for a connection included.
const SEND: Duration = Duration::from_secs(8);
/// Kept of the request's deadline for the write that follows the mail: as long as the database may
/// take for a statement, and a little for the way there and back.
const RESERVE: Duration = Duration::from_secs(2);

/// One mail, ready to be sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// What it is counted as.
    pub kind: &'static str,
    /// The one recipient; in full, so never logged.
    pub to: String,
    /// The tag of the language it is written in.
    pub language: String,
    /// One line.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// Why a mail was not accepted for delivery.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The mail server says that this mailbox itself does not exist any more, or the address
    /// cannot be mailed to at all.
    #[error("the mail server refuses this mailbox")]
    Undeliverable,
    /// Everything else. Trying again later may help.
    #[error("the mail was not accepted")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Who the mails are from: `Name <address>` or an address.
#[derive(Clone)]
pub struct Sender(Mailbox);

/// The text is not a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither an address nor written as Name <address>")]
pub struct InvalidSender;

impl std::str::FromStr for Sender {
    type Err = InvalidSender;

    fn from_str(text: &str) -> Result<Self, InvalidSender> {
        if text.chars().any(char::is_control) {
            return Err(InvalidSender);
        }
        text.trim().parse().map(Self).map_err(|_| InvalidSender)
    }
}

/// Sends mails. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    sender: Sender,
    clock: Clock,
    back_end: BackEnd,
    metrics: Option<Metrics>,
}

#[derive(Clone)]
enum BackEnd {
    Smtp(Arc<Smtp>),
    Folder(Folder),
    Memory(Arc<Mutex<Vec<Mail>>>),
}

impl Mailer {
    /// Hands mails to an SMTP server.
    #[must_use]
    pub fn smtp(smtp: Smtp, sender: Sender, clock: Clock) -> Self {
        Self {
            sender,
            clock,
            back_end: BackEnd::Smtp(Arc::new(smtp)),
            metrics: None,
        }
    }

    /// Writes each mail into a folder.
    #[must_use]
    pub fn folder(folder: Folder, sender: Sender, clock: Clock) -> Self {
        Self {
            sender,
            clock,
            back_end: BackEnd::Folder(folder),
            metrics: None,
        }
    }

    /// Keeps every mail in `kept`, in memory.
    #[must_use]
    pub fn memory(kept: Arc<Mutex<Vec<Mail>>>, sender: Sender, clock: Clock) -> Self {
        Self {
            sender,
            clock,
            back_end: BackEnd::Memory(kept),
            metrics: None,
        }
    }

    /// Sends one mail; returns once it was accepted for delivery.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`]. After [`DeliveryError::Unavailable`] the mail may have been accepted all
    /// the same: its step must not have relied on it.
    pub async fn send(&self, mail: Mail, deadline: Deadline) -> Result<(), DeliveryError> {
        let deadline = deadline.keeping(RESERVE).at_most(SEND);
        let (kind, since) = (mail.kind, Instant::now());
        boundary::pass().await;
        let delivered = deadline.bound(Box::pin(self.deliver(mail))).await;
        boundary::pass().await;
        let delivered = match delivered {
            Ok(delivered) => delivered,
            Err(timed_out) => Err(DeliveryError::Unavailable(timed_out.into())),
        };
        if let Some(metrics) = &self.metrics {
            let result = match &delivered {
                Ok(()) => "accepted",
                Err(DeliveryError::Undeliverable) => "undeliverable",
                Err(DeliveryError::Unavailable(_)) => "unavailable",
            };
            metrics.mail(kind, result, since.elapsed());
        }
        delivered
    }

    /// The same, counted and measured from now on.
    #[must_use]
    pub fn measured(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Whether the mail server can be talked to, login included: for `check`.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn probe(&self, deadline: Deadline) -> Result<(), ConnectError> {
        match &self.back_end {
            BackEnd::Smtp(smtp) => deadline.at_most(SEND).bound(smtp.probe()).await?,
            BackEnd::Folder(_) | BackEnd::Memory(_) => Ok(()),
        }
    }

    async fn deliver(&self, mail: Mail) -> Result<(), DeliveryError> {
        if let BackEnd::Memory(kept) = &self.back_end {
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(mail);
            return Ok(());
        }
        let recipient = recipient(&mail.to).ok_or(DeliveryError::Undeliverable)?;
        let message = self.message(mail, recipient.clone())?;
        match &self.back_end {
            BackEnd::Smtp(smtp) => smtp.send(&self.sender.0.email, &recipient, &message).await,
            BackEnd::Folder(folder) => folder
                .write(&message)
                .await
                .map_err(|error| DeliveryError::Unavailable(error.into())),
            BackEnd::Memory(_) => Ok(()),
        }
    }

    /// The mail as RFC 5322 says it is written: ASCII throughout, every body encoded.
    fn message(&self, mail: Mail, recipient: Address) -> Result<Vec<u8>, DeliveryError> {
        let micros = u64::try_from(self.clock.micros()).unwrap_or_default();
        let message_id = format!("<{}@{}>", Uuid::now_v7(), self.sender.0.email.domain());
        Message::builder()
            .message_id(Some(message_id))
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .from(self.sender.0.clone())
            .to(Mailbox::new(None, recipient))
            .subject(mail.subject)
            .header(AutoSubmitted)
            .header(ContentLanguage(mail.language))
            .multipart(MultiPart::alternative_plain_html(mail.text, mail.html))
            .map(|message| message.formatted())
            .map_err(|error| DeliveryError::Unavailable(error.into()))
    }
}

/// Shows no recipient and no credentials.
impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.back_end {
            BackEnd::Smtp(_) => "Mailer::Smtp",
            BackEnd::Folder(_) => "Mailer::Folder",
            BackEnd::Memory(_) => "Mailer::Memory",
        })
    }
}

/// One mailbox and nothing but: never parsed as a list or with a display name. `None` for what
/// could only be mailed with SMTPUTF8, or not at all.
fn recipient(to: &str) -> Option<Address> {
    if !to.is_ascii() || to.contains(['"', '<', '>', ',', ' ']) || to.chars().any(char::is_control)
    {
        return None;
    }
    let (local, domain) = to.rsplit_once('@')?;
    Address::new(local, domain).ok()
}

/// RFC 3834, section 5: keeps vacation responders from answering.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// RFC 3282, section 2: screen readers and mail programs need not guess.
#[derive(Clone)]
struct ContentLanguage(String);

impl Header for ContentLanguage {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Content-Language")
    }

    fn parse(tag: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(tag.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_address_is_never_read_as_two_recipients() {
        assert!(recipient("Ann@Example.com").is_some());
        for to in [
            "ann@example.com, eve@evil.example",
            "Ann <ann@example.com>",
            "ann@example.com\r\nX: y",
            "änn@example.com",
            "ann",
            "",
        ] {
            assert!(recipient(to).is_none(), "{to:?}");
        }
    }

    #[test]
    fn a_sender_has_a_name_or_not() {
        assert!("Accounts <accounts@example.com>".parse::<Sender>().is_ok());
        assert!("accounts@example.com".parse::<Sender>().is_ok());
        assert!("Accounts".parse::<Sender>().is_err());
        assert!("A\r\nB <accounts@example.com>".parse::<Sender>().is_err());
    }
}
