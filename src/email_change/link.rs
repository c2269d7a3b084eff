//! What each link says, how long it lives, and what it is bound to.
//!
//! A link is a signed JWT: it carries what other systems keep in a cache. That we signed it proves
//! only that we said it once; whether it still *holds* is decided by comparing its fingerprint
//! with the row as it is now. The steps issue and check links here and nowhere else.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::seconds_of;
use crate::email_address::{EmailAddress, same_address};
use crate::jwt::{Jwts, Token, TokenKind};
use crate::keys::{Key, KeyRing};
use crate::random::RandomError;
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
    fp: String,
}

/// Mailed to the new address by *confirm*; spent by *activate*.
#[derive(Serialize, Deserialize)]
pub struct Activate {
    fp: String,
    /// The canonical new address.
    pub new_email: String,
    /// The confirm link's `iat`: opens the undo window of this change, whichever of its notices
    /// is read.
    pub opened_at: i64,
}

/// Mailed with the confirm link. Bound to user and address alone, so that nobody can outrun it.
#[derive(Serialize, Deserialize)]
pub struct Cancel {
    fp: String,
}

/// Mailed to the old address by *activate*. Sealed: the old mailbox learns neither the new address
/// nor a hash.
#[derive(Serialize, Deserialize)]
pub struct Undo {
    sealed: String,
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
    token: Token<K>,
    signature: Vec<u8>,
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

/// Issues and checks links.
#[derive(Clone)]
pub struct Links {
    jwts: Jwts,
    lifetimes: Lifetimes,
}

impl Links {
    /// `jwts` carries keys, issuer and clock.
    #[must_use]
    pub fn new(jwts: Jwts, lifetimes: Lifetimes) -> Self {
        Self { jwts, lifetimes }
    }

    /// How long links live.
    #[must_use]
    pub fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    /// A link to *confirm* with, for the row as it is now.
    #[must_use]
    pub fn issue_confirm(&self, user: &User) -> Issued {
        let fp = fingerprint(self.keys().signing(), user, user.nonce);
        self.issue(user, self.end_of::<Confirm>(), Confirm { fp })
    }

    /// A link that kills every confirm and activate link of this account and address.
    #[must_use]
    pub fn issue_cancel(&self, user: &User) -> Issued {
        let fp = cancel_fingerprint(self.keys().signing(), user);
        self.issue(user, self.end_of::<Cancel>(), Cancel { fp })
    }

    /// A link to *activate* `new_email` with. It holds once the row's nonce is `next_nonce`.
    #[must_use]
    pub fn issue_activate(
        &self,
        user: &User,
        next_nonce: i64,
        new_email: &EmailAddress,
        opened_at: i64,
    ) -> Issued {
        let fp = fingerprint(self.keys().signing(), user, Some(next_nonce));
        let claims = Activate {
            fp,
            new_email: new_email.to_string(),
            opened_at,
        };
        self.issue(user, self.end_of::<Activate>(), claims)
    }

    /// A link back to the row's address of now, until the window opened at `opened_at` ends.
    ///
    /// # Errors
    ///
    /// Passes on the operating system's refusal to give random bytes.
    pub fn issue_undo(&self, user: &User, opened_at: i64) -> Result<Issued, RandomError> {
        let restoration = Restoration {
            email: user.email.clone(),
            password_hash: user.password_hash.clone(),
            opened_at,
        };
        let plain = match serde_json::to_vec(&restoration) {
            Ok(plain) => Zeroizing::new(plain),
            Err(_) => unreachable!("strings and numbers serialise"),
        };
        let sealed = self
            .keys()
            .signing()
            .seal(&seal_context(user.id.as_str()), &plain)?;
        Ok(self.issue(user, self.window_end(opened_at), Undo { sealed }))
    }

    /// When the undo window that was opened at `opened_at` ends (Unix seconds).
    #[must_use]
    pub fn window_end(&self, opened_at: i64) -> i64 {
        opened_at.saturating_add(seconds_of(self.lifetimes.undo_window()))
    }

    /// Whether the undo window that was opened at `opened_at` is still running.
    #[must_use]
    pub fn window_runs(&self, opened_at: i64) -> bool {
        !self.jwts.is_past(self.window_end(opened_at))
    }

    /// Reads a link that must be ours, of kind `K`, and alive.
    ///
    /// # Errors
    ///
    /// [`LinkError`].
    pub fn check<K: Kind>(&self, token: &str) -> Result<Link<K>, LinkError> {
        let link = self.read(token)?;
        if self.has_expired(&link) {
            return Err(LinkError::Expired);
        }
        Ok(link)
    }

    /// Reads a link that may have expired: for *inspect*.
    ///
    /// # Errors
    ///
    /// [`LinkError::Invalid`].
    pub fn read<K: Kind>(&self, token: &str) -> Result<Link<K>, LinkError> {
        let kind = self.kind::<K>();
        let (_, signature) = token.rsplit_once('.').ok_or(LinkError::Invalid)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| LinkError::Invalid)?;
        let token = self
            .jwts
            .read(kind, token)
            .map_err(|_| LinkError::Invalid)?;
        Ok(Link { token, signature })
    }

