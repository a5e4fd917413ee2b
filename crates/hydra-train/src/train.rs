//! Training: what is minimised, how, and where it can be interrupted.

mod batch;
mod checkpoint;
mod curve;
mod device;
mod error;
mod examples;
mod gradients;
mod heads;
mod loss;
mod optimizer;
mod options;
mod schedule;

use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Device as BurnDevice;
use hydra_heads::Weights;
use hydra_types::UserId;

pub use checkpoint::CheckpointError;
pub use curve::{Curve, CurveError, CurvePoint};
pub use device::{Device, DeviceError};
pub use error::TrainError;
pub use examples::{Example, Examples};
pub use heads::UserHeads;
pub use loss::Loss;
pub use options::{Frozen, OptionsError, TrainOptions};
pub use schedule::Schedule;

use crate::model::{Binding, Model, Network, values};
use batch::{Batch, check, evaluate};
use examples::{Unit, epoch_order, passes};
use gradients::StepGradients;
use heads::Heads;
use optimizer::{AdamWStep, Moments, decays, norm};

/// Trains a model, one step at a time.
///
/// The caller owns the loop, and with it the progress bar, the checkpoints and the decision to stop.
///
/// ```
/// use hydra_train::{Example, Examples, Loss, Model, Sequence, TrainOptions, Trainer};
///
/// # let folder = hydra_testkit::fixture("models/bert-classifier");
/// let model = Model::open(&folder)?;
/// let rows = (0..8).map(|row| Example {
///     sequence: Sequence { ids: vec![2, 10 + row, 3], types: vec![0; 3] },
///     label: (row % 2) as f32,
///     group: u64::from(row),
///     user: None,
/// });
/// let loss = Loss::CrossEntropy { class_weights: vec![1.0; 3] };
/// let options = TrainOptions::new(loss).learning_rate(1e-3).batch(4).epochs(10).build()?;
/// let mut trainer = Trainer::new(model, Examples::new(rows.collect()), options)?;
/// while let Some(report) = trainer.step()? {
///     // A bar would show report.loss, report.tokens_per_second() and report.remaining().
/// }
/// let curve = trainer.curve().points();
/// assert!(curve[curve.len() - 1].loss < curve[0].loss);
/// let trained = trainer.into_model();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trainer {
    model: Model,
    examples: Examples,
    held_out: Option<Examples>,
    options: TrainOptions,
    device: BurnDevice,
    units: Vec<Unit>,
    /// What the frozen layers give for each row, `[tokens, hidden]`, if it is kept.
    frozen_outputs: Vec<Vec<f32>>,
    state: State,
    started: Instant,
    /// Tokens and steps of this process.
    work: (u64, u64),
}

/// What a checkpoint holds: with the same model, examples and options it determines the rest of the run, bit for bit.
#[derive(Clone, Debug, PartialEq)]
struct State {
    step: u64,
    /// One for each trained parameter, in the model's order.
    moments: Vec<Moments>,
    heads: Heads,
    curve: Curve,
    best: Option<Best>,
    /// Evaluations since the best one.
    stale: usize,
}

/// The trained parameters where the held-out loss was lowest.
#[derive(Clone, Debug, PartialEq)]
struct Best {
    loss: f64,
    values: Vec<Vec<f32>>,
    /// In order of user.
    heads: Vec<Vec<f32>>,
}

/// What one step did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// Steps of the whole run, if nothing stops it early.
    pub steps: u64,
    /// The loss of the step's rows before the step.
    pub loss: f64,
    /// The loss of the held-out rows after the step, where it was computed.
    pub held_out: Option<f64>,
    /// The learning rate.
    pub learning_rate: f64,
    /// The length of all gradients together before clipping.
    pub gradient_norm: f64,
    /// Time since training began in this process.
    pub elapsed: Duration,
    /// Tokens seen in this process, padding not counted.
    pub tokens: u64,
    /// Steps done in this process.
    pub steps_here: u64,
}

