//! How to train.

use serde::Serialize;

use super::device::Device;
use super::heads::UserHeads;
use super::loss::Loss;
use super::schedule::Schedule;
use crate::model::{Model, Names};

/// How a model is trained: made by [`TrainOptions::new`] and checked by [`build`](TrainOptions::build).
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct TrainOptions {
    pub(super) device: Device,
    pub(super) loss: Loss,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f32,
    pub(super) betas: (f32, f32),
    pub(super) epsilon: f32,
    pub(super) schedule: Schedule,
    pub(super) warm_up: f64,
    pub(super) clip: f64,
    pub(super) batch: usize,
    pub(super) max_tokens: usize,
    pub(super) epochs: u64,
    pub(super) dropout: f32,
    pub(super) frozen: Frozen,
    pub(super) user_heads: UserHeads,
    pub(super) evaluate_every: u64,
    pub(super) patience: usize,
    pub(super) seed: u64,
}

/// Which part of the encoder stays as it is, from below: the tables and so many layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum Frozen {
    /// Everything is trained.
    #[default]
    Nothing,
    /// The tables and the lowest layers are frozen and run in every step.
    Layers(usize),
    /// The same, run once for every row: what they give is kept in memory, `4 · hidden` bytes a token, and dropout does not
    /// touch it.
    LayersKept(usize),
}

/// Numbers with which nothing can be trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{option} = {value}: give {supported}")]
pub struct OptionsError {
    option: &'static str,
    value: String,
    supported: &'static str,
}

impl TrainOptions {
    /// Defaults: AdamW at 2e-5 with β = (0.9, 0.999), ε = 1e-8 and weight decay 0.01, one tenth of the steps warm-up and
    /// then linear decay, gradients clipped at norm 1 (Devlin et al. 2018, appendix A.3 and google-research/bert); batches
    /// of 32 units, 2 epochs, passes of 1,024 tokens, no dropout, on the processor.
    pub const fn new(loss: Loss) -> Self {
        Self {
            device: Device::Cpu,
            loss,
            learning_rate: 2e-5,
            weight_decay: 0.01,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            schedule: Schedule::Linear,
            warm_up: 0.1,
            clip: 1.0,
            batch: 32,
            max_tokens: 1024,
            epochs: 2,
            dropout: 0.0,
            frozen: Frozen::Nothing,
            user_heads: UserHeads::None,
            evaluate_every: 50,
            patience: 5,
            seed: 0,
        }
    }

    /// The numbers of the HYDRA paper for bodies and heads together; not its heads.
    ///
    /// # Source
    /// Zhuang et al. 2024 (arXiv:2406.02888), section 3 and appendix: cross-entropy of two classes, rows of all users mixed,
    /// AdamW at 2e-5 with weight decay 0.01, batches of 64 rows, 2 epochs. **Differs:** in the paper a user's head is two linear
    /// maps with tanh between them, and stands alone. Here it is one linear map that is added to the classifier, which everybody
    /// shares: see [`UserHeads::Linear`]. What the paper leaves open is ours: the learning rate is constant, no gradient is
    /// clipped, there is no dropout, and biases and layer normalisation do not decay.
    pub fn hydra_paper() -> Self {
        Self::new(Loss::two_classes())
            .learning_rate(2e-5)
            .weight_decay(0.01)
            .user_heads(UserHeads::Linear { learning_rate: 2e-5, weight_decay: 0.01 })
            .batch(64)
            .epochs(2)
            .schedule(Schedule::Constant, 0.0)
            .clip(f64::INFINITY)
            .dropout(0.0)
    }

