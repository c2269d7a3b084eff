//! Cancel: the owner of the current address presses "this wasn't me", and every confirm and
//! activate link that is still out dies.
//!
//! Needs no password, because it is harmless: whoever can read the mailbox may stop a change of
//! it. A fresh nonce is all it writes; an undo window stays as it is. The write comes first, and
//! decides anew if another one was faster: a thief must not outrun it.

use super::link::{Cancel, Link};
use super::{Caller, Defect, EmailChange, LinkRefused, TRIES};
use crate::email_address::masked;
use crate::random;
use crate::users::{Change, DatabaseError, Replaced};

/// Why nothing was cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// See [`LinkRefused`].
    #[error(transparent)]
    Link(#[from] LinkRefused),
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The users table has no nonce: there is nothing that would stop a link.
    #[error("no change can be cancelled here")]
    NotOffered,
    /// Other writes were faster three times in a row.
    #[error("the account is changing too fast")]
    Contended,
    /// See [`Defect`].
    #[error(transparent)]
    Defect(#[from] Defect),
}

impl EmailChange {
    /// Kills every confirm and activate link of the account; may be pressed again.
    ///
    /// # Errors
    ///
    /// [`CancelError`].
    pub async fn cancel(&self, caller: &Caller, token: &str) -> Result<(), CancelError> {
        if !self.users.keep_nonce() {
            return Err(CancelError::NotOffered);
        }
        let link = self
            .links
            .check::<Cancel>(token)
            .map_err(LinkRefused::from)?;
        let (flow, caller) = (self.clone(), *caller);
        self.to_the_end(
            "cancel",
            async move { flow.stop_change(&caller, &link).await },
        )
        .await
    }

    async fn stop_change(&self, caller: &Caller, link: &Link<Cancel>) -> Result<(), CancelError> {
        for _ in 0..TRIES {
            let user = self.user_of(link.user_id(), caller.deadline).await??;
            if !link.holds(&user) {
                return Err(LinkRefused::Used.into());
            }
            let nonce = random::nonce().map_err(Defect::from)?;
            let change = Change {
                email: None,
                nonce,
                undo_opened_at: user.undo_opened_at,
            };
            if self.users.replace(&user, &change, caller.deadline).await? == Replaced::Done {
                // Whoever holds such a link can press as often as they like; nobody is mailed as often.
                let told = self.limits.cancelled(user.id.as_str()).is_ok();
                if told {
                    self.send_afterwards(self.letter(caller).cancelled(&user.email), "cancelled");
                }
                tracing::info!(user_id = %user.id, email = masked(&user.email), kid = link.kid(), told, "email_change.cancelled");
                return Ok(());
            }
        }
        Err(CancelError::Contended)
    }
}
