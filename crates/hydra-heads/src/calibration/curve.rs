//! The population's curve from scores to probabilities.

use super::isotonic::Steps;
use super::{CalibrationError, fit_scale, log_odds, sigmoid};

/// Which family of curves to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurveKind {
    /// One number, a temperature: needs few rows and cannot mend a curve of another shape.
    Temperature,
    /// Any rising curve: needs some thousand rows.
    Isotonic,
}

/// A rising map from a score in `[0, 1]` to a probability in `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(Shape);

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Temperature { scale: f64 },
    Isotonic(Steps),
}

impl Curve {
    /// Fits a curve to rows of a score and whether it was right.
    pub(super) fn fit(
        kind: CurveKind,
        rows: impl Iterator<Item = (f64, bool)> + Clone,
    ) -> Result<Self, CalibrationError> {
        if rows.clone().next().is_none() {
            return Err(CalibrationError::Empty);
        }
        Ok(Self(match kind {
            CurveKind::Temperature => {
                let odds: Vec<_> = rows.map(|(score, label)| (log_odds(score), label)).collect();
                Shape::Temperature { scale: fit_scale(&odds.iter().copied(), ONE_ROW, 1.0) }
            }
            CurveKind::Isotonic => Shape::Isotonic(Steps::fit(rows.collect())),
        }))
    }

    /// The probability that goes with a score.
    pub(super) fn probability(&self, score: f64) -> f64 {
        match &self.0 {
            Shape::Temperature { scale } => sigmoid(scale * log_odds(score)),
            Shape::Isotonic(steps) => steps.at(score),
        }
    }

    /// The temperature that scores are divided by on the scale of log-odds; none if the curve is isotonic.
    #[must_use]
    pub fn temperature(&self) -> Option<f64> {
        match self.0 {
            Shape::Temperature { scale } => Some(1.0 / scale),
            Shape::Isotonic(_) => None,
        }
    }
}

/// The population is held to "scores are right as they are" about as strongly as by one row: enough for a finite answer
/// when all outcomes are equal.
const ONE_ROW: f64 = 1.0;
