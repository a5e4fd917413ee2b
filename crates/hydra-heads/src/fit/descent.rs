//! Heads by descent in the space of their parameters: low-rank ones, and linear ones of users with many rows.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::lbfgs::{self, Options};
use super::model::{Model, narrow};
use super::newton::mean_square;
use super::rows::FitRows;
use super::strength::Learner;
use crate::shared::Shared;
use crate::weights::{Kind, Weights};

/// A kind of head over a user's rows, with a penalty for each parameter.
pub(super) struct Descent<'a> {
    shared: &'a Shared,
    rows: &'a FitRows<'a>,
    kind: Kind,
    /// What one unit of a parameter may add to the squared log-odds: the strength holds all blocks alike.
    units: Vec<f64>,
    start: Vec<f64>,
}

impl<'a> Descent<'a> {
    /// A linear or low-rank head; the seed decides where a low-rank one starts.
    pub(super) fn new(shared: &'a Shared, rows: &'a FitRows<'a>, kind: Kind, seed: u64) -> Self {
        let scale = mean_square(rows);
        let hidden = shared.hidden();
        let (units, start) = match kind {
            Kind::LowRank { inner, rank } => {
                let [into_inner, of_inner] = inner_units(shared, rows);
                let blocks = [(rank * hidden, scale), (rank * inner, into_inner), (inner, of_inner), (1, 1.0)];
                let mut rng = ChaCha8Rng::seed_from_u64(seed);
                let mut start = vec![0.0; kind.parameters(hidden)];
                for number in &mut start[..rank * hidden] {
                    // Uniform, with the variance that gives `V z` a mean square of 1.
                    *number = rng.random_range(-1.0f64..1.0) * (3.0 / scale).sqrt();
                }
                (blocks.iter().flat_map(|&(n, unit)| vec![unit; n]).collect(), start)
            }
            _ => {
                let units = [vec![scale; hidden], vec![1.0]].concat();
                (units, vec![0.0; hidden + 1])
            }
        };
        Self { shared, rows, kind, units, start }
    }

    fn model<'m>(&'m self, picks: &'m [u32]) -> Model<'m> {
        let zeros = Weights::zeros(self.kind, self.shared.hidden()).expect("checked by the caller");
        Model::new(self.shared, zeros, self.rows, picks)
    }

    fn descend(&self, model: &mut Model<'_>, strength: f64, x: &mut [f64]) {
        let mut narrowed = vec![0.0; x.len()];
        // In units in which the penalty is the same for all parameters the descent sees a rounder valley.
        let roots: Vec<f64> = self.units.iter().map(|unit| unit.sqrt()).collect();
        for (x, root) in x.iter_mut().zip(&roots) {
            *x *= root;
        }
        lbfgs::minimize(x, &self.options(), |x, gradient| {
            for ((narrowed, x), root) in narrowed.iter_mut().zip(x).zip(&roots) {
                *narrowed = narrow(x / root);
            }
            model.set_parameters(&narrowed);
            let (loss, slopes) = model.loss_and_gradient();
            let mut penalty = 0.0;
            for (i, g) in gradient.iter_mut().enumerate() {
                *g = f64::from(slopes[i]) / roots[i] + strength * x[i];
                penalty += x[i] * x[i];
            }
            loss + 0.5 * strength * penalty
        });
        for (x, root) in x.iter_mut().zip(&roots) {
            *x /= root;
        }
    }

    /// A linear head has one minimum, which is worth reaching. The last digits of a low-rank one are not: any of its
    /// minima would do, and the held-out rows cannot tell them apart.
    fn options(&self) -> Options {
        match self.kind {
            Kind::LowRank { .. } => Options { max_steps: 40, gradient: 1e-4, decrease: 1e-5 },
            _ => Options { max_steps: 200, gradient: 1e-5, decrease: 1e-9 },
        }
    }
}

impl Learner for Descent<'_> {
    fn parts(&self) -> (usize, usize) {
        (4, 1)
    }

    fn fit(&self, picks: &[u32], strength: f64, start: Option<&[f32]>) -> Vec<f32> {
        let mut x = match start {
            Some(start) if start.iter().any(|&number| number != 0.0) => start.iter().map(|&x| x.into()).collect(),
            // Zeros are the prior head: a low-rank head could not leave them.
            _ => self.start.clone(),
        };
        self.descend(&mut self.model(picks), strength, &mut x);
        x.into_iter().map(narrow).collect()
    }

    fn path(&self, picks: &[u32], held_out: &[u32], strengths: &[f64]) -> (Vec<f64>, f64) {
        let (mut seen, mut unseen) = (self.model(picks), self.model(held_out));
        let prior = unseen.loss();
        let mut x = self.start.clone();
        let mut losses = Vec::with_capacity(strengths.len());
        for &strength in strengths {
            self.descend(&mut seen, strength, &mut x);
            unseen.set_parameters(&seen.weights().parameters());
            losses.push(unseen.loss());
        }
        (losses, prior)
    }
}

/// For a two-layer prior head: the squared length of its output weights, and the mean squared length of its inner layer.
fn inner_units(shared: &Shared, rows: &FitRows<'_>) -> [f64; 2] {
    let prior = shared.prior();
    let w2 = prior.matrices()[2].to_f32();
    let (no, yes) = w2.split_at(w2.len() / 2);
    let output: f64 = yes.iter().zip(no).map(|(yes, no)| f64::from(yes - no).powi(2)).sum();
    let picks = rows.all();
    let zeros = Weights::zeros(Kind::Linear, shared.hidden()).expect("features have columns");
    let mut model = Model::new(shared, zeros, rows, &picks);
    let n = model.prior_log_odds().len();
    let (inner, _) = model.inner();
    let squares: f64 = inner.iter().map(|&a| f64::from(a) * f64::from(a)).sum();
    let n = super::rows::as_f64(n.max(1));
    [output, squares / n].map(|unit| if unit > 1e-12 { unit } else { 1.0 })
}
