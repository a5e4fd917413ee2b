//! Moves the range of outlying channels from activations to weights, where every column has a scale of its own.

use std::collections::BTreeMap;

use super::PassError;

/// What is known of the activations that go into the products, so that channels with outliers do not cost all other
/// channels their precision.
///
/// Channel `c` of the activation is divided by `s_c` and row `c` of the weight multiplied with it, where
/// `s_c = max|x_c|^strength / max|w_c|^(1 - strength)`, scaled so that the geometric mean of all `s_c` is 1. The product
/// stays what it is.
///
/// # Source
/// Xiao et al., *SmoothQuant*, arXiv:2211.10438, equation 4.
/// **Differs:** the division is a node of its own, because after a post-layer normalisation the same value goes on into
/// the residual sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Smoothing {
    ranges: BTreeMap<String, Vec<f32>>,
    strength: f32,
}

impl Smoothing {
    /// Smoothing by the greatest absolute value that each channel takes on some texts: one list for each value that
    /// [`Quantization::activations`](crate::Quantization::activations) names, one entry for each place of its last axis.
    /// Values that are not listed are left as they are.
    ///
    /// # Errors
    /// [`PassError::Range`] when an entry is negative or not finite.
    pub fn new(ranges: BTreeMap<String, Vec<f32>>) -> Result<Self, PassError> {
        match ranges.iter().find(|(_, range)| range.iter().any(|greatest| !greatest.is_finite() || *greatest < 0.0)) {
            Some((value, _)) => Err(PassError::Range { value: value.clone() }),
            None => Ok(Self { ranges, strength: STRENGTH }),
        }
    }

    /// How much of an activation's range goes to the weights: 0 none, 1 all; 0.7 unless set.
    ///
    /// # Errors
    /// [`PassError::Strength`] outside 0 to 1.
    pub fn with_strength(self, strength: f32) -> Result<Self, PassError> {
        if (0.0..=1.0).contains(&strength) {
            Ok(Self { strength, ..self })
        } else {
            Err(PassError::Strength { strength })
        }
    }

    pub(super) fn covers(&self, value: &str) -> bool {
        self.ranges.contains_key(value)
    }

    /// `s_c` for a value that is covered, from the greatest absolute weight that each of its channels meets.
    pub(super) fn factors(&self, value: &str, weights: &[f32]) -> Result<Vec<f32>, PassError> {
        let range = self.ranges.get(value).map_or(&[][..], Vec::as_slice);
        if range.len() != weights.len() {
            return Err(PassError::Channels { value: value.to_owned(), expected: weights.len(), got: range.len() });
        }
        let factor = |(range, weight): (&f32, &f32)| {
            range.max(LEAST).powf(self.strength) / weight.max(LEAST).powf(1.0 - self.strength)
        };
        let factors: Vec<f32> = range.iter().zip(weights).map(factor).collect();
        let logarithms: f64 = factors.iter().map(|factor| f64::from(factor.ln())).sum();
        #[allow(clippy::cast_possible_truncation, reason = "a mean of numbers that are f32")]
        let mean = (logarithms / factors.len() as f64).exp() as f32;
        Ok(factors.into_iter().map(|factor| factor / mean).collect())
    }
}

/// Measured on all-MiniLM-L6-v2: 0.5 spoils the weights, from 0.8 on outliers come back.
const STRENGTH: f32 = 0.7;

/// A channel that was silent on the texts must not get a factor of 0.
const LEAST: f32 = 1e-5;
