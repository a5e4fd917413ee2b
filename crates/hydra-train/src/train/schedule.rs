//! The learning rate over the steps.

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Schedule {
    /// It stays.
    Constant,
    /// In a straight line to 0.
    ///
    /// # Source
    /// Devlin et al. 2018, appendix A.2.
    Linear,
    /// Along half a cosine to 0.
    ///
    /// # Source
    /// Loshchilov and Hutter 2017 (arXiv:1608.03983), equation 5, without restarts.
    Cosine,
}

impl Schedule {
    /// The share of the greatest learning rate at a step, from 0; during `warm_up` steps it rises in a straight line.
    #[must_use]
    pub fn share(self, step: u64, warm_up: u64, steps: u64) -> f64 {
        if step < warm_up {
            return step as f64 / warm_up as f64;
        }
        let done = (step - warm_up) as f64 / (steps.saturating_sub(warm_up)).max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Linear => (1.0 - done).max(0.0),
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls_as_the_formula_says() {
        let at = |schedule: Schedule| [0, 2, 4, 7, 10].map(|step| schedule.share(step, 4, 10));
        assert_eq!(at(Schedule::Constant), [0.0, 0.5, 1.0, 1.0, 1.0]);
        assert_eq!(at(Schedule::Linear), [0.0, 0.5, 1.0, 0.5, 0.0]);
        let cosine = at(Schedule::Cosine);
        assert!((cosine[3] - 0.5).abs() < 1e-12 && cosine[4].abs() < 1e-12 && cosine[2] == 1.0);
        // A quarter of the way down, half a cosine has lost (1 - cos 45 degrees) / 2.
        assert!((Schedule::Cosine.share(6, 4, 12) - 0.853_553_390_593).abs() < 1e-9);
    }
}
