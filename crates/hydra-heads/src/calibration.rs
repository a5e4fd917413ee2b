//! Scores that can be acted on: of a hundred answers scored 0.8, eighty should be right.
//!
//! A [`Curve`] is fitted over the whole population, where there is data enough; each user then has one number, a
//! [`UserCalibration`], that sharpens or flattens the curve for them and is shrunk towards one, that is towards the
//! population, by a strength that held-out rows choose. A user without rows has exactly the population's curve.
//!
//! Order is kept: of two scores of one user the higher one never gets the lower probability, so calibrating never
//! changes which candidate wins.

mod curve;
mod ece;
mod isotonic;

use hydra_types::Score;

pub use curve::{Curve, CurveKind};
pub use ece::{ECE_BINS, expected_calibration_error};

/// Scores of one user with what turned out to be right, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Outcomes<'a> {
    scores: &'a [f32],
    labels: &'a [bool],
}

impl<'a> Outcomes<'a> {
    /// Scores as probabilities in `[0, 1]`, each with whether it was right.
    ///
    /// # Shapes
    /// - `scores`, `labels`: `[rows]`
    ///
    /// # Errors
    /// [`CalibrationError`] if the lengths differ or a score is no probability.
    pub fn new(scores: &'a [f32], labels: &'a [bool]) -> Result<Self, CalibrationError> {
        if scores.len() != labels.len() {
            return Err(CalibrationError::Lengths { scores: scores.len(), labels: labels.len() });
        }
        if let Some(row) = scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
            return Err(CalibrationError::NotAProbability { row, score: scores[row] });
        }
        Ok(Self { scores, labels })
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    fn rows(self) -> impl Iterator<Item = (f64, bool)> + Clone + 'a {
        self.scores.iter().map(|&score| f64::from(score)).zip(self.labels.iter().copied())
    }

    fn halves(self) -> (Self, Self) {
        let middle = self.len() / 2;
        let part = |from: usize, to: usize| Self { scores: &self.scores[from..to], labels: &self.labels[from..to] };
        (part(0, middle), part(middle, self.len()))
    }
}

/// How scores become probabilities, for everybody and for each user.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    curve: Curve,
    /// How many units of evidence hold a user to the population's curve; infinite: all of it.
    strength: f64,
}

/// One user's share of the calibration: how much sharper (above one) or flatter their curve is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserCalibration {
    scale: f64,
}

impl UserCalibration {
    /// The calibration of a user about whom nothing is known: the population's curve as it is.
    pub const STRANGER: Self = Self { scale: 1.0 };

    /// The factor on the log-odds.
    #[must_use]
    pub fn scale(self) -> f64 {
        self.scale
    }
}

