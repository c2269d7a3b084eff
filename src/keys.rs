//! The key ring: which secret keys there are, and what is derived from each.
//!
//! A key is written `kid:base64url`. The first of the ring signs, all of them verify, so keys are
//! rotated in two rollouts: the new one last everywhere, then first. Every purpose has a key of its
//! own, derived with HKDF-SHA-256 (RFC 5869), so that a MAC made for one can never pass for
//! another. Links and access tokens use this; HMAC, HKDF and the AEAD live nowhere else.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::{self, Clock};
use crate::random;

/// The shortest key, in bytes: as long as the output of HMAC-SHA-256 (RFC 7518, section 3.2).
const MIN_KEY_LEN: usize = 32;
/// A random key of 32 bytes has about 30 different ones; under 8 it was typed, not drawn.
const MIN_DISTINCT_BYTES: usize = 8;
/// Length of the nonce in front of what is sealed.
const SEAL_NONCE_LEN: usize = 24;

/// The secret of one purpose of one key.
type Secret = Zeroizing<[u8; 32]>;

/// All keys, the signing one first. Never empty.
pub struct KeyRing(Vec<Arc<Key>>);

/// One key and everything derived from it.
pub struct Key {
    kid: String,
    signing: Secret,
    access: Secret,
    fingerprint: Secret,
    sealing: Secret,
    check: Secret,
}

/// Why a key ring cannot be used. Never says anything of the key itself.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// Nothing was given.
    #[error("holds no key")]
    Empty,
    /// A part of the list is not `kid:base64url`.
    #[error(
        "key {0} is not written as kid:base64url (unpadded; kid of letters, digits, '-' and '_', at most 64)"
    )]
    Malformed(usize),
    /// Fewer than 32 bytes.
    #[error("key {0} is shorter than 32 bytes")]
    TooShort(usize),
    /// Typed by a person or copied from an example.
    #[error("key {0} is not random: it repeats a few bytes, counts, or is an example")]
    NotRandom(usize),
    /// Two keys with one name, or one key twice.
    #[error("key {0} has the kid or the bytes of an earlier one")]
    Duplicate(usize),
}

impl KeyRing {
    /// Reads a comma-separated list of `kid:base64url`.
    ///
    /// # Errors
    ///
    /// [`KeyRingError`], naming the place in the list (from 1), for the first key that is malformed,
    /// shorter than 32 bytes, visibly not random, or a duplicate by kid or by bytes.
    pub fn parse(list: &str) -> Result<Self, KeyRingError> {
        let mut seen: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for (index, written) in list.split(',').map(str::trim).enumerate() {
            if list.trim().is_empty() {
                return Err(KeyRingError::Empty);
            }
            let place = index + 1;
            let (kid, encoded) = written
                .split_once(':')
                .ok_or(KeyRingError::Malformed(place))?;
            let bytes = URL_SAFE_NO_PAD
                .decode(encoded)
                .map_err(|_| KeyRingError::Malformed(place))?;
            let bytes = Zeroizing::new(bytes);
            if !is_kid(kid) {
                return Err(KeyRingError::Malformed(place));
            }
            if bytes.len() < MIN_KEY_LEN {
                return Err(KeyRingError::TooShort(place));
            }
            if looks_typed(&bytes, encoded) {
                return Err(KeyRingError::NotRandom(place));
            }
            if seen.contains(&bytes) || keys.iter().any(|key| key.kid == kid) {
                return Err(KeyRingError::Duplicate(place));
            }
            keys.push(Arc::new(Key::derive(kid, &bytes)));
            seen.push(bytes);
        }
        Ok(Self(keys))
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &Arc<Key> {
        &self.0[0]
    }

    /// The key of that name, if it is still in the ring.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&Arc<Key>> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// The name of each, the signing one first. Public: they stand in every token.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.kid.as_str())
    }

