//! Signing in, and who is signed in.

use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::body::{Answer, Body, Secret, Text};
use super::problem::Failure;
use super::{SignedIn, Tag};
use crate::access::Access;
use crate::email_change::Caller;

pub(crate) struct SessionApi;

/// Address and password of an account.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// The account's address, in any case.
    email: Text,
    /// The account's password.
    password: Secret,
}

/// An access token (RFC 6749, section 5.1).
#[derive(Object)]
#[oai(example)]
pub(crate) struct Session {
    /// Shown as `Authorization: Bearer …`.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// How long it holds, in seconds.
    expires_in: u64,
}

impl Example for Session {
    fn example() -> Self {
        Self {
            access_token: "eyJ0eXAiOiJyZWFkZHJlc3MtYWNjZXNzK2p3dCJ9.e30.c2ln".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 900,
        }
    }
}

/// The account that is signed in.
#[derive(Object)]
#[oai(example)]
pub(crate) struct CurrentUser {
    /// The user's id.
    id: String,
    /// The current address.
    email: String,
}

impl Example for CurrentUser {
    fn example() -> Self {
        Self {
            id: "019aa2b4-0000-7000-8000-000000000001".to_owned(),
            email: "ann@example.com".to_owned(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Session")]
impl SessionApi {
    /// Sign in
    ///
    /// For those without an identity provider, and for trying out. The access token identifies the
    /// user to the other operations.
    #[oai(path = "/session", method = "post", operation_id = "signIn")]
    async fn sign_in(
        &self,
        access: Data<&Access>,
        caller: Data<&Caller>,
        body: Body<SignIn>,
    ) -> Result<Answer<200, Session>, Failure> {
        let SignIn { email, password } = body.0;
        let session = access
            .sign_in(&caller, &email.0, password.0)
            .await
            .map_err(Failure::from)?;
        Ok(Answer(Session {
            access_token: session.access_token,
            token_type: "Bearer".to_owned(),
            expires_in: session.lifetime.as_secs(),
        }))
    }

    /// Who is signed in
    ///
    /// The account that the access token is of, with its address as it is now.
    #[oai(path = "/me", method = "get", operation_id = "getCurrentUser")]
    #[expect(clippy::unused_async, reason = "the framework wants it")]
    async fn get_current_user(&self, user: SignedIn) -> Result<Answer<200, CurrentUser>, Failure> {
        Ok(Answer(CurrentUser {
            id: user.0.id.to_string(),
            email: user.0.email,
        }))
    }
}
