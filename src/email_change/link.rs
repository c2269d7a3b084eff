//! What each link says, how long it lives, and what it is bound to.
//!
//! A link is a signed JWT: it carries what other systems keep in a cache. That we signed it proves
//! only that we said it once; whether it still *holds* is decided by comparing its fingerprint
//! with the row as it is now. [`Links`](super::links::Links) issues and reads them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::email_address::{EmailAddress, same_address};
use crate::jwt::Token;
use crate::keys::Key;
use crate::users::User;

/// How long links live. Longer is kinder and more dangerous: a confirm link is read by whoever
/// reads the current mailbox, an undo link is the last way back from a theft.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// From request to confirm.
    pub confirm: Duration,
    /// From confirm to activate.
    pub activate: Duration,
    /// How long a change can be undone after its activation link has died.
    pub undo: Duration,
}

impl Lifetimes {
    /// A cancel link outlives both links that it can kill.
    #[must_use]
    pub fn cancel(&self) -> Duration {
        self.confirm + self.activate
    }

    /// From the confirm link's `iat` to the end of the undo window; the longest lifetime of all,
    /// and so the wait before a key is retired.
    #[must_use]
    pub fn undo_window(&self) -> Duration {
        self.confirm + self.activate + self.undo
    }
}

/// A kind of link. A token of one kind is refused wherever another is asked for.
pub trait Kind: Serialize + DeserializeOwned {
    /// The `typ` in its header.
    const TYP: &'static str;
    /// The longest lifetime one may claim.
    fn lifetime(lifetimes: &Lifetimes) -> Duration;
}

/// Mailed to the current address by *request*; spent by *confirm*.
#[derive(Serialize, Deserialize)]
pub struct Confirm {
    pub(super) fp: String,
}

/// Mailed to the new address by *confirm*; spent by *activate*.
#[derive(Serialize, Deserialize)]
pub struct Activate {
    pub(super) fp: String,
    /// The canonical new address.
    pub new_email: String,
    /// The confirm link's `iat`: opens the undo window of this change, whichever of its notices
    /// is read.
    pub opened_at: i64,
}

/// Mailed with the confirm link. Bound to user and address alone, so that nobody can outrun it.
#[derive(Serialize, Deserialize)]
pub struct Cancel {
    pub(super) fp: String,
}

/// Mailed to the old address by *activate*. Sealed: the old mailbox learns neither the new address
/// nor a hash.
#[derive(Serialize, Deserialize)]
pub struct Undo {
    pub(super) sealed: String,
}

/// What an undo link proves and restores.
#[derive(Serialize, Deserialize)]
pub struct Restoration {
    /// The address before the change, as it was stored.
    pub email: String,
    /// The hash of the password as it was before the change: what undo asks for.
    pub password_hash: Zeroizing<String>,
    /// Which window this link belongs to.
    pub opened_at: i64,
}

impl Kind for Confirm {
    const TYP: &'static str = "readdress-confirm+jwt";
    fn lifetime(lifetimes: &Lifetimes) -> Duration {
        lifetimes.confirm
    }
}

impl Kind for Activate {
    const TYP: &'static str = "readdress-activate+jwt";
    fn lifetime(lifetimes: &Lifetimes) -> Duration {
        lifetimes.activate
    }
}

impl Kind for Cancel {
    const TYP: &'static str = "readdress-cancel+jwt";
    fn lifetime(lifetimes: &Lifetimes) -> Duration {
        lifetimes.cancel()
    }
}

impl Kind for Undo {
    const TYP: &'static str = "readdress-undo+jwt";
    fn lifetime(lifetimes: &Lifetimes) -> Duration {
        lifetimes.undo_window()
    }
}

/// A link of ours, of kind `K`. Whether it still holds is another question.
pub struct Link<K> {
    pub(super) token: Token<K>,
    pub(super) signature: Vec<u8>,
}

/// A link just made.
pub struct Issued {
    /// The compact JWS.
    pub token: String,
    /// Unix seconds.
    pub expires_at: i64,
}

/// Why a link is refused before the row is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not made by us, or of another kind.
    #[error("not a link of this service and kind")]
    Invalid,
    /// Ours, but its time is over.
    #[error("the link has expired")]
    Expired,
}

impl<K> Link<K> {
    /// Whose link it is.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.token.subject
    }

    /// Unix seconds.
    #[must_use]
    pub fn issued_at(&self) -> i64 {
        self.token.issued_at
    }

    /// Unix seconds.
    #[must_use]
    pub fn expires_at(&self) -> i64 {
        self.token.expires_at
    }

    /// The name of the key that signed it.
    #[must_use]
    pub fn kid(&self) -> &str {
        self.token.key.kid()
    }

    /// The signature, which is different for every two links: names this one in limits.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// What it says.
    #[must_use]
    pub fn claims(&self) -> &K {
        &self.token.claims
    }

    fn key(&self) -> &Key {
        &self.token.key
    }
}

