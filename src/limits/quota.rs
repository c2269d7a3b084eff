//! A quota and its arithmetic: whether one more is admitted, and how long to wait if not.

use std::str::FromStr;
use std::time::Duration;

use crate::clock::micros_of;

/// So many at once, refilled over a period: written `10/10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    period: Duration,
}

/// How long to wait before the next try has a chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

/// The text is not a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not written as burst/period, such as 10/10m")]
pub struct InvalidQuota;

impl FromStr for Quota {
    type Err = InvalidQuota;

    fn from_str(text: &str) -> Result<Self, InvalidQuota> {
        let (burst, period) = text.split_once('/').ok_or(InvalidQuota)?;
        let burst = burst.trim().parse().map_err(|_| InvalidQuota)?;
        let period = humantime::parse_duration(period.trim()).map_err(|_| InvalidQuota)?;
        let year = Duration::from_hours(24 * 366);
        if burst == 0
            || period < Duration::from_secs(1)
            || period > year
            || period.as_micros() < u128::from(burst)
        {
            return Err(InvalidQuota);
        }
        Ok(Self { burst, period })
    }
}

impl Quota {
    /// What one costs, in microseconds.
    #[must_use]
    pub fn interval(self) -> i64 {
        micros_of(self.period) / i64::from(self.burst)
    }

    /// The latest TAT there can be: nothing is charged beyond one period.
    #[must_use]
    pub fn latest(self, now: i64) -> i64 {
        now.saturating_add(micros_of(self.period))
    }

    /// The latest TAT with which one more is admitted.
    #[must_use]
    pub fn latest_admissible(self, now: i64) -> i64 {
        self.latest(now).saturating_sub(self.interval())
    }

    /// How long a key with that TAT has to wait: at least a second, so that `Retry-After` is true
    /// in whole seconds.
    #[must_use]
    pub fn wait(self, tat: i64, now: i64) -> Wait {
        let micros = tat.saturating_sub(self.latest_admissible(now)).max(1);
        Wait(Duration::from_secs(
            u64::try_from(micros).unwrap_or(1).div_ceil(1_000_000),
        ))
    }

    pub(super) fn charge(self, tat: Option<i64>, now: i64) -> Result<i64, Wait> {
        let tat = tat.unwrap_or(now).clamp(now, self.latest(now));
        if tat > self.latest_admissible(now) {
            return Err(self.wait(tat, now));
        }
        Ok(tat.saturating_add(self.interval()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_written_as_burst_and_period() {
        let quota: Quota = "10/10m".parse().expect("a quota");
        assert_eq!((quota.burst, quota.period), (10, Duration::from_mins(10)));
        for wrong in [
            "",
            "10",
            "0/1m",
            "-1/1m",
            "10/0s",
            "10/1x",
            "10/-1m",
            "a/1m",
            "10/99999d",
            "2000001/1s",
        ] {
            assert_eq!(wrong.parse::<Quota>(), Err(InvalidQuota), "{wrong}");
        }
    }

    #[test]
    fn a_period_is_a_second_to_a_year_and_a_microsecond_for_each() {
        for (text, expected) in [
            ("1/999ms", false),
            ("1/1s", true),
            ("1/366days", true),
            ("1/366days 1s", false),
            ("1000000/1s", true),
            ("1000001/1s", false),
        ] {
            assert_eq!(text.parse::<Quota>().is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_wait_is_whole_seconds_rounded_up_and_at_least_one() {
        let quota: Quota = "2/20s".parse().expect("a quota");
        let (now, second) = (5_000_000, 1_000_000);
        for (ahead, expected) in [(0, 1), (10, 1), (11, 1), (12, 2), (20, 10)] {
            let wait = quota.wait(now + ahead * second, now);
            assert_eq!(wait, Wait(Duration::from_secs(expected)), "{ahead} s");
        }
        let a_moment = quota.wait(now + 11 * second + 1, now);
        assert_eq!(a_moment, Wait(Duration::from_secs(2)));
    }
}
