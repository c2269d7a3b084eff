//! The public keys of the host application, from its JWK Set (RFC 7517) at a URL.
//!
//! Fetched on first use and kept decoded. Fetched again when a token names a key that is not there,
//! and when the set has grown old, so that a key that was withdrawn is forgotten; at most once a
//! minute, whoever asks. While the URL fails, the last good set goes on serving.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;
use tracing::{Instrument, Span};

use super::fetch::{Document, FetchError};
use super::verification_key::VerificationKey;
use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::email_change::chain;
use crate::trace::Trace;

/// Seconds between two fetches, successful or not.
const PAUSE: i64 = 60;
/// The same while there is no set at all, and every token must wait.
const PAUSE_WITHOUT_SET: i64 = 5;
/// Seconds after which a set is looked at again.
const OLD: i64 = 10 * 60;
/// More keys than anybody publishes.
const MAX_KEYS: usize = 100;

/// The keys at one URL. Cheap to clone.
#[derive(Clone)]
pub(super) struct Jwks(Arc<Inner>);

struct Inner {
    document: Document,
    clock: Clock,
    state: Mutex<State>,
    /// Held by the one fetch that is under way.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Unix seconds.
    fetched_at: i64,
    tried_at: Option<i64>,
}

struct KeySet(Vec<(Option<String>, VerificationKey)>);

/// What a set says of a kid and an algorithm.
enum Lookup {
    Found(VerificationKey),
    /// The key is there, but for another algorithm, or it is not clear which is meant.
    Mismatch,
    Unknown,
}

/// Why there is no key for a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The host does not publish such a key.
    Unknown,
    /// No set was ever had.
    Unavailable,
}

/// A key that tokens are verified with, as it is told to an operator: public, but somebody else's
/// words, so written without what a terminal would obey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsableKey {
    kid: Option<String>,
    algorithm: Algorithm,
}

/// Of a kid that is told; nobody's is longer.
const MAX_KID_TOLD: usize = 64;

impl UsableKey {
    fn of((kid, key): &(Option<String>, VerificationKey)) -> Self {
        Self {
            kid: kid.clone(),
            algorithm: key.algorithm,
        }
    }

    pub(super) fn without_kid(key: &VerificationKey) -> Self {
        Self {
            kid: None,
            algorithm: key.algorithm,
        }
    }
}

impl fmt::Display for UsableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kid) = &self.kid {
            let kid = kid.chars().take(MAX_KID_TOLD);
            write!(f, "{} ", kid.collect::<String>().escape_debug())?;
        }
        write!(f, "({:?})", self.algorithm)
    }
}

/// Why a set could not be had.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// See [`FetchError`].
    #[error("the JWK Set")]
    Fetch(#[from] FetchError),
    /// Not JSON, or no set.
    #[error("what is answered is no JWK Set")]
    Malformed,
    /// There is nothing in it to verify with.
    #[error("the JWK Set holds no key for RS256 (2048 to 4096 bits), ES256 or EdDSA")]
    NoKeys,
}

impl JwksError {
    /// Whether it is the certificate of the URL's server that is not believed.
    #[must_use]
    pub fn is_certificate(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.is_certificate())
    }
}

