//! The routing head: `prior(z) + Σₖ rₖ · (fₖ·z + cₖ)` over facets that everybody shares.

use super::Weights;
use super::job::Job;

pub(super) fn log_odds(weights: &Weights, job: &mut Job<'_>) {
    job.finish_prior();
    let routing = weights.matrices()[0].as_f32();
    facet_values(job);
    for (out, values) in job.out.iter_mut().zip(job.extra.chunks_exact(routing.len())) {
        let mut sum = 0.0;
        for (weight, value) in routing.iter().zip(values) {
            sum += weight * value;
        }
        *out += sum;
    }
}

pub(super) fn gradient(job: &Job<'_>, d: &[f32], gradient: &mut [f32]) {
    for (values, d) in job.extra.chunks_exact(gradient.len()).zip(d) {
        for (sum, value) in gradient.iter_mut().zip(values) {
            *sum += d * value;
        }
    }
}

/// Every facet's log-odds for every row into `extra`. All of them: a few dot products a row cost less than to choose.
fn facet_values(job: &mut Job<'_>) {
    let facets = job.prior.facets.expect("`Shared::head` binds a routing only where facets are shared");
    let [f, c] = facets.matrices() else {
        unreachable!("facets have two matrices");
    };
    f.products(job.rows, c.cols(), job.extra);
    for values in job.extra.chunks_exact_mut(c.cols()).take(job.rows.len()) {
        for (value, bias) in values.iter_mut().zip(c.as_f32()) {
            *value += bias;
        }
    }
}
