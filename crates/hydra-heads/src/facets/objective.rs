//! What training descends: the log-loss of all users' rows as a function of facets and router.

use rayon::prelude::*;

use super::FacetUser;
use super::summary::Summary;
use crate::bank::HeadBank;
use crate::features::Features;
use crate::head::HeadName;
use crate::weights::{Weights, WeightsError};

/// One user's rows, with everything that does not change while training.
pub(super) struct UserRows<'a> {
    rows: Features<'a>,
    labels: &'a [bool],
    /// Log-odds of the prior head: `[rows]`.
    prior: Vec<f32>,
    /// Summary of the history: `[hidden]`.
    summary: Vec<f64>,
}

impl<'a> UserRows<'a> {
    /// `prior` is a bank without heads of its own; the user's features belong to its body.
    pub(super) fn new(prior: &HeadBank, summary: &Summary, user: &FacetUser<'a>) -> Self {
        let names = vec![HeadName::Prior; user.rows.batch()];
        Self {
            rows: user.rows,
            labels: user.labels,
            prior: prior.log_odds(&names, &user.rows).expect("the features were checked"),
            summary: summary.of(user.history),
        }
    }
}

/// Facets and router as one list of numbers: `f [facets, hidden]`, `c [facets]`, `W [facets, hidden]`, `b [facets]`.
pub(super) struct Params {
    n_facets: usize,
    hidden: usize,
    numbers: Vec<f64>,
}

impl Params {
    /// Facets of zero and a small random router, which is what tells the facets apart from the first step on.
    pub(super) fn random(n_facets: usize, hidden: usize, seed: u64) -> Self {
        let half = n_facets * (hidden + 1);
        let mut numbers = vec![0.0; 2 * half];
        let mut state = seed;
        let scale = 1.0 / (hidden as f64).sqrt();
        for number in &mut numbers[half..half + n_facets * hidden] {
            *number = scale * uniform(&mut state);
        }
        Self { n_facets, hidden, numbers }
    }

    pub(super) fn numbers_mut(&mut self) -> &mut [f64] {
        &mut self.numbers
    }

    /// The facets' half.
    pub(super) fn facets(&self) -> &[f64] {
        &self.numbers[..self.half()]
    }

    pub(super) fn facets_mut(&mut self) -> &mut [f64] {
        let half = self.half();
        &mut self.numbers[..half]
    }

    /// `(W, b)`
    pub(super) fn router(&self) -> (&[f64], &[f64]) {
        self.numbers[self.half()..].split_at(self.n_facets * self.hidden)
    }

    pub(super) fn to_weights(&self) -> Result<Weights, WeightsError> {
        #[expect(clippy::cast_possible_truncation, reason = "an overflow is infinite, and refused")]
        let parameters: Vec<f32> = self.facets().iter().map(|&number| number as f32).collect();
        Weights::from_parameters(crate::Kind::Facets { facets: self.n_facets }, self.hidden, &parameters)
    }

    fn half(&self) -> usize {
        self.n_facets * (self.hidden + 1)
    }
}

/// The objective over one population.
pub(super) struct Objective<'a> {
    users: &'a [UserRows<'a>],
    hidden: usize,
    n_facets: usize,
    l2: f64,
}