    /// How many keys there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A number by which replicas can be compared: another one if a key, a kid or the order differs.
    /// 48 bits, which a double holds, of a hash of secrets derived for nothing else.
    #[must_use]
    pub fn check_value(&self) -> i64 {
        let mut hash = Sha256::new();
        for key in &self.0 {
            hash.update(&key.check[..]);
            hash.update(Sha256::digest(&key.kid));
        }
        let mut number = [0; 8];
        number[2..].copy_from_slice(&hash.finalize()[..6]);
        i64::from_be_bytes(number)
    }
}

/// Shows the kids alone: they are public, in every link's header.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.kid))
            .finish()
    }
}

/// A new key as it is written into the ring, with a kid of its own that says on which day it was
/// made: `k20261123-1a2b3c4d`.
///
/// # Errors
///
/// Passes on the operating system's refusal to give random bytes.
pub fn generate() -> Result<Zeroizing<String>, random::RandomError> {
    let kid: [u8; 4] = random::bytes()?;
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(random::bytes()?);
    Ok(Zeroizing::new(format!(
        "k{}-{}:{}",
        clock::day(Clock::System.seconds()),
        kid.map(|byte| format!("{byte:02x}")).concat(),
        URL_SAFE_NO_PAD.encode(*key)
    )))
}

impl Key {
    fn derive(kid: &str, bytes: &[u8]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, bytes);
        let derive = |label: &str| {
            let mut secret = Secret::default();
            // 32 bytes is far below the 255 blocks at which HKDF would refuse.
            if hkdf.expand(label.as_bytes(), &mut *secret).is_err() {
                unreachable!("HKDF-SHA-256 gives 32 bytes for every label");
            }
            secret
        };
        Self {
            kid: kid.to_owned(),
            signing: derive("readdress/v1/signing"),
            access: derive("readdress/v1/access"),
            fingerprint: derive("readdress/v1/fingerprint"),
            sealing: derive("readdress/v1/sealing"),
            check: derive("readdress/v1/check"),
        }
    }

    /// The public name of the key, as it stands in a JOSE header.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// When the key was made, in Unix seconds: the day, if the kid is one of [`generate`]'s.
    #[must_use]
    pub fn made(&self) -> Option<i64> {
        let (day, _) = self.kid.strip_prefix('k')?.split_once('-')?;
        clock::first_second_of(day)
    }

    /// The HS256 secret of links.
    #[must_use]
    pub fn signing_secret(&self) -> &[u8] {
        &*self.signing
    }

    /// The HS256 secret of access tokens.
    #[must_use]
    pub fn access_secret(&self) -> &[u8] {
        &*self.access
    }

    /// HMAC-SHA-256 of the fingerprint key over a domain tag and parts, each length-prefixed so
    /// that no two lists of parts give the same input.
    #[must_use]
    pub fn mac(&self, tag: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.begin_mac(tag, parts).finalize().into_bytes().into()
    }

    /// Whether `expected` is that MAC, compared in constant time.
    #[must_use]
    pub fn mac_matches(&self, tag: &str, parts: &[&[u8]], expected: &[u8]) -> bool {
        self.begin_mac(tag, parts).verify_slice(expected).is_ok()
    }

    fn begin_mac(&self, tag: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&*self.fingerprint)
        else {
            unreachable!("HMAC takes keys of every length");
        };
        for part in std::iter::once(tag.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// Encrypts and authenticates (XChaCha20-Poly1305, random nonce) `plain`, bound to `context`.
    ///
    /// # Errors
    ///
    /// Passes on the operating system's refusal to give random bytes.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<String, random::RandomError> {
        let nonce: [u8; SEAL_NONCE_LEN] = random::bytes()?;
        let payload = Payload {
            msg: plain,
            aad: context,
        };
        let Ok(sealed) = self.cipher().encrypt(&XNonce::from(nonce), payload) else {
            unreachable!("a few hundred bytes are far below the cipher's limit");
        };
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// What was sealed, or nothing if it was not sealed by this key for this context.
    #[must_use]
    pub fn open(&self, context: &[u8], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<SEAL_NONCE_LEN>()?;
        let payload = Payload {
            msg: sealed,
            aad: context,
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .ok()
            .map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.sealing).into())
    }
}

