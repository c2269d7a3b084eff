//! People whose password costs nothing to check: where what races or fails is not the hash.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use readdress::deadline::Deadline;
use readdress::email_address::EmailAddress;

use crate::support::app::PASSWORD;
use crate::support::{Person, TestApp};

/// The password of everybody, with the least work that Argon2 knows: microseconds.
pub fn hash(rng: &mut fastrand::Rng) -> String {
    hash_of(PASSWORD, rng)
}

/// The same of another password.
pub fn hash_of(password: &str, rng: &mut fastrand::Rng) -> String {
    let salt: [u8; 16] = std::array::from_fn(|_| rng.u8(..));
    let mut out = [0; 32];
    let least = Params::new(8, 1, 1, Some(out.len())).expect("parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, least)
        .hash_password_into(password.as_bytes(), &salt, &mut out)
        .expect("a hash");
    let [salt, out] = [&salt[..], &out].map(|part| STANDARD_NO_PAD.encode(part));
    format!("$argon2id$v=19$m=8,t=1,p=1${salt}${out}")
}

/// Somebody new, signed in.
pub async fn person(app: &TestApp, email: &str, rng: &mut fastrand::Rng) -> Person {
    let address = EmailAddress::parse(email).expect("an address");
    let added = app
        .users
        .add(&address, &hash(rng), Deadline::of_request())
        .await;
    assert!(added.expect("a database"), "{email} is new");
    app.sign_in_as(email, PASSWORD).await
}
