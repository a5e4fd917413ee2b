//! How strongly a head is held to the prior head: chosen by what was held out.

use super::Reason;
use super::rows::FitRows;

/// One over the variance of the log-odds that a head may add to the prior head's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Strength {
    /// The strength, of 64 to 1/64 by factors of 4, under which held-out rows of this user are likeliest; the prior
    /// head if none beats it.
    #[default]
    HeldOut,
    /// This one.
    Fixed(f64),
}

/// What the rows that were held out say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldOut {
    /// How many rows were held out, over all parts.
    pub rows: usize,
    /// The prior head's mean log-loss on them.
    pub prior_loss: f64,
    /// The mean log-loss on them of heads fitted without them, at the best strength.
    pub loss: f64,
}

/// Something that fits parameters to some of a user's rows.
pub(super) trait Learner {
    /// Into how many parts rows are split, and how many of these are held out in turn.
    fn parts(&self) -> (usize, usize);

    /// The parameters of a head fitted to the rows `picks`.
    fn fit(&self, picks: &[u32], strength: f64, start: Option<&[f32]>) -> Vec<f32>;

    /// For every strength, strongest first, the loss summed over `held_out` of a head fitted to `picks`; and the prior
    /// head's loss on the same rows.
    fn path(&self, picks: &[u32], held_out: &[u32], strengths: &[f64]) -> (Vec<f64>, f64);
}

/// The strength with the lowest loss on held-out rows; the strongest of equals.
pub(super) fn choose(learner: &dyn Learner, rows: &FitRows<'_>) -> Result<(f64, HeldOut), (Reason, Option<HeldOut>)> {
    let (n_parts, n_held_out) = learner.parts();
    let parts = rows.parts(n_parts);
    let mut losses = vec![0.0; STRENGTHS.len()];
    let (mut prior_loss, mut weight, mut n) = (0.0, 0.0, 0);
    for held_out in parts.iter().take(n_held_out).filter(|part| !part.is_empty()) {
        let picks: Vec<u32> = rows.all().into_iter().filter(|row| held_out.binary_search(row).is_err()).collect();
        if !rows.has_both(&picks) {
            continue;
        }
        let (path, prior) = learner.path(&picks, held_out, &STRENGTHS);
        for (sum, loss) in losses.iter_mut().zip(path) {
            *sum += loss;
        }
        prior_loss += prior;
        weight += held_out.iter().map(|&row| rows.weight(row)).sum::<f64>();
        n += held_out.len();
    }
    if n == 0 {
        return Err((Reason::TooFew, None));
    }
    let (best, &loss) = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).expect("there are strengths");
    let held_out = HeldOut { rows: n, prior_loss: prior_loss / weight, loss: loss / weight };
    if loss < prior_loss { Ok((STRENGTHS[best], held_out)) } else { Err((Reason::NoGain, Some(held_out))) }
}

/// Strongest first: from an eighth of log-odds to eight.
const STRENGTHS: [f64; 7] = [64.0, 16.0, 4.0, 1.0, 0.25, 0.0625, 0.015_625];
