//! Issues links and reads them back: keys, clock and lifetimes meet here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::link::{
    Activate, Cancel, Confirm, Issued, Kind, Lifetimes, Link, LinkError, Restoration, Undo,
    cancel_fingerprint, fingerprint, seal_context,
};
use crate::clock::seconds_of;
use crate::email_address::EmailAddress;
use crate::jwt::{Jwts, TokenKind};
use crate::keys::{Key, KeyRing};
use crate::random::RandomError;
use crate::users::User;

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

    fn keys(&self) -> &KeyRing {
        self.jwts.keys()
    }
}