impl Jwks {
    pub(super) fn new(document: Document, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            document,
            clock,
            state: Mutex::default(),
            fetching: Arc::default(),
        }))
    }

    /// The key for a token with that kid and algorithm in its header.
    pub(super) async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        deadline: Deadline,
    ) -> Result<VerificationKey, NoKey> {
        let (mut found, is_old) = self.0.look_up(kid, algorithm);
        let is_wanted = match &found {
            Some(Lookup::Found(_)) => is_old,
            Some(Lookup::Mismatch) => false,
            Some(Lookup::Unknown) | None => true,
        };
        if is_wanted {
            let is_found = matches!(found, Some(Lookup::Found(_)));
            self.refreshed(!is_found, deadline).await;
            found = self.0.look_up(kid, algorithm).0;
        }
        match found {
            Some(Lookup::Found(key)) => Ok(key),
            Some(Lookup::Mismatch | Lookup::Unknown) => Err(NoKey::Unknown),
            None => Err(NoKey::Unavailable),
        }
    }

    /// Whether there ever was a set.
    pub(super) fn is_had(&self) -> bool {
        self.0.lock().keys.is_some()
    }

    /// Waits for a fetch, if one is due. One that another caller has begun is waited for only by
    /// whom it may bring the very key that is missing.
    async fn refreshed(&self, wait_for_others: bool, deadline: Deadline) {
        match Arc::clone(&self.0.fetching).try_lock_owned() {
            Ok(fetching) if self.0.is_due() => {
                let (inner, trace) = (Arc::clone(&self.0), Trace::current());
                // Goes on if its caller does not: the next one finds the result.
                let fetch = async move {
                    let fetched = match trace {
                        Some(trace) => trace.scope(inner.fetch()).await,
                        None => inner.fetch().await,
                    };
                    if let Err(error) = fetched {
                        tracing::error!(error = chain(&error), "host keys unavailable");
                    }
                    drop(fetching);
                };
                let fetch = tokio::spawn(fetch.instrument(Span::current()));
                let _ = deadline.bound(fetch).await;
            }
            Err(_) if wait_for_others => {
                let _ = deadline.bound(self.0.fetching.lock()).await;
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Fetches the set now; which keys it has.
    pub(super) async fn refresh(&self) -> Result<Vec<UsableKey>, JwksError> {
        let _fetching = self.0.fetching.lock().await;
        self.0.fetch().await
    }
}

impl Inner {
    /// `None` if there is no set; otherwise also whether it is old.
    fn look_up(&self, kid: Option<&str>, algorithm: Algorithm) -> (Option<Lookup>, bool) {
        let state = self.lock();
        let is_old = self.clock.seconds().saturating_sub(state.fetched_at) >= OLD;
        let keys = state.keys.as_ref();
        (keys.map(|keys| keys.look_up(kid, algorithm)), is_old)
    }

    fn is_due(&self) -> bool {
        let state = self.lock();
        let pause = if state.keys.is_some() {
            PAUSE
        } else {
            PAUSE_WITHOUT_SET
        };
        let now = self.clock.seconds();
        // A clock that was put back counts as passed.
        let recent = |tried_at: i64| (tried_at..tried_at.saturating_add(pause)).contains(&now);
        !state.tried_at.is_some_and(recent)
    }

    async fn fetch(&self) -> Result<Vec<UsableKey>, JwksError> {
        self.lock().tried_at = Some(self.clock.seconds());
        let keys = KeySet::read(&self.document.get().await?)?;
        let usable: Vec<_> = keys.0.iter().map(UsableKey::of).collect();
        let mut state = self.lock();
        state.keys = Some(Arc::new(keys));
        state.fetched_at = self.clock.seconds();
        tracing::debug!(keys = usable.len(), "host keys fetched");
        Ok(usable)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeySet {
    /// Whatever is in it that can be used; what cannot is passed over (RFC 7517, section 5).
    fn read(json: &[u8]) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|_| JwksError::Malformed)?;
        let usable = set.keys.into_iter().take(MAX_KEYS);
        let usable: Vec<_> = usable.filter_map(VerificationKey::from_jwk).collect();
        if usable.is_empty() {
            return Err(JwksError::NoKeys);
        }
        Ok(Self(usable))
    }

    /// A token without a kid is given the one key of its algorithm; with several it is not tried
    /// out which.
    fn look_up(&self, kid: Option<&str>, algorithm: Algorithm) -> Lookup {
        let named = self
            .0
            .iter()
            .filter(|(found, _)| kid.is_none() || found.as_deref() == kid);
        let mut fitting = named.clone().filter(|(_, key)| key.algorithm == algorithm);
        match (fitting.next(), fitting.next(), named.count()) {
            (Some((_, key)), None, _) => Lookup::Found(key.clone()),
            (None, _, 0) => Lookup::Unknown,
            _ => Lookup::Mismatch,
        }
    }
}
