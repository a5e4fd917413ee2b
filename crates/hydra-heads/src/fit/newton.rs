//! The linear head by Newton's method, in the space of rows instead of features: with fewer rows than features the same
//! exact solution costs `rows³ / 6` multiplications a step in place of `hidden³ / 6`.

use super::lbfgs::dot;
use super::model::{Model, narrow};
use super::rows::{FitRows, as_f64};
use super::strength::Learner;
use crate::shared::Shared;
use crate::weights::{Kind, Weights};

/// Rows, and all that fitting needs of their features: their products with each other.
pub(super) struct Newton<'a> {
    rows: &'a FitRows<'a>,
    /// `K[i, j] = zᵢ·zⱼ / scale + 1`: features and bias, both held to zero.
    kernel: Vec<f64>,
    /// The mean square length of a row: the strength means the same for every body.
    scale: f64,
    /// The prior head's log-odds.
    prior: Vec<f64>,
}

impl<'a> Newton<'a> {
    pub(super) fn new(shared: &'a Shared, rows: &'a FitRows<'a>) -> Self {
        let all = rows.all();
        let n = all.len();
        let mut products = vec![0.0; n * n];
        let features = rows.features().picked(&all);
        let exact: Vec<f32> = (0..n).flat_map(|i| features.row(i)).copied().collect();
        crate::kernel::products(crate::kernel::Rows::F32(&exact), features, n, &mut products);
        let scale = mean_square(rows);
        let kernel = products.iter().map(|&product| f64::from(product) / scale + 1.0).collect();
        let zeros = Weights::zeros(Kind::Linear, shared.hidden()).expect("features have columns");
        let mut model = Model::new(shared, zeros, rows, &all);
        let prior = model.prior_log_odds().iter().map(|&log_odds| log_odds.into()).collect();
        Self { rows, kernel, scale, prior }
    }

    fn kernel(&self, i: u32, j: u32) -> f64 {
        self.kernel[i as usize * self.rows.len() + j as usize]
    }

    /// Newton's method for `a`, where row `i` gets `prior(zᵢ) + Σⱼ K[i, j] a[j] / strength`. Starts from `a` and leaves
    /// the solution there.
    ///
    /// # Source
    /// Rasmussen and Williams 2006, algorithm 3.1 (equations 3.18, 3.26 and 3.27), which never inverts `K`, so that equal
    /// rows and constant features do no harm. **Differs:** an offset (the prior head), row weights, halved steps.
    fn solve(&self, picks: &[u32], strength: f64, a: &mut [f64]) {
        let n = picks.len();
        let sub: Vec<f64> =
            picks.iter().flat_map(|&i| picks.iter().map(move |&j| self.kernel(i, j) / strength)).collect();
        let row = |i: usize| &sub[i * n..][..n];
        let added = |a: &[f64]| (0..n).map(|i| dot(row(i), a)).collect::<Vec<f64>>();
        let value = |a: &[f64], f: &[f64]| -> f64 {
            let loss: f64 = picks.iter().zip(f).map(|(&i, f)| self.loss(i, *f).0).sum();
            loss + 0.5 * dot(a, f)
        };
        let mut f = added(a);
        let mut best = value(a, &f);
        let mut b_matrix = vec![0.0; n * n];
        for _ in 0..MAX_STEPS {
            let derivatives: Vec<(f64, f64)> = picks.iter().zip(&f).map(|(&i, &f)| self.derivatives(i, f)).collect();
            let root: Vec<f64> = derivatives.iter().map(|(_, curvature)| curvature.sqrt()).collect();
            for i in 0..n {
                for j in 0..=i {
                    b_matrix[i * n + j] = root[i] * root[j] * sub[i * n + j];
                }
                b_matrix[i * n + i] += 1.0;
            }
            cholesky(&mut b_matrix, n);
            let b: Vec<f64> = derivatives.iter().zip(&f).map(|((slope, curvature), f)| curvature * f - slope).collect();
            let mut x: Vec<f64> = added(&b).iter().zip(&root).map(|(kb, root)| root * kb).collect();
            cholesky_solve(&b_matrix, n, &mut x);
            let step: Vec<f64> = (0..n).map(|i| b[i] - root[i] * x[i] - a[i]).collect();
            let step_f = added(&step);
            let mut length = 1.0;
            let improved = loop {
                let next: Vec<f64> = a.iter().zip(&step).map(|(a, s)| a + length * s).collect();
                let next_f: Vec<f64> = f.iter().zip(&step_f).map(|(f, s)| f + length * s).collect();
                let trial = value(&next, &next_f);
                if trial <= best || length < MIN_LENGTH {
                    let gain = best - trial;
                    if gain >= 0.0 {
                        a.copy_from_slice(&next);
                        f = next_f;
                        best = trial;
                    }
                    break gain;
                }
                length *= 0.5;
            };
            if improved <= ENOUGH * (best + ENOUGH) {
                break;
            }
        }
    }