fn is_kid(kid: &str) -> bool {
    (1..=64).contains(&kid.len())
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn looks_typed(bytes: &[u8], encoded: &str) -> bool {
    let mut distinct = bytes.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let counts = bytes
        .windows(2)
        .all(|pair| pair[1] == pair[0].wrapping_add(1));
    let text = String::from_utf8_lossy(bytes).to_lowercase() + &encoded.to_lowercase();
    let example = [
        "example",
        "changeme",
        "change-me",
        "change_me",
        "insecure",
        "password",
    ]
    .iter()
    .any(|word| text.contains(word));
    distinct.len() < MIN_DISTINCT_BYTES || counts || example
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring_of(list: &str) -> Result<Vec<String>, KeyRingError> {
        KeyRing::parse(list).map(|ring| ring.0.iter().map(|key| key.kid.clone()).collect())
    }

    fn written(kid: &str, bytes: &[u8]) -> String {
        format!("{kid}:{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    #[test]
    fn a_generated_key_is_accepted_and_never_the_same() {
        let (one, two) = (generate().expect("random"), generate().expect("random"));
        assert_eq!(
            ring_of(&format!("{}, {}", *one, *two))
                .expect("two keys")
                .len(),
            2
        );
        assert_ne!(
            one.split_once(':').expect("kid").0,
            two.split_once(':').expect("kid").0
        );
    }

    #[test]
    fn a_generated_key_says_on_which_day_it_was_made() {
        let ring = KeyRing::parse(&generate().expect("random")).expect("a ring");
        let made = ring.signing().made().expect("a day");
        let age = Clock::System.seconds() - made;
        assert!((0..2 * 24 * 60 * 60).contains(&age), "{age} s");
        let random: [u8; 32] = random::bytes().expect("random");
        for kid in ["k1", "k7f3a", "k2026-1", "k20269999-1", "2026"] {
            let ring = KeyRing::parse(&written(kid, &random)).expect("a ring");
            assert_eq!(ring.signing().made(), None, "{kid}");
        }
    }

    #[test]
    fn unsafe_keys_are_refused_by_their_place() {
        let good = generate().expect("random");
        let random: [u8; 31] = random::bytes().expect("random");
        for (bad, error) in [
            ("abc".to_owned(), KeyRingError::Malformed(2)),
            ("a b:AAAA".to_owned(), KeyRingError::Malformed(2)),
            (":AAAA".to_owned(), KeyRingError::Malformed(2)),
            ("a:***".to_owned(), KeyRingError::Malformed(2)),
            (String::new(), KeyRingError::Malformed(2)),
            (written("a", &random), KeyRingError::TooShort(2)),
            (written("a", &[7; 32]), KeyRingError::NotRandom(2)),
            (written("a", &b"abcd".repeat(8)), KeyRingError::NotRandom(2)),
            (
                written("a", &(0..32).collect::<Vec<u8>>()),
                KeyRingError::NotRandom(2),
            ),
            (
                written("a", b"this-is-an-example-key-of-32-bytes"),
                KeyRingError::NotRandom(2),
            ),
            (good.to_string(), KeyRingError::Duplicate(2)),
            (
                format!("other:{}", good.split_once(':').expect("kid").1),
                KeyRingError::Duplicate(2),
            ),
        ] {
            assert_eq!(ring_of(&format!("{},{bad}", *good)), Err(error));
        }
        assert_eq!(ring_of("  "), Err(KeyRingError::Empty));
    }

    #[test]
    fn rings_have_the_same_check_value_only_if_they_are_the_same() {
        let bytes = [[1_u8; 32], [2; 32]].map(|salt| Sha256::digest(salt).to_vec());
        let [one, two] = [0, 1].map(|at| written("a", &bytes[at]));
        let other = written("b", &bytes[1]);
        let value = |list: &[&String]| {
            let list = list.iter().map(|key| key.as_str()).collect::<Vec<_>>();
            KeyRing::parse(&list.join(","))
                .expect("a ring")
                .check_value()
        };
        assert_eq!(value(&[&one, &other]), value(&[&one, &other]));
        let all = [
            value(&[&one]),
            value(&[&two]),
            value(&[&other]),
            value(&[&one, &other]),
            value(&[&other, &one]),
        ];
        for (at, each) in all.iter().enumerate() {
            assert!((0..1 << 48).contains(each), "a double holds it");
            assert!(!all[..at].contains(each), "{all:?}");
        }
    }

    /// Made with Python's `hmac` from RFC 5869: what was signed yesterday must verify tomorrow.
    #[test]
    fn every_purpose_has_the_secret_that_it_always_had() {
        let ring = KeyRing::parse("k:C1Sd5i94wQpTnOUud8AJUpvkLXa_CFGa4yx1vgdQmeI").expect("a ring");
        let key = ring.signing();
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(
            encoded(key.signing_secret()),
            "DnkNugzFJ1NegGL7Pld3vYKnNesC2xnwa7hsYlOqm_Y"
        );
        assert_eq!(
            encoded(key.access_secret()),
            "g6qG8_a0FBjeqKMfg93owHGxybuXZOaBbfpY35FaTls"
        );
        assert_eq!(
            encoded(&key.mac("tag", &[b"ab", b"c"])),
            "NXWDx6idugLVNvg2bB4OqjzqW8MvShYziQAGdzMtZbo"
        );
    }

    #[test]
    fn what_is_just_good_enough_is_accepted_and_what_is_just_not_is_refused() {
        let random: [u8; 32] = random::bytes().expect("random");
        for (kid, expected) in [
            ("a".repeat(64), true),
            ("a".repeat(65), false),
            ("aZ09-_".to_owned(), true),
            ("a.b".to_owned(), false),
        ] {
            assert_eq!(ring_of(&written(&kid, &random)).is_ok(), expected, "{kid}");
        }
        let of_distinct = |count: u8| (0..32).map(|i| 251 - i % count).collect::<Vec<u8>>();
        assert!(ring_of(&written("a", &of_distinct(8))).is_ok());
        assert_eq!(
            ring_of(&written("a", &of_distinct(7))),
            Err(KeyRingError::NotRandom(1))
        );
    }

    #[test]
    fn a_ring_shows_its_kids_alone_and_counts_its_keys() {
        let (one, two) = (generate().expect("random"), generate().expect("random"));
        let ring = KeyRing::parse(&format!("{},{}", *one, *two)).expect("two keys");
        assert_eq!(ring.count(), 2);
        let kids = [&one, &two].map(|key| key.split_once(':').expect("a kid").0);
        assert_eq!(format!("{ring:?}"), format!("{kids:?}"));
    }

    #[test]
    fn a_mac_depends_on_where_one_part_ends_and_the_next_begins() {
        let ring = KeyRing::parse(&generate().expect("random")).expect("a ring");
        let mac = ring.signing().mac("tag", &[b"ab", b"c"]);
        assert!(ring.signing().mac_matches("tag", &[b"ab", b"c"], &mac));
        assert!(!ring.signing().mac_matches("tag", &[b"a", b"bc"], &mac));
        assert!(!ring.signing().mac_matches("tag", &[b"abc"], &mac));
        assert!(!ring.signing().mac_matches("gat", &[b"ab", b"c"], &mac));
        assert!(
            !ring
                .signing()
                .mac_matches("tag", &[b"ab", b"c"], &mac[..31])
        );
    }

    #[test]
    fn what_is_sealed_opens_only_whole_and_in_its_context() {
        let ring = KeyRing::parse(&generate().expect("random")).expect("a ring");
        let sealed = ring.signing().seal(b"undo 1", b"secret").expect("random");
        assert_eq!(
            ring.signing()
                .open(b"undo 1", &sealed)
                .expect("opens")
                .as_slice(),
            b"secret"
        );
        assert!(ring.signing().open(b"undo 2", &sealed).is_none());
        assert!(
            ring.signing()
                .open(b"undo 1", &sealed[..sealed.len() - 4])
                .is_none()
        );
        assert!(ring.signing().open(b"undo 1", "").is_none());
        let other = KeyRing::parse(&generate().expect("random")).expect("a ring");
        assert!(other.signing().open(b"undo 1", &sealed).is_none());
    }
}
