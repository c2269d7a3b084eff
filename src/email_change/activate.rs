//! Activate: whoever opened the second link presses one button, and the address is replaced.
//!
//! The old address is told first, with a way back; only then does one guarded UPDATE replace it.
//! A mailbox that the mail server says is gone cannot be told and must not hold its owner hostage:
//! the change goes on without notice, and without an undo window.

use super::link::{Activate, Link};
use super::mail::WayBack;
use super::{Caller, Defect, EmailChange, LinkRefused};
use crate::email_address::{EmailAddress, masked};
use crate::mailer::{DeliveryError, Mail};
use crate::random;
use crate::users::{Change, DatabaseError, Replaced, User};

/// How an activation ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The address was replaced by this very press.
    Activated,
    /// It already had been.
    AlreadyActive,
}

/// The address is in place.
#[derive(Debug)]
pub struct Activated {
    /// Whether it was this press.
    pub status: Activation,
    /// The address that the account now has.
    pub email: String,
}

/// Why the address was not replaced. The same link still works, unless the error is of the link.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    /// See [`LinkRefused`].
    #[error(transparent)]
    Link(#[from] LinkRefused),
    /// Another account took the address meanwhile.
    #[error("another account has the address")]
    EmailTaken,
    /// See [`DeliveryError`].
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// See [`Defect`].
    #[error(transparent)]
    Defect(#[from] Defect),
}

/// What the old address is told.
struct Notice {
    mail: Mail,
    /// The undo window that the mail's link belongs to, if it has one.
    opens: Option<i64>,
}

impl EmailChange {
    /// Tells the old address, then puts the new one in place.
    ///
    /// # Errors
    ///
    /// [`ActivateError`].
    pub async fn activate(&self, caller: &Caller, token: &str) -> Result<Activated, ActivateError> {
        let link = self
            .links
            .check::<Activate>(token)
            .map_err(LinkRefused::from)?;
        let user = self.user_of(link.user_id(), caller.deadline).await??;
        if link.is_done(&user) {
            return Ok(already_active(user));
        }
        if !link.holds(&user) {
            return Err(LinkRefused::Used.into());
        }
        // What we signed was canonical; parsing it again only brings the type back.
        let new_email =
            EmailAddress::parse(&link.claims().new_email).map_err(|_| LinkRefused::Invalid)?;
        let owner = self
            .users
            .owner_of(&new_email, &user.id, caller.deadline)
            .await?;
        match owner {
            None => {}
            // Since the row was read, another press of this button was faster.
            Some(owner) if owner == user.id => return self.overtaken(caller, &link).await,
            Some(_) => return Err(ActivateError::EmailTaken),
        }

        let notice = self.notice(caller, &link, &user)?;
        let (flow, caller) = (self.clone(), *caller);
        self.to_the_end("activate", async move {
            flow.replace_address(&caller, &link, &user, &new_email, notice)
                .await
        })
        .await
    }

    /// The mail to the old address. A change inside a running window gets no undo link of its own:
    /// a thief could otherwise outrun the owner, or undo back to an address of theirs.
    fn notice(
        &self,
        caller: &Caller,
        link: &Link<Activate>,
        user: &User,
    ) -> Result<Notice, Defect> {
        let when = self.circumstances(caller);
        if !self.users.keep_undo() {
            return Ok(Notice {
                mail: self
                    .letter(caller)
                    .changing(&user.email, &WayBack::None, when)?,
                opens: None,
            });
        }
        if user
            .undo_opened_at
            .is_some_and(|opened_at| self.links.window_runs(opened_at))
        {
            return Ok(Notice {
                mail: self
                    .letter(caller)
                    .changing(&user.email, &WayBack::Earlier, when)?,
                opens: None,
            });
        }
        let undo = self.links.issue_undo(user, link.claims().opened_at)?;
        let mail = self
            .letter(caller)
            .changing(&user.email, &WayBack::Link(undo), when)?;
        Ok(Notice {
            mail,
            opens: Some(link.claims().opened_at),
        })
    }

    async fn replace_address(
        &self,
        caller: &Caller,
        link: &Link<Activate>,
        user: &User,
        new_email: &EmailAddress,
        notice: Notice,
    ) -> Result<Activated, ActivateError> {
        let told = match self.send(notice.mail, caller.deadline).await {
            Ok(()) => true,
            Err(DeliveryError::Undeliverable) => {
                tracing::warn!(user_id = %user.id, email = masked(&user.email), "the old mailbox is gone: changing its address without notice");
                false
            }
            Err(error) => return Err(error.into()),
        };
        let change = Change {
            email: Some(new_email.as_str()),
            nonce: random::nonce().map_err(Defect::from)?,
            undo_opened_at: notice.opens.filter(|_| told).or(user.undo_opened_at),
        };
        match self.users.replace(user, &change, caller.deadline).await? {
            Replaced::Done => {}
            Replaced::EmailTaken => return Err(ActivateError::EmailTaken),
            Replaced::Stale => return self.overtaken(caller, link).await,
        }
        self.send_afterwards(self.letter(caller).changed(new_email.as_str()), "changed");
        tracing::info!(
            user_id = %user.id, from = masked(&user.email), to = masked(new_email.as_str()), kid = link.kid(), told,
            "email_change.activated"
        );
        Ok(Activated {
            status: Activation::Activated,
            email: new_email.to_string(),
        })
    }

    /// Somebody else wrote first: this same link, pressed twice, or what has made it worthless.
    async fn overtaken(
        &self,
        caller: &Caller,
        link: &Link<Activate>,
    ) -> Result<Activated, ActivateError> {
        let now = self.user_of(link.user_id(), caller.deadline).await??;
        if link.is_done(&now) {
            Ok(already_active(now))
        } else {
            Err(LinkRefused::Used.into())
        }
    }
}

fn already_active(user: User) -> Activated {
    Activated {
        status: Activation::AlreadyActive,
        email: user.email,
    }
}
