//! Fitting one user's head on cached features: the body and everybody else stay as they are.

mod adamw;
mod descent;
pub(crate) mod lbfgs;
mod model;
mod newton;
mod rows;
mod strength;

use hydra_types::Fingerprint;

pub use adamw::AdamW;
pub use model::loss_and_gradient;
pub use rows::{ClassWeights, FitRows, RowsError};
pub use strength::{HeldOut, Strength};

use crate::head::Head;
use crate::shared::{BindError, Shared};
use crate::weights::{Kind, Weights, WeightsError};
use model::{Model, check_features};
use rows::as_f64;
use strength::{Learner, choose};

/// How a head that adds to the prior head is fitted.
///
/// The loss is the log-loss of the rows plus an L2 penalty that holds the head to zero, that is to the prior head. The
/// penalty's strength is one over the variance of the log-odds that the head may add before any row was seen: 1 lets
/// typical rows move by 1 in log-odds, 64 by an eighth.
///
/// ```
/// use hydra_heads::{ClassWeights, Features, Fit, FitRows, Outcome, Shared, Weights};
/// use hydra_types::{Fingerprint, ndarray::array};
///
/// let body = Fingerprint::new([7; 32]);
/// let shared = Shared::new(body, Weights::linear(&[0.0, 0.0], 0.0)?)?;
/// // This user likes rows whose first number is large.
/// let features = array![[1.0, 0.3], [0.9, -0.2], [0.8, 0.1], [1.1, 0.0], [-1.0, 0.1], [-0.8, 0.2], [-0.9, -0.3], [-1.2, 0.0]];
/// let labels = [true, true, true, true, false, false, false, false];
/// let rows = FitRows::new(Features::new(body, &features)?, &labels, ClassWeights::Equal)?;
/// let fitted = Fit::linear().run(&shared, &rows)?;
/// assert_eq!(fitted.outcome, Outcome::Fitted);
/// assert!(fitted.head.weights().parameters()[0] > 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fit {
    shape: Shape,
    strength: Strength,
    start: Option<Head>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Linear,
    LowRank { rank: usize, seed: u64 },
}

impl Fit {
    /// A linear head. The loss is convex: the result is the one minimum, whatever the start.
    pub const fn linear() -> Self {
        Self { shape: Shape::Linear, strength: Strength::HeldOut, start: None }
    }

    /// A low-rank head. The loss is not convex; `seed` fixes where the descent begins.
    pub const fn low_rank(rank: usize, seed: u64) -> Self {
        Self { shape: Shape::LowRank { rank, seed }, strength: Strength::HeldOut, start: None }
    }

    /// How strongly the head is held to the prior head; chosen on held-out rows if not said.
    pub const fn strength(mut self, strength: Strength) -> Self {
        self.strength = strength;
        self
    }

    /// Begins at the user's last head, for a refit when feedback has arrived: give all rows, old and new, and
    /// [`Strength::Fixed`] with [`Fitted::strength`] to spare the search as well.
    pub fn start(mut self, head: Head) -> Self {
        self.start = Some(head);
        self
    }

