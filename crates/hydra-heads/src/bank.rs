//! Heads of many users in memory, scored together.

mod scratch;
mod span;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use hydra_types::{Fingerprint, UserId};

pub use scratch::Scratch;

use crate::features::Features;
use crate::head::{Head, HeadName};
use crate::shared::{BindError, Shared};

/// The heads of many users on one body, scored in one call, whatever the mix.
///
/// # Scores
/// Every score is the probability of class 1, "helps", between 0 and 1; higher is better. Scores of one head order its own
/// rows. Between heads they are comparable only as far as the heads are calibrated. [`log_odds`](Self::log_odds) gives
/// the number before the logistic function: the same order, without the ties where probabilities round to 0 or 1.
///
/// # Cost
/// A call sorts its rows by head, so that every head is read from memory once; the prior head's inner layer is computed
/// for all rows together. Heads that no row names cost nothing. Large calls are shared among the threads of the current
/// rayon pool. A row's score has the same bits whatever the other rows, their order and the number of threads.
///
/// # Panics
/// No method panics; more than 2^32 - 2 heads or rows would.
#[derive(Clone, Debug)]
pub struct HeadBank {
    shared: Arc<Shared>,
    slots: Vec<Option<Head>>,
    free: Vec<u32>,
    index: HashMap<UserId, u32>,
    bytes: usize,
}

impl HeadBank {
    /// A bank without users.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, slots: Vec::new(), free: Vec::new(), index: HashMap::new(), bytes: 0 }
    }

    /// Adds a user's head or replaces it. Nothing of any other user is touched, and the cost does not grow with their number.
    ///
    /// # Errors
    /// [`BindError`] if the head was made on another body, prior head or facets.
    ///
    /// # Panics
    /// After 2^32 - 2 users.
    pub fn insert(&mut self, user: UserId, head: Head) -> Result<(), BindError> {
        self.shared.check(&head)?;
        self.remove(user);
        self.bytes += head.weights().bytes();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1)
                .ok()
                .filter(|&slot| slot != Scratch::PRIOR)
                .expect("fewer than 2^32 - 1 heads")
        });
        self.slots[slot as usize] = Some(head);
        self.index.insert(user, slot);
        Ok(())
    }

    /// Forgets a user's head; says whether there was one.
    pub fn remove(&mut self, user: UserId) -> bool {
        let Some(slot) = self.index.remove(&user) else {
            return false;
        };
        if let Some(head) = self.slots[slot as usize].take() {
            self.bytes -= head.weights().bytes();
        }
        self.free.push(slot);
        true
    }

    /// Whether this user has a head here.
    #[must_use]
    pub fn contains(&self, user: UserId) -> bool {
        self.index.contains_key(&user)
    }

    /// How many users have a head.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no user has a head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of all users' numbers; the shared part is not counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The body, prior head and facets that the heads stand on.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Scores every row with the head that its name says: probabilities, see [`HeadBank`].
    ///
    /// # Shapes
    /// - `names`: one for each row of `features`
    /// - returns: `[batch]`
    ///
    /// # Errors
    /// [`ScoreError`]; a user without a head is an error and never scored with the prior head in silence.
    pub fn scores(&self, names: &[HeadName], features: &Features<'_>) -> Result<Vec<f32>, ScoreError> {
        let mut out = vec![0.0; names.len()];
        self.scores_into(names, features, &mut Scratch::new(), &mut out)?;
        Ok(out)
    }

    /// As [`scores`](Self::scores), into `out`; allocates nothing once `scratch` has seen a call of this size.
    ///
    /// # Errors
    /// [`ScoreError`]; `out` then holds nothing of meaning.
    pub fn scores_into(
        &self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ScoreError> {
        self.log_odds_into(names, features, scratch, out)?;
        for score in out {
            *score = probability(*score);
        }
        Ok(())
    }

    /// As [`scores`](Self::scores), before the logistic function.
    ///
    /// # Errors
    /// [`ScoreError`].
    pub fn log_odds(&self, names: &[HeadName], features: &Features<'_>) -> Result<Vec<f32>, ScoreError> {
        let mut out = vec![0.0; names.len()];
        self.log_odds_into(names, features, &mut Scratch::new(), &mut out)?;
        Ok(out)
    }

    /// As [`scores_into`](Self::scores_into), before the logistic function.
    ///
    /// # Errors
    /// [`ScoreError`]; `out` then holds nothing of meaning.
    pub fn log_odds_into(
        &self,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ScoreError> {
        self.check(names, features, out)?;
        self.log_odds_of(0..names.len(), names, features, scratch, out)
    }

    /// As [`log_odds_into`](Self::log_odds_into) for some of the rows of checked arguments.
    pub(crate) fn log_odds_of(
        &self,
        rows: Range<usize>,
        names: &[HeadName],
        features: &Features<'_>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) -> Result<(), ScoreError> {
        scratch.plan(self, rows, names)?;
        scratch.run(self, features);
        scratch.deliver(out)
    }

    /// Whether the arguments of a call fit together.
    pub(crate) fn check(&self, names: &[HeadName], features: &Features<'_>, out: &[f32]) -> Result<(), ScoreError> {
        if features.body() != self.shared.body() {
            return Err(ScoreError::Body { expected: self.shared.body(), got: features.body() });
        }
        for (what, expected, got) in [
            ("columns of the features", self.shared.hidden(), features.hidden()),
            ("names", features.batch(), names.len()),
            ("places for scores", features.batch(), out.len()),
        ] {
            if expected != got {
                return Err(ScoreError::Count { what, expected, got });
            }
        }
        Ok(())
    }

    fn slot(&self, user: UserId) -> Option<u32> {
        self.index.get(&user).copied()
    }

    fn head(&self, slot: u32) -> &Head {
        self.slots[slot as usize].as_ref().expect("an indexed slot is filled")
    }
}

/// The probability that log-odds stand for: `1 / (1 + exp(-log_odds))`.
#[must_use]
pub fn probability(log_odds: f32) -> f32 {
    // Of the two forms, the one whose `exp` cannot overflow.
    if log_odds >= 0.0 {
        1.0 / (1.0 + (-log_odds).exp())
    } else {
        let odds = log_odds.exp();
        odds / (1.0 + odds)
    }
}

/// Rows that cannot be scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// A row names a user who has no head here.
    #[error("row {row} names user {user}, who has no head here: fit one, or name the prior head")]
    UnknownHead {
        /// The first such row.
        row: usize,
        /// The user.
        user: UserId,
    },
    /// Features of another body.
    #[error("features of body {got} do not fit heads of body {expected}: encode with the heads' body")]
    Body {
        /// The heads'.
        expected: Fingerprint,
        /// The features'.
        got: Fingerprint,
    },
    /// The arguments do not fit together.
    #[error("the {what} must be {expected}, got {got}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// As many as needed.
        expected: usize,
        /// As many as given.
        got: usize,
    },
    /// The head's and the features' numbers are so large that the score is not finite.
    #[error("the score of row {row} is not finite: scale the features down and fit again")]
    Overflow {
        /// The first such row.
        row: usize,
    },
}
