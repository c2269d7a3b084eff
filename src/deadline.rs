//! One deadline a request, from which every wait takes its share.
//!
//! Passed down explicitly: whatever can wait (database, mail server, password lane) says so in its
//! signature, and nothing can wait longer than the person on the other side.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// How long a request may take in all.
pub const REQUEST: Duration = Duration::from_secs(9);

/// The instant by which an answer must be on its way.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// The share of the deadline was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer in time")]
pub struct TimedOut;

impl Deadline {
    /// The deadline of a request that arrives now.
    #[must_use]
    pub fn of_request() -> Self {
        Self::after(REQUEST)
    }

    /// `duration` from now.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// This deadline, or `share` from now if that is sooner.
    #[must_use]
    pub fn at_most(self, share: Duration) -> Self {
        Self(self.0.min(Instant::now() + share))
    }

    /// This deadline less `reserve`, kept for what must still happen afterwards.
    #[must_use]
    pub fn keeping(self, reserve: Duration) -> Self {
        Self(self.0.checked_sub(reserve).unwrap_or(self.0))
    }

    /// Waits for `work` until the deadline; after it, nothing is begun.
    ///
    /// # Errors
    ///
    /// [`TimedOut`]; the work has then been dropped.
    pub async fn bound<T>(self, work: impl Future<Output = T>) -> Result<T, TimedOut> {
        if Instant::now() >= self.0 {
            return Err(TimedOut);
        }
        timeout_at(self.0, work).await.map_err(|_| TimedOut)
    }
}
