//! The paper's head: `l₁ - l₀` with `l = W₂ tanh(W₁ z + b₁) + b₂`.

use super::job::{Job, finish, start};
use super::{Kind, Weights};
use crate::kernel::{self, Rows};

pub(super) fn log_odds(weights: &Weights, job: &mut Job<'_>) {
    start(weights, job.rows, job.stride, job.inner);
    finish(weights, job);
}

pub(super) fn gradient(weights: &Weights, job: &mut Job<'_>, d: &[f32], gradient: &mut [f32]) {
    let Kind::TwoLayer { inner } = weights.kind() else {
        unreachable!("dispatched by kind");
    };
    let hidden = weights.hidden();
    let w2 = weights.matrices()[2].as_f32();
    let (first, rest) = gradient.split_at_mut(inner * hidden);
    let (b1, rest) = rest.split_at_mut(inner);
    let (w2_gradient, b2) = rest.split_at_mut(2 * inner);
    let (to_no, to_yes) = w2_gradient.split_at_mut(inner);
    for (row, &d) in job.inner.chunks_mut(job.stride).zip(d) {
        let row = &mut row[..inner];
        kernel::add_scaled(Rows::F32(row), d, to_yes);
        kernel::add_scaled(Rows::F32(row), -d, to_no);
        b2[0] -= d;
        b2[1] += d;
        through_tanh(row, d, |j| output_weight(w2, j));
        kernel::add_scaled(Rows::F32(row), 1.0, b1);
    }
    // Outer loop over the head's rows: each gradient row stays in the nearest cache while all features pass.
    for (j, row) in first.chunks_exact_mut(hidden).enumerate() {
        for i in 0..job.rows.len() {
            let delta = job.inner[i * job.stride + j];
            kernel::add_scaled(Rows::F32(job.rows.row(i)), delta, row);
        }
    }
}

/// Turns an inner layer `a` into the derivative before `tanh`: `d · out(j) · (1 - a²)`.
pub(super) fn through_tanh(row: &mut [f32], d: f32, out: impl Fn(usize) -> f32) {
    for (j, a) in row.iter_mut().enumerate() {
        *a = d * out(j) * (1.0 - *a * *a);
    }
}

/// What one number of the inner layer adds to the log-odds: `W₂[1, j] - W₂[0, j]`.
pub(super) fn output_weight(w2: &[f32], j: usize) -> f32 {
    w2[w2.len() / 2 + j] - w2[j]
}
