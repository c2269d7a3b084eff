//! What a check of a password costs: the key derivation and its parameters.
//!
//! Every stored format comes down to one of four derivations. [`StoredHash`](super::stored::StoredHash)
//! says which, with which salt; whoever is unknown gets the one that is configured as common. What a
//! row may ask for is capped here, and nothing else in the service runs one of these functions.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Version};
use pbkdf2::Algorithm as Pbkdf2Algorithm;
use zeroize::Zeroizing;

/// What we hash with (OWASP Password Storage Cheat Sheet: Argon2id, m=19 MiB, t=2, p=1).
const OUR_MEMORY_KIB: u32 = 19_456;
const OUR_PASSES: u32 = 2;
const OUR_LANES: u32 = 1;

/// What a stored hash may ask for. A row is not trusted with our memory or time: an Argon2 m of
/// 1 GiB would be obeyed for six seconds. At these caps a check takes one to two seconds.
const MAX_ARGON2_KIB: u32 = 256 * 1024;
const MAX_ARGON2_PASSES: u32 = 10;
const MAX_ARGON2_LANES: u32 = 16;
const MAX_BCRYPT_COST: u32 = 15;
const MAX_PBKDF2_ROUNDS: u32 = 5_000_000;
/// Memory times lanes: our scrypt runs the lanes one after the other.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// The least bcrypt knows.
const MIN_BCRYPT_COST: u32 = 4;
/// RFC 8018, section 4.2.
const MIN_PBKDF2_ROUNDS: u32 = 1_000;

/// bcrypt reads no more of a password.
const BCRYPT_PASSWORD_LEN: usize = 72;
/// Length of a bcrypt salt, and of its output as it is stored: the 24th byte never is.
const BCRYPT_SALT_LEN: usize = 16;
const BCRYPT_OUTPUT_LEN: usize = 23;

/// One derivation with its parameters, within the caps. Written as in
/// `READDRESS_PASSWORD_FORMAT`: `argon2id:m=19456,t=2,p=1`, `bcrypt:12`, `pbkdf2_sha256:1000000`,
/// `scrypt:ln=14,r=8,p=5`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work(Function);

#[derive(Clone, Debug, PartialEq)]
enum Function {
    Argon2(Algorithm, Version, argon2::Params),
    Bcrypt { cost: u32 },
    Pbkdf2(Digest, u32),
    Scrypt(scrypt::Params),
}

/// Parameters are whole numbers, so equality is total.
impl Eq for Function {}

/// The hash that PBKDF2 repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// The parameters are no parameters of that function, or beyond the caps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("is malformed")]
    Malformed,
    #[error("asks for more memory or time than is allowed")]
    TooExpensive,
}

/// The text names no format of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no password format with parameters within the caps")]
pub struct UnknownFormat;

/// Memory that Argon2 works in, kept from one check to the next: allocating and clearing it anew
/// would cost more than the check for larger parameters.
#[derive(Default)]
pub struct Workspace {
    blocks: Vec<Block>,
    /// What was derived, for tests that count work instead of time.
    #[cfg(test)]
    pub(super) done: Vec<Work>,
}

impl Work {
    /// What new passwords are hashed with.
    #[must_use]
    pub fn ours() -> Self {
        match Self::argon2(
            Algorithm::Argon2id,
            Version::V0x13,
            OUR_MEMORY_KIB,
            OUR_PASSES,
            OUR_LANES,
        ) {
            Ok(work) => work,
            Err(_) => unreachable!("constants within Argon2's limits and ours"),
        }
    }

    pub(super) fn argon2(
        algorithm: Algorithm,
        version: Version,
        memory_kib: u32,
        passes: u32,
        lanes: u32,
    ) -> Result<Self, Refused> {
        if memory_kib > MAX_ARGON2_KIB || passes > MAX_ARGON2_PASSES || lanes > MAX_ARGON2_LANES {
            return Err(Refused::TooExpensive);
        }
        let params =
            argon2::Params::new(memory_kib, passes, lanes, None).map_err(|_| Refused::Malformed)?;
        Ok(Self(Function::Argon2(algorithm, version, params)))
    }

    pub(super) fn bcrypt(cost: u32) -> Result<Self, Refused> {
        within(cost, MIN_BCRYPT_COST, MAX_BCRYPT_COST)?;
        Ok(Self(Function::Bcrypt { cost }))
    }

    pub(super) fn pbkdf2(digest: Digest, rounds: u32) -> Result<Self, Refused> {
        within(rounds, MIN_PBKDF2_ROUNDS, MAX_PBKDF2_ROUNDS)?;
        Ok(Self(Function::Pbkdf2(digest, rounds)))
    }