impl Trainer {
    /// A run that has not begun.
    ///
    /// # Errors
    /// [`TrainError`] if there is no row, a row does not fit the model, a label does not fit the loss, or the device cannot be
    /// had.
    pub fn new(model: Model, examples: Examples, options: TrainOptions) -> Result<Self, TrainError> {
        if examples.is_empty() {
            return Err(TrainError::NoRows);
        }
        check(&model, &examples, &options)?;
        let (asked, has) = (options.frozen_layers(), model.config().n_layers);
        if asked > has {
            return Err(TrainError::FrozenLayers { asked, has });
        }
        let device = options.device.open()?;
        let units = examples.units(&options.loss);
        let trained = model.parameters().iter().filter(|parameter| options.trains(&model, &parameter.name));
        let moments = trained.map(|parameter| Moments::zeros(parameter.values.len())).collect();
        let heads = Heads::zeros(options.user_heads, &examples, model.config().hidden);
        let state = State { step: 0, moments, heads, curve: Curve::default(), best: None, stale: 0 };
        let mut trainer = Self {
            model,
            examples,
            held_out: None,
            options,
            device,
            units,
            frozen_outputs: Vec::new(),
            state,
            started: Instant::now(),
            work: (0, 0),
        };
        if trainer.options.caches() {
            trainer.frozen_outputs = trainer.run_frozen_layers();
            trainer.started = Instant::now();
        }
        Ok(trainer)
    }

    /// Computes the loss of these rows as often as the options say, keeps the weights where it is lowest, and stops when it
    /// has not fallen for long.
    ///
    /// # Errors
    /// [`TrainError`] as for [`new`](Self::new).
    pub fn with_held_out(mut self, held_out: Examples) -> Result<Self, TrainError> {
        check(&self.model, &held_out, &self.options)?;
        self.held_out = (!held_out.is_empty()).then_some(held_out);
        Ok(self)
    }

