//! The bounded lane in which passwords are checked.
//!
//! Under a flood, one task a password would take gigabytes and starve everything else. Here a few
//! threads of their own share memory that is kept, and take jobs from a short queue; who finds it
//! full is told so at once. A caller first takes a [`Place`], then may do what must happen before
//! the hash (charging limits), then checks.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

use super::{Checker, Password, Workspace};
use crate::metrics::Metrics;

/// How many may wait beyond those being hashed: half a second's work of two threads.
const QUEUE: usize = 32;
/// Who has waited so long for a thread is refused instead of served, however long the hashes take
/// that are before: short enough for the answer to be there within a second.
const LONGEST_WAIT: Duration = Duration::from_millis(750);

/// The lane is full, or did not come to this job in time. Try again in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Overloaded;

/// The lane. Cheap to clone; its threads end when the last clone is gone.
#[derive(Clone)]
pub struct Lane {
    places: Arc<Semaphore>,
    jobs: mpsc::Sender<Job>,
    checked: Arc<AtomicU64>,
    size: usize,
    metrics: Metrics,
}

/// A place in the lane, kept until its hash is done, even if its caller goes away.
pub struct Place {
    permit: OwnedSemaphorePermit,
    jobs: mpsc::Sender<Job>,
    metrics: Metrics,
}

struct Job {
    password: Password,
    stored: Option<Zeroizing<String>>,
    /// Taken by whoever is first: the thread that begins, or the caller who has waited too long.
    taken: Arc<AtomicBool>,
    answer: oneshot::Sender<thread::Result<bool>>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Lane {
    /// Starts `threads` threads (at least one). Each takes the memory of a common hash at its first
    /// job, 19 MiB for one of ours, and keeps it.
    ///
    /// # Errors
    ///
    /// Passes on the operating system's refusal to start a thread.
    pub fn start(threads: usize, checker: Checker, metrics: Metrics) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let workspaces = Arc::default();
        let checker = Arc::new(checker);
        let checked = Arc::default();
        for number in 0..threads {
            let (queue, workspaces) = (Arc::clone(&queue), Arc::clone(&workspaces));
            let (checker, checked) = (Arc::clone(&checker), Arc::clone(&checked));
            let metrics = metrics.clone();
            thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&queue, &workspaces, &checker, &checked, &metrics))?;
        }
        Ok(Self {
            places: Arc::new(Semaphore::new(threads + QUEUE)),
            jobs,
            checked,
            size: threads + QUEUE,
            metrics,
        })
    }

    /// How many passwords are in the lane, and how many there can be.
    #[must_use]
    pub fn depth(&self) -> (usize, usize) {
        let free = self.places.available_permits();
        (self.size.saturating_sub(free), self.size)
    }

    /// How many passwords have been checked so far: the proof that something is refused, or
    /// limited, before any hash is computed.
    #[must_use]
    pub fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// Takes a place, or says at once that there is none.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn place(&self) -> Result<Place, Overloaded> {
        let permit = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| refused(&self.metrics, "full"))?;
        Ok(Place {
            permit,
            jobs: self.jobs.clone(),
            metrics: self.metrics.clone(),
        })
    }
}

impl Place {
    /// Checks `password` against `stored`; `None` is an unknown user and costs the same.
    ///
    /// # Errors
    ///
    /// [`Overloaded`] if the lane does not come to it within a second.
    ///
    /// # Panics
    ///
    /// If the hash function did: a defect of ours must not look like too many people.
    pub async fn check(self, password: Password, stored: Option<&str>) -> Result<bool, Overloaded> {
        let (answer, mut answered) = oneshot::channel();
        let taken = Arc::new(AtomicBool::new(false));
        let job = Job {
            password,
            stored: stored.map(|hash| Zeroizing::new(hash.to_owned())),
            taken: Arc::clone(&taken),
            answer,
            since: Instant::now(),
            _permit: self.permit,
        };
        self.jobs.send(job).map_err(|_| Overloaded)?;
        let first = tokio::time::timeout(LONGEST_WAIT, &mut answered).await;
        let answer = match first {
            Ok(answer) => answer,
            Err(_) if !taken.swap(true, Ordering::AcqRel) => {
                return Err(refused(&self.metrics, "late"));
            }
            Err(_) => answered.await,
        };
        match answer {
            Ok(checked) => Ok(checked.unwrap_or_else(|defect| resume_unwind(defect))),
            Err(_) => Err(Overloaded),
        }
    }
}

fn refused(metrics: &Metrics, cause: &'static str) -> Overloaded {
    metrics.lane_refused(cause);
    Overloaded
}

/// The workspace that was used last is used next: its 19 MiB are still warm, which saves a tenth of
/// the hash while there is one person at a time.
type Workspaces = Mutex<Vec<Workspace>>;

