//! Access tokens of the host application: JWTs that it has signed for its own users.
//!
//! What is taken is fixed by the configuration alone: one algorithm a key, issuer, audience, the
//! claim that holds the user's id, and claims that must be there. A token says nothing of how it is
//! to be verified but the name of its key: `jku`, `x5u`, `jwk` and `x5c` are never looked at.
//! Everything that is wrong is the same refusal; the log says which, at `debug`.

use jsonwebtoken::Validation;
use serde_json::{Map, Value};
use url::Url;

use super::fetch::{CertificatesError, Document};
use super::jwks::{Jwks, NoKey};
pub use super::jwks::{JwksError, UsableKey};
use super::verification_key::{KeyError, VerificationKey};
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::jwt;

/// How far the host's clock may be ahead, in seconds: for `nbf` and `iat`. `exp` has no leeway.
const AHEAD: f64 = 60.0;
/// A token that claims to hold longer than a year from now is no access token.
const LONGEST: f64 = 366.0 * 24.0 * 3600.0;
/// The longest id, in bytes: more than any column of ids holds.
const MAX_ID_LEN: usize = 255;
/// Header parameters that change what is signed or encrypted. We understand none of them.
const NEVER: [&str; 4] = ["crit", "b64", "zip", "enc"];
/// Claims by which some issuers say what a token is for: djangorestframework-simplejwt and Amazon
/// Cognito. Their refresh and id tokens are signed with the same key.
const USES: [&str; 2] = ["token_type", "token_use"];
/// What they say of an access token.
const ACCESS: [&str; 2] = ["access", "bearer"];

/// Whose tokens are taken, and what they must say.
#[derive(Clone, Debug)]
pub struct HostTokenRules {
    /// What `iss` must be; `None` takes any and none.
    pub issuer: Option<String>,
    /// What `aud` must be.
    pub audience: Audience,
    /// The claim that holds the user's id: a text or a whole number.
    pub user_id: String,
    /// Claims that must be there with that very text.
    pub required: Vec<(String, String)>,
}

/// What `aud` must be (RFC 7519, section 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// It must be, or hold, this.
    One(String),
    /// It must not be there: a token that names an audience is meant for somebody else.
    Nobody,
    /// Anything.
    Any,
}

/// Where the key is from.
#[derive(Clone)]
pub enum HostTokenKeys {
    /// A secret that the host shares, for HS256.
    Secret(zeroize::Zeroizing<String>),
    /// A public key in PEM.
    PublicKey(String),
    /// The URL of a JWK Set.
    Jwks {
        /// https, or loopback.
        url: Url,
        /// Certificates, in PEM, of who may vouch for its server instead of the public authorities.
        authorities: Option<Vec<u8>>,
    },
}

