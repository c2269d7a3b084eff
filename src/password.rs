//! Passwords: the redacting type that carries one, and the stored formats it is checked against.
//!
//! Checking costs 15 ms and 19 MiB on purpose, so nothing is checked here directly: the bounded
//! [`lane`] runs [`check`] on its own threads and memory. Other stored formats join
//! [`StoredHash::read`]; `argon2` lives nowhere else.

pub mod lane;

use std::fmt;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use crate::random;

/// What we hash with (OWASP Password Storage Cheat Sheet: Argon2id, m=19 MiB, t=2, p=1).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const OUTPUT_LEN: usize = 32;

/// What a stored hash may ask for. A row is not trusted with our memory: an m of 1 GiB would be
/// obeyed for six seconds.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 10;
const MAX_LANES: u32 = 16;

/// A password as a person typed it. Never printed, wiped when dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes over what was typed, byte for byte.
    #[must_use]
    pub fn new(typed: String) -> Self {
        Self(Zeroizing::new(typed))
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The memory Argon2 works in, kept from one check to the next: allocating and clearing it anew
/// would cost more than the check for larger parameters.
#[derive(Default)]
pub struct Workspace(Vec<Block>);

impl Workspace {
    /// At least `blocks` of 1 KiB. What is kept is bounded by what our own hashes ask for; a row
    /// that asks for more gets it for once.
    fn with_blocks<T>(&mut self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        if blocks > MEMORY_KIB as usize {
            return work(&mut vec![Block::new(); blocks]);
        }
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        work(&mut self.0[..blocks])
    }
}

/// A stored hash that was understood.
enum StoredHash {
    Argon2 {
        context: Argon2<'static>,
        salt: Salt,
        expected: Output,
    },
}

impl StoredHash {
    /// `None` for whatever is unknown, malformed, unusable (`!…`) or beyond the caps.
    fn read(stored: &str) -> Option<Self> {
        let phc = PasswordHash::new(stored).ok()?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
        // A string without a version is of version 0x10 (reference implementation, decode_string).
        let version = phc
            .version
            .map_or(Ok(Version::V0x10), Version::try_from)
            .ok()?;
        let params = Params::try_from(&phc).ok()?;
        let too_much = params.m_cost() > MAX_MEMORY_KIB
            || params.t_cost() > MAX_PASSES
            || params.p_cost() > MAX_LANES;
        if too_much {
            return None;
        }
        // An Argon2 string without salt or output is malformed; it must not match anything.
        let (salt, expected) = (phc.salt?, phc.hash?);
        Some(Self::Argon2 {
            context: Argon2::new(algorithm, version, params),
            salt,
            expected,
        })
    }

    fn verify(&self, password: &Password, workspace: &mut Workspace) -> bool {
        let Self::Argon2 {
            context,
            salt,
            expected,
        } = self;
        let computed = workspace.with_blocks(context.params().block_count(), |blocks| {
            let mut out = Zeroizing::new([0; Output::MAX_LENGTH]);
            let out = &mut out[..expected.len()];
            context
                .hash_password_into_with_memory(password.as_bytes(), salt.as_ref(), out, blocks)
                .ok()
                .and_then(|()| Output::new(out).ok())
        });
        // `Output` compares in constant time.
        computed.is_some_and(|computed| computed == *expected)
    }
}

/// Checks `password` against what is stored. An unknown user (`None`) and a hash that cannot be
/// used cost the same work as a wrong password.
#[must_use]
pub fn check(password: &Password, stored: Option<&str>, workspace: &mut Workspace) -> bool {
    if let Some(hash) = stored.and_then(StoredHash::read) {
        return hash.verify(password, workspace);
    }
    waste_as_much(password, workspace);
    false
}

fn waste_as_much(password: &Password, workspace: &mut Workspace) {
    let context = ours();
    workspace.with_blocks(context.params().block_count(), |blocks| {
        let mut out = Zeroizing::new([0; OUTPUT_LEN]);
        let done = context.hash_password_into_with_memory(
            password.as_bytes(),
            &[0; 16],
            &mut *out,
            blocks,
        );
        let _ = std::hint::black_box((done, out));
    });
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// No salt could be drawn.
    #[error(transparent)]
    Random(#[from] random::RandomError),
    /// Argon2 refused its input.
    #[error("the password cannot be hashed")]
    Argon2,
}

/// Hashes a new password into a PHC string: for `user add` and the demo user. Takes 15 ms.
///
/// # Errors
///
/// [`HashError`].
pub fn hash(password: &Password) -> Result<String, HashError> {
    let salt: [u8; 16] = random::bytes()?;
    let context = ours();
    let mut out = Zeroizing::new([0; OUTPUT_LEN]);
    context
        .hash_password_into(password.as_bytes(), &salt, &mut *out)
        .map_err(|_| HashError::Argon2)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: context.params().try_into().map_err(|_| HashError::Argon2)?,
        salt: Some(Salt::new(&salt).map_err(|_| HashError::Argon2)?),
        hash: Some(Output::new(&*out).map_err(|_| HashError::Argon2)?),
    };
    Ok(phc.to_string())
}

fn ours() -> Argon2<'static> {
    match Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_LEN)) {
        Ok(params) => Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
        Err(_) => unreachable!("constants within Argon2's limits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(password: &str, stored: &str) -> bool {
        check(
            &Password::new(password.to_owned()),
            Some(stored),
            &mut Workspace::default(),
        )
    }

    #[test]
    fn a_hash_of_ours_has_the_promised_parameters_and_checks() {
        let stored = hash(&Password::new("correct horse".to_owned())).expect("a hash");
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(checks("correct horse", &stored));
        assert!(!checks("correct horse ", &stored));
        assert!(!checks("", &stored));
    }

    /// From the test suite of the reference implementation
    /// (github.com/P-H-C/phc-winner-argon2, src/test.c).
    #[test]
    fn strings_of_the_reference_implementation_check() {
        for stored in [
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
            "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            assert!(checks("password", stored), "{stored}");
            assert!(!checks("Password", stored), "{stored}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_a_wrong_password() {
        for stored in [
            "",
            "!",
            "!unusable",
            "plain",
            "$argon2id$",
            "$argon2id$v=19$m=256,t=2,p=1",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=256,t=11,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=99$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
        ] {
            assert!(!checks("password", stored), "{stored}");
        }
        assert!(!check(
            &Password::new("x".to_owned()),
            None,
            &mut Workspace::default()
        ));
    }

    #[test]
    fn a_workspace_keeps_no_more_than_our_own_hashes_need() {
        let mut workspace = Workspace::default();
        let big = "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let _ = check(&Password::new("x".to_owned()), Some(big), &mut workspace);
        assert_eq!(workspace.0.len(), 0);
        let _ = check(&Password::new("x".to_owned()), None, &mut workspace);
        assert_eq!(workspace.0.len(), MEMORY_KIB as usize);
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(
            format!("{:?}", Password::new("hunter2".to_owned())),
            "Password(…)"
        );
    }
}
