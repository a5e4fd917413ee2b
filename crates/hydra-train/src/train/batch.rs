//! Rows on their way through the network.

use burn::tensor::{Device, Tensor, TensorData};

use super::error::TrainError;
use super::examples::{Example, Examples, Unit, passes};
use super::heads::{BoundHeads, Heads, UserHeads};
use super::loss::{Loss, Targets};
use super::options::TrainOptions;
use crate::model::{Binding, Model, Network, Task, Tokens, values};

/// Rows that go through the network together.
pub(super) struct Batch<'a> {
    pub(super) numbered: Vec<(usize, &'a Example)>,
    pub(super) labels: Vec<f32>,
    group_lens: Vec<usize>,
}

impl<'a> Batch<'a> {
    pub(super) fn of(examples: &'a Examples, units: &[Unit]) -> Self {
        let rows = units.iter().flat_map(|unit| unit.first..unit.first + unit.len);
        let numbered: Vec<(usize, &Example)> = rows.map(|row| (row, &examples.rows()[row])).collect();
        let labels = numbered.iter().map(|(_, example)| example.label).collect();
        Self { numbered, labels, group_lens: units.iter().map(|unit| unit.len).collect() }
    }

    pub(super) fn targets(&self) -> Targets<'_> {
        Targets { labels: &self.labels, group_lens: &self.group_lens }
    }

    pub(super) fn tokens(&self, model: &Model) -> Tokens {
        let sequences: Vec<_> = self.numbered.iter().map(|(_, example)| &example.sequence).collect();
        Tokens::pad(&sequences, model.config()).expect("rows were checked when training began")
    }

    pub(super) fn examples(&self) -> impl Iterator<Item = &Example> {
        self.numbered.iter().map(|(_, example)| *example)
    }

    pub(super) fn n_tokens(&self) -> u64 {
        self.numbered.iter().map(|(_, example)| example.sequence.ids.len() as u64).sum()
    }
}

/// Logits of a batch; `frozen` are the kept outputs of the frozen layers, if there are any, and how many layers they are.
pub(super) fn logits(
    network: &mut Network<'_>,
    batch: &Batch<'_>,
    tokens: &Tokens,
    frozen: (&[Vec<f32>], usize),
    heads: Option<&BoundHeads>,
    device: &Device,
) -> Tensor<2> {
    let (frozen_outputs, frozen_layers) = frozen;
    let states = if frozen_outputs.is_empty() {
        network.hidden_states(tokens)
    } else {
        let (rows, seq) = tokens.dim();
        let hidden = network.hidden();
        let mut padded = vec![0.0; rows * seq * hidden];
        for ((row, _), padded) in batch.numbered.iter().zip(padded.chunks_mut(seq * hidden)) {
            padded[..frozen_outputs[*row].len()].copy_from_slice(&frozen_outputs[*row]);
        }
        let states = Tensor::from_data(TensorData::new(padded, [rows * seq, hidden]), device);
        network.upper_layers(states, tokens, frozen_layers)
    };
    let Some(heads) = heads else {
        return network.logits(states, tokens);
    };
    let features = network.first_places(states.clone(), tokens);
    heads.add(network.logits(states, tokens), features, batch, device)
}

/// The loss of rows that are not trained on, without dropout.
pub(super) fn evaluate(
    model: &Model,
    user_heads: &Heads,
    examples: &Examples,
    options: &TrainOptions,
    device: &Device,
) -> f64 {
    let units = examples.units(&options.loss);
    let weight = options.loss.weight(Batch::of(examples, &units).targets());
    let shared = Binding::frozen(model.parameters(), device);
    let passes = passes(&units, options.max_tokens);
    let losses = options.device.map(&passes, |pass| {
        let mut network = Network::new(model.config(), shared.clone());
        let batch = Batch::of(examples, pass);
        let tokens = batch.tokens(model);
        let heads = user_heads.bind(&batch, device, false);
        let logits = logits(&mut network, &batch, &tokens, (&[], 0), heads.as_ref(), device);
        f64::from(values(options.loss.of(logits, batch.targets(), weight, device))[0])
    });
    // In their order: a sum in another order is another one.
    losses.into_iter().sum()
}

pub(super) fn check(model: &Model, examples: &Examples, options: &TrainOptions) -> Result<(), TrainError> {
    let got = match model.task() {
        Task::Classify { classes } => classes,
        Task::Encode => 0,
    };
    let loss = &options.loss;
    let (fits, expected) = match loss {
        Loss::CrossEntropy { .. } if options.user_heads != UserHeads::None && got != 2 => (false, "two, with heads"),
        Loss::CrossEntropy { class_weights } => {
            (class_weights.len() == got && got > 1, "at least two, as many as class weights")
        }
        Loss::Pairwise | Loss::Listwise => ((1..=2).contains(&got), "one or two"),
    };
    if !fits {
        return Err(TrainError::Classes { expected, got });
    }
    for (row, example) in examples.rows().iter().enumerate() {
        let tokens = Tokens::pad(&[&example.sequence], model.config()).and_then(|tokens| tokens.check(model.config()));
        tokens.map_err(|source| TrainError::Row { row, source })?;
    }
    for unit in examples.units(loss) {
        let batch = Batch::of(examples, &[unit]);
        if let Some(reason) = loss.refuses(&batch.labels) {
            return Err(TrainError::Label { row: unit.first, reason });
        }
    }
    Ok(())
}
