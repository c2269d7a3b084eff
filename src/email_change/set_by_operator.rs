//! Set by the operator: the way out for someone who lost the old mailbox, and with it the links that
//! go there. Called by `readdress user set-email` alone; no operation of the API leads here.
//!
//! Guarded like any change, with a fresh nonce, so that every link that is out dies, and no undo
//! window left, so that no older change comes back. The write comes first: whoever reads the lost
//! mailbox must not be warned of what has not happened yet. Both addresses are told afterwards, and
//! neither mail fails the step; the old one gets no undo link, for it is the mailbox that was lost.

use super::mail::{Letters, TemplateError};
use super::{TRIES, chain};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::email_address::{EmailAddress, masked, same_address};
use crate::mailer::{Mail, Mailer};
use crate::random::{self, RandomError};
use crate::users::{Change, DatabaseError, Replaced, User, UserId, Users};

/// The longest reason, in characters: one line of a log that people still read.
const MAX_REASON: usize = 200;

/// Why the operator changes an address, as it is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

/// The text is not a reason that can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    /// There is none.
    #[error("is empty")]
    Empty,
    /// Longer than [`MAX_REASON`].
    #[error("is longer than {MAX_REASON} characters")]
    Long,
    /// A line break or another control character.
    #[error("is more than one line, or holds control characters")]
    Lines,
    /// It would bring a full address into the log.
    #[error("holds an @: it is logged, and no address is; name the ticket instead")]
    Address,
}

impl Reason {
    /// Reads what the operator typed.
    ///
    /// # Errors
    ///
    /// [`InvalidReason`].
    pub fn parse(typed: &str) -> Result<Self, InvalidReason> {
        let reason = typed.trim();
        // Unicode's own line breaks are no control characters.
        let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        if reason.is_empty() {
            Err(InvalidReason::Empty)
        } else if reason.chars().count() > MAX_REASON {
            Err(InvalidReason::Long)
        } else if reason.contains(breaks) {
            Err(InvalidReason::Lines)
        } else if reason.contains('@') {
            Err(InvalidReason::Address)
        } else {
            Ok(Self(reason.to_owned()))
        }
    }
}

/// What the operator asks for.
pub struct Order {
    /// The id of the account, if it was named.
    pub id: Option<String>,
    /// Its current address, if it was named. Where both are, both must be true.
    pub from: Option<String>,
    /// The address that it gets.
    pub to: EmailAddress,
    /// Why.
    pub reason: Reason,
    /// Who, in one line.
    pub by: String,
    /// The language of the mails, as in `Accept-Language`: the operator knows whom they deal with.
    pub language: String,
}