impl Calibration {
    /// Fits the curve on the rows of all `users`, and chooses how strongly users are held to it: each user's scale is
    /// fitted on the older half of their rows, and the strength that gives the newer halves the lowest log-loss wins;
    /// equal ones, the strongest.
    ///
    /// # Errors
    /// [`CalibrationError::Empty`] if no user has a row.
    pub fn fit(kind: CurveKind, users: &[Outcomes<'_>]) -> Result<Self, CalibrationError> {
        let curve = Curve::fit(kind, users.iter().flat_map(|user| user.rows()))?;
        let mut best = Self { curve, strength: f64::INFINITY };
        let mut lowest = best.held_out_loss(users);
        for strength in STRENGTHS {
            let candidate = Self { curve: best.curve.clone(), strength };
            let loss = candidate.held_out_loss(users);
            if loss < lowest {
                (best, lowest) = (candidate, loss);
            }
        }
        Ok(best)
    }

    /// The calibration of a user with these rows.
    #[must_use]
    pub fn for_user(&self, rows: Outcomes<'_>) -> UserCalibration {
        if self.strength.is_infinite() || rows.is_empty() {
            return UserCalibration::STRANGER;
        }
        let odds = rows.rows().map(|(score, label)| (log_odds(self.curve.probability(score)), label));
        UserCalibration { scale: fit_scale(&odds, self.strength, 1.0) }
    }

    /// The calibrated probability of an answer that a head scored with `score`, a probability in `[0, 1]`: in `[0, 1]`,
    /// higher is likelier to be right, and comparable between users.
    ///
    /// # Panics
    /// If `score` is outside `[0, 1]`.
    #[must_use]
    pub fn apply(&self, user: UserCalibration, score: Score) -> Score {
        assert!((0.0..=1.0).contains(&score.get()), "only probabilities are calibrated");
        #[expect(clippy::cast_possible_truncation, reason = "a probability loses precision only")]
        let probability = self.probability(user, f64::from(score.get())) as f32;
        Score::new(probability).expect("a probability is finite")
    }

    /// The population's curve.
    #[must_use]
    pub fn curve(&self) -> &Curve {
        &self.curve
    }

    /// How strongly users are held to the curve; infinite if no user departs from it.
    #[must_use]
    pub fn strength(&self) -> f64 {
        self.strength
    }

    fn probability(&self, user: UserCalibration, score: f64) -> f64 {
        let population = self.curve.probability(score);
        if user == UserCalibration::STRANGER { population } else { sigmoid(user.scale * log_odds(population)) }
    }

    fn held_out_loss(&self, users: &[Outcomes<'_>]) -> f64 {
        let user_loss = |user: &Outcomes<'_>| {
            let (older, newer) = user.halves();
            let own = self.for_user(older);
            newer.rows().map(|(score, label)| log_loss(self.probability(own, score), label)).sum::<f64>()
        };
        users.iter().map(user_loss).sum()
    }
}

/// Why scores could not be calibrated.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// There is nothing to fit on.
    #[error("no rows to calibrate on: give at least one score with its outcome")]
    Empty,
    /// A score without an outcome, or the other way round.
    #[error("{scores} scores but {labels} outcomes: give one outcome for each score")]
    Lengths {
        /// How many scores.
        scores: usize,
        /// How many outcomes.
        labels: usize,
    },
    /// Only probabilities are calibrated.
    #[error("score {score} of row {row} is no probability: give scores in [0, 1]")]
    NotAProbability {
        /// Which row.
        row: usize,
        /// Its score.
        score: f32,
    },
}

/// The `a` that minimises `sum log(1 + exp(-y a z)) + strength / 2 (a - towards)^2` over rows `(z, y)` of log-odds and
/// outcomes, `y` in {-1, 1}: the inverse of a temperature.
///
/// The objective is convex in `a`, so its derivative has one root, which bisection finds to the last bit whatever the
/// rows are: one outcome only, separable, all scores equal.
///
/// # Source
/// Guo et al., *On Calibration of Modern Neural Networks* (2017), section 4.2, with a Gaussian prior on `a = 1 / T`.
fn fit_scale(rows: &(impl Iterator<Item = (f64, bool)> + Clone), strength: f64, towards: f64) -> f64 {
    let slope = |scale: f64| {
        let data = |(odds, label): (f64, bool)| odds * (sigmoid(scale * odds) - f64::from(u8::from(label)));
        rows.clone().map(data).sum::<f64>() + strength * (scale - towards)
    };
    let (mut low, mut high) = SCALES;
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 { high = middle } else { low = middle }
    }
    f64::midpoint(low, high)
}

fn sigmoid(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(CERTAINTY, 1.0 - CERTAINTY);
    (probability / (1.0 - probability)).ln()
}

fn log_loss(probability: f64, label: bool) -> f64 {
    let probability = probability.clamp(CERTAINTY, 1.0 - CERTAINTY);
    -(if label { probability } else { 1.0 - probability }).ln()
}

/// How near to 0 and 1 a probability may count: its log-odds stay finite.
const CERTAINTY: f64 = 1e-7;

/// Strengths that are tried, strongest first; besides them, infinity.
const STRENGTHS: [f64; 8] = [1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3];

/// Scales outside this range are taken for its ends; above zero, so that the order of scores is kept.
const SCALES: (f64, f64) = (1e-3, 1e2);

/// Halvings of that range until nothing is left to halve.
const BISECTIONS: usize = 64;

#[cfg(test)]
mod tests;