    /// Whether the link's time is over.
    #[must_use]
    pub fn has_expired<K>(&self, link: &Link<K>) -> bool {
        self.jwts.is_past(link.expires_at())
    }

    /// Whether a confirm link's fingerprint is that of the row as it is now.
    #[must_use]
    pub fn confirm_holds(&self, link: &Link<Confirm>, user: &User) -> bool {
        self.fingerprint_matches(link, &link.token.claims.fp, user)
    }

    /// Whether an activate link's fingerprint is that of the row as it is now.
    #[must_use]
    pub fn activate_holds(&self, link: &Link<Activate>, user: &User) -> bool {
        self.fingerprint_matches(link, &link.token.claims.fp, user)
    }

    /// Whether a cancel link is for the address that the row has now.
    #[must_use]
    pub fn cancel_holds(&self, link: &Link<Cancel>, user: &User) -> bool {
        let parts = [user.id.as_str().as_bytes(), user.email.as_bytes()];
        self.key_of(link)
            .is_some_and(|key| matches(key, CANCEL_TAG, &parts, &link.token.claims.fp))
    }

    /// Opens an undo link.
    ///
    /// # Errors
    ///
    /// [`LinkError::Invalid`] where it was sealed with another key or for another user.
    pub fn open_undo(&self, link: &Link<Undo>) -> Result<Restoration, LinkError> {
        let key = self.key_of(link).ok_or(LinkError::Invalid)?;
        let plain = key
            .open(&seal_context(link.user_id()), &link.token.claims.sealed)
            .ok_or(LinkError::Invalid)?;
        serde_json::from_slice(&plain).map_err(|_| LinkError::Invalid)
    }

    /// The nonce that confirming `new_email` with this link writes.
    ///
    /// Derived, not drawn: a row that already has it is this same confirm again, so a double press
    /// or a lost answer can be recognised without remembering anything; another address gives
    /// another nonce. The row's address and hash are part of it, so that nothing revives it later.
    #[must_use]
    pub fn next_nonce(&self, link: &Link<Confirm>, user: &User, new_email: &EmailAddress) -> i64 {
        let key = self.key_of(link).unwrap_or_else(|| self.keys().signing());
        let parts = [
            link.signature.as_slice(),
            new_email.as_str().as_bytes(),
            user.email.as_bytes(),
            user.password_hash.as_bytes(),
        ];
        let mac = key.mac("readdress/v1/next-nonce", &parts);
        let mut first = [0; 8];
        first.copy_from_slice(&mac[..8]);
        i64::from_be_bytes(first) & i64::MAX
    }

    fn issue<K: Kind>(&self, user: &User, expires_at: i64, claims: K) -> Issued {
        let token = self
            .jwts
            .issue(self.kind::<K>(), user.id.as_str(), expires_at, claims);
        Issued { token, expires_at }
    }

    fn end_of<K: Kind>(&self) -> i64 {
        self.jwts
            .clock()
            .seconds()
            .saturating_add(seconds_of(K::lifetime(&self.lifetimes)))
    }

    fn kind<K: Kind>(&self) -> TokenKind {
        TokenKind {
            typ: K::TYP,
            secret: Key::signing_secret,
            max_lifetime: K::lifetime(&self.lifetimes),
        }
    }

    fn fingerprint_matches<K>(&self, link: &Link<K>, fp: &str, user: &User) -> bool {
        let nonce = nonce_bytes(user.nonce);
        self.key_of(link)
            .is_some_and(|key| matches(key, LINK_TAG, &parts_of(user, &nonce), fp))
    }

    fn key_of<K>(&self, link: &Link<K>) -> Option<&Key> {
        self.keys().find(&link.token.kid)
    }

    fn keys(&self) -> &KeyRing {
        self.jwts.keys()
    }
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
        &self.token.kid
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
}

impl Activate {
    /// Whether the row already has the address that this link brings.
    #[must_use]
    pub fn is_done(&self, user: &User) -> bool {
        same_address(&user.email, &self.new_email)
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

fn fingerprint(key: &Key, user: &User, nonce: Option<i64>) -> String {
    URL_SAFE_NO_PAD.encode(key.mac(LINK_TAG, &parts_of(user, &nonce_bytes(nonce))))
}

fn cancel_fingerprint(key: &Key, user: &User) -> String {
    let parts = [user.id.as_str().as_bytes(), user.email.as_bytes()];
    URL_SAFE_NO_PAD.encode(key.mac(CANCEL_TAG, &parts))
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

fn seal_context(user_id: &str) -> Vec<u8> {
    [b"readdress/v1/undo\0", user_id.as_bytes()].concat()
}