/// Why host tokens cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum HostTokenSetupError {
    /// See [`KeyError`].
    #[error(transparent)]
    Key(#[from] KeyError),
    /// See [`CertificatesError`].
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

/// Recognises users by the host's tokens. Cheap to clone.
#[derive(Clone)]
pub struct HostTokens {
    keys: Keys,
    rules: HostTokenRules,
    clock: Clock,
}

#[derive(Clone)]
enum Keys {
    One(VerificationKey),
    Set(Jwks),
}

/// Why a token names nobody.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is refused; the text is for the log.
    Invalid(&'static str),
    /// It cannot be judged: the host's keys were never had.
    NoKeys,
}

impl HostTokens {
    /// Whether tokens can be judged: whether the keys have ever been had.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        match &self.keys {
            Keys::One(_) => true,
            Keys::Set(set) => set.is_had(),
        }
    }

    /// Sets up; a JWK Set is fetched on first use.
    ///
    /// # Errors
    ///
    /// [`HostTokenSetupError`].
    pub fn new(
        keys: &HostTokenKeys,
        rules: HostTokenRules,
        clock: Clock,
    ) -> Result<Self, HostTokenSetupError> {
        let keys = match keys {
            HostTokenKeys::Secret(secret) => Keys::One(VerificationKey::from_secret(secret)?),
            HostTokenKeys::PublicKey(pem) => Keys::One(VerificationKey::from_pem(pem)?),
            HostTokenKeys::Jwks { url, authorities } => {
                let document = Document::new(url.clone(), authorities.as_deref())?;
                Keys::Set(Jwks::new(document, clock.clone()))
            }
        };
        Ok(Self { keys, rules, clock })
    }

    /// Fetches a JWK Set now, for `check` and so that the first person need not wait; which keys
    /// there are to verify with.
    ///
    /// # Errors
    ///
    /// [`JwksError`].
    pub async fn probe(&self) -> Result<Vec<UsableKey>, JwksError> {
        match &self.keys {
            Keys::One(key) => Ok(vec![UsableKey::without_kid(key)]),
            Keys::Set(set) => set.refresh().await,
        }
    }

    /// The id of the user whose token this is.
    pub(super) async fn user_id(&self, token: &str, deadline: Deadline) -> Result<String, Refusal> {
        let header = jwt::RawHeader::of(token).ok_or(Refusal::Invalid("malformed"))?;
        if NEVER.iter().any(|name| header.has(name)) {
            return Err(Refusal::Invalid("crit, b64, zip or enc in the header"));
        }
        if !is_access_token(header.typ()) {
            return Err(Refusal::Invalid("typ"));
        }
        let algorithm = header.algorithm().ok_or(Refusal::Invalid("alg"))?;
        let key = match &self.keys {
            Keys::One(key) if key.algorithm == algorithm => key.clone(),
            Keys::One(_) => return Err(Refusal::Invalid("alg")),
            Keys::Set(set) => match set.key(header.kid(), algorithm, deadline).await {
                Ok(key) => key,
                Err(NoKey::Unknown) => return Err(Refusal::Invalid("kid or alg")),
                Err(NoKey::Unavailable) => return Err(Refusal::NoKeys),
            },
        };
        let claims = self.verified(token, &key)?;
        self.check_times(&claims)?;
        self.check_purpose(&claims)?;
        id_of(claims.get(&self.rules.user_id)).ok_or(Refusal::Invalid("user id"))
    }

    /// Signature, issuer and audience, by the library with its defaults made strict. Times are ours
    /// to check, against the clock that was passed in.
    fn verified(&self, token: &str, key: &VerificationKey) -> Result<Map<String, Value>, Refusal> {
        let mut validation = Validation::new(key.algorithm);
        validation.validate_exp = false;
        validation.leeway = 0;
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.rules.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &self.rules.audience {
            Audience::One(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            // Without an audience of its own, the library refuses a token that has one.
            Audience::Nobody => {}
            Audience::Any => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        let decoded = jsonwebtoken::decode(token, &key.key, &validation);
        decoded.map(|data| data.claims).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            Refusal::Invalid(match error.kind() {
                ErrorKind::InvalidSignature => "signature",
                ErrorKind::InvalidIssuer => "iss",
                ErrorKind::InvalidAudience => "aud",
                ErrorKind::MissingRequiredClaim(_) => "exp, iss or aud is missing",
                _ => "malformed",
            })
        })
    }

    fn check_times(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let time = |name: &'static str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(Refusal::Invalid(name)),
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
        let now = self.clock.seconds() as f64;
        let expires_at = time("exp")?.ok_or(Refusal::Invalid("exp"))?;
        if !(now < expires_at && expires_at <= now + LONGEST) {
            return Err(Refusal::Invalid("exp"));
        }
        for name in ["nbf", "iat"] {
            if time(name)?.is_some_and(|since| since > now + AHEAD) {
                return Err(Refusal::Invalid(name));
            }
        }
        Ok(())
    }

    fn check_purpose(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        for name in USES {
            let says = claims
                .get(name)
                .map(|value| value.as_str().unwrap_or_default());
            let is_access =
                |says: &str| ACCESS.iter().any(|known| says.eq_ignore_ascii_case(known));
            let configured = self.rules.required.iter().any(|(known, _)| known == name);
            if !configured && says.is_some_and(|says| !is_access(says)) {
                return Err(Refusal::Invalid(name));
            }
        }
        let lacks =
            |(name, value): &(String, String)| claims.get(name) != Some(&value.as_str().into());
        if self.rules.required.iter().any(lacks) {
            return Err(Refusal::Invalid("a required claim"));
        }
        Ok(())
    }
}

/// `JWT`, or that of RFC 9068; many issuers write none. Ours are none of these.
fn is_access_token(typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return true };
    let typ = typ.to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    ["jwt", "at+jwt"].contains(&typ)
}

/// A text as it is, a whole number as text. Nothing else is an id.
fn id_of(claim: Option<&Value>) -> Option<String> {
    let id = match claim? {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    let fits = (1..=MAX_ID_LEN).contains(&id.len()) && !id.contains(char::is_control);
    fits.then_some(id)
}

#[cfg(test)]
mod tests;
