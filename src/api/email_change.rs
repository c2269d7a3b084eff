//! The six steps over HTTP: types in, types out, one line of the flow between them.

pub(crate) mod messages;

use poem::web::Data;
use poem_openapi::OpenApi;

use self::messages::{
    Activated, CancellationStatus, Cancelled, ConfirmEmailChange, InspectedLink, LinkToken,
    MailSent, RequestEmailChange, UndoEmailChange, Undone,
};
use super::body::{Answer, Body};
use super::problem::{Failure, Problem};
use super::{SignedIn, Tag};
use crate::clock::rfc3339;
use crate::email_change::{Caller, EmailChange};

pub(crate) struct EmailChangeApi;

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
    ) -> Result<Answer<202, MailSent>, Failure> {
        let sent = flow
            .request(&caller, &user.0, body.0.password.0)
            .await
            .map_err(|error| refused("request", error))?;
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
    ) -> Result<Answer<202, MailSent>, Failure> {
        let ConfirmEmailChange {
            token,
            password,
            new_email,
        } = body.0;
        let sent = flow
            .confirm(&caller, &token.0, password.0, &new_email.0)
            .await
            .map_err(|error| refused("confirm", error))?;
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
    ) -> Result<Answer<200, Activated>, Failure> {
        let activated = flow
            .activate(&caller, &body.0.token.0)
            .await
            .map_err(|error| refused("activate", error))?;
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
    ) -> Result<Answer<200, Cancelled>, Failure> {
        flow.cancel(&caller, &body.0.token.0)
            .await
            .map_err(|error| refused("cancel", error))?;
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
    ) -> Result<Answer<200, Undone>, Failure> {
        let UndoEmailChange { token, password } = body.0;
        let undone = flow
            .undo(&caller, &token.0, password.0)
            .await
            .map_err(|error| refused("undo", error))?;
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
    ) -> Result<Answer<200, InspectedLink>, Failure> {
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
fn refused(step: &'static str, error: impl Into<Problem>) -> Failure {
    let failure = Failure::from(error);
    let reason = failure.code().name();
    tracing::info!(step, reason, "email_change.refused");
    failure
}
