//! The formats in which other software stores password hashes, read without believing them.
//!
//! Each is taken apart into the [`Work`] it asks for, the salt, the expected output, and what its
//! software does to a password before that work. Sources: the PHC string format, crypt(5) for
//! bcrypt, `django.contrib.auth.hashers`, and Passlib's modular crypt formats (which
//! `pbkdf2_elixir` writes too).

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Version};
use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::work::{Digest, Refused, Work, decimal, three};

/// bcrypt's alphabet. Some software left bits in the last character that belong to nothing.
const BCRYPT_BASE64: GeneralPurpose = lenient(&alphabet::BCRYPT);
/// Standard base64, with or without padding.
const BASE64: GeneralPurpose = lenient(&alphabet::STANDARD);

const fn lenient(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// A stored hash that was understood.
pub(super) struct StoredHash {
    pub(super) work: Work,
    pub(super) preparation: Preparation,
    pub(super) salt: Vec<u8>,
    pub(super) expected: Output,
}

/// What is done to a password before the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preparation {
    /// Nothing.
    None,
    /// The pepper is added, if there is one: Devise.
    Pepper,
    /// It is replaced by the hexadecimal SHA-256 of itself: Django's `bcrypt_sha256`.
    Sha256Hex,
}

/// Why a stored hash cannot be used. Says nothing of the hash itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Empty, or marked by its application: `!…` is Django's, `*` that of crypt(5).
    #[error("is none: this account has no password")]
    Marked,
    /// Of a format that this service does not check.
    #[error("is of no format that this service knows")]
    Unknown,
    /// Of a known format, and not well-formed.
    #[error("is of a known format, but malformed")]
    Malformed,
    /// Beyond the caps.
    #[error("asks for more memory or time than this service gives to one password")]
    TooExpensive,
}

impl From<Refused> for Unusable {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Malformed,
            Refused::TooExpensive => Self::TooExpensive,
        }
    }
}

impl StoredHash {
    /// Reads any of the formats.
    ///
    /// # Errors
    ///
    /// [`Unusable`] for whatever is marked, unknown, malformed or beyond the caps.
    pub(super) fn read(stored: &str) -> Result<Self, Unusable> {
        if stored.is_empty() || stored.starts_with(['!', '*']) {
            return Err(Unusable::Marked);
        }
        let (name, rest) = stored.split_once('$').ok_or(Unusable::Unknown)?;
        match name {
            "" => Self::read_crypt(stored, Preparation::Pepper),
            "argon2" => Self::read_argon2(&stored["argon2".len()..]),
            "bcrypt" => Self::read_bcrypt(rest, Preparation::None),
            "bcrypt_sha256" => Self::read_bcrypt(rest, Preparation::Sha256Hex),
            "pbkdf2_sha1" => Self::read_django_pbkdf2(rest, Digest::Sha1),
            "pbkdf2_sha256" => Self::read_django_pbkdf2(rest, Digest::Sha256),
            "scrypt" => Self::read_django_scrypt(rest),
            _ => Err(Unusable::Unknown),
        }
    }

    /// `$name$…`
    fn read_crypt(stored: &str, bcrypt: Preparation) -> Result<Self, Unusable> {
        match stored[1..].split_once('$').map_or("", |(name, _)| name) {
            "argon2id" | "argon2i" | "argon2d" => Self::read_argon2(stored),
            "2a" | "2b" | "2y" => Self::read_bcrypt(stored, bcrypt),
            "pbkdf2" | "pbkdf2-sha1" => Self::read_pbkdf2(stored, Digest::Sha1),
            "pbkdf2-sha256" => Self::read_pbkdf2(stored, Digest::Sha256),
            "pbkdf2-sha512" => Self::read_pbkdf2(stored, Digest::Sha512),
            "scrypt" => Self::read_scrypt(stored),
            _ => Err(Unusable::Unknown),
        }
    }

    fn new(
        work: Work,
        preparation: Preparation,
        salt: Vec<u8>,
        expected: &[u8],
    ) -> Result<Self, Unusable> {
        if !work.accepts_output_of(expected.len()) {
            return Err(Unusable::Malformed);
        }
        let expected = Output::new(expected).map_err(|_| Unusable::Malformed)?;
        Ok(Self {
            work,
            preparation,
            salt,
            expected,
        })
    }

    /// A PHC string without salt or output is malformed; it must not match anything.
    fn of_phc(work: Work, phc: &PasswordHash) -> Result<Self, Unusable> {
        let (Some(salt), Some(expected)) = (phc.salt, phc.hash) else {
            return Err(Unusable::Malformed);
        };
        Self::new(
            work,
            Preparation::None,
            salt.as_ref().to_vec(),
            expected.as_bytes(),
        )
    }

