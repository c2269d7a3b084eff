//! Passwords: the redacting type that carries one, and how it is checked against what is stored.
//!
//! Checking costs 15 ms and 19 MiB on purpose, often more, so nothing is checked here directly: the
//! bounded [`lane`] runs [`Checker::check`] on its own threads and memory. [`stored`] reads the
//! formats, [`work`] does what they ask for. The crates of the hash functions live nowhere else. A
//! hash is never rewritten: the application that made it must be able to read it.

pub mod lane;
mod stored;
mod work;

use std::fmt;

use argon2::password_hash::phc::Output;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::random;
pub use stored::Unusable;
use stored::{Preparation, StoredHash};
pub use work::{UnknownFormat, Work, Workspace};

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

/// Checks passwords against stored hashes of every format.
pub struct Checker {
    common: Work,
    pepper: Option<Zeroizing<String>>,
}

/// For the service's own table: what we hash with, and no pepper.
impl Default for Checker {
    fn default() -> Self {
        Self::new(Work::ours(), None)
    }
}

impl Checker {
    /// `common` is what most stored hashes ask for: the work that is done for whoever is unknown.
    /// `pepper` is added to passwords that are checked against bcrypt, as Devise does.
    #[must_use]
    pub fn new(common: Work, pepper: Option<Zeroizing<String>>) -> Self {
        Self { common, pepper }
    }

    /// The work that is done for whoever is unknown.
    #[must_use]
    pub fn common(&self) -> &Work {
        &self.common
    }

    /// Checks `password` against what is stored. An unknown user (`None`) and a hash that cannot be
    /// used cost the work of the common format: a wrong password of nearly everyone else.
    #[must_use]
    pub fn check(
        &self,
        password: &Password,
        stored: Option<&str>,
        workspace: &mut Workspace,
    ) -> bool {
        let hash = stored.and_then(|stored| StoredHash::read(stored).ok());
        let Some(hash) = hash else {
            let length = self.common.usual_output_len();
            let done = self.derive(
                &self.common,
                password.as_bytes(),
                &[0; 16],
                length,
                workspace,
            );
            let _ = std::hint::black_box(done);
            return false;
        };
        let prepared = self.prepare(hash.preparation, password);
        let length = hash.expected.len();
        let computed = self.derive(&hash.work, &prepared, &hash.salt, length, workspace);
        // `Output` compares in constant time.
        let matches = computed.is_some_and(|computed| computed == hash.expected);
        // What the original would have cut there, or refused.
        matches && !(hash.work.ends_at_nul() && prepared.contains(&0))
    }

    fn derive(
        &self,
        work: &Work,
        password: &[u8],
        salt: &[u8],
        length: usize,
        workspace: &mut Workspace,
    ) -> Option<Output> {
        // What is kept is bounded by the common format; a row that asks for more gets it for once.
        work.derive(password, salt, length, workspace, self.common.blocks())
    }

    fn prepare(&self, preparation: Preparation, password: &Password) -> Zeroizing<Vec<u8>> {
        let password = password.as_bytes();
        Zeroizing::new(match (preparation, &self.pepper) {
            (Preparation::Pepper, Some(pepper)) => [password, pepper.as_bytes()].concat(),
            (Preparation::Pepper, None) | (Preparation::None, _) => password.to_vec(),
            (Preparation::Sha256Hex, _) => {
                let digest = Sha256::digest(password);
                let hex = digest.iter().map(|byte| format!("{byte:02x}"));
                hex.collect::<String>().into_bytes()
            }
        })
    }
}

