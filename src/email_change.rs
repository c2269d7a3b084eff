//! The change of an e-mail address: what all steps need and share.
//!
//! The story, a file a step: [`request`](request) mails a link to the current address;
//! [`confirm`](confirm) takes the new address and mails a link there; [`activate`](activate) puts
//! it in place; [`cancel`](cancel) stops it; [`undo`](undo) takes it back; [`inspect`](inspect)
//! says what a link is for. Beside it stands what an operator does by hand
//! ([`set_by_operator`](set_by_operator)). Nothing here knows HTTP.
//!
//! Mail first, write second: each mail names a state that exists only once the guarded write after
//! it wins, so a mail without its write is inert, and a failed delivery loses nothing.

pub mod activate;
pub mod cancel;
pub mod confirm;
pub mod inspect;
pub mod link;
pub mod links;
pub mod mail;
pub mod request;
pub mod set_by_operator;
pub mod undo;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::email_address::masked;
use crate::language::Language;
use crate::limits::{Limits, Wait};
use crate::mailer::{DeliveryError, Mail, Mailer};
use crate::password::Password;
use crate::password::lane::{Lane, Overloaded, Place};
use crate::random::RandomError;
use crate::users::{DatabaseError, User, Users};
use link::LinkError;
use links::Links;
use mail::{Circumstances, Letter, Letters, TemplateError};

/// Mails that may be on their way after their steps were answered. More, and the mail server is not
/// answering: each may keep its connection waiting for seconds.
const MAX_AFTERWARDS: usize = 256;
/// How a step ended that failed when its caller had gone.
pub const UNHEARD: &str = "abandoned";
/// How often a step that must not lose to a concurrent one decides anew.
const TRIES: usize = 3;

/// Everything the steps work with. Cheap to clone.
#[derive(Clone)]
pub struct EmailChange(Arc<Tools>);

/// What an [`EmailChange`] is made of.
pub struct Tools {
    /// The users table.
    pub users: Users,
    /// Issues and checks links.
    pub links: Links,
    /// Checks passwords.
    pub lane: Lane,
    /// The limits in memory.
    pub limits: Limits,
    /// Sends mails.
    pub mailer: Mailer,
    /// Writes mails.
    pub letters: Letters,
    /// The time.
    pub clock: Clock,
    /// Work that outlives its caller; awaited at shutdown.
    pub unfinished: Unfinished,
}

/// Work that outlives its caller.
pub struct Unfinished {
    tasks: TaskTracker,
    mails: Arc<Semaphore>,
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            tasks: TaskTracker::new(),
            mails: Arc::new(Semaphore::new(MAX_AFTERWARDS)),
        }
    }
}

/// Who calls, and until when they wait.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The client address, for limits and for "from where" in mails.
    pub ip: IpAddr,
    /// When the answer is due.
    pub deadline: Deadline,
    /// What the mails of this request are written in.
    pub language: Language,
}

/// Why a link does not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkRefused {
    /// Not ours, of another kind, or for a user that is gone.
    #[error("not a link of this service and kind")]
    Invalid,
    /// Its time is over.
    #[error("the link has expired")]
    Expired,
    /// Used, cancelled, overtaken, or the account changed since.
    #[error("the link was used, or the account has changed since")]
    Used,
}

impl From<LinkError> for LinkRefused {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Invalid => Self::Invalid,
            LinkError::Expired => Self::Expired,
        }
    }
}

/// A defect of ours, or of the machine.
#[derive(Debug, thiserror::Error)]
pub enum Defect {
    /// A mail could not be written.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Why a password was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum PasswordRefused {
    /// It is not the password.
    #[error("wrong password")]
    Wrong,
    /// Too many tries.
    #[error("too many tries")]
    Limited(Wait),
    /// Too many passwords are being checked at once.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The limit could not be charged.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<Wait> for PasswordRefused {
    fn from(wait: Wait) -> Self {
        Self::Limited(wait)
    }
}

