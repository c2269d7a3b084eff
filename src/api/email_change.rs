//! The six steps over HTTP: types in, types out, one line of the flow between them.

use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Deserialize;

use super::body::{Answer, Body, Secret, Text};
use super::problem::{Fails, Failure, Problem};
use super::{SignedIn, Tag};
use crate::clock::rfc3339;
use crate::email_change::activate::Activation;
use crate::email_change::inspect::{LinkKind, LinkState};
use crate::email_change::undo::Reversal;
use crate::email_change::{Caller, EmailChange};

pub(crate) struct EmailChangeApi;

/// The password of the account that is signed in.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestEmailChange {
    /// The account's password.
    password: Secret,
}

/// What the page behind the first link asks for.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmEmailChange {
    /// From the link, byte for byte.
    token: Text,
    /// The account's password.
    password: Secret,
    /// The new address.
    new_email: Text,
}

/// A link's token alone.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkToken {
    /// From the link, byte for byte.
    token: Text,
}

/// What the page behind the undo link asks for.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct UndoEmailChange {
    /// From the link, byte for byte.
    token: Text,
    /// The password that the account had before the change.
    password: Secret,
}

/// A link is on its way.
#[derive(Object)]
#[oai(example)]
pub(crate) struct MailSent {
    /// Where to: masked for the current address, in full for the new one.
    sent_to: String,
    /// When the link ends (RFC 3339, UTC).
    expires_at: String,
}

/// The new address is in place.
#[derive(Object)]
#[oai(example)]
pub(crate) struct Activated {
    /// Whether it was this very call.
    status: ActivationStatus,
    /// The account's address now.
    email: String,
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
    status: CancellationStatus,
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
    status: UndoStatus,
    /// The account's address now.
    email: String,
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
    kind: InspectedKind,
    /// Whether it still holds.
    state: InspectedState,
    /// When it ends (RFC 3339, UTC).
    expires_at: String,
    /// The address that an activate link brings.
    new_email: Option<String>,
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

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident fails with $statuses:expr;)+) => {
        $($(#[$doc])* pub(crate) struct $name;
        impl Fails for $name {
            const WITH: &'static [u16] = &$statuses;
        })+
    };
}

operations! {
    RequestFails fails with [400, 401, 403, 408, 413, 415, 422, 429, 500, 503];
    ConfirmFails fails with [400, 403, 408, 410, 413, 415, 422, 429, 500, 503];
    ActivateFails fails with [400, 408, 409, 410, 413, 415, 429, 500, 503];
    CancelFails fails with [400, 408, 410, 413, 415, 500, 503];
    UndoFails fails with [400, 403, 408, 409, 410, 413, 415, 429, 500, 503];
    InspectFails fails with [400, 408, 413, 415, 429, 500, 503];
}

#[OpenApi(prefix_path = "/v1/email-change", tag = "Tag::EmailChange")]
impl EmailChangeApi {
    /// Request a change
    ///
    /// Checks the password and mails a link to the *current* address, with another one that stops
    /// the change.
    #[oai(
        path = "/request",
        method = "post",
        operation_id = "requestEmailChange"
    )]
    async fn request(
        &self,
        user: SignedIn,
        flow: Data<&EmailChange>,
        caller: Data<&Caller>,
        body: Body<RequestEmailChange>,
    ) -> Result<Answer<202, MailSent>, Failure<RequestFails>> {
        let sent = flow
            .request(&caller, &user.0, body.0.password.0)
            .await
            .map_err(refused)?;
        Ok(Answer(MailSent {
            sent_to: sent.sent_to,
            expires_at: rfc3339(sent.expires_at),
        }))
    }

    /// Confirm a change
    ///
    /// Checks the link from the current address and the password, and mails a link to the *new*
    /// address. Answers the same whether that address is free or taken. Repeating it mails again.
    #[oai(
        path = "/confirm",
        method = "post",
        operation_id = "confirmEmailChange"
    )]
    async fn confirm(
        &self,
        flow: Data<&EmailChange>,
        caller: Data<&Caller>,
        body: Body<ConfirmEmailChange>,
    ) -> Result<Answer<202, MailSent>, Failure<ConfirmFails>> {
        let ConfirmEmailChange {
            token,
            password,
            new_email,
        } = body.0;
        let sent = flow
            .confirm(&caller, &token.0, password.0, &new_email.0)
            .await
            .map_err(refused)?;
        Ok(Answer(MailSent {
            sent_to: sent.sent_to.to_string(),
            expires_at: rfc3339(sent.expires_at),
        }))
    }

    /// Activate the new address
    ///
    /// Tells the old address, with a way back, then puts the new one in place.
    #[oai(
        path = "/activate",
        method = "post",
        operation_id = "activateEmailChange"
    )]
    async fn activate(
        &self,
        flow: Data<&EmailChange>,
        caller: Data<&Caller>,
        body: Body<LinkToken>,
    ) -> Result<Answer<200, Activated>, Failure<ActivateFails>> {
        let activated = flow
            .activate(&caller, &body.0.token.0)
            .await
            .map_err(refused)?;
        Ok(Answer(Activated {
            status: activated.status.into(),
            email: activated.email,
        }))
    }

    /// Cancel a change
    ///
    /// Kills every link of the account that could still change its address; may be repeated.
    #[oai(path = "/cancel", method = "post", operation_id = "cancelEmailChange")]
    async fn cancel(
        &self,
        flow: Data<&EmailChange>,
        caller: Data<&Caller>,
        body: Body<LinkToken>,
    ) -> Result<Answer<200, Cancelled>, Failure<CancelFails>> {
        flow.cancel(&caller, &body.0.token.0)
            .await
            .map_err(refused)?;
        Ok(Answer(Cancelled {
            status: CancellationStatus::Cancelled,
        }))
    }

    /// Undo a change
    ///
    /// Restores the old address, for whoever holds the link mailed there and the password that the
    /// account had. Afterwards the person should reset the password.
    #[oai(path = "/undo", method = "post", operation_id = "undoEmailChange")]
    async fn undo(
        &self,
        flow: Data<&EmailChange>,
        caller: Data<&Caller>,
        body: Body<UndoEmailChange>,
    ) -> Result<Answer<200, Undone>, Failure<UndoFails>> {
        let UndoEmailChange { token, password } = body.0;
        let undone = flow
            .undo(&caller, &token.0, password.0)
            .await
            .map_err(refused)?;
        Ok(Answer(Undone {
            status: undone.status.into(),
            email: undone.email,
        }))
    }

    /// Inspect a link
    ///
    /// Says what a link is for, whether it still holds and until when. Changes nothing.
    #[oai(path = "/inspect", method = "post", operation_id = "inspectLink")]
    async fn inspect(
        &self,
        flow: Data<&EmailChange>,
        caller: Data<&Caller>,
        body: Body<LinkToken>,
    ) -> Result<Answer<200, InspectedLink>, Failure<InspectFails>> {
        let inspected = flow
            .inspect(&caller, &body.0.token.0)
            .await
            .map_err(Failure::from)?;
        Ok(Answer(InspectedLink {
            kind: inspected.kind.into(),
            state: inspected.state.into(),
            expires_at: rfc3339(inspected.expires_at),
            new_email: inspected.new_email,
        }))
    }
}

/// Every refusal of a step that would have changed something is a security event.
fn refused<O>(error: impl Into<Problem>) -> Failure<O> {
    let failure = Failure::from(error);
    tracing::info!(reason = failure.code().name(), "email_change.refused");
    failure
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
