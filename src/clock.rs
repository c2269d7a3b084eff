//! The only "now" of the service.
//!
//! Lifetimes, limits and links are all decided by the clock that is passed in, so a test can stand
//! on the very second a link expires. `clippy.toml` forbids the global one elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where the time comes from. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The operating system's clock.
    #[default]
    System,
    /// A clock that stands still until it is moved: for tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `seconds` after the Unix epoch.
    #[must_use]
    pub fn manual(seconds: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(seconds * 1_000_000)))
    }

    /// Moves a manual clock forward; the system's clock cannot be moved and stays.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(micros) = self {
            micros.fetch_add(micros_of(by), Ordering::SeqCst);
        }
    }

    /// Unix seconds: the unit of JWT times (RFC 7519, section 2, `NumericDate`).
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.micros().div_euclid(1_000_000)
    }

    /// Unix microseconds: the unit of rate limits.
    #[must_use]
    pub fn micros(&self) -> i64 {
        match self {
            Self::System => system_micros(),
            Self::Manual(micros) => micros.load(Ordering::SeqCst),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clock"
)]
fn system_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, micros_of)
}

/// A duration in whole microseconds, at most `i64::MAX`.
#[must_use]
pub fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A duration in whole seconds, at most `i64::MAX`.
#[must_use]
pub fn seconds_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC, as every time in the API is written.
///
/// Seconds outside the years 0 to 9999 are written as the epoch: no time of ours is there.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    utc(seconds).format(&Rfc3339).unwrap_or_default()
}

/// The same with milliseconds, as every line of the log begins.
#[must_use]
pub fn rfc3339_with_millis(micros: i64) -> String {
    let millis = micros.rem_euclid(1_000_000) / 1_000;
    let seconds = rfc3339(micros.div_euclid(1_000_000));
    format!("{}.{millis:03}Z", seconds.trim_end_matches('Z'))
}

/// The day alone, as it stands in the name of a key: `20261123`.
#[must_use]
pub fn day(seconds: i64) -> String {
    let date = utc(seconds).date();
    let (year, month, day) = date.to_calendar_date();
    format!("{year:04}{:02}{day:02}", u8::from(month))
}

/// The first second of a day that is so written.
#[must_use]
pub fn first_second_of(day: &str) -> Option<i64> {
    let format = time::macros::format_description!(version = 2, "[year][month][day]");
    let date = time::Date::parse(day, &format).ok()?;
    Some(date.midnight().assume_utc().unix_timestamp())
}

/// Seconds that no calendar of ours has are the epoch.
pub(crate) fn utc(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_moved() {
        let clock = Clock::manual(1_000);
        assert_eq!(clock.seconds(), 1_000);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.seconds(), 1_001);
        assert_eq!(clock.micros(), 1_001_500_000);
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(1_795_474_020), "2026-11-23T22:47:00Z");
        assert_eq!(
            rfc3339_with_millis(1_795_474_020_007_999),
            "2026-11-23T22:47:00.007Z"
        );
        assert_eq!(day(1_795_474_020), "20261123");
        assert_eq!(first_second_of("20261123"), Some(1_795_392_000));
        assert_eq!(first_second_of("20261323"), None);
    }
}
