//! The plan of one call, in memory that is kept for the next.

use std::ops::Range;

use super::span::{Plan, Span};
use super::{HeadBank, ScoreError};
use crate::features::Features;
use crate::head::HeadName;

/// Working memory of scoring. Keep one a thread and pass it to every call: once it is large enough, calls allocate nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) entries: Vec<Entry>,
    picks: Vec<u32>,
    inner: Vec<f32>,
    extra: Vec<f32>,
    sorted: Vec<f32>,
    stride: usize,
    extra_stride: usize,
}

/// One row of the call. Sorted, rows that need the prior head's inner layer come first, and equal heads side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Whether the head stands on its own: false sorts first.
    pub(super) alone: bool,
    pub(super) slot: u32,
    pub(super) row: u32,
}

impl Scratch {
    /// The slot of the prior head.
    pub(super) const PRIOR: u32 = u32::MAX;

    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks up the heads that `rows` name, and sorts these rows by head.
    pub(super) fn plan(&mut self, bank: &HeadBank, rows: Range<usize>, names: &[HeadName]) -> Result<(), ScoreError> {
        self.entries.clear();
        self.stride = bank.shared.as_prior().inner();
        self.extra_stride = 0;
        for row in rows {
            let mut entry = Entry {
                alone: false,
                slot: Self::PRIOR,
                row: u32::try_from(row).expect("fewer than 2^32 rows in a call"),
            };
            if let HeadName::User(user) = names[row] {
                entry.slot = bank.slot(user).ok_or(ScoreError::UnknownHead { row, user })?;
                let kind = bank.head(entry.slot).kind();
                entry.alone = !kind.adds_to_prior();
                self.stride = self.stride.max(kind.inner());
                self.extra_stride = self.extra_stride.max(kind.extra());
            }
            self.entries.push(entry);
        }
        self.entries.sort_unstable();
        self.picks.clear();
        self.picks.extend(self.entries.iter().map(|entry| entry.row));
        let rows = self.entries.len();
        self.inner.resize(rows * self.stride, 0.0);
        self.extra.resize(rows * self.extra_stride, 0.0);
        self.sorted.resize(rows, 0.0);
        Ok(())
    }

    /// Computes the planned rows' log-odds, in sorted order.
    pub(super) fn run(&mut self, bank: &HeadBank, features: &Features<'_>) {
        let plan = Plan { bank, features, stride: self.stride, extra_stride: self.extra_stride };
        plan.run(Span {
            entries: &self.entries,
            picks: &self.picks,
            inner: &mut self.inner,
            extra: &mut self.extra,
            out: &mut self.sorted,
        });
    }

    /// Puts the results where the caller's rows are.
    pub(super) fn deliver(&self, out: &mut [f32]) -> Result<(), ScoreError> {
        for (entry, &log_odds) in self.entries.iter().zip(&self.sorted) {
            out[entry.row as usize] = log_odds;
        }
        let overflown = self.entries.iter().zip(&self.sorted).filter(|(_, log_odds)| !log_odds.is_finite());
        match overflown.map(|(entry, _)| entry.row as usize).min() {
            Some(row) => Err(ScoreError::Overflow { row }),
            None => Ok(()),
        }
    }
}
