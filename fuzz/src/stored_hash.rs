//! A stored password never makes the reader panic, never asks for more than the caps, and is never
//! told to anybody. Where it asks for next to nothing, the work is done too.

use readdress::password::{Checker, Password, Work, Workspace, format_of};

/// All that is ever said of one that cannot be used.
const SENTENCES: [&str; 4] = [
    "is none: this account has no password",
    "is of no format that this service knows",
    "is of a known format, but malformed",
    "asks for more memory or time than this service gives to one password",
];

pub fn run(data: &[u8]) {
    let Ok(stored) = std::str::from_utf8(data) else {
        return;
    };
    let work = match format_of(stored) {
        Ok(work) => work,
        Err(unusable) => {
            assert!(SENTENCES.contains(&unusable.to_string().as_str()));
            return;
        }
    };
    let written = work.to_string();
    assert!(written.parse::<Work>().is_ok(), "{written}");
    let (name, parameters) = written.split_once(':').expect("a name");
    let numbers: Vec<u64> = parameters
        .split(',')
        .map(|one| {
            one.rsplit('=')
                .next()
                .and_then(|one| one.parse().ok())
                .expect("a number")
        })
        .collect();
    assert!(
        is_within_the_caps(name, &numbers),
        "{stored:?} asks for {written}"
    );
    if is_nearly_free(name, &numbers) {
        let common: Work = "argon2id:m=8,t=1,p=1".parse().expect("a format");
        let checker = Checker::new(common, None);
        let typed = Password::new("password".to_owned());
        let _ = checker.check(&typed, Some(stored), &mut Workspace::default());
    }
}

/// The caps of the documentation, written down a second time.
fn is_within_the_caps(name: &str, numbers: &[u64]) -> bool {
    match (name, numbers) {
        ("argon2id" | "argon2i" | "argon2d", &[m, t, p]) => m <= 262_144 && t <= 10 && p <= 16,
        ("bcrypt", &[cost]) => (4..=15).contains(&cost),
        ("pbkdf2_sha1" | "pbkdf2_sha256" | "pbkdf2_sha512", &[rounds]) => {
            (1_000..=5_000_000).contains(&rounds)
        }
        ("scrypt", &[ln, r, p]) => {
            let memory = 128_u128.checked_shl(u32::try_from(ln).unwrap_or(u32::MAX));
            memory.is_some_and(|one| one * u128::from(r) * u128::from(p) <= 256 * 1024 * 1024)
        }
        _ => false,
    }
}

fn is_nearly_free(name: &str, numbers: &[u64]) -> bool {
    match (name, numbers) {
        ("argon2id" | "argon2i" | "argon2d", &[m, t, _]) => m <= 128 && t <= 2,
        ("pbkdf2_sha1" | "pbkdf2_sha256" | "pbkdf2_sha512", &[rounds]) => rounds <= 1_100,
        ("scrypt", &[ln, r, p]) => ln <= 5 && r <= 4 && p <= 4,
        _ => false,
    }
}