fn work(
    queue: &Mutex<mpsc::Receiver<Job>>,
    workspaces: &Workspaces,
    checker: &Checker,
    checked: &AtomicU64,
    metrics: &Metrics,
) {
    loop {
        // The guard is dropped before the hash: only taking a job is exclusive.
        let next = lock(queue).recv();
        let Ok(job) = next else { return };
        // Its caller has gone, or has waited too long.
        if job.answer.is_closed() || job.taken.swap(true, Ordering::AcqRel) {
            continue;
        }
        checked.fetch_add(1, Ordering::Relaxed);
        metrics.password_waited(job.since.elapsed());
        let mut workspace = lock(workspaces).pop().unwrap_or_default();
        let stored = job.stored.as_ref().map(|hash| hash.as_str());
        let check = AssertUnwindSafe(|| {
            #[cfg(test)]
            tests::may_be_defective(stored);
            checker.check(&job.password, stored, &mut workspace)
        });
        let begun = Instant::now();
        // A defect in a hash function is its caller's, and costs nobody else the lane.
        let checked = catch_unwind(check);
        if checked.is_ok() {
            metrics.password_checked(begun.elapsed());
            lock(workspaces).push(workspace);
        }
        // The caller may have gone meanwhile; its place is free only now.
        let _ = job.answer.send(checked);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn lane() -> Lane {
        Lane::start(1, Checker::default(), Metrics::new(&Clock::System)).expect("threads")
    }

    fn password() -> Password {
        Password::new("correct horse".to_owned())
    }

    /// A stored password that stands for a defect: no real one is known that causes any.
    const DEFECT: &str = "$defect$";

    pub(super) fn may_be_defective(stored: Option<&str>) {
        assert_ne!(stored, Some(DEFECT));
    }

    #[tokio::test]
    async fn a_defect_of_a_hash_function_is_its_callers_and_not_taken_for_too_many_people() {
        let lane = lane();
        let place = lane.place().expect("a place");
        let check = tokio::spawn(place.check(password(), Some(DEFECT))).await;
        assert!(check.is_err_and(|error| error.is_panic()));
        let next = lane.place().expect("a place").check(password(), None).await;
        assert_eq!(next, Ok(false), "the thread goes on");
    }

    #[tokio::test]
    async fn a_full_lane_refuses_at_once_and_frees_a_place_with_each_hash() {
        let lane = lane();
        let places: Vec<Place> = std::iter::from_fn(|| lane.place().ok()).collect();
        assert_eq!(places.len(), 1 + QUEUE);
        assert_eq!(lane.depth(), (1 + QUEUE, 1 + QUEUE));
        assert_eq!(lane.place().err(), Some(Overloaded));
        drop(places);
        assert_eq!(lane.depth(), (0, 1 + QUEUE));
        assert!(
            !lane
                .place()
                .expect("a place")
                .check(password(), None)
                .await
                .expect("an answer")
        );
    }

    #[tokio::test]
    async fn a_caller_who_goes_away_frees_no_place_before_the_hash_is_done() {
        let lane = lane();
        let all = lane.places.available_permits();
        let place = lane.place().expect("a place");
        let check = tokio::spawn(place.check(password(), None));
        tokio::time::sleep(Duration::from_millis(3)).await;
        check.abort();
        assert_eq!(lane.places.available_permits(), all - 1);
        tokio::time::timeout(Duration::from_secs(5), async {
            while lane.places.available_permits() < all {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect("the place is freed after the hash");
    }

    #[tokio::test]
    async fn who_has_gone_before_their_turn_costs_no_hash() {
        let lane = lane();
        let slow = "$2b$13$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let first = tokio::spawn(lane.place().expect("a place").check(password(), Some(slow)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = tokio::spawn(lane.place().expect("a place").check(password(), None));
        tokio::time::sleep(Duration::from_millis(10)).await;
        second.abort();
        assert!(second.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(first.await.expect("no panic"), Ok(false));
        let third = lane.place().expect("a place").check(password(), None).await;
        assert_eq!(third, Ok(false));
        assert_eq!(lane.checked(), 2);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_a_second_behind_hashes_that_take_longer() {
        let lane = lane();
        // bcrypt at the highest cost that is allowed.
        let slow = "$2b$15$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let since = tokio::time::Instant::now();
        let first = tokio::spawn(lane.place().expect("a place").check(password(), Some(slow)));
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let second = lane.place().expect("a place").check(password(), None).await;
        assert_eq!(second, Err(Overloaded));
        assert!(
            since.elapsed() < LONGEST_WAIT + Duration::from_millis(400),
            "{:?}",
            since.elapsed()
        );
        assert_eq!(first.await.expect("no panic"), Ok(false));
        let third = lane.place().expect("a place").check(password(), None).await;
        assert_eq!(third, Ok(false));
    }
}
