//! Compact JWS (RFC 7515) as this service makes and reads them: HS256, `kid`, and a `typ` of their
//! own for every kind of token (RFC 8725, section 3.11). Links and access tokens are built on this;
//! `jsonwebtoken` lives here and in `access`, which reads the tokens of others.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::{Clock, seconds_of};
use crate::keys::{Key, KeyRing};

/// How far ahead another replica's clock may be, in seconds. Only `iat` has this leeway: `exp` has
/// none, or a link would live longer than was promised.
const IAT_LEEWAY: i64 = 60;

/// What distinguishes one kind of token from all others.
#[derive(Clone, Copy)]
pub struct TokenKind {
    /// The `typ` header.
    pub typ: &'static str,
    /// Which derived secret signs it.
    pub secret: fn(&Key) -> &[u8],
    /// The longest lifetime that a token of this kind may claim.
    pub max_lifetime: Duration,
}

/// Makes and reads the tokens of one application URL.
#[derive(Clone)]
pub struct Jwts {
    keys: Arc<KeyRing>,
    issuer: Arc<str>,
    validation: Arc<Validation>,
    clock: Clock,
}

/// A token that we signed, of the kind that was asked for. It may have expired.
pub struct Token<C> {
    /// The key that signed it.
    pub key: Arc<Key>,
    /// The user's id.
    pub subject: String,
    /// Unix seconds.
    pub issued_at: i64,
    /// Unix seconds; from this second on the token has expired.
    pub expires_at: i64,
    /// What this kind of token says beyond that.
    pub claims: C,
}

/// The text is not a token of ours of that kind. There is no more to say: whoever made it up
/// learns nothing from us.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this service and kind")]
pub struct InvalidToken;

#[derive(Serialize, Deserialize)]
struct Claims<C> {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
    #[serde(flatten)]
    own: C,
}

impl Jwts {
    /// `issuer` is the application URL: both `iss` and `aud`, so that a token of one application
    /// is refused by another that shares the keys.
    #[must_use]
    pub fn new(keys: Arc<KeyRing>, issuer: String, clock: Clock) -> Self {
        Self {
            keys,
            validation: Arc::new(validation(&issuer)),
            issuer: issuer.into(),
            clock,
        }
    }

    /// The keys that sign and verify.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The clock that decides what has expired.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The name of the key that signs.
    #[must_use]
    pub fn signing_kid(&self) -> &str {
        self.keys.signing().kid()
    }

    /// Signs a token for `subject` with the first key, from now until `expires_at` (Unix seconds).
    #[must_use]
    pub fn issue<C: Serialize>(
        &self,
        kind: TokenKind,
        subject: &str,
        expires_at: i64,
        own: C,
    ) -> String {
        let key = self.keys.signing();
        let claims = Claims {
            iss: self.issuer.to_string(),
            aud: self.issuer.to_string(),
            sub: subject.to_owned(),
            iat: self.clock.seconds(),
            exp: expires_at,
            own,
        };
        let secret = EncodingKey::from_secret((kind.secret)(key));
        match jsonwebtoken::encode(&header(kind, key), &claims, &secret) {
            Ok(token) => token,
            Err(_) => unreachable!("HS256 over serialisable claims cannot fail"),
        }
    }

    /// Reads a token, expired or not.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] unless the header is exactly one that we write for this kind, by a key in
    /// the ring; the signature is right; every claim is there and well-typed; issuer and audience
    /// are ours; `iat` is at most 60 s ahead; and the lifetime is no longer than the kind allows.
    pub fn read<C: DeserializeOwned>(
        &self,
        kind: TokenKind,
        token: &str,
    ) -> Result<Token<C>, InvalidToken> {
        let found = RawHeader::of(token).ok_or(InvalidToken)?;
        let kid = found.kid().ok_or(InvalidToken)?;
        let key = self.keys.find(kid).ok_or(InvalidToken)?;
        if !found.is_of(kind) {
            return Err(InvalidToken);
        }
        let secret = DecodingKey::from_secret((kind.secret)(key));
        let claims: Claims<C> = jsonwebtoken::decode(token, &secret, &self.validation)
            .map_err(|_| InvalidToken)?
            .claims;
        let lifetime = claims.exp.checked_sub(claims.iat).ok_or(InvalidToken)?;
        let from_the_future = claims.iat > self.clock.seconds() + IAT_LEEWAY;
        if from_the_future || lifetime <= 0 || lifetime > seconds_of(kind.max_lifetime) {
            return Err(InvalidToken);
        }
        Ok(Token {
            key: Arc::clone(key),
            subject: claims.sub,
            issued_at: claims.iat,
            expires_at: claims.exp,
            claims: claims.own,
        })
    }

    /// Whether that second has been reached. No leeway (RFC 7519, section 4.1.4).
    #[must_use]
    pub fn is_past(&self, expires_at: i64) -> bool {
        self.clock.seconds() >= expires_at
    }
}

