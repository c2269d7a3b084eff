//! Confirm: whoever opened the first link types the password again and the new address, and a link
//! goes to the **new** address.
//!
//! Whether that address is free or taken makes no difference to the caller: the same statements,
//! one mail, the same answer. The write that follows the mail puts the derived nonce in place and
//! so spends this link, kills every other one, and brings the activate link to life.

use super::link::Confirm;
use super::{Caller, Defect, EmailChange, LinkRefused, PasswordRefused, verify};
use crate::deadline::Deadline;
use crate::email_address::{EmailAddress, InvalidEmailAddress, masked, same_address};
use crate::limits::{Charge, Wait};
use crate::mailer::DeliveryError;
use crate::password::Password;
use crate::users::{Change, DatabaseError, Replaced, User};

/// A link is on its way to the new address.
#[derive(Debug)]
pub struct Confirmed {
    /// The canonical new address, in full: the caller typed it.
    pub sent_to: EmailAddress,
    /// When the activate link ends, in Unix seconds.
    pub expires_at: i64,
}

/// Why the address was not confirmed. The same link still works, unless the error is of the link.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// See [`LinkRefused`].
    #[error(transparent)]
    Link(#[from] LinkRefused),
    /// What was typed is not an address.
    #[error(transparent)]
    InvalidEmail(#[from] InvalidEmailAddress),
    /// It is the address that the account already has.
    #[error("the new address is the current one")]
    SameEmail,
    /// See [`PasswordRefused`].
    #[error(transparent)]
    Password(#[from] PasswordRefused),
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

impl EmailChange {
    /// Mails an activate link to the new address, or a warning if another account has it.
    ///
    /// Repeating the same confirm mails again and writes nothing; another address on a used link
    /// is refused.
    ///
    /// # Errors
    ///
    /// [`ConfirmError`].
    pub async fn confirm(
        &self,
        caller: &Caller,
        token: &str,
        password: Password,
        new_email: &str,
    ) -> Result<Confirmed, ConfirmError> {
        let link = self
            .links
            .check::<Confirm>(token)
            .map_err(LinkRefused::from)?;
        let new_email = EmailAddress::parse(new_email)?;
        if !self.users.takes(&new_email) {
            return Err(InvalidEmailAddress.into());
        }
        let user = self.user_of(link.user_id(), caller.deadline).await??;
        // Without a nonce to spend, the link holds until address or password change.
        let next_nonce = self
            .users
            .keep_nonce()
            .then(|| link.next_nonce(&user, &new_email));
        let repeated = next_nonce.is_some() && user.nonce == next_nonce;
        if !repeated && !link.holds(&user) {
            return Err(LinkRefused::Used.into());
        }
        if same_address(new_email.as_str(), &user.email) {
            return Err(ConfirmError::SameEmail);
        }

        let place = self.lane.place().map_err(PasswordRefused::from)?;
        self.charge_password(&user, caller.deadline).await?;
        let charges = self
            .limits
            .recipient(user.id.as_str(), new_email.as_str())
            .map_err(limited)?;
        verify(place, password, &user.password_hash).await?;

        let owner = self
            .users
            .owner_of(&new_email, &user.id, caller.deadline)
            .await?;
        let activate = self
            .links
            .issue_activate(&user, next_nonce, &new_email, link.issued_at());
        let expires_at = activate.expires_at;
        let mail = if owner.is_some_and(|owner| owner != user.id) {
            self.letter(caller)
                .taken(&new_email, self.circumstances(caller))
        } else {
            self.letter(caller)
                .activate(&new_email, &user.email, &activate.token, expires_at)
        }
        .map_err(Defect::from)?;

        let (flow, deadline, sent_to) = (self.clone(), caller.deadline, new_email.clone());
        self.to_the_end("confirm", async move {
            flow.send(mail, deadline).await?;
            charges.into_iter().for_each(Charge::keep);
            if let Some(next_nonce) = next_nonce.filter(|_| !repeated) {
                flow.advance(&user, next_nonce, deadline).await?;
            }
            tracing::info!(user_id = %user.id, sent_to = masked(sent_to.as_str()), kid = link.kid(), repeated, "email_change.confirmed");
            Ok::<_, ConfirmError>(())
        })
        .await?;

        Ok(Confirmed {
            sent_to: new_email,
            expires_at,
        })
    }

    async fn advance(
        &self,
        user: &User,
        next_nonce: i64,
        deadline: Deadline,
    ) -> Result<(), ConfirmError> {
        let change = Change {
            email: None,
            nonce: next_nonce,
            undo_opened_at: user.undo_opened_at,
        };
        if self.users.replace(user, &change, deadline).await? == Replaced::Done {
            return Ok(());
        }
        let now = self.user_of(user.id.as_str(), deadline).await??;
        // This same confirm, pressed twice, may have been faster with the other press.
        if now.nonce == Some(next_nonce) {
            Ok(())
        } else {
            Err(LinkRefused::Used.into())
        }
    }
}

fn limited(wait: Wait) -> ConfirmError {
    PasswordRefused::Limited(wait).into()
}