impl EmailChange {
    /// Puts the tools together.
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        Self(Arc::new(tools))
    }

    /// Waits until every step and mail that outlived its caller is done.
    pub async fn finish(&self) {
        self.unfinished.tasks.close();
        self.unfinished.tasks.wait().await;
    }

    /// The row a link is about.
    async fn user_of(
        &self,
        id: &str,
        deadline: Deadline,
    ) -> Result<Result<User, LinkRefused>, DatabaseError> {
        let user = self.users.find(id, deadline).await?;
        if let Some(user) = &user {
            Span::current().record("account", masked(&user.email));
        }
        Ok(user.ok_or(LinkRefused::Invalid))
    }

    /// Charges the account for one password check: called with a place in the lane already taken,
    /// so that whoever is turned away for lack of one is not charged.
    async fn charge_password(
        &self,
        user: &User,
        deadline: Deadline,
    ) -> Result<(), PasswordRefused> {
        if !self.users.keep_passwords() {
            return Ok(self.limits.account(user.id.as_str())?);
        }
        let (quota, now) = (self.limits.passwords(), self.clock.micros());
        let charged = self
            .users
            .charge_password(&user.id, quota, now, deadline)
            .await?;
        Ok(self.limits.account_in_table(charged)?)
    }

    /// Sends what a step depends on.
    async fn send(&self, mail: Mail, deadline: Deadline) -> Result<(), DeliveryError> {
        self.mailer.send(mail, deadline).await
    }

    /// Sends what must not fail its step: after the answer, and only logged if it fails.
    fn send_afterwards(&self, mail: Result<Mail, TemplateError>, about: &'static str) {
        let Ok(turn) = Arc::clone(&self.unfinished.mails).try_acquire_owned() else {
            tracing::warn!(
                mail = about,
                "too many mails are waiting: one that nothing depends on was dropped"
            );
            return;
        };
        let flow = self.clone();
        let send = async move {
            let _turn = turn;
            let sent = match mail {
                Ok(mail) => flow
                    .send(mail, Deadline::of_request())
                    .await
                    .map_err(|error| chain(&error)),
                Err(error) => Err(chain(&error)),
            };
            if let Err(error) = sent {
                tracing::warn!(
                    mail = about,
                    error,
                    "a mail that nothing depends on was not sent"
                );
            }
        };
        self.unfinished
            .tasks
            .spawn(send.instrument(Span::current()));
    }

    /// Runs the rest of a step to its end, even if the caller goes away meanwhile. Then nobody hears
    /// of an error, so it is said here.
    async fn to_the_end<T: Send + 'static, E: std::error::Error + Send + 'static>(
        &self,
        step: &'static str,
        rest: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let (listener, listens) = oneshot::channel::<()>();
        let rest = async move {
            let done = rest.await;
            if let (Err(error), true) = (&done, listener.is_closed()) {
                let error = chain(error);
                tracing::warn!(step, error, "a step failed when its caller had gone");
                tracing::info!(step, reason = UNHEARD, "email_change.refused");
            }
            done
        };
        let rest = rest.instrument(Span::current());
        let done = self.unfinished.tasks.spawn(rest).await;
        drop(listens);
        done.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    }

    /// The mails, in the caller's language.
    fn letter(&self, caller: &Caller) -> Letter<'_> {
        self.letters.in_language(caller.language)
    }

    fn circumstances(&self, caller: &Caller) -> Circumstances {
        Circumstances {
            at: self.clock.seconds(),
            from: caller.ip,
        }
    }
}

impl std::ops::Deref for EmailChange {
    type Target = Tools;

    fn deref(&self) -> &Tools {
        &self.0
    }
}

async fn verify(place: Place, password: Password, stored: &str) -> Result<(), PasswordRefused> {
    if place.check(password, Some(stored)).await? {
        Ok(())
    } else {
        Err(PasswordRefused::Wrong)
    }
}

/// An error and everything behind it, for one log line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        // Some libraries print their source within themselves.
        if !said.contains(&more) {
            said.push_str(": ");
            said.push_str(&more);
        }
        source = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is moved as a whole some times on its way into a task; with all within it, it was 12 KB.
    #[test]
    fn the_future_of_a_step_is_small() {
        const LARGEST: usize = 3500;
        fn somebody() -> &'static User {
            unreachable!("nothing is called")
        }
        fn size<Step>(_: impl Fn(&'static EmailChange, &'static Caller) -> Step) -> usize {
            size_of::<Step>()
        }
        let password = || Password::new(String::new());
        let sizes = [
            size(|flow, caller| flow.request(caller, somebody(), password())),
            size(|flow, caller| flow.confirm(caller, "", password(), "")),
            size(|flow, caller| flow.activate(caller, "")),
            size(|flow, caller| flow.cancel(caller, "")),
            size(|flow, caller| flow.undo(caller, "", password())),
            size(|flow, caller| flow.inspect(caller, "")),
        ];
        assert!(sizes.iter().all(|size| *size <= LARGEST), "{sizes:?}");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("the disk is full")]
    struct Inner;

    #[test]
    fn a_chain_says_everything_behind_an_error_once() {
        assert_eq!(
            chain(&Outer("not written", Inner)),
            "not written: the disk is full"
        );
        let says_both = Outer("not written, as the disk is full", Inner);
        assert_eq!(chain(&says_both), "not written, as the disk is full");
    }
}