    fn loss(&self, row: u32, added: f64) -> (f64, f64) {
        self.rows.loss(row, self.prior[row as usize] + added)
    }

    /// First and second derivative of a row's loss by its log-odds.
    fn derivatives(&self, row: u32, added: f64) -> (f64, f64) {
        let (_, slope) = self.loss(row, added);
        let weight = self.rows.weight(row);
        let miss = slope.abs() / weight;
        (slope, weight * miss * (1.0 - miss))
    }
}

impl Learner for Newton<'_> {
    fn parts(&self) -> (usize, usize) {
        // Few rows: all take a turn. Many: a quarter of them is enough to tell strengths apart.
        if self.rows.len() <= 200 { (4, 4) } else { (4, 1) }
    }

    fn fit(&self, picks: &[u32], strength: f64, _: Option<&[f32]>) -> Vec<f32> {
        // The loss is convex and a handful of steps reach the minimum from anywhere: a start would only move last bits.
        let mut a = vec![0.0; picks.len()];
        self.solve(picks, strength, &mut a);
        let features = self.rows.features();
        let mut w = vec![0.0f64; features.hidden()];
        for (&row, a) in picks.iter().zip(&a) {
            for (w, &z) in w.iter_mut().zip(features.row(row as usize)) {
                *w += a * f64::from(z);
            }
        }
        let bias: f64 = a.iter().sum();
        let weights = w.iter().map(|w| narrow(w / (self.scale * strength)));
        weights.chain([narrow(bias / strength)]).collect()
    }

    fn path(&self, picks: &[u32], held_out: &[u32], strengths: &[f64]) -> (Vec<f64>, f64) {
        let mut a = vec![0.0; picks.len()];
        let mut last = strengths[0];
        let losses = strengths.iter().map(|&strength| {
            // At first order a weaker hold leaves the pull of each row as it is.
            let grown = (strength / last).sqrt();
            a.iter_mut().for_each(|a| *a *= grown);
            last = strength;
            self.solve(picks, strength, &mut a);
            held_out
                .iter()
                .map(|&i| {
                    let added: f64 = picks.iter().zip(&a).map(|(&j, a)| self.kernel(i, j) * a).sum();
                    self.loss(i, added / strength).0
                })
                .sum()
        });
        (losses.collect(), held_out.iter().map(|&i| self.loss(i, 0.0).0).sum())
    }
}

/// The mean square length of the rows; 1 where they are all zero.
pub(super) fn mean_square(rows: &FitRows<'_>) -> f64 {
    let features = rows.features();
    let squares: f64 =
        (0..rows.len()).map(|row| features.row(row).iter().map(|&z| f64::from(z) * f64::from(z)).sum::<f64>()).sum();
    let mean = squares / as_f64(rows.len().max(1));
    if mean > f64::MIN_POSITIVE { mean } else { 1.0 }
}

/// The lower triangle of `matrix` becomes `L` with `L Lᵀ = matrix`.
fn cholesky(matrix: &mut [f64], n: usize) {
    for i in 0..n {
        let (above, current) = matrix.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..][..=j];
            current[j] = (current[j] - dot(&current[..j], &other[..j])) / other[j];
        }
        // 1 is on every diagonal before, and the rest is positive semidefinite: only rounding could come near zero.
        current[i] = (current[i] - dot(&current[..i], &current[..i])).max(f64::EPSILON).sqrt();
    }
}

/// `x` becomes `(L Lᵀ)⁻¹ x`.
fn cholesky_solve(l: &[f64], n: usize, x: &mut [f64]) {
    for i in 0..n {
        x[i] = (x[i] - dot(&l[i * n..][..i], &x[..i])) / l[i * n + i];
    }
    for i in (0..n).rev() {
        x[i] /= l[i * n + i];
        let (below, current) = x.split_at_mut(i);
        for (x, l) in below.iter_mut().zip(&l[i * n..]) {
            *x -= l * current[0];
        }
    }
}

/// Above this many rows the features' space is the smaller one, and a descent there is cheaper.
pub(super) const MAX_ROWS: usize = 400;
const MAX_STEPS: usize = 50;
const MIN_LENGTH: f64 = 1e-3;
/// A relative gain that is nothing.
const ENOUGH: f64 = 1e-10;
