//! From a history to a routing.

use hydra_types::Fingerprint;

use super::objective::{Params, softmax};
use super::summary::Summary;
use crate::features::Features;
use crate::weights::{Weights, WeightsError};

/// Reads off a user's history how much of each facet the user is.
#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    body: Fingerprint,
    summary: Summary,
    /// `[facets, hidden]`, row after row.
    gate: Vec<f64>,
    /// `[facets]`
    bias: Vec<f64>,
    mixed: usize,
}

impl Router {
    pub(super) fn new(body: Fingerprint, summary: Summary, params: &Params, mixed: usize) -> Self {
        let (gate, bias) = params.router();
        Self { body, summary, gate: gate.to_vec(), bias: bias.to_vec(), mixed }
    }

    /// The routing of the user with this history: weights of which at most the mixed number is not zero, at least zero,
    /// that sum to one. Without a single record all are zero, which is exactly the prior head.
    ///
    /// # Shapes
    /// - `history`: `[records, hidden]`
    ///
    /// # Errors
    /// [`RouterError`] if the features are of another body or width.
    pub fn route(&self, history: Features<'_>) -> Result<Weights, RouterError> {
        if history.body() != self.body {
            return Err(RouterError::Body { expected: self.body, got: history.body() });
        }
        let hidden = self.summary.mean.len();
        if history.hidden() != hidden {
            return Err(RouterError::Width { expected: hidden, got: history.hidden() });
        }
        #[expect(clippy::cast_possible_truncation, reason = "a weight between zero and one loses precision only")]
        let weights: Vec<f32> = self.weights(history).into_iter().map(|weight| weight as f32).collect();
        Ok(Weights::routing(hidden, &weights)?)
    }

    /// How many facets it routes to.
    #[must_use]
    pub fn facets(&self) -> usize {
        self.bias.len()
    }

    pub(super) fn weights(&self, history: Features<'_>) -> Vec<f64> {
        if history.batch() == 0 {
            return vec![0.0; self.bias.len()];
        }
        let dense = softmax(&self.gate, &self.bias, &self.summary.of(history));
        largest(dense, self.mixed)
    }
}

/// Features that a router cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// Of another body.
    #[error("the history's features are of body {got}, the router reads body {expected}: encode the history again")]
    Body {
        /// The router's.
        expected: Fingerprint,
        /// The history's.
        got: Fingerprint,
    },
    /// Of another width.
    #[error("the history's features have width {got}, the router reads {expected}")]
    Width {
        /// The router's.
        expected: usize,
        /// The history's.
        got: usize,
    },
    /// The history's numbers are so large that the routing overflowed.
    #[error("the history's features are too large to be routed")]
    Overflow(#[from] WeightsError),
}

/// Keeps the `keep` largest weights, scaled to sum to one; of equal ones those that stand first.
fn largest(mut weights: Vec<f64>, keep: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    for &dropped in &order[keep..] {
        weights[dropped] = 0.0;
    }
    let sum: f64 = weights.iter().sum();
    for weight in &mut weights {
        *weight /= sum;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::largest;

    #[test]
    fn the_largest_weights_are_kept_and_sum_to_one() {
        assert_eq!(largest(vec![0.1, 0.4, 0.1, 0.4], 2), [0.0, 0.5, 0.0, 0.5]);
        assert_eq!(largest(vec![0.25; 4], 1), [1.0, 0.0, 0.0, 0.0]);
    }
}