    /// Fits. Two calls with the same arguments give the same bytes.
    ///
    /// # Errors
    /// [`FitError`] if the rows or the start belong to another body or prior head, or the kind does not fit the prior head.
    /// Rows from which nothing can be learned are no error: the head is then exactly the prior head, and
    /// [`Fitted::outcome`] says why.
    pub fn run(&self, shared: &Shared, rows: &FitRows<'_>) -> Result<Fitted, FitError> {
        check_features(shared, rows)?;
        let kind = self.kind(shared)?;
        let zeros = Weights::zeros(kind, shared.hidden())?;
        let start = match &self.start {
            Some(head) if head.kind() != kind => return Err(FitError::StartKind { expected: kind, got: head.kind() }),
            Some(head) => {
                shared.check(head)?;
                Some(head.weights().parameters())
            }
            None => None,
        };
        let unfitted = shared.head(zeros)?;
        let all = rows.all();
        let prior_loss = mean_loss(shared, &unfitted, rows, &all);
        let prior = |reason, held_out| Fitted {
            head: unfitted.clone(),
            outcome: Outcome::Prior(reason),
            strength: None,
            held_out,
            prior_loss,
            loss: prior_loss,
        };
        if rows.is_empty() {
            return Ok(prior(Reason::NoRows, None));
        }
        if !rows.has_both(&all) {
            return Ok(prior(Reason::OneClass, None));
        }
        let learner: Box<dyn Learner + '_> = match self.shape {
            Shape::Linear if rows.len() <= newton::MAX_ROWS => Box::new(newton::Newton::new(shared, rows)),
            Shape::Linear => Box::new(descent::Descent::new(shared, rows, kind, 0)),
            Shape::LowRank { seed, .. } => Box::new(descent::Descent::new(shared, rows, kind, seed)),
        };
        let (strength, held_out) = match self.strength {
            Strength::Fixed(strength) if strength.is_finite() && strength > 0.0 => (strength, None),
            Strength::Fixed(strength) => return Err(FitError::Strength { strength }),
            Strength::HeldOut => match choose(&*learner, rows) {
                Ok((strength, held_out)) => (strength, Some(held_out)),
                Err((reason, held_out)) => return Ok(prior(reason, held_out)),
            },
        };
        let weights = Weights::from_parameters(kind, shared.hidden(), &learner.fit(&all, strength, start.as_deref()))?;
        let head = shared.head(weights)?;
        let loss = mean_loss(shared, &head, rows, &all);
        Ok(Fitted { head, outcome: Outcome::Fitted, strength: Some(strength), held_out, prior_loss, loss })
    }

    fn kind(&self, shared: &Shared) -> Result<Kind, FitError> {
        match (self.shape, shared.prior().kind()) {
            (Shape::Linear, _) => Ok(Kind::Linear),
            (Shape::LowRank { rank, .. }, Kind::TwoLayer { inner }) => Ok(Kind::LowRank { inner, rank }),
            (Shape::LowRank { .. }, _) => Err(BindError::LinearPrior.into()),
        }
    }
}

/// A head, and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The head; bound to the shared part that it was fitted on.
    pub head: Head,
    /// Whether it was fitted or is the prior head.
    pub outcome: Outcome,
    /// The strength that was used; none if the head is the prior head or was made by [`AdamW`], which has none.
    pub strength: Option<f64>,
    /// What the held-out rows said, if they were asked.
    pub held_out: Option<HeldOut>,
    /// The prior head's mean log-loss on all rows.
    pub prior_loss: f64,
    /// The head's mean log-loss on the same rows: those that it was fitted on, so lower than on new ones.
    pub loss: f64,
}

/// What came out of fitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A head of the user's own.
    Fitted,
    /// Exactly the prior head, bit for bit in every score.
    Prior(Reason),
}

/// Why a user gets the prior head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no row.
    NoRows,
    /// All rows have one label: they say how much this user likes, not what.
    OneClass,
    /// Too few rows to hold some out that have both labels, or all rows have the same features. A fixed strength fits them nevertheless.
    TooFew,
    /// No strength made the held-out rows likelier than the prior head does.
    NoGain,
}

/// Rows or settings that cannot be fitted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Features of another body.
    #[error("features of body {got} do not fit heads of body {expected}: encode with the heads' body")]
    Body {
        /// The shared part's.
        expected: Fingerprint,
        /// The features'.
        got: Fingerprint,
    },
    /// Features of another width.
    #[error("features of width {got} do not fit a body that makes {expected}")]
    Width {
        /// The shared part's.
        expected: usize,
        /// The features'.
        got: usize,
    },
    /// The start is of another kind than what is to be fitted.
    #[error("the head to start from is {got:?}, what is fitted is {expected:?}")]
    StartKind {
        /// What is to be fitted.
        expected: Kind,
        /// The start's.
        got: Kind,
    },
    /// A strength that is no strength.
    #[error("a strength is finite and above zero, got {strength}: a large one keeps the prior head")]
    Strength {
        /// As given.
        strength: f64,
    },
    /// A setting of [`AdamW`] that makes no sense.
    #[error("adamw's {what} is out of range: see `AdamW::paper`")]
    Setting {
        /// Which.
        what: &'static str,
    },
    /// The start or the kind does not fit the shared part.
    #[error("the head does not fit this body and prior head")]
    Head(#[from] BindError),
    /// The features are so large that the fit overflowed.
    #[error("the fitted numbers are no head: scale the features down")]
    Weights(#[from] WeightsError),
}

/// The mean of the rows' log-loss under `head`, weighted as the rows say.
fn mean_loss(shared: &Shared, head: &Head, rows: &FitRows<'_>, picks: &[u32]) -> f64 {
    let total: f64 = picks.iter().map(|&row| rows.weight(row)).sum();
    let loss = Model::new(shared, head.weights().clone(), rows, picks).loss();
    loss / if picks.is_empty() { 1.0 } else { total.max(1.0 / as_f64(picks.len())) }
}
