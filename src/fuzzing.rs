//! Doors for `fuzz/`: what it must reach and nobody else should.
//!
//! Only with the feature `fuzzing`, which nothing but our own tests turns on.

use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::api::body;
use crate::api::email_change::messages::{
    ConfirmEmailChange, LinkToken, RequestEmailChange, UndoEmailChange,
};
use crate::api::session::SignIn;
use crate::users::{User, UserId};

/// Every body that an operation takes, and its fields.
pub const BODIES: [(&str, &[&str]); 5] = [
    ("signIn", &["email", "password"]),
    ("requestEmailChange", &["password"]),
    ("confirmEmailChange", &["token", "password", "new_email"]),
    ("activateEmailChange", &["token"]),
    ("undoEmailChange", &["token", "password"]),
];

/// Reads a body as that operation does.
///
/// # Errors
///
/// The problem document that its sender would get.
///
/// # Panics
///
/// If no operation of [`BODIES`] has that name.
pub fn read_body(operation: &str, bytes: &[u8]) -> Result<(), Value> {
    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(), Value> {
        body::read::<T>(bytes)
            .map(drop)
            .map_err(|problem| problem.document("request"))
    }
    match operation {
        "signIn" => read::<SignIn>(bytes),
        "requestEmailChange" => read::<RequestEmailChange>(bytes),
        "confirmEmailChange" => read::<ConfirmEmailChange>(bytes),
        "activateEmailChange" => read::<LinkToken>(bytes),
        "undoEmailChange" => read::<UndoEmailChange>(bytes),
        _ => unreachable!("an operation without a body"),
    }
}

/// A row that no table ever had.
#[must_use]
pub fn user(id: &str, email: &str, password_hash: &str, nonce: Option<i64>) -> User {
    User {
        id: UserId(id.to_owned()),
        email: email.to_owned(),
        password_hash: Zeroizing::new(password_hash.to_owned()),
        nonce,
        undo_opened_at: None,
    }
}
