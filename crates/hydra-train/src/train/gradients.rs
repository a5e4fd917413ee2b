//! The loss of one step and its gradients, passes side by side.

use hydra_types::UserId;
use rayon::prelude::*;

use super::Trainer;
use super::batch::{Batch, logits};
use super::examples::{Unit, passes};
use crate::model::{Binding, Dropout, Network, values};

/// What one step asks for.
pub(super) struct StepGradients {
    pub(super) loss: f64,
    /// One for each trained parameter, in the model's order.
    pub(super) body: Vec<Vec<f32>>,
    /// Of the users in the step, in their order.
    pub(super) heads: Vec<(UserId, Vec<f32>)>,
    /// Padding not counted.
    pub(super) tokens: u64,
}

impl StepGradients {
    /// Of all these units. Passes are added up in their order, so that the number of threads changes no bit.
    pub(super) fn of(trainer: &Trainer, units: &[Unit]) -> Self {
        let whole = Batch::of(&trainer.examples, units);
        let shared = Binding::frozen(trainer.model.parameters(), &trainer.device);
        let passes = passes(units, trainer.options.max_tokens);
        let numbered: Vec<(usize, &Vec<Unit>)> = passes.iter().enumerate().collect();
        let mut sum: Option<Self> = None;
        for some in numbered.chunks(trainer.options.device.passes_at_once()) {
            let found: Vec<Self> =
                some.par_iter().map(|(number, pass)| Self::of_pass(trainer, &whole, &shared, *number, pass)).collect();
            for found in found {
                match &mut sum {
                    None => sum = Some(found),
                    Some(sum) => sum.add(&found),
                }
            }
        }
        sum.expect("a step has units")
    }

    fn of_pass(trainer: &Trainer, whole: &Batch<'_>, shared: &Binding, number: usize, pass: &[Unit]) -> Self {
        let Trainer { model, examples, options, state, frozen_outputs, .. } = trainer;
        let device = trainer.device.clone().autodiff();
        let trains = |name: &str| options.trains(model, name);
        // Every pass and every step in bits of their own.
        let seed = options.seed ^ (state.step << 32) ^ ((number as u64) << 16);
        let mut network =
            Network::new(model.config(), shared.tracked(trains)).with_dropout(Dropout::new(options.dropout, seed));
        let heads = state.heads.bind(whole, &device, true);
        let batch = Batch::of(examples, pass);
        let tokens = batch.tokens(model);
        let frozen = (frozen_outputs.as_slice(), options.frozen_layers());
        let logits = logits(&mut network, &batch, &tokens, frozen, heads.as_ref(), &device);
        let weight = options.loss.weight(whole.targets());
        let value = options.loss.of(logits, batch.targets(), weight, &device);
        let mut gradients = value.backward();
        let trained = model.parameters().iter().filter(|parameter| trains(&parameter.name));
        let of_parameter = trained.map(|parameter| {
            let gradient = network.binding().gradient(&parameter.name, &mut gradients);
            gradient.unwrap_or_else(|| vec![0.0; parameter.values.len()])
        });
        Self {
            loss: f64::from(values(value)[0]),
            body: of_parameter.collect(),
            heads: heads.map_or_else(Vec::new, |heads| heads.gradients(&mut gradients)),
            tokens: batch.n_tokens(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.tokens += other.tokens;
        self.body.par_iter_mut().zip(&other.body).for_each(|(sum, numbers)| add(sum, numbers));
        // Every pass binds the heads of the whole step.
        for ((_, sum), (_, numbers)) in self.heads.iter_mut().zip(&other.heads) {
            add(sum, numbers);
        }
    }
}

fn add(sum: &mut [f32], numbers: &[f32]) {
    sum.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}