    /// Where the model is trained. A GPU wants longer passes than the processor, see [`max_tokens`](Self::max_tokens).
    pub const fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// The greatest learning rate.
    pub const fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.learning_rate = learning_rate;
        self
    }

    /// Weight decay of all weights but biases and layer normalisation.
    pub const fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// How the learning rate falls, and which share of the steps it rises before.
    pub const fn schedule(mut self, schedule: Schedule, warm_up: f64) -> Self {
        self.schedule = schedule;
        self.warm_up = warm_up;
        self
    }

    /// Gradients longer than this are scaled down to it.
    pub const fn clip(mut self, norm: f64) -> Self {
        self.clip = norm;
        self
    }

    /// Rows, or groups of rows where the loss compares, of one step.
    pub const fn batch(mut self, units: usize) -> Self {
        self.batch = units;
        self
    }

    /// Tokens of one pass, padding included. A step takes as many passes as it needs and adds up their gradients, so that
    /// this bounds memory and changes nothing but rounding. On the processor as many passes run at once as rayon has threads:
    /// a step is fast where it has as many, of about one length. On a GPU one runs at a time and should fill it.
    pub const fn max_tokens(mut self, tokens: usize) -> Self {
        self.max_tokens = tokens;
        self
    }

    /// How often every row is seen.
    pub const fn epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// The share of numbers that dropout sets to 0 in training; 0 by default.
    pub const fn dropout(mut self, share: f32) -> Self {
        self.dropout = share;
        self
    }

    /// Which part of the encoder stays as it is.
    pub const fn frozen(mut self, frozen: Frozen) -> Self {
        self.frozen = frozen;
        self
    }

    /// Whether users have heads of their own.
    pub const fn user_heads(mut self, user_heads: UserHeads) -> Self {
        self.user_heads = user_heads;
        self
    }

    /// After how many steps held-out rows are looked at, and how many looks in a row may bring nothing.
    pub const fn early_stopping(mut self, evaluate_every: u64, patience: usize) -> Self {
        self.evaluate_every = evaluate_every;
        self.patience = patience;
        self
    }

    /// Where the order of the rows, and dropout, begin.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`OptionsError`] says which number cannot be, and what could.
    pub fn build(self) -> Result<Self, OptionsError> {
        let wrong = |option, value: String, supported| Err(OptionsError { option, value, supported });
        let positive = |number: f64| number > 0.0;
        if !(positive(self.learning_rate) && self.learning_rate.is_finite()) {
            return wrong("learning_rate", self.learning_rate.to_string(), "a finite number above 0");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return wrong("weight_decay", self.weight_decay.to_string(), "a finite number from 0");
        }
        if let UserHeads::Linear { learning_rate, weight_decay } = self.user_heads {
            if !(positive(learning_rate) && learning_rate.is_finite()) {
                return wrong("learning_rate of heads", learning_rate.to_string(), "a finite number above 0");
            }
            if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
                return wrong("weight_decay of heads", weight_decay.to_string(), "a finite number from 0");
            }
        }
        if let Loss::CrossEntropy { class_weights } = &self.loss {
            let weights = class_weights.iter();
            if !weights.clone().all(|weight| *weight >= 0.0 && weight.is_finite()) || !weights.copied().any(|w| w > 0.0)
            {
                return wrong(
                    "class_weights",
                    format!("{class_weights:?}"),
                    "finite numbers from 0, one of them above 0",
                );
            }
        }
        if !(0.0..1.0).contains(&self.warm_up) {
            return wrong("warm_up", self.warm_up.to_string(), "a share from 0 and below 1");
        }
        if !positive(self.clip) {
            return wrong("clip", self.clip.to_string(), "a number above 0");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong("dropout", self.dropout.to_string(), "a share from 0 and below 1");
        }
        let counts = [
            ("batch", self.batch as u64),
            ("max_tokens", self.max_tokens as u64),
            ("epochs", self.epochs),
            ("evaluate_every", self.evaluate_every),
            ("patience", self.patience as u64),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((option, _)) => wrong(option, "0".to_owned(), "at least 1"),
            None => Ok(self),
        }
    }

    pub(super) fn learning_rate_at(&self, step: u64, steps: u64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of the steps, rounded down"
        )]
        let warm_up = (self.warm_up * steps as f64) as u64;
        // The last step is still one: the share falls to 0 behind it.
        self.learning_rate * self.schedule.share(step, warm_up, steps + 1)
    }

    /// What gradients of this length are multiplied by.
    pub(super) fn clip_scale(&self, norm: f64) -> f64 {
        if norm > self.clip { self.clip / norm } else { 1.0 }
    }

    pub(super) fn frozen_layers(&self) -> usize {
        match self.frozen {
            Frozen::Nothing => 0,
            Frozen::Layers(layers) | Frozen::LayersKept(layers) => layers,
        }
    }

    pub(super) fn caches(&self) -> bool {
        matches!(self.frozen, Frozen::LayersKept(_))
    }

    /// Whether a parameter of this name is trained.
    pub(super) fn trains(&self, model: &Model, name: &str) -> bool {
        if self.frozen == Frozen::Nothing {
            return true;
        }
        let names = Names::of(model.config().family);
        let below = |layer| name.starts_with(&names.layer(layer));
        // MPNet's relative positions act in every layer; with the tables they stay.
        let in_table = name.starts_with("embeddings.") || name.starts_with(Names::RELATIVE_POSITIONS);
        !in_table && !(0..self.frozen_layers()).any(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_numbers_are_the_papers() {
        let options = TrainOptions::hydra_paper().build().unwrap();
        assert_eq!(options.loss, Loss::CrossEntropy { class_weights: vec![1.0, 1.0] });
        assert_eq!((options.learning_rate, options.weight_decay), (2e-5, 0.01));
        assert_eq!(options.user_heads, UserHeads::Linear { learning_rate: 2e-5, weight_decay: 0.01 });
        assert_eq!((options.batch, options.epochs), (64, 2));
        assert_eq!(options.frozen, Frozen::Nothing);
        // Ours.
        assert_eq!((options.schedule, options.warm_up, options.clip), (Schedule::Constant, 0.0, f64::INFINITY));
        assert_eq!(options.dropout, 0.0);
        assert_eq!([1, 7, 100].map(|step| options.learning_rate_at(step, 100)), [2e-5; 3]);
    }

    #[test]
    fn classes_weigh_something() {
        let build = |class_weights: &[f32]| {
            TrainOptions::new(Loss::CrossEntropy { class_weights: class_weights.to_vec() }).build()
        };
        for refused in [&[1.0, f32::NAN][..], &[1.0, -1.0], &[0.0, 0.0], &[1.0, f32::INFINITY], &[]] {
            let error = build(refused).unwrap_err().to_string();
            assert!(error.starts_with("class_weights = ") && error.contains("above 0"), "{error}");
        }
        assert!(build(&[0.0, 2.5]).is_ok());
    }
}
