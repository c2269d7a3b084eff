//! Request: a signed-in user types their password, and a link goes to the **current** address.
//!
//! Writes nothing: the link holds by the row as it is. With it goes the cancel link, so that the
//! owner of the mailbox can stop a change that a thief asked for.

use super::{Caller, Defect, EmailChange, PasswordRefused, verify};
use crate::email_address::masked;
use crate::mailer::DeliveryError;
use crate::password::Password;
use crate::users::User;

/// A link is on its way.
#[derive(Debug)]
pub struct Requested {
    /// The current address, masked.
    pub sent_to: String,
    /// When the link ends, in Unix seconds.
    pub expires_at: i64,
}

/// Why no link was mailed. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// See [`PasswordRefused`].
    #[error(transparent)]
    Password(#[from] PasswordRefused),
    /// See [`DeliveryError`].
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// See [`Defect`].
    #[error(transparent)]
    Defect(#[from] Defect),
}

impl EmailChange {
    /// Mails a confirm link, and a cancel link with it, to the user's current address.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn request(
        &self,
        caller: &Caller,
        user: &User,
        password: Password,
    ) -> Result<Requested, RequestError> {
        let place = self.lane.place().map_err(PasswordRefused::from)?;
        self.charge_password(user, caller.deadline).await?;
        verify(place, password, &user.password_hash).await?;

        let confirm = self.links.issue_confirm(user);
        let cancel = self
            .users
            .keep_nonce()
            .then(|| self.links.issue_cancel(user));
        let mail = self
            .letter(caller)
            .confirm(
                &user.email,
                &confirm.token,
                confirm.expires_at,
                cancel.as_ref().map(|link| link.token.as_str()),
                self.circumstances(caller),
            )
            .map_err(Defect::from)?;
        let (flow, deadline) = (self.clone(), caller.deadline);
        let (user_id, sent_to) = (user.id.clone(), masked(&user.email));
        let sent_to = self
            .to_the_end("request", async move {
                flow.send(mail, deadline).await?;
                let kid = flow.links.signing_kid();
                tracing::info!(%user_id, sent_to, kid, "email_change.requested");
                Ok::<_, DeliveryError>(sent_to)
            })
            .await?;
        Ok(Requested {
            sent_to,
            expires_at: confirm.expires_at,
        })
    }
}
