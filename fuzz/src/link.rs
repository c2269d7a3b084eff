//! A link is accepted if and only if it is one that we would write: signed by a key of ours, a header
//! that is exactly ours, claims of our names and types, for us, in time. Anything else is refused,
//! and most of what is tried *is* signed by our own keys.
//!
//! [`generator`](self::generator) makes a token of the input; [`Reading`] reads it a second time.

mod generator;
mod reading;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use readdress::clock::Clock;
use readdress::email_address::EmailAddress;
use readdress::email_change::link::{Activate, Cancel, Confirm, Kind, Lifetimes, Link, Undo};
use readdress::email_change::links::Links;
use readdress::fuzzing::user;
use readdress::jwt::Jwts;
use readdress::keys::KeyRing;
use readdress::users::User;

use reading::Reading;

/// What both readings stand on.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://app.example.com";
pub(crate) const USER_ID: &str = "019aa2b4-0000-7000-8000-000000000001";
/// Two keys of the ring, and one that was retired.
const KEYS: [&str; 3] = [
    "k1:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQ_ty6mHZUMhA",
    "k2:gkQ8tXz1mB0dU7pZ3yLr5w9cVh2nKf6sJ4aGeT-iOoM",
    "k0:0TnW8xVbYq3mLr7cKz5pHs1dGf9jUe2aIo6tRw4yQ-E",
];
const LIFETIMES: Lifetimes = Lifetimes {
    confirm: Duration::from_hours(1),
    activate: Duration::from_hours(24),
    undo: Duration::from_hours(168),
};

/// Everything that is the same for every input.
pub(crate) struct World {
    pub(crate) links: Links,
    pub(crate) ring: KeyRing,
    pub(crate) retired: KeyRing,
    /// By key of the ring, then by kind: genuine links for [`row`].
    pub(crate) genuine: [[String; 4]; 2],
    user: User,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let [one, two, retired] = KEYS;
        let row = user(USER_ID, "ann@example.com", "$argon2id$hash", Some(7));
        let genuine = [(one, two), (two, one)]
            .map(|(first, second)| every_kind(&links(&ring(&format!("{first},{second}"))), &row));
        let both = format!("{one},{two}");
        Self {
            links: links(&ring(&both)),
            ring: KeyRing::parse(&both).expect("a ring"),
            retired: KeyRing::parse(retired).expect("a ring"),
            genuine,
            user: row,
        }
    }
}

fn ring(keys: &str) -> Arc<KeyRing> {
    Arc::new(KeyRing::parse(keys).expect("a ring"))
}

fn links(ring: &Arc<KeyRing>) -> Links {
    let jwts = Jwts::new(Arc::clone(ring), ISSUER.to_owned(), Clock::manual(NOW));
    Links::new(jwts, LIFETIMES)
}

fn every_kind(links: &Links, user: &User) -> [String; 4] {
    let new_email = EmailAddress::parse("ann@new.example").expect("an address");
    [
        links.issue_confirm(user).token,
        links
            .issue_activate(user, user.nonce, &new_email, NOW)
            .token,
        links.issue_cancel(user).token,
        links.issue_undo(user, NOW).expect("random").token,
    ]
}

/// See [`generator::token`] for what the bytes mean.
pub fn run(data: &[u8]) {
    let world = &*WORLD;
    let Some(token) = generator::token(world, data) else {
        return;
    };
    let confirm = hold_to_it::<Confirm>(world, &token, 3_600, &["fp"], &[]);
    let activate = &["fp", "new_email"];
    let activate = hold_to_it::<Activate>(world, &token, 86_400, activate, &["opened_at"]);
    let cancel = hold_to_it::<Cancel>(world, &token, 90_000, &["fp"], &[]);
    let undo = hold_to_it::<Undo>(world, &token, 694_800, &["sealed"], &[]);

    let row = &world.user;
    let has = |reading: &Reading, kind: usize, name: &str| {
        let key = usize::from(reading.kid() == "k2");
        let genuine = Reading::of(&world.genuine[key][kind]).expect("a link");
        reading.text(name) == genuine.text(name)
    };
    if let Some((link, reading)) = confirm {
        assert_eq!(link.holds(row), has(&reading, 0, "fp"), "{token}");
        let new_email = EmailAddress::parse("ann@new.example").expect("an address");
        assert!(link.next_nonce(row, &new_email) >= 0, "{token}");
    }
    if let Some((link, reading)) = activate {
        assert_eq!(link.holds(row), has(&reading, 1, "fp"), "{token}");
        let _ = link.is_done(row);
        let _ = world.links.window_runs(link.claims().opened_at);
    }
    if let Some((link, reading)) = cancel {
        assert_eq!(link.holds(row), has(&reading, 2, "fp"), "{token}");
    }
    if let Some((link, reading)) = undo {
        let is_sealed = has(&reading, 3, "sealed") && link.user_id() == USER_ID;
        assert_eq!(link.open().is_ok(), is_sealed, "{token}");
    }
}

/// Both readings agree on the token as a link of kind `K`, which lives no longer than `lifetime` and
/// whose own claims are these.
fn hold_to_it<K: Kind>(
    world: &World,
    token: &str,
    lifetime: i64,
    texts: &[&str],
    integers: &[&str],
) -> Option<(Link<K>, Reading)> {
    let expected = Reading::of(token)
        .filter(|it| it.is_ours(&world.ring, K::TYP, lifetime) && it.says(texts, integers));
    let read = world.links.read::<K>(token);
    let Some(expected) = expected else {
        assert!(read.is_err(), "{} was accepted: {token}", K::TYP);
        assert!(world.links.check::<K>(token).is_err(), "{token}");
        return None;
    };
    let Ok(link) = read else {
        // What nobody ever writes may be refused for reasons of the library's own.
        assert!(
            expected.says_more(texts, integers),
            "{} was refused: {token}",
            K::TYP
        );
        return None;
    };
    assert_eq!(
        world.links.check::<K>(token).is_ok(),
        link.expires_at() > NOW,
        "{token}"
    );
    assert_eq!(Some(link.user_id()), expected.text("sub"), "{token}");
    Some((link, expected))
}
