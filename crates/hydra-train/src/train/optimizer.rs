//! AdamW on plain arrays.

use rayon::prelude::*;

/// The moving averages of one parameter's gradient and of its square.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moments {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

impl Moments {
    pub(super) fn zeros(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// One step: everything but the arrays.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdamWStep {
    pub(super) learning_rate: f32,
    pub(super) weight_decay: f32,
    pub(super) betas: (f32, f32),
    pub(super) epsilon: f32,
    /// Multiplies the gradient: what clipping asks for.
    pub(super) scale: f32,
    /// Which step it is, from 1.
    pub(super) step: u64,
}

impl AdamWStep {
    /// Moves the values.
    ///
    /// # Source
    /// Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2. **Differs:** as in PyTorch, the decay is multiplied by
    /// the learning rate.
    pub(super) fn apply(self, values: &mut [f32], gradient: &[f32], moments: &mut Moments) {
        let (beta_1, beta_2) = self.betas;
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(self.step as f64);
        #[expect(clippy::cast_possible_truncation, reason = "both are near 1 or below")]
        let (rate, root) =
            ((f64::from(self.learning_rate) / correction(beta_1)) as f32, correction(beta_2).sqrt() as f32);
        let decay = 1.0 - self.learning_rate * self.weight_decay;
        // Numbers do not depend on each other: chunks change no bit.
        values
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(moments.first.par_chunks_mut(CHUNK))
            .zip(moments.second.par_chunks_mut(CHUNK))
            .for_each(|(((values, gradient), first), second)| {
                for (((value, gradient), first), second) in values.iter_mut().zip(gradient).zip(first).zip(second) {
                    let gradient = gradient * self.scale;
                    *first += (1.0 - beta_1) * (gradient - *first);
                    *second = beta_2 * *second + (1.0 - beta_2) * gradient * gradient;
                    *value = *value * decay - rate * *first / (second.sqrt() / root + self.epsilon);
                }
            });
    }
}

/// The length of all gradients together.
pub(super) fn norm<'a>(gradients: impl Iterator<Item = &'a Vec<f32>>) -> f64 {
    gradients.flatten().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt()
}

/// Whether weight decay applies: not to biases and to the gains of layer normalisation.
///
/// # Source
/// Devlin et al. 2018, google-research/bert `optimization.py`, `exclude_from_weight_decay`.
pub(super) fn decays(name: &str) -> bool {
    !name.ends_with(".bias") && !name.contains("LayerNorm") && !name.contains("layer_norm")
}

const CHUNK: usize = 1 << 14;
