//! The paper's head as the paper fits it: AdamW on shuffled batches.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::model::{Model, check_features};
use super::rows::{FitRows, as_f64};
use super::{FitError, Fitted, Outcome, Reason, mean_loss};
use crate::head::Head;
use crate::precision::Precision;
use crate::shared::Shared;
use crate::weights::{Kind, Weights};

/// AdamW on the paper's head, for parity with the paper; [`Fit`](super::Fit) is faster and chooses its own strength.
///
/// # Source
/// Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, with the bias correction and the order of operations of
/// `torch.optim.AdamW`. The loss of a batch is the weighted mean of its rows' log-loss.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct AdamW {
    learning_rate: f32,
    weight_decay: f32,
    batch: usize,
    epochs: usize,
    seed: u64,
}

impl AdamW {
    /// The paper's settings: learning rate 2e-5, weight decay 0.01, batches of 64, 2 epochs; `seed` shuffles the rows.
    ///
    /// # Source
    /// Zhuang et al. 2024, arXiv:2406.02888, appendix on implementation, and the configuration of the released code.
    pub const fn paper(seed: u64) -> Self {
        Self { learning_rate: 2e-5, weight_decay: 0.01, batch: 64, epochs: 2, seed }
    }

    /// Another learning rate.
    pub const fn learning_rate(self, learning_rate: f32) -> Self {
        Self { learning_rate, ..self }
    }

    /// Another weight decay.
    pub const fn weight_decay(self, weight_decay: f32) -> Self {
        Self { weight_decay, ..self }
    }

    /// Other batches, or passes over the rows.
    pub const fn batches(self, batch: usize, epochs: usize) -> Self {
        Self { batch, epochs, ..self }
    }

    /// Fits from the prior head.
    ///
    /// # Errors
    /// [`FitError`] if the prior head is not of the paper's kind, or the rows belong to another body.
    pub fn run(&self, shared: &Shared, rows: &FitRows<'_>) -> Result<Fitted, FitError> {
        let start = shared.head(shared.prior().to_precision(Precision::F32))?;
        self.run_from(shared, rows, &start)
    }

    /// Fits from any head of the paper's kind: a random one as in the paper, or the user's last one.
    ///
    /// # Errors
    /// [`FitError`] if `start` is of another kind, or belongs to another body, as do rows.
    pub fn run_from(&self, shared: &Shared, rows: &FitRows<'_>, start: &Head) -> Result<Fitted, FitError> {
        for (what, good) in [
            ("learning rate", self.learning_rate.is_finite() && self.learning_rate >= 0.0),
            ("weight decay", self.weight_decay.is_finite() && self.weight_decay >= 0.0),
            ("batch", self.batch > 0),
        ] {
            if !good {
                return Err(FitError::Setting { what });
            }
        }
        check_features(shared, rows)?;
        shared.check(start)?;
        let weights = start.weights().to_precision(Precision::F32);
        let Kind::TwoLayer { .. } = weights.kind() else {
            let expected = Kind::TwoLayer { inner: shared.hidden() };
            return Err(FitError::StartKind { expected, got: weights.kind() });
        };
        let all = rows.all();
        let prior = shared.head(Weights::zeros(Kind::Linear, shared.hidden())?)?;
        let prior_loss = mean_loss(shared, &prior, rows, &all);
        let fitted = |head: Head, outcome| {
            let loss = mean_loss(shared, &head, rows, &all);
            Fitted { head, outcome, strength: None, held_out: None, prior_loss, loss }
        };
        if rows.is_empty() {
            return Ok(fitted(prior.clone(), Outcome::Prior(Reason::NoRows)));
        }
        let weights = self.descend(shared, rows, weights);
        Ok(fitted(
            shared.head(Weights::from_parameters(weights.kind(), weights.hidden(), &weights.parameters())?)?,
            Outcome::Fitted,
        ))
    }

    fn descend(&self, shared: &Shared, rows: &FitRows<'_>, mut weights: Weights) -> Weights {
        let mut parameters = weights.parameters();
        let mut moments = vec![[0.0f32; 2]; parameters.len()];
        let mut order = rows.all();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut corrections = [1.0f64; 2];
        for _ in 0..self.epochs {
            order.shuffle(&mut rng);
            for picks in order.chunks(self.batch) {
                let total: f64 = picks.iter().map(|&row| rows.weight(row)).sum();
                let mut model = Model::new(shared, weights, rows, picks);
                let (_, gradient) = model.loss_and_gradient();
                corrections[0] *= BETAS[0];
                corrections[1] *= BETAS[1];
                self.step(&mut parameters, &mut moments, gradient, total.max(1.0 / as_f64(picks.len())), corrections);
                model.set_parameters(&parameters);
                weights = model.into_weights();
            }
        }
        weights
    }

    fn step(
        &self,
        parameters: &mut [f32],
        moments: &mut [[f32; 2]],
        gradient: &[f32],
        total: f64,
        corrections: [f64; 2],
    ) {
        let [beta1, beta2] = BETAS.map(super::model::narrow);
        let decay = 1.0 - self.learning_rate * self.weight_decay;
        let share = super::model::narrow(1.0 / total);
        let size = super::model::narrow(f64::from(self.learning_rate) / (1.0 - corrections[0]));
        let root = super::model::narrow((1.0 - corrections[1]).sqrt());
        for ((parameter, [first, second]), gradient) in parameters.iter_mut().zip(moments).zip(gradient) {
            let gradient = gradient * share;
            *first += (1.0 - beta1) * (gradient - *first);
            *second = beta2 * *second + (1.0 - beta2) * gradient * gradient;
            *parameter = *parameter * decay - size * *first / (second.sqrt() / root + EPSILON);
        }
    }
}

/// Decay of the two moments, and what keeps a division finite: `torch.optim.AdamW`'s defaults, which the paper keeps.
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;
