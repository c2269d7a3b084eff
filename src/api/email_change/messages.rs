//! What the six steps take and answer.

use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use serde::Deserialize;

use crate::api::body::{Secret, Text};
use crate::email_change::activate::Activation;
use crate::email_change::inspect::{LinkKind, LinkState};
use crate::email_change::undo::Reversal;

/// The password of the account that is signed in.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestEmailChange {
    /// The account's password.
    pub(super) password: Secret,
}

/// What the page behind the first link asks for.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmEmailChange {
    /// From the link, byte for byte.
    pub(super) token: Text,
    /// The account's password.
    pub(super) password: Secret,
    /// The new address. White space around it is dropped and its domain may be internationalized;
    /// it is mailed and stored in its canonical form: lower-case, with an ASCII domain.
    pub(super) new_email: Text,
}

/// A link's token alone.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkToken {
    /// From the link, byte for byte.
    pub(super) token: Text,
}

/// What the page behind the undo link asks for.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoEmailChange {
    /// From the link, byte for byte.
    pub(super) token: Text,
    /// The password that the account had before the change.
    pub(super) password: Secret,
}

/// A link is on its way.
#[derive(Object)]
#[oai(example)]
pub(crate) struct MailSent {
    /// Where to: masked for the current address, in full for the new one.
    pub(super) sent_to: String,
    /// When the link ends (RFC 3339, UTC).
    pub(super) expires_at: String,
}

/// The new address is in place.
#[derive(Object)]
#[oai(example)]
pub(crate) struct Activated {
    /// Whether it was this very call.
    pub(super) status: ActivationStatus,
    /// The account's address now.
    pub(super) email: String,
}

/// How an activation ended well.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ActivationStatus {
    /// By this call.
    Activated,
    /// By an earlier one.
    AlreadyActive,
}

/// The change was stopped.
#[derive(Object)]
#[oai(example)]
pub(crate) struct Cancelled {
    /// Always `cancelled`.
    pub(super) status: CancellationStatus,
}

/// How a cancellation ended well.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum CancellationStatus {
    /// No confirm or activate link of this account holds any more.
    Cancelled,
}

/// The old address is in place.
#[derive(Object)]
#[oai(example)]
pub(crate) struct Undone {
    /// Whether it was this very call.
    pub(super) status: UndoStatus,
    /// The account's address now.
    pub(super) email: String,
}

/// How an undo ended well.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum UndoStatus {
    /// By this call.
    Undone,
    /// The account already had it.
    AlreadyUndone,
}

/// What is known of a link.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(crate) struct InspectedLink {
    /// What it is for.
    pub(super) kind: InspectedKind,
    /// Whether it still holds.
    pub(super) state: InspectedState,
    /// When it ends (RFC 3339, UTC).
    pub(super) expires_at: String,
    /// The address that an activate link brings.
    pub(super) new_email: Option<String>,
}

/// What a link is for.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum InspectedKind {
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
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum InspectedState {
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

impl From<Activation> for ActivationStatus {
    fn from(status: Activation) -> Self {
        match status {
            Activation::Activated => Self::Activated,
            Activation::AlreadyActive => Self::AlreadyActive,
        }
    }
}

impl From<Reversal> for UndoStatus {
    fn from(status: Reversal) -> Self {
        match status {
            Reversal::Undone => Self::Undone,
            Reversal::AlreadyUndone => Self::AlreadyUndone,
        }
    }
}

impl From<LinkKind> for InspectedKind {
    fn from(kind: LinkKind) -> Self {
        match kind {
            LinkKind::Confirm => Self::Confirm,
            LinkKind::Activate => Self::Activate,
            LinkKind::Cancel => Self::Cancel,
            LinkKind::Undo => Self::Undo,
        }
    }
}

impl From<LinkState> for InspectedState {
    fn from(state: LinkState) -> Self {
        match state {
            LinkState::Usable => Self::Usable,
            LinkState::Expired => Self::Expired,
            LinkState::Used => Self::Used,
            LinkState::AlreadyActive => Self::AlreadyActive,
            LinkState::AlreadyUndone => Self::AlreadyUndone,
        }
    }
}

const SOON: &str = "2026-11-23T23:47:00Z";
const NEW: &str = "ann@new.example";

impl Example for MailSent {
    fn example() -> Self {
        Self {
            sent_to: "a***@example.com".to_owned(),
            expires_at: SOON.to_owned(),
        }
    }
}

impl Example for Activated {
    fn example() -> Self {
        Self {
            status: ActivationStatus::Activated,
            email: NEW.to_owned(),
        }
    }
}

impl Example for Cancelled {
    fn example() -> Self {
        Self {
            status: CancellationStatus::Cancelled,
        }
    }
}

impl Example for Undone {
    fn example() -> Self {
        Self {
            status: UndoStatus::Undone,
            email: "ann@example.com".to_owned(),
        }
    }
}

impl Example for InspectedLink {
    fn example() -> Self {
        Self {
            kind: InspectedKind::Activate,
            state: InspectedState::Usable,
            expires_at: SOON.to_owned(),
            new_email: Some(NEW.to_owned()),
        }
    }
}
