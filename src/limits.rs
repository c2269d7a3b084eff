//! Rate limits by the generic cell rate algorithm (ITU-T I.371): one timestamp a key, the
//! theoretical arrival time (TAT).
//!
//! The arithmetic, in [`Quota`], is shared with the users table, which keeps the limit of an
//! account. The limits here are kept in memory, a replica each, and bounded in size.

mod quota;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

pub use quota::{InvalidQuota, Quota, Wait};

use crate::clock::Clock;
use crate::metrics::Metrics;

/// The most keys a limit remembers: under 2 MB each.
const MAX_KEYS: usize = 50_000;

/// One limit in memory. `None` as its quota means off.
pub struct Limit {
    quota: Option<Quota>,
    clock: Clock,
    hasher: RandomState,
    tats: Mutex<HashMap<u64, i64>>,
}

/// One unit, charged. Given back when dropped, unless it is kept.
#[must_use = "a charge that is dropped is given back"]
pub struct Charge {
    limit: Arc<Limit>,
    key: u64,
    kept: bool,
}

impl Limit {
    /// A limit in which nobody has been charged yet.
    #[must_use]
    pub fn new(quota: Option<Quota>, clock: Clock) -> Self {
        Self {
            quota,
            clock,
            hasher: RandomState::new(),
            tats: Mutex::new(HashMap::new()),
        }
    }

    /// Charges one to the key made of `parts`.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn charge(self: &Arc<Self>, parts: &[&[u8]]) -> Result<Charge, Wait> {
        // A keyed hash: who meets whom in a bucket cannot be chosen from outside.
        let key = self.hasher.hash_one(parts);
        if let Some(quota) = self.quota {
            let now = self.clock.micros();
            let mut tats = self.tats.lock().unwrap_or_else(PoisonError::into_inner);
            let tat = quota.charge(tats.get(&key).copied(), now)?;
            make_room(&mut tats, now);
            tats.insert(key, tat);
        }
        Ok(Charge {
            limit: Arc::clone(self),
            key,
            kept: false,
        })
    }
}

/// Forgets keys whose bucket is full again; should that not help, those that are nearest to it.
fn make_room(tats: &mut HashMap<u64, i64>, now: i64) {
    if tats.len() < MAX_KEYS {
        return;
    }
    tats.retain(|_, tat| *tat > now);
    if tats.len() < MAX_KEYS {
        return;
    }
    let mut sorted: Vec<i64> = tats.values().copied().collect();
    let (_, median, _) = sorted.select_nth_unstable(MAX_KEYS / 2);
    let median = *median;
    tats.retain(|_, tat| *tat > median);
}

impl Charge {
    /// Makes the charge final.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let (false, Some(quota)) = (self.kept, self.limit.quota) else {
            return;
        };
        let mut tats = self
            .limit
            .tats
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(tat) = tats.get_mut(&self.key) {
            *tat -= quota.interval();
        }
    }
}

/// What each limit allows; `None` is off.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// Password checks of one account, in the users table where it has a column for them; the same
    /// quota serves sign-in by client and address, and undo by link.
    pub passwords: Option<Quota>,
    /// Mails of one requester to one new address; the same quota serves the mails that tell an account
    /// that its change was cancelled.
    pub recipient: Option<Quota>,
    /// Mails to one new address, whoever asks.
    pub recipient_all: Option<Quota>,
    /// Requests of one client address.
    pub client: Option<Quota>,
}

/// The limits that are kept in memory. Cheap to clone.
#[derive(Clone)]
pub struct Limits(Arc<Buckets>);

struct Buckets {
    passwords: Option<Quota>,
    account: Arc<Limit>,
    recipient: Arc<Limit>,
    recipient_all: Arc<Limit>,
    client: Arc<Limit>,
    sign_in: Arc<Limit>,
    undo: Arc<Limit>,
    cancelled: Arc<Limit>,
    metrics: Metrics,
}

impl Limits {
    /// Limits in which nobody has been charged yet.
    #[must_use]
    pub fn new(quotas: Quotas, clock: &Clock, metrics: Metrics) -> Self {
        let limit = |quota| Arc::new(Limit::new(quota, clock.clone()));
        Self(Arc::new(Buckets {
            passwords: quotas.passwords,
            account: limit(quotas.passwords),
            recipient: limit(quotas.recipient),
            recipient_all: limit(quotas.recipient_all),
            client: limit(quotas.client),
            sign_in: limit(quotas.passwords),
            undo: limit(quotas.passwords),
            cancelled: limit(quotas.recipient),
            metrics,
        }))
    }

