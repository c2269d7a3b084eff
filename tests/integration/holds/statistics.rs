//! Whether two sets of times can be told apart.

#![expect(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "counts of a few thousand, and times that are the same number or are not"
)]

/// The chance that a classifier which knows nothing but the time tells one of the first set from one
/// of the second: the area under its ROC curve. One half is guessing.
#[derive(Clone, Copy, Debug)]
pub struct Auc {
    pub area: f64,
    /// The upper bound, with 95 % confidence, of how far it is from guessing, added to one half.
    pub bound: f64,
}

impl Auc {
    /// How far it is from guessing, added to one half: a classifier that is always wrong is as good as
    /// one that is always right.
    pub fn told(self) -> f64 {
        self.area.max(1.0 - self.area)
    }

    /// The lower bound of that, with 95 % confidence; under one half it says nothing.
    pub fn at_least(self) -> f64 {
        2.0 * self.told() - self.bound
    }
}

/// By the rank sum of Mann and Whitney; the standard error by Hanley and `McNeil` (Radiology 143, 1982).
pub fn auc(first: &[f64], second: &[f64]) -> Auc {
    let mut all: Vec<(f64, bool)> = first
        .iter()
        .map(|time| (*time, false))
        .chain(second.iter().map(|time| (*time, true)))
        .collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut ranks = 0.0;
    let mut at = 0;
    while at < all.len() {
        let ties = all[at..]
            .iter()
            .take_while(|(time, _)| *time == all[at].0)
            .count();
        // Equal times share the mean of their ranks.
        let rank = f64::midpoint((at + 1) as f64, (at + ties) as f64);
        ranks += rank
            * all[at..at + ties]
                .iter()
                .filter(|(_, is_second)| *is_second)
                .count() as f64;
        at += ties;
    }
    let (n, m) = (second.len() as f64, first.len() as f64);
    let area = (ranks - n * (n + 1.0) / 2.0) / (n * m);
    // A classifier that is always wrong is as good as one that is always right.
    let told = area.max(1.0 - area);
    let (q1, q2) = (told / (2.0 - told), 2.0 * told * told / (1.0 + told));
    let variance =
        (told * (1.0 - told) + (n - 1.0) * (q1 - told * told) + (m - 1.0) * (q2 - told * told))
            / (n * m);
    Auc {
        area,
        bound: told + 1.96 * variance.max(0.0).sqrt(),
    }
}

/// That many hundredths of them are at most this.
pub fn percentile(times: &mut [f64], hundredths: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times[(times.len() * hundredths / 100).min(times.len() - 1)]
}

mod tests {
    use super::*;

    /// Times of about 20 ms with a long tail, as a loaded machine gives them.
    fn times(rng: &mut fastrand::Rng, count: usize, leak: f64) -> Vec<f64> {
        (0..count)
            .map(|_| 20.0 + leak - 4.0 * (1.0 - rng.f64()).ln())
            .collect()
    }

    #[test]
    fn what_is_alike_is_not_told_apart() {
        let mut rng = fastrand::Rng::with_seed(1);
        let seen = auc(&times(&mut rng, 20_000, 0.0), &times(&mut rng, 20_000, 0.0));
        assert!(seen.bound <= 0.52, "{seen:?}");
    }

    #[test]
    fn two_milliseconds_are() {
        let mut rng = fastrand::Rng::with_seed(1);
        for leak in [2.0, -2.0] {
            let seen = auc(&times(&mut rng, 2_000, leak), &times(&mut rng, 2_000, 0.0));
            assert!(seen.bound > 0.6, "{seen:?}");
        }
    }

    #[test]
    fn a_few_samples_prove_nothing() {
        let mut rng = fastrand::Rng::with_seed(1);
        assert!(auc(&times(&mut rng, 50, 0.0), &times(&mut rng, 50, 0.0)).bound > 0.52);
    }

    #[test]
    fn the_area_is_that_of_the_definition() {
        assert!((auc(&[1.0, 2.0], &[3.0, 4.0]).area - 1.0).abs() < 1e-9);
        assert!((auc(&[1.0, 3.0], &[2.0, 4.0]).area - 0.75).abs() < 1e-9);
        assert!((auc(&[5.0, 5.0], &[5.0, 5.0]).area - 0.5).abs() < 1e-9);
    }
}
