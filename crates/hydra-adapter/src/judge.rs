//! Whether the best candidate is good enough to be said.

use hydra_heads::{Calibration, UserCalibration};
use hydra_types::Score;

use crate::{AdaptError, Adapted};

/// Turns an adapter's confidence into a probability that can be acted on, and abstains below a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    calibration: Calibration,
    threshold: f32,
}

/// What became of a request. Both outcomes are spelled out, so that no caller answers with a candidate that was not good
/// enough without having said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The best candidate is likely enough.
    Answer {
        /// Its place among those of the request.
        candidate: usize,
        /// How likely it is right: from 0 to 1, calibrated, comparable between users.
        probability: Score,
    },
    /// It is not: ask more, ask back, or say that there is no answer.
    Abstained {
        /// The best candidate's place nevertheless.
        candidate: usize,
        /// How likely it is right.
        probability: Score,
    },
}

impl Judge {
    /// A judge who lets candidates pass that are right with a probability of at least `threshold`; 0 lets all pass.
    ///
    /// `calibration` must have been fitted on the confidences of the same adapter, with whether its pick was right.
    ///
    /// # Errors
    /// [`AdaptError::Threshold`] if it does not lie between 0 and 1.
    pub fn new(calibration: Calibration, threshold: f32) -> Result<Self, AdaptError> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(AdaptError::Threshold { threshold });
        }
        Ok(Self { calibration, threshold })
    }

    /// Whether the best candidate is good enough. `user` is the calibration of the user who asked;
    /// [`UserCalibration::STRANGER`] if there is none.
    pub fn verdict(&self, user: UserCalibration, adapted: &Adapted) -> Verdict {
        let (candidate, probability) = (adapted.best(), self.calibration.apply(user, adapted.confidence()));
        if probability.get() >= self.threshold {
            Verdict::Answer { candidate, probability }
        } else {
            Verdict::Abstained { candidate, probability }
        }
    }
}