    /// The quota that the users table holds per account.
    #[must_use]
    pub fn passwords(&self) -> Option<Quota> {
        self.0.passwords
    }

    /// One password check of an account whose table has no column for it.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn account(&self, user_id: &str) -> Result<(), Wait> {
        let charged = self.0.account.charge(&[user_id.as_bytes()]);
        self.counted("account", charged).map(Charge::keep)
    }

    /// The same where its row keeps the limit: what the users table said is counted here.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`], if it said so.
    pub fn account_in_table(&self, charged: Result<(), Wait>) -> Result<(), Wait> {
        self.counted("account", charged)
    }

    /// One request of a client.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn client(&self, ip: IpAddr) -> Result<(), Wait> {
        let charged = self.0.client.charge(&[&client_key(ip)]);
        self.counted("client", charged).map(Charge::keep)
    }

    /// One sign-in of a client with an address, canonical if it can be, existing or not: nobody can
    /// lock another person out, and nobody learns who exists.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn sign_in(&self, ip: IpAddr, email: &str) -> Result<(), Wait> {
        let folded = email.trim().to_ascii_lowercase();
        let charged = self.0.sign_in.charge(&[&client_key(ip), folded.as_bytes()]);
        self.counted("sign_in", charged).map(Charge::keep)
    }

    /// One mail to a new address: to be kept once the mail was accepted.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn recipient(&self, user_id: &str, new_email: &str) -> Result<[Charge; 2], Wait> {
        let of_requester = self
            .0
            .recipient
            .charge(&[user_id.as_bytes(), new_email.as_bytes()]);
        let of_requester = self.counted("recipient", of_requester)?;
        let of_all = self.0.recipient_all.charge(&[new_email.as_bytes()]);
        Ok([of_requester, self.counted("recipient_all", of_all)?])
    }

    /// One password typed for an undo link.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn undo(&self, signature: &[u8]) -> Result<(), Wait> {
        let charged = self.0.undo.charge(&[signature]);
        self.counted("undo", charged).map(Charge::keep)
    }

    /// One mail that says that a change was cancelled; cancelling itself has no limit.
    ///
    /// # Errors
    ///
    /// How long to [`Wait`].
    pub fn cancelled(&self, user_id: &str) -> Result<(), Wait> {
        self.0
            .cancelled
            .charge(&[user_id.as_bytes()])
            .map(Charge::keep)
    }

    fn counted<T>(&self, limit: &'static str, charged: Result<T, Wait>) -> Result<T, Wait> {
        if charged.is_err() {
            self.0.metrics.limited(limit);
        }
        charged
    }
}

