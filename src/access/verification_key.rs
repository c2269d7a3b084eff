//! One key of the host application that access tokens are verified with, and the one algorithm it
//! is for: the header of a token chooses neither.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// The shortest HS256 secret, in bytes: as long as its output (RFC 7518, section 3.2).
const MIN_SECRET_LEN: usize = 32;
/// A random secret of 32 bytes has about 30 different ones; under 8 it was typed, not drawn.
const MIN_DISTINCT_BYTES: usize = 8;
/// RSA moduli in bits. Below is weak (RFC 7518, section 3.3), above costs too much a token.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// Length of an RSA exponent in bytes; 65537 has three. A long one would cost like a private key.
const MAX_EXPONENT_LEN: usize = 4;
/// An uncompressed point of P-256, and an Ed25519 key.
const P256_LEN: usize = 65;
const ED25519_LEN: usize = 32;

/// A key with its algorithm.
#[derive(Clone)]
pub(super) struct VerificationKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Why a key cannot be used. Never says anything of a secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Fewer than 32 bytes.
    #[error("is shorter than 32 bytes")]
    TooShort,
    /// A few bytes over and over.
    #[error("is not random: it repeats a few bytes")]
    NotRandom,
    /// Somebody put the wrong half there.
    #[error("is a private key, which this service has no use for and should not have")]
    Private,
    /// No PEM, or of no algorithm that is taken.
    #[error(
        "is no public key in PEM for RS256 (2048 to 4096 bits), ES256 (P-256) or EdDSA (Ed25519)"
    )]
    Unusable,
}

impl VerificationKey {
    /// The secret that the host signs HS256 with, byte for byte.
    pub(super) fn from_secret(secret: &str) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET_LEN {
            return Err(KeyError::TooShort);
        }
        let mut distinct = secret.as_bytes().to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < MIN_DISTINCT_BYTES {
            return Err(KeyError::NotRandom);
        }
        Ok(Self {
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret.as_bytes()),
        })
    }

    /// A public key in PEM: SPKI (`PUBLIC KEY`) or, for RSA, PKCS#1 (`RSA PUBLIC KEY`).
    pub(super) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.contains("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        // A certificate would be taken apart wrongly.
        if !pem.contains("PUBLIC KEY-----") {
            return Err(KeyError::Unusable);
        }
        let pem = pem.as_bytes();
        let key = DecodingKey::from_ec_pem(pem)
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .or_else(|_| DecodingKey::from_rsa_pem(pem))
            .map_err(|_| KeyError::Unusable)?;
        // By way of a JWK, so that there is one set of rules.
        let jwk = Jwk::from_decoding_key(&key, None).map_err(|_| KeyError::Unusable)?;
        Self::from_parameters(&jwk.algorithm).ok_or(KeyError::Unusable)
    }

    /// A key of a JWK Set (RFC 7517) with its kid; `None` for whatever is not meant for verifying
    /// with an algorithm that is taken. A symmetric key has no business in a public set.
    pub(super) fn from_jwk(json: Value) -> Option<(Option<String>, Self)> {
        // RFC 9864 gives EdDSA over Ed25519 a name of its own; the library does not know it yet.
        let named = json
            .get("alg")
            .map(|alg| alg.as_str().unwrap_or_default().to_owned());
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let common = &jwk.common;
        let signs = common
            .public_key_use
            .as_ref()
            .is_none_or(|key_use| *key_use == PublicKeyUse::Signature);
        let verifies = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let key = Self::from_parameters(&jwk.algorithm).filter(|_| signs && verifies)?;
        let matches = named.is_none_or(|named| match key.algorithm {
            Algorithm::RS256 => named == "RS256",
            Algorithm::ES256 => named == "ES256",
            _ => named == "EdDSA" || named == "Ed25519",
        });
        matches.then_some((jwk.common.key_id, key))
    }

    fn from_parameters(parameters: &AlgorithmParameters) -> Option<Self> {
        let (algorithm, key) = match parameters {
            AlgorithmParameters::RSA(rsa) => (
                Algorithm::RS256,
                DecodingKey::from_rsa_components(&rsa.n, &rsa.e).ok()?,
            ),
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => (
                Algorithm::ES256,
                DecodingKey::from_ec_components(&ec.x, &ec.y).ok()?,
            ),
            AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => (
                Algorithm::EdDSA,
                DecodingKey::from_ed_components(&okp.x).ok()?,
            ),
            _ => return None,
        };
        let key = Self { algorithm, key };
        key.is_sound().then_some(key)
    }

    /// Whether the library can verify with it, at a bounded cost and without panicking.
    fn is_sound(&self) -> bool {
        use jsonwebtoken::DecodingKeyKind;
        let measures = match (self.algorithm, self.key.kind()) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RSA_BITS.contains(&bits(n)) && e.len() <= MAX_EXPONENT_LEN
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => point.len() == P256_LEN,
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => key.len() == ED25519_LEN,
            _ => false,
        };
        // A point that is not on its curve is found by trying.
        let signature = "A".repeat(86);
        measures && jsonwebtoken::crypto::verify(&signature, b"", &self.key, self.algorithm).is_ok()
    }
}

/// The length of a number in bits, from its bytes, most significant first.
fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| byte.leading_zeros());
    (number.len() - zeros) * 8 - first as usize
}
