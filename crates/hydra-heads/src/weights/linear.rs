//! The linear head: `prior(z) + w·z + b`.

use super::Weights;
use super::job::Job;
use crate::kernel::{self, Rows};

pub(super) fn log_odds(weights: &Weights, job: &mut Job<'_>) {
    let [w, b] = weights.matrices() else {
        unreachable!("a linear head has two matrices");
    };
    job.finish_prior();
    w.products(job.rows, 1, job.extra);
    let bias = b.as_f32()[0];
    for (out, product) in job.out.iter_mut().zip(&*job.extra) {
        *out += product + bias;
    }
}

pub(super) fn gradient(job: &Job<'_>, d: &[f32], gradient: &mut [f32]) {
    let (w, b) = gradient.split_at_mut(job.rows.cols);
    for (i, &d) in d.iter().enumerate() {
        kernel::add_scaled(Rows::F32(job.rows.row(i)), d, w);
        b[0] += d;
    }
}
