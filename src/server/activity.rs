//! Whether a connection is being used: what nobody uses is closed.
//!
//! hyper's own clocks see neither a client who asks and then does not read the answer, nor an
//! HTTP/2 connection that only answers pings; either would hold its place for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The requests of one connection.
pub(super) struct Activity(Mutex<State>);

struct State {
    at_work: usize,
    since: Instant,
}

/// A request is being answered, until this is dropped.
pub(super) struct AtWork<'a> {
    activity: &'a Activity,
    /// Beside others of the connection (HTTP/2).
    pub(super) is_beside: bool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            at_work: 0,
            since: Instant::now(),
        }))
    }

    /// A request has arrived.
    pub(super) fn begin(&self) -> AtWork<'_> {
        let mut state = self.lock();
        state.at_work += 1;
        AtWork {
            activity: self,
            is_beside: state.at_work > 1,
        }
    }

    /// Resolves once nothing has been asked for `longest` and nothing is being worked on.
    pub(super) async fn is_over(&self, longest: Duration) {
        loop {
            let (at_work, since) = {
                let state = self.lock();
                (state.at_work, state.since)
            };
            let now = Instant::now();
            if at_work == 0 && since + longest <= now {
                return;
            }
            let from = if at_work == 0 { since } else { now };
            sleep_until(from + longest).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.at_work -= 1;
        state.since = Instant::now();
    }
}
