//! Facets: heads that everybody shares, and the router that tells from a user's history how much of each they are.
//!
//! A user who was never fitted, and never will be, is served by a mix of facets: their history's features go through
//! the router, out comes a sparse routing, and that is a head like any other ([`Kind::Routing`](crate::Kind::Routing)),
//! of a few numbers. No label and no fit is needed, and no history at all gives exactly the prior head.
//!
//! [`fit_facets`] trains both on the cached features of many users.

mod objective;
mod router;
mod summary;

use std::sync::Arc;

use hydra_types::Fingerprint;

pub use router::{Router, RouterError};

use crate::bank::HeadBank;
use crate::features::Features;
use crate::fit::lbfgs;
use crate::shared::Shared;
use crate::weights::{Weights, WeightsError};
use objective::{Objective, Params, UserRows};
use summary::Summary;

/// One user of the population that facets are trained on.
///
/// What the router will see must not contain what it is judged by: `history` holds features of records that are older
/// than those behind `rows`.
#[derive(Clone, Copy, Debug)]
pub struct FacetUser<'a> {
    /// Features of the user's history, as the router will see them: `[records, hidden]`.
    pub history: Features<'a>,
    /// Features of labelled rows: `[rows, hidden]`.
    pub rows: Features<'a>,
    /// Whether each row helped: `[rows]`.
    pub labels: &'a [bool],
}

/// How facets are trained. The defaults are those of the follow-up paper (MoF: 6 to 8 facets, 3 of them mixed).
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct FacetOptions {
    facets: usize,
    mixed: usize,
    l2: f64,
    restarts: u64,
    seed: u64,
}

impl FacetOptions {
    /// Eight facets, three of them mixed for each user.
    pub const fn new(seed: u64) -> Self {
        Self { facets: 8, mixed: 3, l2: 1.0, restarts: 3, seed }
    }

    /// How many facets are shared, and how many of them one user's routing mixes.
    pub const fn facets(self, facets: usize, mixed: usize) -> Self {
        Self { facets, mixed, ..self }
    }

    /// The strength that holds facets and router to zero, in units of rows.
    pub const fn l2(self, l2: f64) -> Self {
        Self { l2, ..self }
    }

    /// From how many random routers to start; the one with the lowest training objective is kept.
    pub const fn restarts(self, restarts: u64) -> Self {
        Self { restarts, ..self }
    }
}

/// Facets, the router to them, and what they are worth on the rows that they were trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedFacets {
    /// The facets; [`Shared::with_facets`] takes them.
    pub facets: Weights,
    /// From a history to a routing over them.
    pub router: Router,
    /// Mean log-loss of the prior head on the training rows.
    pub prior_loss: f64,
    /// Mean log-loss of the routed facets on the training rows.
    pub routed_loss: f64,
}

/// Trains facets and their router over many users.
///
/// The log-odds of a row with features `z` of a user with history summary `s` are
/// `prior(z) + sum_k softmax(W s + b)_k (f_k . z + c_k)`. Facets `f, c` and router `W, b` descend together by L-BFGS,
/// from a seeded random router and facets of zero; then the router is frozen, each user's routing is cut to its largest
/// weights, and the facets are fitted once more to the routings that will be used, which is a convex problem.
/// Deterministic, whatever the number of threads.
///
/// # Errors
/// [`FacetError`] if there is no row, users do not belong to the body of `shared`, or the options make no sense.
///
/// # Source
/// A mixture with a softmax gate of which the largest weights are kept: Shazeer et al. 2017, arXiv:1701.06538, equations
/// 1 to 5, without the noise. Shared components mixed by sparse user weights, trained in turns: Kumar and Daumé 2012,
/// arXiv:1206.6417. **Differs:** gate and components descend together first, and the gate reads a history, not the row.
pub fn fit_facets(shared: &Shared, users: &[FacetUser<'_>], options: FacetOptions) -> Result<FittedFacets, FacetError> {
    let FacetOptions { facets, mixed, l2, restarts, seed } = options;
    if mixed == 0 || mixed > facets {
        return Err(FacetError::Mixed { facets, mixed });
    }
    check_users(shared.body(), shared.hidden(), users)?;
    let summary = Summary::fit(shared.hidden(), users.iter().map(|user| user.history));
    let prior = HeadBank::new(Arc::new(shared.clone()));
    let rows: Vec<UserRows<'_>> = users.iter().map(|user| UserRows::new(&prior, &summary, user)).collect();
    let objective = Objective::new(&rows, shared.hidden(), facets, l2);

    let start = |restart: u64| {
        let mut params = Params::random(facets, shared.hidden(), seed.wrapping_add(restart));
        let value = lbfgs::minimize(params.numbers_mut(), &lbfgs::Options::default(), |x, g| objective.joint(x, g));
        (params, value)
    };
    let better = |best: (Params, f64), next: (Params, f64)| if next.1 < best.1 { next } else { best };
    let (mut params, _) = (1..restarts).map(start).fold(start(0), better);

    let router = Router::new(shared.body(), summary, &params, mixed);
    let routings: Vec<Vec<f64>> = users.iter().map(|user| router.weights(user.history)).collect();
    let routed = |x: &[f64], g: &mut [f64]| objective.routed(&routings, x, g);
    lbfgs::minimize(params.facets_mut(), &lbfgs::Options::default(), routed);

    Ok(FittedFacets {
        prior_loss: objective.mean_loss(&routings, None),
        routed_loss: objective.mean_loss(&routings, Some(params.facets())),
        facets: params.to_weights()?,
        router,
    })
}

/// Why facets could not be trained.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FacetError {
    /// A routing of nothing, or of more facets than there are.
    #[error("cannot mix {mixed} of {facets} facets: mix at least one and at most all")]
    Mixed {
        /// How many are shared.
        facets: usize,
        /// How many are to be mixed.
        mixed: usize,
    },
    /// Nothing to learn from.
    #[error("no labelled rows: give at least one user with rows")]
    NoRows,
    /// A user's labels do not go with the rows.
    #[error("user number {user} has {rows} rows but {labels} labels: give one label for each row")]
    Labels {
        /// Position in the list of users.
        user: usize,
        /// How many rows.
        rows: usize,
        /// How many labels.
        labels: usize,
    },
    /// Features of another body.
    #[error("user number {user} has features of another body: encode them with the body of the prior head")]
    Body {
        /// Position in the list of users.
        user: usize,
    },
    /// Features of another width.
    #[error("user number {user} has features of width {got}, the prior head takes {expected}")]
    Width {
        /// Position in the list of users.
        user: usize,
        /// The prior head's.
        expected: usize,
        /// The user's.
        got: usize,
    },
    /// The trained numbers are no facets: they overflowed.
    #[error("training overflowed: scale the features down or raise the l2 strength")]
    Overflow(#[from] WeightsError),
}

fn check_users(body: Fingerprint, hidden: usize, users: &[FacetUser<'_>]) -> Result<(), FacetError> {
    for (index, user) in users.iter().enumerate() {
        let (rows, labels) = (user.rows.batch(), user.labels.len());
        if rows != labels {
            return Err(FacetError::Labels { user: index, rows, labels });
        }
        for features in [user.rows, user.history] {
            if features.body() != body {
                return Err(FacetError::Body { user: index });
            }
            if features.hidden() != hidden {
                return Err(FacetError::Width { user: index, expected: hidden, got: features.hidden() });
            }
        }
    }
    if users.iter().all(|user| user.labels.is_empty()) {
        return Err(FacetError::NoRows);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
