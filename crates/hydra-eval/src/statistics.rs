//! Is the difference real? Two systems on the same queries.

mod bootstrap;
mod tests_of_difference;

pub use bootstrap::Interval;
pub(crate) use bootstrap::{Draws, interval};
pub use tests_of_difference::sign_test;

use crate::error::{EvalError, check_lengths, check_numbers};

/// What one system gained over another, query by query, kept by user.
///
/// Users are the unit of chance everywhere: a new sample would be one of other users, and queries of one user resemble
/// each other. Treating queries as independent makes intervals too narrow.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// For each user, the difference on each query.
    by_user: Vec<Vec<f64>>,
}

impl Paired {
    /// Pairs the values of two systems: for each user, the value of a metric on each query.
    ///
    /// # Errors
    /// [`EvalError`] if the systems were not run on the same users and queries, a user has no query, or a value is not
    /// finite.
    pub fn by_user(system: &[Vec<f64>], baseline: &[Vec<f64>]) -> Result<Self, EvalError> {
        check_lengths(baseline.len(), system.len())?;
        let mut by_user = Vec::with_capacity(system.len());
        for (system, baseline) in system.iter().zip(baseline) {
            check_lengths(baseline.len(), system.len())?;
            for values in [system, baseline] {
                check_numbers(values, "a finite value", f64::is_finite)?;
            }
            by_user.push(system.iter().zip(baseline).map(|(system, baseline)| system - baseline).collect());
        }
        Ok(Self { by_user })
    }

    /// The mean difference over all queries.
    #[must_use]
    pub fn mean(&self) -> f64 {
        mean_of(self.by_user.iter())
    }

    /// The mean difference of each user, in the order in which they were given.
    #[must_use]
    pub fn user_means(&self) -> Vec<f64> {
        self.by_user.iter().map(|user| mean_of(std::iter::once(user))).collect()
    }
}

/// The mean over the queries of all these users.
fn mean_of<'a>(users: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    let (mut sum, mut queries) = (0.0, 0.0);
    for user in users {
        sum += user.iter().sum::<f64>();
        queries += user.len() as f64;
    }
    sum / queries
}
