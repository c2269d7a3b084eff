//! The contract: what goes over the wire, and the OpenAPI document that says so.
//!
//! A file a subject: [`session`] and [`email_change`] hold the operations, each three lines over
//! the flow; [`problem`] turns every step's error into a problem document, once; [`body`] reads
//! and writes JSON strictly; [`document`] is the document. No rule of the flow is here.

pub mod body;
pub mod document;
pub mod email_change;
pub mod health;
pub mod problem;
pub mod session;

use poem::{Endpoint, IntoEndpoint, IntoResponse, Request, Response};
use poem_openapi::{OpenApiService, SecurityScheme, Tags};

use crate::access::Access;
use crate::email_change::{Caller, EmailChange};
use crate::users::User;
use problem::{Problem, internal};

/// Groups of operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Signing in, and who is signed in.
    Session,
    /// The steps of a change, in their order.
    EmailChange,
}

/// The access token from `signIn`, or the host application's own.
#[derive(SecurityScheme)]
#[oai(
    ty = "bearer",
    rename = "accessToken",
    bearer_format = "JWT",
    checker = "authenticate"
)]
pub(crate) struct SignedIn(pub(crate) User);

async fn authenticate(request: &Request, bearer: poem_openapi::auth::Bearer) -> poem::Result<User> {
    let access = request.data::<Access>().ok_or_else(internal)?;
    Ok(access
        .authenticate(caller_of(request)?, &bearer.token)
        .await
        .map_err(Problem::from)?)
}

fn caller_of(request: &Request) -> Result<&Caller, Problem> {
    request.data::<Caller>().ok_or_else(internal)
}

/// Both groups of operations, as the document describes them.
pub(crate) type Service = OpenApiService<(session::SessionApi, email_change::EmailChangeApi), ()>;

/// The operations, without anything they work with: enough for the document.
pub(crate) fn service() -> Service {
    let version = env!("CARGO_PKG_VERSION");
    OpenApiService::new(
        (session::SessionApi, email_change::EmailChangeApi),
        "readdress",
        version,
    )
}

/// The operations at work.
pub(crate) fn endpoint(access: Access, flow: EmailChange) -> impl Endpoint<Output = Response> {
    AtWork {
        operations: service().into_endpoint(),
        access,
        flow,
    }
}

/// Gives every request what it is answered with: one layer, for each moves the whole request.
struct AtWork<E> {
    operations: E,
    access: Access,
    flow: EmailChange,
}

impl<E: Endpoint<Output: IntoResponse>> Endpoint for AtWork<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        request.set_data(self.access.clone());
        request.set_data(self.flow.clone());
        let answer = self.operations.call(request).await?;
        Ok(answer.into_response())
    }
}