/// The address is in place.
#[derive(Debug)]
pub struct SetByOperator {
    /// Whose.
    pub user_id: UserId,
    /// The address before, masked.
    pub from: String,
    /// The address now, masked.
    pub to: String,
    /// Who was not told of it, and why not.
    pub untold: Vec<(&'static str, String)>,
}

/// Why the address was not replaced. Nothing was changed, unless the error is of the database.
#[derive(Debug, thiserror::Error)]
pub enum SetByOperatorError {
    /// Nobody has that id or that address, or the account has another address.
    #[error(
        "no active account has that id and address (where several share an address, name one with --id)"
    )]
    NoAccount,
    /// A column that carries the address does not take it whole.
    #[error(
        "--to is longer than a column of the users table that it would be written to: nothing was changed"
    )]
    TooLong,
    /// There is nothing to change.
    #[error("the account has that address already: nothing was changed")]
    SameEmail,
    /// Somebody else has it.
    #[error("another account has the new address: nothing was changed")]
    EmailTaken,
    /// Other writes were faster three times in a row.
    #[error("the account is changing too fast: nothing was changed, try again")]
    Contended,
    /// See [`DatabaseError`].
    #[error("whether anything was changed is not known, look before trying again: {}", chain(.0))]
    Unknown(#[source] DatabaseError),
    /// Before anything was written.
    #[error("nothing was changed: {}", chain(.0))]
    Database(#[source] DatabaseError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// What the operator's change is made with: no keys, for it issues and checks no link.
pub struct Operator {
    /// The users table.
    pub users: Users,
    /// Writes mails.
    pub letters: Letters,
    /// Sends mails.
    pub mailer: Mailer,
    /// The time.
    pub clock: Clock,
}

impl Operator {
    /// Puts another address in place without any link, then tells both.
    ///
    /// # Errors
    ///
    /// [`SetByOperatorError`].
    pub async fn set_email(&self, order: &Order) -> Result<SetByOperator, SetByOperatorError> {
        if !self.users.takes(&order.to) {
            return Err(SetByOperatorError::TooLong);
        }
        let deadline = Deadline::of_request();
        let mut user = self.find(order, deadline).await?;
        for _ in 0..TRIES {
            if same_address(&user.email, order.to.as_str()) {
                return Err(SetByOperatorError::SameEmail);
            }
            let owner = self.users.owner_of(&order.to, &user.id, deadline).await;
            let owner = owner.map_err(SetByOperatorError::Database)?;
            if owner.is_some_and(|owner| owner != user.id) {
                return Err(SetByOperatorError::EmailTaken);
            }
            let change = Change {
                email: Some(order.to.as_str()),
                nonce: random::nonce()?,
                undo_opened_at: None,
            };
            let replaced = self.users.replace(&user, &change, deadline).await;
            match replaced.map_err(SetByOperatorError::Unknown)? {
                Replaced::Done => return Ok(self.tell(user, order).await),
                Replaced::EmailTaken => return Err(SetByOperatorError::EmailTaken),
                // By its id from now on: the address may be another account's meanwhile.
                Replaced::Stale => user = self.find_again(&user.id, order, deadline).await?,
            }
        }
        Err(SetByOperatorError::Contended)
    }

    async fn find(&self, order: &Order, deadline: Deadline) -> Result<User, SetByOperatorError> {
        let found = match (&order.id, &order.from) {
            (Some(id), _) => self.users.find(id, deadline).await,
            (None, Some(from)) => self.users.find_by_email(from, deadline).await,
            (None, None) => Ok(None),
        };
        as_ordered(found, order)
    }

    async fn find_again(
        &self,
        id: &UserId,
        order: &Order,
        deadline: Deadline,
    ) -> Result<User, SetByOperatorError> {
        as_ordered(self.users.find(id.as_str(), deadline).await, order)
    }

    async fn tell(&self, old: User, order: &Order) -> SetByOperator {
        let done = SetByOperator {
            from: masked(&old.email),
            to: masked(order.to.as_str()),
            user_id: old.id,
            untold: Vec::new(),
        };
        tracing::info!(
            user_id = %done.user_id, from = done.from, to = done.to, reason = order.reason.0, by = order.by,
            "email_change.set_by_operator"
        );
        let language = self.letters.languages().choose([order.language.as_str()]);
        let letter = self.letters.in_language(language);
        let to_old = letter.set_by_operator(&old.email, self.clock.seconds());
        let to_new = letter.changed(order.to.as_str());
        let (told_old, told_new) =
            tokio::join!(Box::pin(self.send(to_old)), Box::pin(self.send(to_new)));
        let untold = [("old", told_old), ("new", told_new)];
        SetByOperator {
            untold: untold
                .into_iter()
                .filter_map(|(which, told)| Some((which, told.err()?)))
                .collect(),
            ..done
        }
    }

    async fn send(&self, mail: Result<Mail, TemplateError>) -> Result<(), String> {
        let mail = mail.map_err(|error| chain(&error))?;
        let sent = self.mailer.send(mail, Deadline::of_request()).await;
        sent.map_err(|error| chain(&error))
    }
}

/// The account, if it is what the order says.
fn as_ordered(
    found: Result<Option<User>, DatabaseError>,
    order: &Order,
) -> Result<User, SetByOperatorError> {
    let from = order.from.as_deref().map(str::trim);
    found
        .map_err(SetByOperatorError::Database)?
        .filter(|user| from.is_none_or(|from| same_address(&user.email, from)))
        .ok_or(SetByOperatorError::NoAccount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_without_an_address() {
        let parsed = |typed: &str| Reason::parse(typed).map(|reason| reason.0);
        assert_eq!(
            parsed("  ticket 4711, passport seen "),
            Ok("ticket 4711, passport seen".into())
        );
        assert_eq!(parsed(&"ß".repeat(MAX_REASON)), Ok("ß".repeat(MAX_REASON)));
        for (typed, why) in [
            ("", InvalidReason::Empty),
            (" \t", InvalidReason::Empty),
            (&"x".repeat(MAX_REASON + 1), InvalidReason::Long),
            ("one\ntwo", InvalidReason::Lines),
            ("one\rtwo", InvalidReason::Lines),
            ("one\u{1b}[31mtwo", InvalidReason::Lines),
            ("one\u{85}two", InvalidReason::Lines),
            ("one\u{2028}two", InvalidReason::Lines),
            ("one\0two", InvalidReason::Lines),
            ("ann@example.com wrote", InvalidReason::Address),
        ] {
            assert_eq!(parsed(typed), Err(why), "{typed:?}");
        }
    }
}
