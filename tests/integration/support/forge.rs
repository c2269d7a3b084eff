//! Takes links apart and signs whatever a test makes of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// A token in its parts.
#[derive(Clone, PartialEq)]
pub struct Parts {
    pub header: Value,
    pub claims: Value,
}

pub fn open(token: &str) -> Parts {
    let mut segments = token
        .split('.')
        .map(|segment| URL_SAFE_NO_PAD.decode(segment).expect("base64url"));
    let mut json = || serde_json::from_slice(&segments.next().expect("a segment")).expect("JSON");
    Parts {
        header: json(),
        claims: json(),
    }
}

impl Parts {
    /// Signed with HS256, whatever the header says.
    pub fn sign(&self, secret: &[u8]) -> String {
        sign(&self.header.to_string(), &self.claims.to_string(), secret)
    }
}

pub fn sign(header: &str, claims: &str, secret: &[u8]) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
    mac.update(input.as_bytes());
    format!(
        "{input}.{}",
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}