    /// Steps of the whole run, if nothing stops it early.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.options.epochs * self.steps_per_epoch()
    }

    /// One step of the optimiser; none when the run is over.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] if numbers are no longer finite; the weights are those before the step.
    pub fn step(&mut self) -> Result<Option<StepReport>, TrainError> {
        let step = self.state.step;
        if step >= self.steps() || self.is_stale() {
            return Ok(None);
        }
        let units = self.units_of(step);
        let gradients = StepGradients::of(self, &units);
        self.work.0 += gradients.tokens;

        let loss = gradients.loss;
        let gradient_norm = norm(gradients.body.iter().chain(gradients.heads.iter().map(|(_, gradient)| gradient)));
        if !loss.is_finite() || !gradient_norm.is_finite() {
            return Err(TrainError::Diverged { step: step + 1 });
        }
        let learning_rate = self.options.learning_rate_at(step + 1, self.steps());
        self.update(&gradients, learning_rate, gradient_norm);
        self.state.step += 1;
        self.work.1 += 1;
        let held_out = self.evaluate_if_due();
        let point = CurvePoint { step: self.state.step, loss, learning_rate, held_out };
        self.state.curve.push(point);
        Ok(Some(StepReport {
            step: self.state.step,
            steps: self.steps(),
            loss,
            held_out,
            learning_rate,
            gradient_norm,
            elapsed: self.started.elapsed(),
            tokens: self.work.0,
            steps_here: self.work.1,
        }))
    }

    /// The losses so far.
    #[must_use]
    pub fn curve(&self) -> &Curve {
        &self.state.curve
    }

    /// The model as it is: after training with held-out rows as it was where their loss was lowest.
    #[must_use]
    pub fn into_model(self) -> Model {
        self.into_model_and_heads().0
    }

    /// The model as [`into_model`](Self::into_model) gives it, and every user's head on the last layer's vector of the first
    /// token, in order of user.
    #[must_use]
    pub fn into_model_and_heads(mut self) -> (Model, Vec<(UserId, Weights)>) {
        if let Some(best) = self.state.best.take() {
            for (parameter, values) in self.trained_mut().into_iter().zip(best.values) {
                *parameter = values;
            }
            for (head, values) in self.state.heads.by_user.values_mut().zip(best.heads) {
                head.values = values;
            }
        }
        (self.model, self.state.heads.weights())
    }

    /// Writes what is needed to go on, whole or not at all.
    ///
    /// # Errors
    /// [`CheckpointError`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        checkpoint::save(self, path.as_ref())
    }

    /// Goes on where [`save`](Self::save) was called: the rest of the run gives the same bytes as if it had never stopped.
    ///
    /// # Errors
    /// [`CheckpointError`] if the file is broken, or was written with another model, other rows or other options.
    pub fn resume(mut self, path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        checkpoint::load(&mut self, path.as_ref())?;
        Ok(self)
    }

    fn steps_per_epoch(&self) -> u64 {
        self.units.len().div_ceil(self.options.batch) as u64
    }

    /// What a step, from 0, sees.
    fn units_of(&self, step: u64) -> Vec<Unit> {
        let per_epoch = self.steps_per_epoch();
        let mut order = epoch_order(&self.units, self.options.batch, self.options.seed, step / per_epoch);
        order.swap_remove(usize::try_from(step % per_epoch).expect("an epoch fits into memory"))
    }

    fn is_stale(&self) -> bool {
        self.held_out.is_some() && self.state.stale >= self.options.patience
    }

    fn update(&mut self, gradients: &StepGradients, learning_rate: f64, gradient_norm: f64) {
        let of_heads = match self.options.user_heads {
            // The same share of its own greatest rate as the body's.
            UserHeads::Linear { learning_rate: most, weight_decay } => {
                Some((learning_rate / self.options.learning_rate * most, weight_decay))
            }
            UserHeads::None => None,
        };
        #[expect(clippy::cast_possible_truncation, reason = "both are of the size of ordinary weights")]
        let (learning_rate, scale) = (learning_rate as f32, self.options.clip_scale(gradient_norm) as f32);
        let (betas, epsilon) = (self.options.betas, self.options.epsilon);
        if let Some((rate, weight_decay)) = of_heads {
            #[expect(clippy::cast_possible_truncation, reason = "a learning rate")]
            let learning_rate = rate as f32;
            let step = AdamWStep { learning_rate, weight_decay, betas, epsilon, scale, step: 0 };
            self.state.heads.update(&gradients.heads, step);
        }
        let mut moments = std::mem::take(&mut self.state.moments);
        let (options, step) = (self.options.clone(), self.state.step + 1);
        let names: Vec<String> = self.model.parameters().iter().map(|parameter| parameter.name.clone()).collect();
        let names = names.iter().filter(|name| options.trains(&self.model, name));
        let decay: Vec<bool> = names.map(|name| decays(name)).collect();
        let trained = self.trained_mut().into_iter().zip(&gradients.body).zip(&mut moments).zip(decay);
        for (((values, gradient), moments), decays) in trained {
            let weight_decay = if decays { options.weight_decay } else { 0.0 };
            AdamWStep { learning_rate, weight_decay, betas, epsilon, scale, step }.apply(values, gradient, moments);
        }
        self.state.moments = moments;
    }

    /// The trained parameters' numbers, in the model's order.
    fn trained_mut(&mut self) -> Vec<&mut Vec<f32>> {
        let which: Vec<bool> = {
            let parameters = self.model.parameters().iter();
            parameters.map(|parameter| self.options.trains(&self.model, &parameter.name)).collect()
        };
        let parameters = self.model.parameters_mut().iter_mut().zip(which);
        parameters.filter(|(_, trained)| *trained).map(|(parameter, _)| &mut parameter.values).collect()
    }

    fn evaluate_if_due(&mut self) -> Option<f64> {
        let due = self.state.step.is_multiple_of(self.options.evaluate_every) || self.state.step == self.steps();
        let held_out = self.held_out.as_ref().filter(|_| due)?;
        let loss = evaluate(&self.model, &self.state.heads, held_out, &self.options, &self.device);
        if self.state.best.as_ref().is_none_or(|best| loss < best.loss) {
            let values = self.trained_mut().into_iter().map(|values| values.clone()).collect();
            self.state.best = Some(Best { loss, values, heads: self.state.heads.values() });
            self.state.stale = 0;
        } else {
            self.state.stale += 1;
        }
        Some(loss)
    }

    /// What the frozen layers give for every row: batches are always the same, so that a run that was resumed sees the
    /// same bits.
    fn run_frozen_layers(&self) -> Vec<Vec<f32>> {
        let shared = Binding::frozen(self.model.parameters(), &self.device);
        let hidden = self.model.config().hidden;
        let of_pass = |pass: &Vec<Unit>| {
            let mut network = Network::new(self.model.config(), shared.clone());
            let batch = Batch::of(&self.examples, pass);
            let tokens = batch.tokens(&self.model);
            let embedded = network.embed(&tokens);
            let states = values(network.layers(embedded, &tokens, 0..self.options.frozen_layers()));
            let of_rows = batch.numbered.iter().zip(states.chunks(tokens.dim().1 * hidden));
            let kept = |states: &[f32], example: &Example| states[..example.sequence.ids.len() * hidden].to_vec();
            of_rows.map(|((row, example), states)| (*row, kept(states, example))).collect::<Vec<_>>()
        };
        let passes = passes(&self.units, self.options.max_tokens);
        let mut outputs = vec![Vec::new(); self.examples.len()];
        for (row, states) in self.options.device.map(&passes, of_pass).into_iter().flatten() {
            outputs[row] = states;
        }
        outputs
    }
}

impl StepReport {
    /// Tokens a second since training began in this process.
    #[must_use]
    pub fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time that the remaining steps take at this pace.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        let share = (self.steps - self.step) as f64 / self.steps_here.max(1) as f64;
        self.elapsed.mul_f64(share)
    }
}

#[cfg(test)]
mod tests;