    /// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`
    fn read_argon2(stored: &str) -> Result<Self, Unusable> {
        let phc = read_phc(stored)?;
        let algorithm =
            Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| Unusable::Unknown)?;
        // A string without a version is of version 0x10 (reference implementation, decode_string).
        let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from);
        let version = version.map_err(|_| Unusable::Malformed)?;
        let [memory_kib, passes, lanes] =
            in_any_order(phc.params.as_str(), ["m=", "t=", "p="]).ok_or(Unusable::Malformed)?;
        Self::of_phc(
            Work::argon2(algorithm, version, memory_kib, passes, lanes)?,
            &phc,
        )
    }

    /// `$2b$12$` and 53 characters: 22 of salt, 31 of output.
    fn read_bcrypt(stored: &str, preparation: Preparation) -> Result<Self, Unusable> {
        let parts = stored.strip_prefix("$2").and_then(|rest| {
            let rest = rest.strip_prefix(['a', 'b', 'y'])?.strip_prefix('$')?;
            let (cost, encoded) = rest.split_once('$')?;
            let two_digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
            let cost = two_digits.then(|| cost.parse().ok()).flatten()?;
            let (salt, output) = encoded.split_at_checked(22)?;
            let salt = BCRYPT_BASE64.decode(salt).ok()?;
            Some((cost, salt, BCRYPT_BASE64.decode(output).ok()?))
        });
        let (cost, salt, output) = parts.ok_or(Unusable::Malformed)?;
        Self::new(Work::bcrypt(cost)?, preparation, salt, &output)
    }

    /// `$pbkdf2-sha256$i=600000,l=32$salt$hash` (PHC), or as Passlib and `pbkdf2_elixir` write it:
    /// `$pbkdf2-sha256$29000$salt$hash`, with `.` for `+`.
    fn read_pbkdf2(stored: &str, digest: Digest) -> Result<Self, Unusable> {
        let parts: Vec<&str> = stored.split('$').collect();
        let &["", _, parameters, salt, output] = parts.as_slice() else {
            return Err(Unusable::Malformed);
        };
        let rounds = match parameters.strip_prefix("i=") {
            Some(phc) => phc.split_once(",l=").map_or(phc, |(rounds, _)| rounds),
            None => parameters,
        };
        let work = Work::pbkdf2(digest, decimal(rounds).ok_or(Unusable::Malformed)?)?;
        let salt = decode(&salt.replace('.', "+"))?;
        let output = decode(&output.replace('.', "+"))?;
        Self::new(work, Preparation::None, salt, &output)
    }

    /// `$scrypt$ln=16,r=8,p=1$salt$hash`
    fn read_scrypt(stored: &str) -> Result<Self, Unusable> {
        let phc = read_phc(stored)?;
        let [log_n, r, p] =
            three(phc.params.as_str(), ["ln=", "r=", "p="]).ok_or(Unusable::Malformed)?;
        let log_n = u8::try_from(log_n).map_err(|_| Unusable::TooExpensive)?;
        Self::of_phc(Work::scrypt(log_n, r, p)?, &phc)
    }

    /// `pbkdf2_sha256$1000000$salt$hash`, the salt as it is.
    fn read_django_pbkdf2(rest: &str, digest: Digest) -> Result<Self, Unusable> {
        let parts: Vec<&str> = rest.split('$').collect();
        let &[rounds, salt, output] = parts.as_slice() else {
            return Err(Unusable::Malformed);
        };
        let work = Work::pbkdf2(digest, decimal(rounds).ok_or(Unusable::Malformed)?)?;
        Self::new(work, Preparation::None, salt.into(), &decode(output)?)
    }

    /// `scrypt$16384$salt$8$5$hash`, the salt as it is.
    fn read_django_scrypt(rest: &str) -> Result<Self, Unusable> {
        let parts: Vec<&str> = rest.split('$').collect();
        let &[n, salt, r, p, output] = parts.as_slice() else {
            return Err(Unusable::Malformed);
        };
        let numbers = (decimal(n), decimal(r), decimal(p));
        let (Some(n), Some(r), Some(p)) = numbers else {
            return Err(Unusable::Malformed);
        };
        if !n.is_power_of_two() {
            return Err(Unusable::Malformed);
        }
        let log_n = u8::try_from(n.ilog2()).map_err(|_| Unusable::Malformed)?;
        let work = Work::scrypt(log_n, r, p)?;
        Self::new(work, Preparation::None, salt.into(), &decode(output)?)
    }
}

/// Argon2's three parameters, each once. The PHC string format fixes their order; Node's `argon2`
/// writes `m`, `p`, `t`.
fn in_any_order(text: &str, names: [&str; 3]) -> Option<[u32; 3]> {
    let mut parts: Vec<&str> = text.split(',').collect();
    let rank = |part: &&str| names.iter().position(|name| part.starts_with(name));
    parts.sort_by_key(rank);
    three(&parts.join(","), names)
}

fn read_phc(stored: &str) -> Result<PasswordHash, Unusable> {
    PasswordHash::new(stored).map_err(|_| Unusable::Malformed)
}

fn decode(base64: &str) -> Result<Vec<u8>, Unusable> {
    BASE64.decode(base64).map_err(|_| Unusable::Malformed)
}
