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
///
/// - `activated`: by this call.
/// - `already_active`: by an earlier one.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ActivationStatus {
    Activated,
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
///
/// - `cancelled`: no confirm or activate link of this account holds any more.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum CancellationStatus {
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
///
/// - `undone`: by this call.
/// - `already_undone`: the account already had the old address.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum UndoStatus {
    Undone,
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
    /// The address that an activate link brings; links of other kinds have none.
    pub(super) new_email: Option<String>,
}

/// What a link is for.
///
/// - `confirm`: typing the new address.
/// - `activate`: putting it in place.
/// - `cancel`: stopping a change.
/// - `undo`: taking a change back.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum InspectedKind {
    Confirm,
    Activate,
    Cancel,
    Undo,
}

/// Whether a link still holds.
///
/// - `usable`: it holds.
/// - `expired`: its time is over, whatever else it is.
/// - `used`: used, cancelled, overtaken, or the account changed since.
/// - `already_active`: the account has the address that it brings.
/// - `already_undone`: the account has the address that it restores.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum InspectedState {
    Usable,
    Expired,
    Used,
    AlreadyActive,
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
