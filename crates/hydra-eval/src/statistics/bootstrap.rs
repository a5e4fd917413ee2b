//! Bootstrap intervals.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::{Paired, mean_of};

/// A mean and the interval around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean of the sample.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Paired {
    /// The mean difference with its bootstrap interval: users are drawn with replacement, each with all queries.
    ///
    /// `confidence` is the share of resamples inside, say 0.95. The same seed gives the same interval.
    ///
    /// # Panics
    /// If `confidence` is not between 0 and 1, or `resamples` is zero.
    ///
    /// # Source
    /// The percentile interval of Efron (1979), resampling whole clusters: Davison and Hinkley (1997), section 3.8.
    /// With fewer than some twenty users it is too narrow; [`permutation_test`](Self::permutation_test) is not.
    #[must_use]
    pub fn bootstrap(&self, confidence: f64, resamples: usize, seed: u64) -> Interval {
        let users = &self.by_user;
        let mean = |drawn: &[usize]| mean_of(drawn.iter().map(|&user| &users[user]));
        interval(users.len(), Draws { confidence, resamples, seed }, mean)
    }
}

/// How intervals are drawn.
#[derive(Clone, Copy)]
pub(crate) struct Draws {
    /// The share of resamples inside.
    pub(crate) confidence: f64,
    pub(crate) resamples: usize,
    pub(crate) seed: u64,
}

/// What `of` makes of all users, with its percentile interval over resamples of them. A resample of which it makes no finite
/// number is left out.
pub(crate) fn interval(users: usize, draws: Draws, of: impl Fn(&[usize]) -> f64) -> Interval {
    let Draws { confidence, resamples, seed } = draws;
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence is between 0 and 1");
    assert!(resamples > 0, "at least one resample");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn: Vec<usize> = (0..users).collect();
    let mean = of(&drawn);
    let mut means = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        drawn.fill_with(|| rng.random_range(0..users));
        means.push(of(&drawn));
    }
    means.retain(|mean| mean.is_finite());
    if means.is_empty() {
        return Interval { mean, low: mean, high: mean };
    }
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Interval { mean, low: quantile(&means, tail), high: quantile(&means, 1.0 - tail) }
}

/// The quantile of sorted numbers, linear between them.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_the_numbers() {
        let numbers = [1.0, 2.0, 4.0];
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|at| quantile(&numbers, at)), [1.0, 1.5, 2.0, 3.0, 4.0]);
    }

    /// Of intervals around the means of many samples, the promised share holds the true mean, also where queries of one
    /// user resemble each other.
    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut uniform = || rng.random_range(-1.0..1.0_f64);
        let samples = 300;
        let covered = (0..samples)
            .filter(|&sample| {
                let users = (0..40).map(|_| {
                    let taste = uniform();
                    (0..5).map(|_| taste + 0.3 * uniform()).collect()
                });
                let interval = Paired { by_user: users.collect() }.bootstrap(0.9, 400, sample);
                interval.low <= 0.0 && 0.0 <= interval.high
            })
            .count();
        assert!((0.84..=0.95).contains(&(covered as f64 / samples as f64)), "{covered} of {samples}");
    }
}