    pub(super) fn scrypt(log_n: u8, r: u32, p: u32) -> Result<Self, Refused> {
        if !(1..=31).contains(&log_n) || r == 0 || p == 0 {
            return Err(Refused::Malformed);
        }
        let bytes = (128_u64 << log_n)
            .checked_mul(r.into())
            .and_then(|lane| lane.checked_mul(p.into()));
        if bytes.is_none_or(|bytes| bytes > MAX_SCRYPT_BYTES) {
            return Err(Refused::TooExpensive);
        }
        let params = scrypt::Params::new(log_n, r, p).map_err(|_| Refused::Malformed)?;
        Ok(Self(Function::Scrypt(params)))
    }

    /// How many bytes a check compares. bcrypt and SHA-1 leave no choice; PBKDF2 would do its work
    /// over again for every further block.
    pub(super) fn accepts_output_of(&self, length: usize) -> bool {
        let longest = match &self.0 {
            Function::Bcrypt { .. } => return length == BCRYPT_OUTPUT_LEN,
            Function::Pbkdf2(digest, _) => digest.output_len(),
            Function::Argon2(..) | Function::Scrypt(_) => Output::MAX_LENGTH,
        };
        (Output::MIN_LENGTH..=longest).contains(&length)
    }

    /// The output that a check for nobody asks for.
    pub(super) fn usual_output_len(&self) -> usize {
        match &self.0 {
            Function::Bcrypt { .. } => BCRYPT_OUTPUT_LEN,
            Function::Pbkdf2(digest, _) => digest.output_len(),
            Function::Argon2(..) => 32,
            Function::Scrypt(_) => 64,
        }
    }

    /// The 1 KiB blocks that a workspace needs for it.
    pub(super) fn blocks(&self) -> usize {
        match &self.0 {
            Function::Argon2(.., params) => params.block_count(),
            _ => 0,
        }
    }

    /// Whether the original takes a password as a C string.
    pub(super) fn ends_at_nul(&self) -> bool {
        matches!(self.0, Function::Bcrypt { .. })
    }

    /// The PHC string of what Argon2 derived.
    pub(super) fn phc(&self, salt: &[u8], output: Output) -> Option<String> {
        let Function::Argon2(algorithm, version, params) = &self.0 else {
            return None;
        };
        let phc = PasswordHash {
            algorithm: algorithm.ident(),
            version: Some((*version).into()),
            params: params.try_into().ok()?,
            salt: Some(Salt::new(salt).ok()?),
            hash: Some(output),
        };
        Some(phc.to_string())
    }

    /// Does the work: `length` bytes derived from password and salt. `None` if the function refuses
    /// the salt. `keep` blocks at most stay in the workspace.
    pub(super) fn derive(
        &self,
        password: &[u8],
        salt: &[u8],
        length: usize,
        workspace: &mut Workspace,
        keep: usize,
    ) -> Option<Output> {
        #[cfg(test)]
        workspace.done.push(self.clone());
        let mut out = Zeroizing::new([0; Output::MAX_LENGTH]);
        let out = out.get_mut(..length)?;
        match &self.0 {
            Function::Argon2(algorithm, version, params) => {
                let context = Argon2::new(*algorithm, *version, params.clone());
                workspace.with_blocks(params.block_count(), keep, |blocks| {
                    context
                        .hash_password_into_with_memory(password, salt, out, blocks)
                        .ok()
                })?;
            }
            Function::Bcrypt { cost } => {
                let salt: [u8; BCRYPT_SALT_LEN] = salt.try_into().ok()?;
                let mut terminated = Zeroizing::new([0; BCRYPT_PASSWORD_LEN]);
                let read = password.len().min(BCRYPT_PASSWORD_LEN);
                terminated[..read].copy_from_slice(&password[..read]);
                // A C string: with its NUL, if there is room for it.
                let terminated = &terminated[..(read + 1).min(BCRYPT_PASSWORD_LEN)];
                let full = Zeroizing::new(bcrypt::bcrypt(*cost, salt, terminated));
                out.copy_from_slice(full.get(..length)?);
            }
            Function::Pbkdf2(digest, rounds) => digest.pbkdf2(password, salt, *rounds, out)?,
            Function::Scrypt(params) => scrypt::scrypt(password, salt, params, out).ok()?,
        }
        Output::new(out).ok()
    }
}

fn within(value: u32, least: u32, most: u32) -> Result<(), Refused> {
    match value {
        _ if value < least => Err(Refused::Malformed),
        _ if value > most => Err(Refused::TooExpensive),
        _ => Ok(()),
    }
}

impl Workspace {
    /// At least `blocks` of 1 KiB. What needs more than `keep` gets it for once.
    fn with_blocks<T>(
        &mut self,
        blocks: usize,
        keep: usize,
        work: impl FnOnce(&mut [Block]) -> T,
    ) -> T {
        if blocks > keep {
            return work(&mut vec![Block::new(); blocks]);
        }
        if self.blocks.len() < blocks {
            self.blocks.resize(blocks, Block::new());
        }
        work(&mut self.blocks[..blocks])
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.blocks.len()
    }
}

