//! The low-rank head: the prior head with `W₁ + UᵀV` for `W₁`, and `w·a + b` added to its result.
//!
//! The prior head's `W₁ z` is computed once for all rows of a batch, whoever they belong to; a user adds two thin
//! products. With `U`, `w` and `b` zero nothing but zeros is added: the result is the prior head's, bit for bit.

use super::job::{Job, finish};
use super::two_layer::{output_weight, through_tanh};
use super::{Kind, Weights};
use crate::kernel::{self, Picked, Rows};

pub(super) fn log_odds(weights: &Weights, job: &mut Job<'_>) {
    let [down, up, out, bias] = weights.matrices() else {
        unreachable!("a low-rank head has four matrices");
    };
    let (rank, inner) = (down.n_rows(), out.cols());
    down.products(job.rows, rank, job.extra);
    for (row, thin) in job.inner.chunks_mut(job.stride).zip(job.extra.chunks_exact(rank)) {
        for (k, &factor) in thin.iter().enumerate() {
            up.add_scaled_row(k, factor, &mut row[..inner]);
        }
    }
    finish(job.prior.weights, job);
    let bias = bias.as_f32()[0];
    for (row, result) in job.inner.chunks(job.stride).zip(&mut *job.out) {
        let mut product = [0.0];
        out.products(Picked::one(&row[..inner]), 1, &mut product);
        *result += product[0] + bias;
    }
}

pub(super) fn gradient(weights: &Weights, job: &mut Job<'_>, d: &[f32], gradient: &mut [f32]) {
    let Kind::LowRank { inner, rank } = weights.kind() else {
        unreachable!("dispatched by kind");
    };
    let [_, up, out, _] = weights.matrices() else {
        unreachable!("a low-rank head has four matrices");
    };
    let hidden = weights.hidden();
    let w2 = job.prior.weights.matrices()[2].as_f32();
    let (up, out) = (up.as_f32(), out.as_f32());
    let (down_gradient, rest) = gradient.split_at_mut(rank * hidden);
    let (up_gradient, rest) = rest.split_at_mut(rank * inner);
    let (out_gradient, bias_gradient) = rest.split_at_mut(inner);
    let rows = job.inner.chunks_mut(job.stride).zip(job.extra.chunks_exact(rank));
    for (i, ((row, thin), &d)) in rows.zip(d).enumerate() {
        let row = &mut row[..inner];
        kernel::add_scaled(Rows::F32(row), d, out_gradient);
        bias_gradient[0] += d;
        through_tanh(row, d, |j| output_weight(w2, j) + out[j]);
        for (k, &factor) in thin.iter().enumerate() {
            kernel::add_scaled(Rows::F32(row), factor, &mut up_gradient[k * inner..][..inner]);
            let back = kernel::dot(&up[k * inner..][..inner], row);
            kernel::add_scaled(Rows::F32(job.rows.row(i)), back, &mut down_gradient[k * hidden..][..hidden]);
        }
    }
}