/// A household or a rented server has a whole IPv6 /64: it counts as one client.
fn client_key(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).octets()[..8].to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limit(quota: &str) -> (Arc<Limit>, Clock) {
        let clock = Clock::manual(1_000);
        (
            Arc::new(Limit::new(
                Some(quota.parse().expect("a quota")),
                clock.clone(),
            )),
            clock,
        )
    }

    fn admitted(limit: &Arc<Limit>, key: &[u8]) -> usize {
        (0..1_000)
            .take_while(|_| limit.charge(&[key]).map(Charge::keep).is_ok())
            .count()
    }

    #[test]
    fn a_burst_is_admitted_then_one_each_interval() {
        let (limit, clock) = limit("3/30s");
        assert_eq!(admitted(&limit, b"a"), 3);
        assert_eq!(admitted(&limit, b"b"), 3, "keys do not share a bucket");
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(admitted(&limit, b"a"), 0);
        clock.advance(Duration::from_millis(1));
        assert_eq!(admitted(&limit, b"a"), 1);
        clock.advance(Duration::from_mins(5));
        assert_eq!(
            admitted(&limit, b"a"),
            3,
            "no more than a burst is saved up"
        );
    }

    #[test]
    fn the_wait_is_true() {
        let (limit, clock) = limit("3/30s");
        admitted(&limit, b"a");
        clock.advance(Duration::from_millis(2_500));
        let wait = limit
            .charge(&[b"a"])
            .map(Charge::keep)
            .expect_err("refused");
        assert_eq!(wait, Wait(Duration::from_secs(8)));
        clock.advance(wait.0);
        assert_eq!(admitted(&limit, b"a"), 1);
    }

    #[test]
    fn a_charge_that_is_not_kept_is_given_back() {
        let (limit, _) = limit("3/1m");
        limit.charge(&[b"a"]).expect("admitted").keep();
        drop(limit.charge(&[b"a"]).expect("admitted"));
        assert_eq!(admitted(&limit, b"a"), 2, "that one and no more");
    }

    #[test]
    fn a_limit_that_is_off_admits_everything() {
        let limit = Arc::new(Limit::new(None, Clock::manual(0)));
        assert_eq!(admitted(&limit, b"a"), 1_000);
    }

    #[test]
    fn memory_is_bounded() {
        let (limit, _) = limit("1/1m");
        fill(&limit, 0..MAX_KEYS + 10);
        assert!(remembered(&limit) <= MAX_KEYS);
    }

    fn fill(limit: &Arc<Limit>, keys: std::ops::Range<usize>) {
        for key in keys {
            let _ = limit.charge(&[&key.to_be_bytes()]).map(Charge::keep);
        }
    }

    fn remembered(limit: &Limit) -> usize {
        limit.tats.lock().expect("not poisoned").len()
    }

    #[test]
    fn whose_bucket_is_full_again_is_forgotten_first_and_nobody_else() {
        let (limit, clock) = limit("1/1m");
        fill(&limit, 0..10);
        clock.advance(Duration::from_secs(1));
        fill(&limit, 10..MAX_KEYS);
        clock.advance(Duration::from_secs(59));
        fill(&limit, MAX_KEYS..MAX_KEYS + 1);
        assert_eq!(remembered(&limit), MAX_KEYS - 10 + 1);
    }

    #[test]
    fn then_whoever_is_nearest_to_it() {
        let (limit, clock) = limit("1/1m");
        let early = MAX_KEYS / 2 + 1;
        for keys in [0..10, 10..early, early..MAX_KEYS] {
            clock.advance(Duration::from_secs(1));
            fill(&limit, keys);
        }
        fill(&limit, MAX_KEYS..MAX_KEYS + 1);
        assert_eq!(remembered(&limit), MAX_KEYS - early + 1);
        assert_eq!(admitted(&limit, &(MAX_KEYS - 1).to_be_bytes()), 0);
    }

    #[test]
    fn every_limit_has_buckets_of_its_own() {
        let quota = |text: &str| Some(text.parse::<Quota>().expect("a quota"));
        let quotas = Quotas {
            passwords: quota("2/1m"),
            recipient: quota("1/1m"),
            recipient_all: quota("2/1m"),
            client: quota("3/1m"),
        };
        let clock = Clock::manual(1_000);
        let limits = Limits::new(quotas, &clock, Metrics::new(&clock));
        assert_eq!(limits.passwords(), quotas.passwords);
        let ip = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let times = |admit: &dyn Fn() -> bool| (0..10).take_while(|_| admit()).count();

        assert_eq!(times(&|| limits.account("1").is_ok()), 2);
        assert_eq!(times(&|| limits.account("2").is_ok()), 2);
        assert_eq!(times(&|| limits.client(ip("192.0.2.1")).is_ok()), 3);
        assert_eq!(times(&|| limits.client(ip("192.0.2.2")).is_ok()), 3);
        let sign_in = |from: &str, typed: &str| limits.sign_in(ip(from), typed).is_ok();
        assert!(
            sign_in("192.0.2.1", "Ann@example.com ") && sign_in("192.0.2.1", "ann@example.COM")
        );
        assert!(!sign_in("192.0.2.1", "ann@example.com"));
        assert!(sign_in("192.0.2.2", "ann@example.com") && sign_in("192.0.2.1", "bob@example.com"));
        assert_eq!(times(&|| limits.undo(b"one").is_ok()), 2);
        assert_eq!(times(&|| limits.undo(b"two").is_ok()), 2);
        assert_eq!(times(&|| limits.cancelled("1").is_ok()), 1);
        assert_eq!(times(&|| limits.cancelled("2").is_ok()), 1);

        let mail = |from: &str, to: &str| {
            let charges = limits.recipient(from, to);
            charges.map(|both| both.map(Charge::keep)).is_ok()
        };
        assert!(mail("1", "ann@example.com") && !mail("1", "ann@example.com"));
        assert!(mail("1", "bob@example.com") && mail("2", "ann@example.com"));
        assert!(!mail("3", "ann@example.com"), "there were two to her");
        clock.advance(Duration::from_secs(30));
        assert!(
            mail("3", "ann@example.com"),
            "what was refused costs nothing"
        );
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let key = |ip: &str| client_key(ip.parse().expect("an address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }
}