impl<'a> Objective<'a> {
    pub(super) fn new(users: &'a [UserRows<'a>], hidden: usize, n_facets: usize, l2: f64) -> Self {
        Self { users, hidden, n_facets, l2 }
    }

    /// Facets and router together, with every facet mixed. Writes the gradient, returns the value.
    pub(super) fn joint(&self, params: &[f64], gradient: &mut [f64]) -> f64 {
        let (facets, router) = params.split_at(params.len() / 2);
        let (gate, bias) = router.split_at(self.n_facets * self.hidden);
        self.sum(params, gradient, |user, sums| {
            let routing = softmax(gate, bias, &self.users[user].summary);
            let (facet_sums, router_sums) = sums.split_at_mut(facets.len());
            let (loss, towards) = self.user(user, facets, &routing, facet_sums);
            // Through the softmax: d loss / d g_k = r_k (d loss / d r_k - sum_j r_j d loss / d r_j).
            let mean: f64 = routing.iter().zip(&towards).map(|(r, d)| r * d).sum();
            let (gate_sums, bias_sums) = router_sums.split_at_mut(self.n_facets * self.hidden);
            for (k, gate_sum) in gate_sums.chunks_exact_mut(self.hidden).enumerate() {
                let d = routing[k] * (towards[k] - mean);
                bias_sums[k] += d;
                for (sum, s) in gate_sum.iter_mut().zip(&self.users[user].summary) {
                    *sum += d * s;
                }
            }
            loss
        })
    }

    /// Facets alone, each user with a routing that is given. Writes the gradient, returns the value.
    pub(super) fn routed(&self, routings: &[Vec<f64>], facets: &[f64], gradient: &mut [f64]) -> f64 {
        self.sum(facets, gradient, |user, sums| self.user(user, facets, &routings[user], sums).0)
    }

    /// Mean log-loss of a row; without facets that of the prior head.
    pub(super) fn mean_loss(&self, routings: &[Vec<f64>], facets: Option<&[f64]>) -> f64 {
        let zeros = vec![0.0; self.n_facets * (self.hidden + 1)];
        let facets = facets.unwrap_or(&zeros);
        let mut unused = zeros.clone();
        let users = routings.iter().enumerate();
        let loss: f64 = users.map(|(user, routing)| self.user(user, facets, routing, &mut unused).0).sum();
        loss / self.users.iter().map(|user| user.labels.len() as f64).sum::<f64>()
    }

    /// Sums `one` over the users and adds the penalty. Users are dealt to a fixed number of sums that are added in
    /// order, so that the result does not depend on the number of threads.
    fn sum(&self, params: &[f64], gradient: &mut [f64], one: impl Fn(usize, &mut [f64]) -> f64 + Sync) -> f64 {
        let share = self.users.len().div_ceil(SUMS).max(1);
        let sums: Vec<(f64, Vec<f64>)> = (0..self.users.len().div_ceil(share))
            .into_par_iter()
            .map(|part| {
                let mut sums = vec![0.0; params.len()];
                let users = part * share..((part + 1) * share).min(self.users.len());
                (users.map(|user| one(user, &mut sums)).sum(), sums)
            })
            .collect();
        let mut value = 0.0;
        for (sum, param) in gradient.iter_mut().zip(params) {
            *sum = self.l2 * param;
            value += self.l2 / 2.0 * param * param;
        }
        for (loss, part) in sums {
            value += loss;
            for (sum, number) in gradient.iter_mut().zip(part) {
                *sum += number;
            }
        }
        value
    }

    /// The loss of one user's rows; adds to the facets' gradient, and returns the gradient of the routing.
    fn user(&self, user: usize, facets: &[f64], routing: &[f64], sums: &mut [f64]) -> (f64, Vec<f64>) {
        let user = &self.users[user];
        let (f, c) = facets.split_at(self.n_facets * self.hidden);
        // The mixed facet is one linear head: mix first, then score.
        let mut mixed = vec![0.0; self.hidden];
        for (facet, &r) in f.chunks_exact(self.hidden).zip(routing).filter(|(_, r)| **r != 0.0) {
            for (sum, number) in mixed.iter_mut().zip(facet) {
                *sum += r * number;
            }
        }
        let bias: f64 = c.iter().zip(routing).map(|(c, r)| c * r).sum();

        let (mut loss, mut d_mixed, mut d_bias) = (0.0, vec![0.0; self.hidden], 0.0);
        for (row, (&label, &prior)) in user.labels.iter().zip(&user.prior).enumerate() {
            let z = user.rows.row(row);
            let own: f64 = z.iter().zip(&mixed).map(|(&z, m)| f64::from(z) * m).sum();
            let log_odds = f64::from(prior) + own + bias;
            let sign = if label { 1.0 } else { -1.0 };
            let d = -sign / (1.0 + (sign * log_odds).exp());
            loss += softplus(-sign * log_odds);
            d_bias += d;
            for (sum, &z) in d_mixed.iter_mut().zip(z) {
                *sum += d * f64::from(z);
            }
        }

        let (f_sums, c_sums) = sums.split_at_mut(self.n_facets * self.hidden);
        let mut towards = vec![0.0; self.n_facets];
        for (k, (f_sum, facet)) in f_sums.chunks_exact_mut(self.hidden).zip(f.chunks_exact(self.hidden)).enumerate() {
            towards[k] = facet.iter().zip(&d_mixed).map(|(f, d)| f * d).sum::<f64>() + c[k] * d_bias;
            c_sums[k] += routing[k] * d_bias;
            for (sum, d) in f_sum.iter_mut().zip(&d_mixed) {
                *sum += routing[k] * d;
            }
        }
        (loss, towards)
    }
}

/// `softmax(W s + b)`
///
/// # Shapes
/// - `gate` (`W`): `[facets, hidden]`, `bias` (`b`): `[facets]`, `summary` (`s`): `[hidden]`
pub(super) fn softmax(gate: &[f64], bias: &[f64], summary: &[f64]) -> Vec<f64> {
    let rows = gate.chunks_exact(summary.len());
    let logits: Vec<f64> =
        rows.zip(bias).map(|(row, b)| row.iter().zip(summary).map(|(w, s)| w * s).sum::<f64>() + b).collect();
    let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// `log(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// A number between -1 and 1. SplitMix64: Steele et al. 2014, figure 16.
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// Into how many sums the users are dealt.
const SUMS: usize = 16;

#[cfg(test)]
mod tests;
