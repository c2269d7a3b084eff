//! A second reading of a compact JWS, written against design and RFC 7515, not against the service.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use readdress::keys::KeyRing;
use sha2::Sha256;

use super::super::json::Members;
use super::{ISSUER, NOW};

const CLAIMS: [&str; 5] = ["iss", "aud", "sub", "iat", "exp"];

pub(super) struct Reading {
    header: Members,
    claims: Members,
    signed: String,
    signature: Vec<u8>,
}

impl Reading {
    pub(super) fn of(token: &str) -> Option<Self> {
        let parts: Vec<&str> = token.split('.').collect();
        let &[header, claims, signature] = parts.as_slice() else {
            return None;
        };
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: Members::read(&decode(header)?)?,
            claims: Members::read(&decode(claims)?)?,
            signed: format!("{header}.{claims}"),
            signature: decode(signature)?,
        })
    }

    pub(super) fn kid(&self) -> &str {
        self.header.text("kid").unwrap_or_default()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claims.text(name)
    }

    /// Header, signature, and the claims that every kind has.
    pub(super) fn is_ours(&self, ring: &KeyRing, typ: &str, lifetime: i64) -> bool {
        let header = &self.header;
        let is_our_header = header.count() == 3
            && header.text("alg") == Some("HS256")
            && header.text("typ") == Some(typ);
        let signed = ring.find(self.kid()).is_some_and(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.signing_secret()).expect("a key");
            mac.update(self.signed.as_bytes());
            mac.verify_slice(&self.signature).is_ok()
        });
        is_our_header && signed && self.is_for_us(lifetime)
    }

    fn is_for_us(&self, lifetime: i64) -> bool {
        let claims = &self.claims;
        let (Some(iat), Some(exp)) = (claims.integer("iat"), claims.integer("exp")) else {
            return false;
        };
        let lives = i128::from(exp) - i128::from(iat);
        claims.text("iss") == Some(ISSUER)
            && claims.text("aud") == Some(ISSUER)
            && claims.text("sub").is_some()
            && iat <= NOW + 60
            && (1..=i128::from(lifetime)).contains(&lives)
    }

    /// Whether the claims of the kind are there, once, and of their type.
    pub(super) fn says(&self, texts: &[&str], integers: &[&str]) -> bool {
        texts.iter().all(|name| self.claims.text(name).is_some())
            && integers
                .iter()
                .all(|name| self.claims.integer(name).is_some())
    }

    /// Whether there is any other claim than those.
    pub(super) fn says_more(&self, texts: &[&str], integers: &[&str]) -> bool {
        !self.claims.only(&[&CLAIMS, texts, integers].concat())
    }
}
