//! Rows to learn from, and the order in which they are seen.

use hydra_types::UserId;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::loss::Loss;
use crate::model::Sequence;

/// A row to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The text or text pair.
    pub sequence: Sequence,
    /// A class number, or how useful the row is: see [`Loss`].
    pub label: f32,
    /// Rows of one group are compared with each other: those of one user's query.
    pub group: u64,
    /// Whose row it is, if users have heads: see [`UserHeads`](super::UserHeads).
    pub user: Option<UserId>,
}

/// Rows of all groups, those of a group side by side.
#[derive(Clone, Debug)]
pub struct Examples {
    rows: Vec<Example>,
    group_lens: Vec<usize>,
}

/// A row or a group of rows: what is drawn as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) first: usize,
    pub(super) len: usize,
    /// Tokens of its longest row.
    pub(super) tokens: usize,
}

impl Examples {
    /// Sorts rows by group; rows of a group keep their order.
    #[must_use]
    pub fn new(mut rows: Vec<Example>) -> Self {
        rows.sort_by_key(|row| row.group);
        let group_lens = rows.chunk_by(|a, b| a.group == b.group).map(<[Example]>::len).collect();
        Self { rows, group_lens }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn rows(&self) -> &[Example] {
        &self.rows
    }

    /// The labels of each group, or of each row where the loss compares none.
    pub(super) fn units(&self, loss: &Loss) -> Vec<Unit> {
        let rows_alone = vec![1; self.rows.len()];
        let lens = if loss.is_grouped() { &self.group_lens } else { &rows_alone };
        let mut first = 0;
        let unit = |len: &usize| {
            let rows = &self.rows[first..first + len];
            let tokens = rows.iter().map(|row| row.sequence.ids.len()).max().unwrap_or(0);
            let unit = Unit { first, len: *len, tokens };
            first += len;
            unit
        };
        lens.iter().map(unit).collect()
    }
}

/// The steps of an epoch: each the units that it sees. A pure function of its arguments.
///
/// Units are shuffled, sorted by length within windows of many steps so that a step pads little, and the steps are
/// shuffled again so that lengths come in no order.
pub(super) fn epoch_order(units: &[Unit], per_step: usize, seed: u64, epoch: u64) -> Vec<Vec<Unit>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut shuffled = units.to_vec();
    shuffled.shuffle(&mut rng);
    for window in shuffled.chunks_mut(per_step * STEPS_PER_WINDOW) {
        window.sort_by_key(|unit| unit.tokens);
    }
    let mut steps: Vec<Vec<Unit>> = shuffled.chunks(per_step).map(<[Unit]>::to_vec).collect();
    steps.shuffle(&mut rng);
    steps
}

/// Cuts units into passes of at most `max_tokens` tokens, padding included; a unit that is longer goes alone.
pub(super) fn passes(units: &[Unit], max_tokens: usize) -> Vec<Vec<Unit>> {
    let mut sorted = units.to_vec();
    sorted.sort_by_key(|unit| (unit.tokens, unit.first));
    let mut passes: Vec<Vec<Unit>> = Vec::new();
    let mut rows = 0;
    for unit in sorted {
        match passes.last_mut() {
            // Sorted by length: this unit is the longest so far.
            Some(pass) if (rows + unit.len) * unit.tokens <= max_tokens => pass.push(unit),
            _ => {
                passes.push(vec![unit]);
                rows = 0;
            }
        }
        rows += unit.len;
    }
    passes
}

const STEPS_PER_WINDOW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn units(n: usize) -> Vec<Unit> {
        (0..n).map(|first| Unit { first, len: 1, tokens: 1 + first * 7 % 50 }).collect()
    }

    #[test]
    fn an_epoch_sees_every_unit_once_in_an_order_of_its_own() {
        let units = units(103);
        let flat = |epoch| epoch_order(&units, 8, 5, epoch).concat();
        let mut seen = flat(0);
        assert_eq!(seen, flat(0));
        assert_ne!(seen, flat(1));
        seen.sort_by_key(|unit| unit.first);
        assert_eq!(seen, units);
    }

    #[test]
    fn steps_pad_far_less_than_a_random_order() {
        let units = units(1000);
        let padded = |steps: &[Vec<Unit>]| -> usize {
            steps.iter().map(|step| step.len() * step.iter().map(|unit| unit.tokens).max().unwrap()).sum()
        };
        let real: usize = units.iter().map(|unit| unit.tokens).sum();
        let bucketed = padded(&epoch_order(&units, 8, 5, 0));
        let mut random = units.clone();
        random.shuffle(&mut ChaCha8Rng::seed_from_u64(5));
        let random = padded(&random.chunks(8).map(<[Unit]>::to_vec).collect::<Vec<_>>());
        assert!((bucketed - real) * 5 < random - real, "{real} {bucketed} {random}");
    }

    #[test]
    fn passes_keep_to_the_tokens_and_lose_nothing() {
        let units = units(60);
        let passes = passes(&units, 120);
        assert_eq!(passes.concat().len(), 60);
        for pass in &passes {
            let padded = pass.len() * pass.iter().map(|unit| unit.tokens).max().unwrap();
            assert!(padded <= 120 || pass.len() == 1);
        }
    }
}
