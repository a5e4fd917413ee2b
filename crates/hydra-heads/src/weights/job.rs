//! Rows that meet one head, with the working memory for them.

use crate::kernel::{self, Picked};
use crate::weights::Weights;

/// The prior head with what heads of users need to know of it.
#[derive(Clone, Copy)]
pub(crate) struct Prior<'a> {
    /// Two-layer or linear.
    pub(crate) weights: &'a Weights,
    /// The facets, if any are shared.
    pub(crate) facets: Option<&'a Weights>,
}

/// The rows that meet one head. All slices hold one stretch a row, in the order of `rows`.
pub(crate) struct Job<'a> {
    pub(crate) prior: Prior<'a>,
    pub(crate) rows: Picked<'a>,
    /// The inner layer, `[rows, stride]`: on entry the prior head's before `tanh`, where the kind adds to the prior;
    /// afterwards the head's own after `tanh`.
    pub(crate) inner: &'a mut [f32],
    pub(crate) stride: usize,
    /// [`Kind::extra`](crate::Kind) numbers a row.
    pub(crate) extra: &'a mut [f32],
    /// The log-odds.
    pub(crate) out: &'a mut [f32],
}

impl Prior<'_> {
    /// Numbers of the inner layer: none for a linear prior head.
    pub(crate) fn inner(self) -> usize {
        self.weights.kind().inner()
    }

    /// Fills the inner layer of `rows` up to before `tanh`.
    pub(crate) fn start(self, rows: Picked<'_>, stride: usize, inner: &mut [f32]) {
        if self.inner() > 0 {
            start(self.weights, rows, stride, inner);
        }
    }
}

impl Job<'_> {
    /// The prior head's log-odds into `out`, from its inner layer before `tanh`.
    pub(crate) fn finish_prior(&mut self) {
        let weights = self.prior.weights;
        if self.prior.inner() > 0 {
            finish(weights, self);
        } else {
            let [w, b] = weights.matrices() else {
                unreachable!("a linear head has two matrices");
            };
            w.products(self.rows, 1, self.out);
            for out in &mut *self.out {
                *out += b.as_f32()[0];
            }
        }
    }
}

/// `W₁ z + b₁` of a two-layer head for every row.
pub(crate) fn start(weights: &Weights, rows: Picked<'_>, stride: usize, inner: &mut [f32]) {
    let [w1, b1, ..] = weights.matrices() else {
        unreachable!("a two-layer head has four matrices");
    };
    w1.products(rows, stride, inner);
    for row in inner.chunks_mut(stride).take(rows.len()) {
        for (number, bias) in row.iter_mut().zip(b1.as_f32()) {
            *number += bias;
        }
    }
}

/// `tanh` of the inner layer, then `l₁ - l₀` with `l = W₂ a + b₂` into `out`.
pub(crate) fn finish(weights: &Weights, job: &mut Job<'_>) {
    let [_, b1, w2, b2] = weights.matrices() else {
        unreachable!("a two-layer head has four matrices");
    };
    let (n, width) = (job.rows.len(), b1.cols());
    let b2 = b2.as_f32();
    for (i, row) in job.inner.chunks_mut(job.stride).take(n).enumerate() {
        let row = &mut row[..width];
        kernel::tanh(row);
        let mut logits = [0.0; 2];
        w2.products(Picked::one(row), 2, &mut logits);
        job.out[i] = (logits[1] + b2[1]) - (logits[0] + b2[0]);
    }
}
