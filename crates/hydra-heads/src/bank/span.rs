//! The planned rows, split among threads and computed head by head.

use super::HeadBank;
use super::scratch::{Entry, Scratch};
use crate::features::Features;
use crate::weights::Job;

/// What all spans of a call have in common.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) bank: &'a HeadBank,
    pub(super) features: &'a Features<'a>,
    pub(super) stride: usize,
    pub(super) extra_stride: usize,
}

/// Neighbouring rows in sorted order, with the memory that is theirs.
pub(super) struct Span<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) picks: &'a [u32],
    pub(super) inner: &'a mut [f32],
    pub(super) extra: &'a mut [f32],
    pub(super) out: &'a mut [f32],
}

impl Plan<'_> {
    /// Computes a span, in two halves on two threads while that pays.
    pub(super) fn run(self, span: Span<'_>) {
        if span.entries.len() > 1 && rayon::current_num_threads() > 1 && self.work(span.entries) > WORK_WORTH_A_THREAD {
            let (left, right) = self.halves(span);
            rayon::join(|| self.run(left), || self.run(right));
        } else {
            self.compute(span);
        }
    }

    /// Multiplications of a span, roughly.
    fn work(self, entries: &[Entry]) -> usize {
        let shared = &self.bank.shared;
        entries
            .iter()
            .map(|entry| {
                let own = match entry.slot {
                    Scratch::PRIOR => 0,
                    slot => self.bank.head(slot).kind().parameters(shared.hidden()),
                };
                let prior = if entry.alone { 0 } else { shared.prior().kind().parameters(shared.hidden()) };
                own + prior
            })
            .sum()
    }

    /// Splits in the middle, moved to where a head ends if that is near: a head that is split is read twice.
    fn halves(self, span: Span<'_>) -> (Span<'_>, Span<'_>) {
        let n = span.entries.len();
        let middle = n / 2;
        let is_border = |at: usize| span.entries[at - 1].slot != span.entries[at].slot;
        let border = (0..=n / 4).find_map(|away| {
            [middle.saturating_sub(away).max(1), (middle + away).min(n - 1)].into_iter().find(|&at| is_border(at))
        });
        self.split(span, border.unwrap_or(middle))
    }

    #[allow(clippy::needless_pass_by_value, reason = "the parts take over what the whole borrowed mutably")]
    fn split(self, span: Span<'_>, at: usize) -> (Span<'_>, Span<'_>) {
        let entries = span.entries.split_at(at);
        let picks = span.picks.split_at(at);
        let inner = span.inner.split_at_mut(at * self.stride);
        let extra = span.extra.split_at_mut(at * self.extra_stride);
        let out = span.out.split_at_mut(at);
        let left = Span { entries: entries.0, picks: picks.0, inner: inner.0, extra: extra.0, out: out.0 };
        let right = Span { entries: entries.1, picks: picks.1, inner: inner.1, extra: extra.1, out: out.1 };
        (left, right)
    }

    fn compute(self, span: Span<'_>) {
        let prior = self.bank.shared.as_prior();
        let on_prior = span.entries.partition_point(|entry| !entry.alone);
        prior.start(self.features.picked(&span.picks[..on_prior]), self.stride, span.inner);
        let mut rest = span;
        while let Some(first) = rest.entries.first() {
            let n = rest.entries.partition_point(|entry| (entry.alone, entry.slot) <= (first.alone, first.slot));
            let (group, after) = self.split(rest, n);
            let mut job = Job {
                prior,
                rows: self.features.picked(group.picks),
                inner: group.inner,
                stride: self.stride,
                extra: group.extra,
                out: group.out,
            };
            match first.slot {
                Scratch::PRIOR => job.finish_prior(),
                slot => self.bank.head(slot).weights().log_odds(&mut job),
            }
            rest = after;
        }
    }
}

/// Below this many multiplications (some 50 microseconds) waking a thread costs more than it saves.
const WORK_WORTH_A_THREAD: usize = 1 << 19;