/// The library's checks, with the defaults that would accept too much changed. Times are checked by
/// the caller, against the clock that was passed in.
fn validation(issuer: &str) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    validation.set_audience(&[issuer]);
    validation.set_issuer(&[issuer]);
    validation.validate_exp = false;
    validation.leeway = 0;
    validation
}

fn header(kind: TokenKind, key: &Key) -> Header {
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(kind.typ.to_owned());
    header.kid = Some(key.kid().to_owned());
    header
}

/// A JOSE header as it was written, before anything was verified: good for choosing what to verify
/// with, and for refusing.
pub(crate) struct RawHeader(Map<String, Value>);

impl RawHeader {
    /// The header of a compact JWS, if its first part is one.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let segment = token.split('.').next().unwrap_or_default();
        let json = URL_SAFE_NO_PAD.decode(segment).ok()?;
        serde_json::from_slice(&json).ok().map(Self)
    }

    /// Whether it is what we write, but for the kid: a `crit`, `jku`, `zip` or anything else that we
    /// never write is refused, and so is one of them that is null.
    fn is_of(&self, kind: TokenKind) -> bool {
        self.0.len() == 3
            && self.0.contains_key("kid")
            && self.0.get("alg").is_some_and(|alg| alg == "HS256")
            && self.typ() == Some(kind.typ)
    }

    /// Whether a parameter is there, be it null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn typ(&self) -> Option<&str> {
        self.0.get("typ")?.as_str()
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.0.get("kid")?.as_str()
    }

    /// `None` for `none`, and for whatever else the library does not know.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.0.get("alg")?.as_str()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;

    const NOW: i64 = 1_800_000_000;
    const LIFETIME: i64 = 100;

    #[derive(Serialize, Deserialize)]
    struct Nothing {}

    fn kind() -> TokenKind {
        TokenKind {
            typ: "test+jwt",
            secret: Key::signing_secret,
            max_lifetime: Duration::from_secs(LIFETIME.unsigned_abs()),
        }
    }

    /// Whether a token made at `iat`, by a replica whose clock is there, is read at [`NOW`].
    fn is_read(iat: i64, exp: i64) -> bool {
        let ring = keys::generate()
            .ok()
            .and_then(|key| KeyRing::parse(&key).ok());
        let ring = Arc::new(ring.expect("a ring"));
        let at = |seconds| {
            let issuer = "https://app.example.com".to_owned();
            Jwts::new(Arc::clone(&ring), issuer, Clock::manual(seconds))
        };
        let token = at(iat).issue(kind(), "ann", exp, Nothing {});
        at(NOW).read::<Nothing>(kind(), &token).is_ok()
    }

    #[test]
    fn another_replica_s_clock_may_be_a_minute_ahead_and_no_more() {
        for (ahead, expected) in [(-50, true), (0, true), (59, true), (60, true), (61, false)] {
            let iat = NOW + ahead;
            assert_eq!(is_read(iat, iat + LIFETIME), expected, "{ahead} s ahead");
        }
    }

    #[test]
    fn a_token_lives_a_second_at_least_and_no_longer_than_its_kind() {
        for (lifetime, expected) in [
            (i64::MIN, false),
            (-1, false),
            (0, false),
            (1, true),
            (LIFETIME, true),
            (LIFETIME + 1, false),
        ] {
            let exp = NOW.saturating_add(lifetime);
            assert_eq!(is_read(NOW, exp), expected, "for {lifetime} s");
        }
        assert!(!is_read(-NOW, i64::MAX), "longer than can be counted");
    }

    #[test]
    fn a_token_is_past_from_the_second_of_its_exp() {
        let ring = keys::generate()
            .ok()
            .and_then(|key| KeyRing::parse(&key).ok());
        let ring = Arc::new(ring.expect("a ring"));
        let jwts = Jwts::new(ring, String::new(), Clock::manual(NOW));
        assert!(!jwts.is_past(NOW + 1));
        assert!(jwts.is_past(NOW));
        assert!(jwts.is_past(NOW - 1));
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = |json: &str| RawHeader::of(&format!("{}.x.y", URL_SAFE_NO_PAD.encode(json)));
        let written = header(r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":null}"#);
        let written = written.expect("a header");
        assert!(written.has("crit") && !written.has("jku"));
        assert_eq!(written.typ(), Some("at+jwt"));
        assert_eq!(written.kid(), Some("k"));
        assert_eq!(written.algorithm(), Some(Algorithm::ES256));
        let bare = header(r#"{"alg":"none","kid":1}"#).expect("a header");
        assert_eq!((bare.typ(), bare.kid()), (None, None));
        assert_eq!(bare.algorithm(), None);
        assert!(header("[]").is_none());
    }
}