/// What a stored hash asks for, for `readdress check`: reveals neither salt nor hash.
///
/// # Errors
///
/// [`Unusable`]: nobody can sign in with such a hash here.
pub fn format_of(stored: &str) -> Result<Work, Unusable> {
    StoredHash::read(stored).map(|hash| hash.work)
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
    let work = Work::ours();
    let length = work.usual_output_len();
    let output = work.derive(
        password.as_bytes(),
        &salt,
        length,
        &mut Workspace::default(),
        0,
    );
    work.phc(&salt, output.ok_or(HashError::Argon2)?)
        .ok_or(HashError::Argon2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(typed: &str) -> Password {
        Password::new(typed.to_owned())
    }

    fn checks(typed: &str, stored: &str) -> bool {
        let checker = Checker::default();
        checker.check(&password(typed), Some(stored), &mut Workspace::default())
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

    /// Marked, unknown, malformed, or beyond the caps. The last two are of a right password.
    const UNUSABLE: [&str; 32] = [
        "",
        "!",
        "!unusable",
        "*0",
        "plain",
        "password",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "md5$salt$67a1e09bb1f83f5007dc119c14d663aa",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$2x$05$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
        "$2b$05$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPb",
        "$2b$05$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbSS",
        "$2b$05$LmNoPqRsTuVwXyZ012345\u{e9}uTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
        "$2b$+5$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
        "$2b$03$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
        "$2b$16$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
        "bcrypt$$2b$05$",
        "pbkdf2_sha256$999$salt$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=",
        "pbkdf2_sha256$5000001$salt$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=",
        "pbkdf2_sha256$2000$salt$",
        "pbkdf2_sha256$2000$salt",
        "scrypt$1023$salt$8$1$d+Ql4kdrlPz15ZXjDKj7q6VY68Funmi+jDj6YWl3eoc=",
        "scrypt$2097152$salt$8$1$d+Ql4kdrlPz15ZXjDKj7q6VY68Funmi+jDj6YWl3eoc=",
        "$argon2id$",
        "$argon2id$v=19$m=256,t=2,p=1",
        "$argon2id$v=19$m=256,m=256,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1,x=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=99$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=1048576,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=11,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    ];

    #[test]
    fn a_workspace_keeps_no_more_than_a_common_hash_needs() {
        let (checker, mut workspace) = (Checker::default(), Workspace::default());
        let big = "$argon2id$v=19$m=65536,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let _ = checker.check(&password("x"), Some(big), &mut workspace);
        assert_eq!(workspace.kept(), 0);
        let _ = checker.check(&password("x"), None, &mut workspace);
        assert_eq!(workspace.kept(), 19_456);
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(
            format!("{:?}", Password::new("hunter2".to_owned())),
            "Password(…)"
        );
    }

    /// See `tests/vectors/make_passwords.py`.
    #[derive(serde::Deserialize)]
    struct Vector {
        by: String,
        password: String,
        stored: String,
        #[serde(default)]
        also_right: Vec<String>,
        pepper: Option<String>,
    }

    fn vectors() -> Vec<Vector> {
        let json = include_str!("../tests/vectors/passwords.json");
        serde_json::from_str(json).expect("vectors")
    }

    impl Vector {
        fn checker(&self) -> Checker {
            Checker::new(Work::ours(), self.pepper.clone().map(Zeroizing::new))
        }

        /// Passwords that are nearly right, and differ where every format looks.
        fn wrong(&self) -> [String; 2] {
            let mut characters = self.password.chars();
            let first = characters.next().map_or("x".to_owned(), |first| {
                first.to_uppercase().chain(['x']).collect()
            });
            [format!(" {}", self.password), first + characters.as_str()]
        }
    }

    #[test]
    fn every_format_checks_as_its_original_software_made_it() {
        let vectors = vectors();
        assert!(vectors.len() > 100, "{}", vectors.len());
        let mut workspace = Workspace::default();
        for vector in &vectors {
            let (by, stored) = (&vector.by, Some(vector.stored.as_str()));
            let checker = vector.checker();
            let mut check = |typed: &str| checker.check(&password(typed), stored, &mut workspace);
            assert!(check(&vector.password), "{by}: {stored:?}");
            for right in &vector.also_right {
                assert!(check(right), "{by}: {stored:?} with {right}");
            }
            for wrong in vector.wrong() {
                assert!(!check(&wrong), "{by}: {stored:?} with {wrong:?}");
            }
        }
    }

    #[test]
    fn a_password_with_nul_is_cut_by_nobody() {
        let vectors = vectors();
        let checker = Checker::default();
        for vector in vectors.iter().filter(|vector| vector.pepper.is_none()) {
            let extended = password(&format!("{}\0", vector.password));
            let crypt = vector
                .stored
                .strip_prefix("bcrypt$")
                .unwrap_or(&vector.stored);
            let is_bcrypt = ["$2a$", "$2b$", "$2y$"]
                .iter()
                .any(|name| crypt.starts_with(name));
            if is_bcrypt {
                let stored = Some(vector.stored.as_str());
                assert!(
                    !checker.check(&extended, stored, &mut Workspace::default()),
                    "{}",
                    vector.stored
                );
            }
        }
    }

    #[test]
    fn a_pepper_is_bcrypt_s_alone_and_needed_where_it_was_used() {
        let peppered = vectors()
            .into_iter()
            .filter(|vector| vector.pepper.is_some());
        let mut seen = 0;
        for vector in peppered.filter(|vector| vector.password.len() < 60) {
            assert!(!checks(&vector.password, &vector.stored), "{}", vector.by);
            seen += 1;
        }
        assert!(seen > 2);
        let checker = Checker::new(Work::ours(), Some(Zeroizing::new("pepper".to_owned())));
        for vector in vectors().iter().filter(|vector| vector.pepper.is_none()) {
            let cheap = !vector.stored.contains("$12$");
            if cheap && !vector.stored.starts_with("$2") {
                let stored = Some(vector.stored.as_str());
                let typed = password(&vector.password);
                assert!(checker.check(&typed, stored, &mut Workspace::default()));
            }
        }
    }

    /// The same work, counted: whoever is unknown, whoever has no usable hash, and whoever has a
    /// common one and types a wrong password.
    #[test]
    fn nobody_can_be_told_apart_by_the_work_that_is_done() {
        for (common, example) in [
            (
                "argon2id:m=256,t=2,p=1",
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            ),
            (
                "bcrypt:5",
                "$2b$05$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
            ),
            (
                "bcrypt:5",
                "bcrypt_sha256$$2b$05$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
            ),
            (
                "pbkdf2_sha256:2000",
                "pbkdf2_sha256$2000$AbCdEfGhIjKlMnOpQrStUv$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=",
            ),
            (
                "scrypt:ln=10,r=8,p=5",
                "scrypt$1024$AbCdEfGhIjKlMnOpQrStUv$8$5$d+Ql4kdrlPz15ZXjDKj7q6VY68Funmi+jDj6YWl3eoc/b8nmSnhOCb8o1tc8xONm2nsvDarOuXH7LKaNn4cO3Q==",
            ),
        ] {
            let work: Work = common.parse().expect("a format");
            assert_eq!(format_of(example), Ok(work.clone()));
            let checker = Checker::new(work.clone(), None);
            for stored in UNUSABLE.map(Some).into_iter().chain([None, Some(example)]) {
                let mut workspace = Workspace::default();
                assert!(!checker.check(&password("hunter2"), stored, &mut workspace));
                assert_eq!(workspace.done, std::slice::from_ref(&work), "{stored:?}");
            }
        }
    }

    #[test]
    fn a_format_is_named_without_its_salt_and_hash() {
        for (stored, name) in [
            (
                "pbkdf2_sha256$870000$AbCdEfGhIjKlMnOpQrStUv$rAhhOoaYSwpnyHRgX3fH+ziyhgOUC7H+TAraNXoLQnQ=",
                "pbkdf2_sha256:870000",
            ),
            (
                "argon2$argon2id$v=19$m=102400,t=2,p=8$QWJDZEVmR2hJaktsTW5PcFFyU3RVdg$0rMxgtMfeL1ljXL3oOi2ZigT6YbqU9ckXdc2YKB9rUU",
                "argon2id:m=102400,t=2,p=8",
            ),
            (
                "$2y$10$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS",
                "bcrypt:10",
            ),
        ] {
            assert_eq!(format_of(stored).expect("known").to_string(), name);
        }
        for stored in UNUSABLE {
            let said = format_of(stored).expect_err(stored).to_string();
            assert!(stored.is_empty() || !said.contains(stored), "{said}");
        }
        assert_eq!(format_of("!x"), Err(Unusable::Marked));
        assert_eq!(
            format_of("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99"),
            Err(Unusable::Unknown)
        );
        assert_eq!(
            format_of("$2b$16$LmNoPqRsTuVwXyZ012345uuTzRqnRPk3dVppaAOELYGkbaNE4kPbS"),
            Err(Unusable::TooExpensive)
        );
        assert_eq!(format_of("$2b$12$short"), Err(Unusable::Malformed));
    }
}
