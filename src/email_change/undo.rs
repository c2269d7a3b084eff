//! Undo: the owner of the old address types the password they had, and the address is restored.
//!
//! The link carries its own proof, sealed: a thief who changed address *and* password can change
//! nothing that it depends on. It works while the row still has the window that it belongs to.

use super::link::{Link, Restoration, Undo};
use super::{Caller, Defect, EmailChange, LinkRefused, PasswordRefused, TRIES, verify};
use crate::email_address::masked;
use crate::password::Password;
use crate::random;
use crate::users::{Change, DatabaseError, Replaced, User};

/// How an undo ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// The old address was restored by this very press.
    Undone,
    /// The account already had it.
    AlreadyUndone,
}

/// The old address is in place.
#[derive(Debug)]
pub struct Undone {
    /// Whether it was this press.
    pub status: Reversal,
    /// The address that the account now has.
    pub email: String,
}

/// Why the old address was not restored.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// See [`LinkRefused`].
    #[error(transparent)]
    Link(#[from] LinkRefused),
    /// See [`PasswordRefused`].
    #[error(transparent)]
    Password(#[from] PasswordRefused),
    /// Another account took the old address meanwhile.
    #[error("another account has the address")]
    EmailTaken,
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The users table does not remember windows.
    #[error("no change can be undone here")]
    NotOffered,
    /// Other writes were faster three times in a row.
    #[error("the account is changing too fast")]
    Contended,
    /// See [`Defect`].
    #[error(transparent)]
    Defect(#[from] Defect),
}

impl EmailChange {
    /// Restores the address that the link was mailed to.
    ///
    /// # Errors
    ///
    /// [`UndoError`].
    pub async fn undo(
        &self,
        caller: &Caller,
        token: &str,
        password: Password,
    ) -> Result<Undone, UndoError> {
        if !self.users.keep_undo() {
            return Err(UndoError::NotOffered);
        }
        let link = self.links.check::<Undo>(token).map_err(LinkRefused::from)?;
        let old = link.open().map_err(LinkRefused::from)?;
        let user = self.user_of(link.user_id(), caller.deadline).await??;
        if !undoes(&old, &user) {
            return Err(LinkRefused::Used.into());
        }
        let place = self.lane.place().map_err(PasswordRefused::from)?;
        self.limits
            .undo(link.signature())
            .map_err(PasswordRefused::from)?;
        verify(place, password, &old.password_hash).await?;

        let (flow, caller) = (self.clone(), *caller);
        self.to_the_end("undo", async move {
            flow.bring_back(&caller, &link, old, user).await
        })
        .await
    }

    async fn bring_back(
        &self,
        caller: &Caller,
        link: &Link<Undo>,
        old: Restoration,
        mut user: User,
    ) -> Result<Undone, UndoError> {
        for _ in 0..TRIES {
            let status = if old.is_done(&user) {
                Reversal::AlreadyUndone
            } else {
                Reversal::Undone
            };
            match self.restore(caller, &user, &old).await? {
                Replaced::Done => {
                    let repeated = status == Reversal::AlreadyUndone;
                    if !repeated {
                        self.send_afterwards(self.letter(caller).undone(&old.email), "undone");
                    }
                    tracing::info!(user_id = %user.id, email = masked(&old.email), kid = link.kid(), repeated, "email_change.undone");
                    return Ok(Undone {
                        status,
                        email: old.email,
                    });
                }
                Replaced::EmailTaken => return Err(UndoError::EmailTaken),
                Replaced::Stale => user = self.user_of(link.user_id(), caller.deadline).await??,
            }
            if !undoes(&old, &user) {
                return Err(LinkRefused::Used.into());
            }
        }
        Err(UndoError::Contended)
    }

    /// Writes a fresh nonce in any case: an announced change must not follow an undo.
    async fn restore(
        &self,
        caller: &Caller,
        user: &User,
        old: &Restoration,
    ) -> Result<Replaced, UndoError> {
        let is_this_window = user.undo_opened_at == Some(old.opened_at);
        let change = Change {
            email: (!old.is_done(user)).then_some(old.email.as_str()),
            nonce: random::nonce().map_err(Defect::from)?,
            undo_opened_at: if is_this_window {
                None
            } else {
                user.undo_opened_at
            },
        };
        Ok(self.users.replace(user, &change, caller.deadline).await?)
    }
}

/// Whether the link is of the window now open, or the address is back already.
fn undoes(old: &Restoration, user: &User) -> bool {
    user.undo_opened_at == Some(old.opened_at) || old.is_done(user)
}
