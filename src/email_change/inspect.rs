//! Inspect: a page asks, on load, what its link is for and whether it still holds. Changes nothing.

use tracing::Span;

use super::link::{Activate, Cancel, Confirm, Kind, Link, LinkError, Undo};
use super::{Caller, EmailChange, LinkRefused};
use crate::users::{DatabaseError, User};

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// Typing the new address.
    Confirm,
    /// Putting it in place.
    Activate,
    /// Stopping a change.
    Cancel,
    /// Taking a change back.
    Undo,
}

/// Whether a link still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It does.
    Usable,
    /// Its time is over, whatever else it is.
    Expired,
    /// Used, cancelled, overtaken, or the account changed since.
    Used,
    /// The account has the address that it brings.
    AlreadyActive,
    /// The account has the address that it restores.
    AlreadyUndone,
}

/// What is known of a link.
#[derive(Debug)]
pub struct Inspection {
    /// What it is for.
    pub kind: LinkKind,
    /// Whether it still holds.
    pub state: LinkState,
    /// Unix seconds.
    pub expires_at: i64,
    /// The address an activate link brings.
    pub new_email: Option<String>,
}

/// Why nothing can be said of a link.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// See [`LinkRefused`]; never that it expired or was used, which is an answer here.
    #[error(transparent)]
    Link(#[from] LinkRefused),
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl EmailChange {
    /// Says what a link is for, whether it still holds, and until when.
    ///
    /// # Errors
    ///
    /// [`InspectError`].
    pub async fn inspect(&self, caller: &Caller, token: &str) -> Result<Inspection, InspectError> {
        if let Ok(link) = self.links.read::<Confirm>(token) {
            let holds = |user: &User| state(link.holds(user));
            return self
                .report(caller, LinkKind::Confirm, &link, None, holds)
                .await;
        }
        if let Ok(link) = self.links.read::<Activate>(token) {
            let new_email = Some(link.claims().new_email.clone());
            let holds = |user: &User| {
                if link.is_done(user) {
                    LinkState::AlreadyActive
                } else {
                    state(link.holds(user))
                }
            };
            return self
                .report(caller, LinkKind::Activate, &link, new_email, holds)
                .await;
        }
        if let Ok(link) = self.links.read::<Cancel>(token) {
            let holds = |user: &User| state(link.holds(user));
            return self
                .report(caller, LinkKind::Cancel, &link, None, holds)
                .await;
        }
        let link = self.links.read::<Undo>(token).map_err(LinkRefused::from)?;
        let old = link.open().map_err(|_: LinkError| LinkRefused::Invalid)?;
        let holds = |user: &User| {
            if old.is_done(user) {
                LinkState::AlreadyUndone
            } else {
                state(user.undo_opened_at == Some(old.opened_at))
            }
        };
        self.report(caller, LinkKind::Undo, &link, None, holds)
            .await
    }

    async fn report<K: Kind>(
        &self,
        caller: &Caller,
        kind: LinkKind,
        link: &Link<K>,
        new_email: Option<String>,
        holds: impl FnOnce(&User) -> LinkState,
    ) -> Result<Inspection, InspectError> {
        Span::current()
            .record("kid", link.kid())
            .record("user_id", link.user_id());
        let user = self.user_of(link.user_id(), caller.deadline).await??;
        let state = if self.links.has_expired(link) {
            LinkState::Expired
        } else {
            holds(&user)
        };
        Ok(Inspection {
            kind,
            state,
            expires_at: link.expires_at(),
            new_email,
        })
    }
}

fn state(holds: bool) -> LinkState {
    if holds {
        LinkState::Usable
    } else {
        LinkState::Used
    }
}