impl Digest {
    fn output_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) -> Option<()> {
        let algorithm = match self {
            Self::Sha1 => {
                pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, salt, rounds, out);
                return Some(());
            }
            Self::Sha256 => Pbkdf2Algorithm::Pbkdf2Sha256,
            Self::Sha512 => Pbkdf2Algorithm::Pbkdf2Sha512,
        };
        // Compiled in its own crate, so that it is fast in a debug build too.
        let params = pbkdf2::Params::new(rounds).ok()?;
        pbkdf2::pbkdf2_hmac_with_params(password, salt, algorithm, params, out);
        Some(())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "pbkdf2_sha1",
            Self::Sha256 => "pbkdf2_sha256",
            Self::Sha512 => "pbkdf2_sha512",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Function::Argon2(algorithm, _, params) => write!(
                f,
                "{}:m={},t={},p={}",
                algorithm.as_str(),
                params.m_cost(),
                params.t_cost(),
                params.p_cost()
            ),
            Function::Bcrypt { cost } => write!(f, "bcrypt:{cost}"),
            Function::Pbkdf2(digest, rounds) => write!(f, "{}:{rounds}", digest.name()),
            Function::Scrypt(params) => write!(
                f,
                "scrypt:ln={},r={},p={}",
                params.log_n(),
                params.r(),
                params.p()
            ),
        }
    }
}

impl FromStr for Work {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let (name, parameters) = text.split_once(':').ok_or(UnknownFormat)?;
        let number = |text: &str| decimal(text).ok_or(UnknownFormat);
        let work = match name {
            "argon2id" | "argon2i" | "argon2d" => {
                let algorithm = Algorithm::try_from(name).map_err(|_| UnknownFormat)?;
                let [m, t, p] = three(parameters, ["m=", "t=", "p="]).ok_or(UnknownFormat)?;
                Self::argon2(algorithm, Version::V0x13, m, t, p)
            }
            "bcrypt" => Self::bcrypt(number(parameters)?),
            "pbkdf2_sha1" => Self::pbkdf2(Digest::Sha1, number(parameters)?),
            "pbkdf2_sha256" => Self::pbkdf2(Digest::Sha256, number(parameters)?),
            "pbkdf2_sha512" => Self::pbkdf2(Digest::Sha512, number(parameters)?),
            "scrypt" => {
                let [ln, r, p] = three(parameters, ["ln=", "r=", "p="]).ok_or(UnknownFormat)?;
                Self::scrypt(u8::try_from(ln).map_err(|_| UnknownFormat)?, r, p)
            }
            _ => return Err(UnknownFormat),
        };
        work.map_err(|_| UnknownFormat)
    }
}

/// `a=1,b=2,c=3`, in that order.
pub(super) fn three(text: &str, names: [&str; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(',');
    let mut values = [0; 3];
    for (name, value) in names.iter().zip(&mut values) {
        *value = decimal(parts.next()?.strip_prefix(name)?)?;
    }
    parts.next().is_none().then_some(values)
}

/// A number as programs write it: digits alone, no sign, no leading zero.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_written_as_it_is_read() {
        for text in [
            "argon2id:m=19456,t=2,p=1",
            "argon2i:m=102400,t=2,p=8",
            "argon2d:m=262144,t=10,p=16",
            "bcrypt:12",
            "pbkdf2_sha1:1000000",
            "pbkdf2_sha256:1000000",
            "pbkdf2_sha512:210000",
            "scrypt:ln=14,r=8,p=5",
            "scrypt:ln=18,r=8,p=1",
        ] {
            let work: Work = text.parse().expect(text);
            assert_eq!(work.to_string(), text);
        }
        assert_eq!(Work::ours().to_string(), "argon2id:m=19456,t=2,p=1");
    }

    #[test]
    fn what_is_malformed_or_beyond_the_caps_is_refused() {
        for text in [
            "",
            "argon2id",
            "md5:1",
            "bcrypt:",
            "bcrypt:3",
            "bcrypt:16",
            "bcrypt:+12",
            "bcrypt:012",
            "bcrypt: 12",
            "pbkdf2_sha256:999",
            "pbkdf2_sha256:5000001",
            "pbkdf2_sha256:99999999999",
            "argon2id:m=262145,t=2,p=1",
            "argon2id:m=19456,t=11,p=1",
            "argon2id:m=19456,t=2,p=17",
            "argon2id:m=19456,t=0,p=1",
            "argon2id:m=7,t=1,p=1",
            "argon2id:t=2,m=19456,p=1",
            "argon2id:m=19456,t=2,p=1,x=1",
            "scrypt:ln=19,r=8,p=1",
            "scrypt:ln=18,r=8,p=2",
            "scrypt:ln=255,r=8,p=1",
            "scrypt:ln=1,r=4294967295,p=4294967295",
            "scrypt:ln=14,r=0,p=1",
        ] {
            assert_eq!(text.parse::<Work>(), Err(UnknownFormat), "{text}");
        }
    }
}
