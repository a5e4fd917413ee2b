//! How often chance alone would make such a difference.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::Paired;

impl Paired {
    /// The two-sided p-value of the mean difference under sign flips: how often a difference at least as large comes up
    /// when, for each user, chance decides which of the two systems is which.
    ///
    /// Exact, over all flips, for up to 16 users; above that from `resamples` random flips, the sample itself counted
    /// among them. The same seed gives the same value.
    ///
    /// # Panics
    /// If `resamples` is zero.
    ///
    /// # Source
    /// Fisher's randomisation test; counting the sample itself: Phipson and Smyth (2010), equation 2.
    #[must_use]
    pub fn permutation_test(&self, resamples: usize, seed: u64) -> f64 {
        assert!(resamples > 0, "at least one resample");
        let sums: Vec<f64> = self.by_user.iter().map(|user| user.iter().sum()).collect();
        // Rounding must not decide whether a flip that gives the same sum is as large.
        let scale: f64 = sums.iter().map(|sum| sum.abs()).sum();
        let threshold = sums.iter().sum::<f64>().abs() - 1e-12 * scale;
        let as_large = |flipped: f64| flipped.abs() >= threshold;
        if sums.len() <= MOST_EXACT {
            let all = 1u32 << sums.len();
            let flip = |mask: u32| {
                let signed = |(bit, sum): (usize, &f64)| if mask >> bit & 1 == 1 { -sum } else { *sum };
                sums.iter().enumerate().map(signed).sum::<f64>()
            };
            return f64::from(
                u32::try_from((0..all).filter(|&mask| as_large(flip(mask))).count()).expect("at most all"),
            ) / f64::from(all);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut flip = || sums.iter().map(|sum| if rng.random() { -sum } else { *sum }).sum::<f64>();
        let larger = (0..resamples).filter(|_| as_large(flip())).count();
        (larger + 1) as f64 / (resamples + 1) as f64
    }
}

/// The exact two-sided p-value of `wins` against `losses` if both were equally likely: McNemar's exact test on pairs of
/// right and wrong answers. Ties are left out by the caller.
///
/// # Source
/// The binomial test with success probability one half.
#[must_use]
pub fn sign_test(wins: u32, losses: u32) -> f64 {
    let (n, fewer) = (wins + losses, wins.min(losses));
    // Terms C(n, i) / 2^n, by logarithms: n may be large.
    let mut log_term = -f64::from(n) * std::f64::consts::LN_2;
    let mut tail = log_term.exp();
    for i in 1..=fewer {
        log_term += (f64::from(n - i + 1) / f64::from(i)).ln();
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// 65,536 flips take a millisecond.
const MOST_EXACT: usize = 16;
