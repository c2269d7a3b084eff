//! What operators see: metrics, readiness, the log; and that all of it is as the documentation says.

mod documented;
mod log;
mod metrics;
mod readiness;

use crate::support::process::Running;

/// What `/metrics` says, as it is read by Prometheus.
pub struct Scrape(String);

impl Scrape {
    pub async fn of(server: &Running) -> Self {
        let answer = server.get("/metrics").await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        let content_type = answer.header("content-type").expect("a type");
        assert!(content_type.starts_with("text/plain; version=0.0.4"));
        Self(answer.text)
    }

    /// The value of that very series.
    pub fn find(&self, series: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(series))?;
        line.trim().parse().ok()
    }

    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        let found = self.find(series);
        found.unwrap_or_else(|| panic!("no {series} in {}", self.0))
    }

    /// The same of what is counted in whole numbers.
    #[track_caller]
    pub fn count(&self, series: &str) -> u64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(series));
        let count = line.and_then(|value| value.trim().parse().ok());
        count.unwrap_or_else(|| panic!("no {series} in {}", self.0))
    }

    /// Each of these series has that value.
    #[track_caller]
    pub fn assert(&self, expected: &[(&str, u64)]) {
        for (series, value) in expected {
            assert_eq!(self.count(series), *value, "{series}");
        }
    }

    /// The names of everything that is exported.
    pub fn names(&self) -> Vec<String> {
        let types = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        types
            .map(|line| line.split(' ').next().expect("a name").to_owned())
            .collect()
    }
}
