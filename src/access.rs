//! Who is calling: signing in, and the access token that a signed-in user shows.
//!
//! An access token holds until it expires, through a change of address or password: it says who
//! somebody is, and every step that matters asks for the password besides. It is one of ours, or one
//! of the host application's own ([`host`]); `typ` tells which, and neither passes for the other.

pub(crate) mod fetch;
pub mod host;
mod jwks;
mod verification_key;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::Span;

use crate::clock::seconds_of;
use crate::email_address::{EmailAddress, masked};
use crate::email_change::Caller;
use crate::jwt::{Jwts, RawHeader, TokenKind};
use crate::keys::Key;
use crate::limits::{Limits, Wait};
use crate::password::Password;
use crate::password::lane::{Lane, Overloaded};
use crate::users::{DatabaseError, User, Users};
use host::{HostTokens, Refusal};

/// The `typ` of our own.
const TYP: &str = "readdress-access+jwt";

/// Signs people in and recognises them. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    jwts: Jwts,
    users: Users,
    lane: Lane,
    limits: Limits,
    lifetime: Duration,
    sign_in: bool,
    host: Option<HostTokens>,
}

/// A new access token.
pub struct Session {
    /// The compact JWS.
    pub access_token: String,
    /// How long it holds.
    pub lifetime: Duration,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Signing in is somebody else's business here.
    #[error("signing in is off")]
    Off,
    /// Unknown user or wrong password: which of the two is not said, nor to be told by the time.
    #[error("no such user and password")]
    Unauthenticated,
    /// Too many tries of this client with this address.
    #[error("too many tries")]
    Limited(Wait),
    /// See [`Overloaded`].
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a caller is not recognised.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token is missing, invalid or expired, or its user is gone.
    #[error("no valid access token")]
    Unauthenticated,
    /// The token is of the host, whose keys were never had.
    #[error("the keys of the host cannot be had")]
    NoKeys,
    /// See [`DatabaseError`].
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<Refusal> for AccessError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(reason) => {
                tracing::debug!(reason, "host token refused");
                Self::Unauthenticated
            }
            Refusal::NoKeys => Self::NoKeys,
        }
    }
}

/// An access token says nothing but whose it is.
#[derive(Serialize, Deserialize)]
struct Nothing {}

impl Access {
    /// `lifetime` is how long an access token holds; without `sign_in` nobody is given one. `host`
    /// recognises the host's.
    #[must_use]
    pub fn new(
        jwts: Jwts,
        users: Users,
        lane: Lane,
        limits: Limits,
        lifetime: Duration,
        sign_in: bool,
        host: Option<HostTokens>,
    ) -> Self {
        Self(Arc::new(Inner {
            jwts,
            users,
            lane,
            limits,
            lifetime,
            sign_in,
            host,
        }))
    }

    /// Signs in with address and password.
    ///
    /// # Errors
    ///
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        caller: &Caller,
        email: &str,
        password: Password,
    ) -> Result<Session, SignInError> {
        if !self.0.sign_in {
            return Err(SignInError::Off);
        }
        let place = self.0.lane.place()?;
        let canonical = EmailAddress::parse(email).ok();
        let canonical = canonical.as_ref().map(EmailAddress::as_str);
        // However it is typed, with an internationalized domain, say: one address has one limit.
        if let Err(wait) = self.0.limits.sign_in(caller.ip, canonical.unwrap_or(email)) {
            tracing::info!(client = %caller.ip, reason = "rate_limited", "session.refused");
            return Err(SignInError::Limited(wait));
        }
        let user = self.find(caller, email, canonical).await?;
        if let Some(user) = &user {
            Span::current()
                .record("user_id", user.id.as_str())
                .record("account", masked(&user.email));
        }
        let stored = user.as_ref().map(|user| user.password_hash.as_str());
        let matched = place.check(password, stored).await?;
        let Some(user) = user.filter(|_| matched) else {
            tracing::info!(client = %caller.ip, reason = "unauthenticated", "session.refused");
            return Err(SignInError::Unauthenticated);
        };
        tracing::info!(user_id = %user.id, "session.created");
        Ok(Session {
            access_token: self.issue(&user),
            lifetime: self.0.lifetime,
        })
    }

    /// Who has the address as it was typed, as a host may have stored it; otherwise as it would be
    /// mailed. What is asked of the database depends on what was typed alone, never on who exists.
    async fn find(
        &self,
        caller: &Caller,
        typed: &str,
        canonical: Option<&str>,
    ) -> Result<Option<User>, DatabaseError> {
        let as_typed = self.0.users.find_by_email(typed, caller.deadline).await?;
        let is_another = |canonical: &&str| !canonical.eq_ignore_ascii_case(typed.trim());
        let Some(canonical) = canonical.filter(is_another) else {
            return Ok(as_typed);
        };
        let as_mailed = self
            .0
            .users
            .find_by_email(canonical, caller.deadline)
            .await?;
        Ok(as_typed.or(as_mailed))
    }

    /// The user whose access token this is.
    ///
    /// # Errors
    ///
    /// [`AccessError`].
    pub async fn authenticate(&self, caller: &Caller, token: &str) -> Result<User, AccessError> {
        let is_ours = || RawHeader::of(token).is_some_and(|header| header.typ() == Some(TYP));
        let id = match &self.0.host {
            Some(host) if !is_ours() => host
                .user_id(token, caller.deadline)
                .await
                .map_err(AccessError::from)?,
            _ => self.subject_of_ours(token)?,
        };
        Span::current().record("user_id", id.as_str());
        let user = self.0.users.find(&id, caller.deadline).await?;
        let user = user.ok_or(AccessError::Unauthenticated)?;
        Span::current().record("account", masked(&user.email));
        Ok(user)
    }

    fn subject_of_ours(&self, token: &str) -> Result<String, AccessError> {
        let token = self.0.jwts.read::<Nothing>(self.kind(), token);
        let token = token.map_err(|_| AccessError::Unauthenticated)?;
        if self.0.jwts.is_past(token.expires_at) {
            return Err(AccessError::Unauthenticated);
        }
        Ok(token.subject)
    }

    fn issue(&self, user: &User) -> String {
        let expires_at = self
            .0
            .jwts
            .clock()
            .seconds()
            .saturating_add(seconds_of(self.0.lifetime));
        self.0
            .jwts
            .issue(self.kind(), user.id.as_str(), expires_at, Nothing {})
    }

    fn kind(&self) -> TokenKind {
        TokenKind {
            typ: TYP,
            secret: Key::access_secret,
            max_lifetime: self.0.lifetime,
        }
    }
}