impl Link<Confirm> {
    /// Whether its fingerprint is that of the row as it is now.
    #[must_use]
    pub fn holds(&self, user: &User) -> bool {
        matches(
            self.key(),
            LINK_TAG,
            &parts_of(user, &nonce_bytes(user.nonce)),
            &self.claims().fp,
        )
    }

    /// The nonce that confirming `new_email` with this link writes.
    ///
    /// Derived, not drawn: a row that already has it is this same confirm again, so a double press
    /// or a lost answer can be recognised without remembering anything; another address gives
    /// another nonce. The row's address and hash are part of it, so that nothing revives it later.
    #[must_use]
    pub fn next_nonce(&self, user: &User, new_email: &EmailAddress) -> i64 {
        let parts = [
            self.signature.as_slice(),
            new_email.as_str().as_bytes(),
            user.email.as_bytes(),
            user.password_hash.as_bytes(),
        ];
        let mac = self.key().mac("readdress/v1/next-nonce", &parts);
        let mut first = [0; 8];
        first.copy_from_slice(&mac[..8]);
        i64::from_be_bytes(first) & i64::MAX
    }
}

impl Link<Activate> {
    /// Whether its fingerprint is that of the row as it is now.
    #[must_use]
    pub fn holds(&self, user: &User) -> bool {
        matches(
            self.key(),
            LINK_TAG,
            &parts_of(user, &nonce_bytes(user.nonce)),
            &self.claims().fp,
        )
    }

    /// Whether the row already has the address that this link brings.
    #[must_use]
    pub fn is_done(&self, user: &User) -> bool {
        same_address(&user.email, &self.claims().new_email)
    }
}

impl Link<Cancel> {
    /// Whether it is for the address that the row has now.
    #[must_use]
    pub fn holds(&self, user: &User) -> bool {
        matches(
            self.key(),
            CANCEL_TAG,
            &cancel_parts_of(user),
            &self.claims().fp,
        )
    }
}

impl Link<Undo> {
    /// What it proves and restores.
    ///
    /// # Errors
    ///
    /// [`LinkError::Invalid`] where it was sealed with another key or for another user.
    pub fn open(&self) -> Result<Restoration, LinkError> {
        let context = seal_context(self.user_id());
        let plain = self
            .key()
            .open(&context, &self.claims().sealed)
            .ok_or(LinkError::Invalid)?;
        serde_json::from_slice(&plain).map_err(|_| LinkError::Invalid)
    }
}

impl Restoration {
    /// Whether the row already has the address that this link restores.
    #[must_use]
    pub fn is_done(&self, user: &User) -> bool {
        same_address(&user.email, &self.email)
    }
}

const LINK_TAG: &str = "readdress/v1/link";
const CANCEL_TAG: &str = "readdress/v1/cancel";

/// The fingerprint of the row as it would be with that nonce.
pub(super) fn fingerprint(key: &Key, user: &User, nonce: Option<i64>) -> String {
    URL_SAFE_NO_PAD.encode(key.mac(LINK_TAG, &parts_of(user, &nonce_bytes(nonce))))
}

/// The fingerprint of user and address alone.
pub(super) fn cancel_fingerprint(key: &Key, user: &User) -> String {
    URL_SAFE_NO_PAD.encode(key.mac(CANCEL_TAG, &cancel_parts_of(user)))
}

fn cancel_parts_of(user: &User) -> [&[u8]; 2] {
    [user.id.as_str().as_bytes(), user.email.as_bytes()]
}

fn parts_of<'a>(user: &'a User, nonce: &'a [u8]) -> [&'a [u8]; 4] {
    [
        user.id.as_str().as_bytes(),
        user.email.as_bytes(),
        user.password_hash.as_bytes(),
        nonce,
    ]
}

/// No nonce is a value of its own: empty, where every nonce has eight bytes.
fn nonce_bytes(nonce: Option<i64>) -> Vec<u8> {
    nonce.map_or_else(Vec::new, |nonce| nonce.to_be_bytes().to_vec())
}

fn matches(key: &Key, tag: &str, parts: &[&[u8]], fp: &str) -> bool {
    URL_SAFE_NO_PAD
        .decode(fp)
        .is_ok_and(|expected| key.mac_matches(tag, parts, &expected))
}

pub(super) fn seal_context(user_id: &str) -> Vec<u8> {
    [b"readdress/v1/undo\0", user_id.as_bytes()].concat()
}
