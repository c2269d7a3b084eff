//! Issues links and reads them back: keys, clock and lifetimes meet here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tracing::Span;
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

    /// A link to *activate* `new_email` with. It holds once the row's nonce is `next_nonce`; in a
    /// table without a nonce, at once.
    #[must_use]
    pub fn issue_activate(
        &self,
        user: &User,
        next_nonce: Option<i64>,
        new_email: &EmailAddress,
        opened_at: i64,
    ) -> Issued {
        let fp = fingerprint(self.keys().signing(), user, next_nonce);
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
        // A replica whose clock was ahead may have opened the window in our future.
        let ends = self.window_end(opened_at).min(self.end_of::<Undo>());
        Ok(self.issue(user, ends, Undo { sealed }))
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

    /// Reads a link that must be ours, of kind `K`, and alive. Whatever else is found, the log of this
    /// request says from then on whose it is.
    ///
    /// # Errors
    ///
    /// [`LinkError`].
    pub fn check<K: Kind>(&self, token: &str) -> Result<Link<K>, LinkError> {
        let link = self.read(token)?;
        Span::current()
            .record("kid", link.kid())
            .record("user_id", link.user_id());
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

    /// The name of the key that signs.
    #[must_use]
    pub fn signing_kid(&self) -> &str {
        self.jwts.signing_kid()
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::keys;

    const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

    fn links() -> Links {
        let ring = keys::generate()
            .ok()
            .and_then(|key| KeyRing::parse(&key).ok())
            .expect("a ring");
        let jwts = Jwts::new(
            Arc::new(ring),
            "https://app.example.com".to_owned(),
            Clock::manual(1_800_000_000),
        );
        Links::new(
            jwts,
            Lifetimes {
                confirm: HOUR,
                activate: HOUR,
                undo: HOUR,
            },
        )
    }

    fn user() -> User {
        User::for_tests(
            "019aa2b4-0000-7000-8000-000000000001",
            "ann@example.com",
            "$argon2id$hash",
            Some(7),
        )
    }

    fn every_kind(links: &Links) -> [String; 4] {
        let new_email = EmailAddress::parse("ann@new.example").expect("an address");
        [
            links.issue_confirm(&user()).token,
            links
                .issue_activate(&user(), Some(8), &new_email, 1_800_000_000)
                .token,
            links.issue_cancel(&user()).token,
            links
                .issue_undo(&user(), 1_800_000_000)
                .expect("random")
                .token,
        ]
    }

    fn is_accepted(links: &Links, token: &str) -> bool {
        links.check::<Confirm>(token).is_ok()
            || links.check::<Activate>(token).is_ok()
            || links.check::<Cancel>(token).is_ok()
            || links.check::<Undo>(token).is_ok()
    }

    /// Every position, every character of the alphabet and some besides; also left out, and twice.
    #[test]
    fn no_edit_of_one_character_is_accepted() {
        let links = links();
        for token in every_kind(&links) {
            assert!(is_accepted(&links, &token));
            for position in 0..token.len() {
                let (before, rest) = token.split_at(position);
                let after = &rest[1..];
                for other in
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"
                        .chars()
                {
                    let edited = format!("{before}{other}{after}");
                    assert!(
                        edited == token || !is_accepted(&links, &edited),
                        "{position} {other:?}"
                    );
                }
                assert!(
                    !is_accepted(&links, &format!("{before}{after}")),
                    "{position} left out"
                );
                assert!(
                    !is_accepted(&links, &format!("{before}{}{rest}", &rest[..1])),
                    "{position} twice"
                );
            }
        }
    }

    /// confirm 1 h, activate 2 h, undo 4 h.
    #[test]
    fn every_kind_lives_as_long_as_was_promised_and_not_a_second_more() {
        let clock = Clock::manual(1_800_000_000);
        let ring = keys::generate().expect("random");
        let ring = Arc::new(KeyRing::parse(&ring).expect("a ring"));
        let issuer = "https://app.example.com".to_owned();
        let lifetimes = Lifetimes {
            confirm: HOUR,
            activate: HOUR * 2,
            undo: HOUR * 4,
        };
        let links = Links::new(Jwts::new(ring, issuer, clock.clone()), lifetimes);
        let [confirm, activate, cancel, undo] = every_kind(&links);
        let alive = || {
            [
                links.check::<Confirm>(&confirm).is_ok(),
                links.check::<Activate>(&activate).is_ok(),
                links.check::<Cancel>(&cancel).is_ok(),
                links.check::<Undo>(&undo).is_ok(),
                links.window_runs(1_800_000_000),
            ]
        };
        let second = std::time::Duration::from_secs(1);
        let mut now = std::time::Duration::ZERO;
        for (hours, before) in [
            (1, [true; 5]),
            (2, [false, true, true, true, true]),
            (3, [false, false, true, true, true]),
            (7, [false, false, false, true, true]),
        ] {
            clock.advance((HOUR * hours).saturating_sub(second + now));
            assert_eq!(alive(), before, "a second before {hours} h");
            clock.advance(second);
            now = HOUR * hours;
        }
        assert_eq!(alive(), [false; 5]);
        assert!(matches!(
            links.check::<Undo>(&undo),
            Err(LinkError::Expired)
        ));
        assert!(
            links
                .read::<Undo>(&undo)
                .is_ok_and(|link| links.has_expired(&link))
        );
    }

    #[test]
    fn a_link_says_whose_it_is_from_when_to_when_and_by_which_key() {
        let links = links();
        let issued = links.issue_confirm(&user());
        let link = links.check::<Confirm>(&issued.token).expect("ours");
        assert_eq!(link.user_id(), user().id.as_str());
        assert_eq!(link.issued_at(), 1_800_000_000);
        assert_eq!(link.expires_at(), 1_800_003_600);
        assert_eq!(issued.expires_at, link.expires_at());
        assert_eq!(link.kid(), links.keys().signing().kid());
        assert_eq!(link.signature().len(), 32);
        let again = links.issue_cancel(&user()).token;
        let again = links.check::<Cancel>(&again).expect("ours");
        assert_ne!(link.signature(), again.signature());
    }

    #[test]
    fn a_link_knows_that_it_is_done_by_the_folded_address() {
        let links = links();
        let [_, activate, _, undo] = every_kind(&links);
        let activate = links.check::<Activate>(&activate).expect("ours");
        let old = links.check::<Undo>(&undo).expect("ours").open();
        let old = old.expect("opens");
        let row = |email| User::for_tests(user().id.as_str(), email, "x", None);
        assert!(activate.is_done(&row("Ann@New.example")));
        assert!(!activate.is_done(&user()));
        assert!(old.is_done(&row("ANN@example.com")));
        assert!(!old.is_done(&row("ann@new.example")));
    }

    #[test]
    fn activate_and_cancel_links_hold_for_their_row_and_no_other() {
        let links = links();
        let [_, activate, cancel, _] = every_kind(&links);
        let activate = links.check::<Activate>(&activate).expect("ours");
        let cancel = links.check::<Cancel>(&cancel).expect("ours");
        let (id, other) = (user().id, "019aa2b4-0000-7000-8000-000000000002");
        let confirmed = User::for_tests(id.as_str(), "ann@example.com", "$argon2id$hash", Some(8));
        assert!(activate.holds(&confirmed) && !activate.holds(&user()));
        let changed = User::for_tests(id.as_str(), "ann@example.com", "another", None);
        assert!(cancel.holds(&user()) && cancel.holds(&changed));
        assert!(!cancel.holds(&User::for_tests(
            other,
            "ann@example.com",
            "$argon2id$hash",
            Some(7)
        )));
        assert!(!cancel.holds(&User::for_tests(
            id.as_str(),
            "bob@example.com",
            "$argon2id$hash",
            Some(7)
        )));
    }

    #[test]
    fn a_link_holds_for_the_very_row_it_was_made_for() {
        let links = links();
        let confirm = links
            .check::<Confirm>(&links.issue_confirm(&user()).token)
            .expect("ours");
        assert!(confirm.holds(&user()));
        let (id, hash) = ("019aa2b4-0000-7000-8000-000000000001", "$argon2id$hash");
        for other in [
            User::for_tests(
                "019aa2b4-0000-7000-8000-000000000002",
                "ann@example.com",
                hash,
                Some(7),
            ),
            User::for_tests(id, "Ann@example.com", hash, Some(7)),
            User::for_tests(id, "ann@example.com", "$argon2id$hasH", Some(7)),
            User::for_tests(id, "ann@example.com", hash, Some(8)),
            User::for_tests(id, "ann@example.com", hash, Some(-7)),
            User::for_tests(id, "ann@example.com", hash, None),
        ] {
            assert!(!confirm.holds(&other), "{} {:?}", other.email, other.nonce);
        }
    }

    #[test]
    fn the_next_nonce_depends_on_link_address_and_row_and_fits_the_column() {
        let links = links();
        let check = |token: &str| links.check::<Confirm>(token).expect("ours");
        let link = check(&links.issue_confirm(&user()).token);
        let address = |text: &str| EmailAddress::parse(text).expect("an address");
        let nonce = link.next_nonce(&user(), &address("a@new.example"));
        assert!(nonce >= 0);
        assert_eq!(
            nonce,
            link.next_nonce(&user(), &address("A@new.example")),
            "the canonical address"
        );
        assert_ne!(nonce, link.next_nonce(&user(), &address("b@new.example")));
        let changed = User::for_tests(
            user().id.as_str(),
            "ann@example.com",
            "$argon2id$other",
            Some(7),
        );
        assert_ne!(nonce, link.next_nonce(&changed, &address("a@new.example")));
        let moved = User::for_tests(
            user().id.as_str(),
            "bob@example.com",
            "$argon2id$hash",
            Some(7),
        );
        assert_ne!(nonce, link.next_nonce(&moved, &address("a@new.example")));
        let other_row = User::for_tests(
            user().id.as_str(),
            "ann@example.com",
            "$argon2id$hash",
            Some(9),
        );
        assert_eq!(
            nonce,
            link.next_nonce(&other_row, &address("a@new.example")),
            "not the nonce it replaces"
        );
        let other_link = check(&links.issue_confirm(&other_row).token);
        assert_ne!(
            nonce,
            other_link.next_nonce(&user(), &address("a@new.example"))
        );
    }

    #[test]
    fn an_undo_link_opens_to_what_was_before_and_shows_none_of_it() {
        let links = links();
        let token = links
            .issue_undo(&user(), 1_800_000_000)
            .expect("random")
            .token;
        let old = links
            .check::<Undo>(&token)
            .expect("ours")
            .open()
            .expect("opens");
        assert_eq!(
            (old.email.as_str(), old.opened_at),
            ("ann@example.com", 1_800_000_000)
        );
        assert_eq!(old.password_hash.as_str(), "$argon2id$hash");
        let payload = URL_SAFE_NO_PAD
            .decode(token.split('.').nth(1).expect("claims"))
            .expect("base64url");
        let payload = String::from_utf8(payload).expect("JSON");
        assert!(
            !payload.contains("ann") && !payload.contains("argon2"),
            "{payload}"
        );
    }
}
