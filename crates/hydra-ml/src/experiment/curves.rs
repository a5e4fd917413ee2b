//! How the adapter does with more to learn from.

use std::sync::Arc;

use hydra_eval::{Curve, CurvePoint, Paired};
use hydra_heads::HeadChoice;
use hydra_types::{Body, Record};

use super::ask::Answered;
use super::heads::{Labels, TestRows, TrainRows, bank};
use super::{Asked, CONFIDENCE, ExperimentError, ExperimentPlan, ExperimentTask, RESAMPLES, pick_by};

/// What every point of a curve is measured on: the same queries with the same candidates.
pub(super) struct Measured<'m, 's> {
    pub(super) task: &'m ExperimentTask,
    pub(super) plan: &'m ExperimentPlan,
    pub(super) asked: &'m [Asked<'s>],
    pub(super) shown: &'m [Vec<&'s Record>],
    pub(super) candidates: &'m Answered,
    pub(super) train: &'m TrainRows<'s>,
    pub(super) test: TestRows<'m>,
}

impl Measured<'_, '_> {
    /// Over the number of training users, unless the body was trained on all of them, and over the number of a user's own past
    /// queries that their head is fitted on, unless the task has none; a curve for each metric.
    pub(super) fn curves<B: Body>(&self, body: &mut B) -> Result<Vec<Curve>, ExperimentError> {
        let all_users = self.train.users();
        let all_queries = self.task.of_test(self.plan.test).adapt_queries;
        let users: Vec<usize> = doublings(all_users).filter(|&users| users >= FEWEST_USERS.min(all_users)).collect();
        let queries: Vec<usize> = std::iter::once(0).chain(doublings(all_queries)).collect();
        let mut curves = Vec::new();
        if !self.train.has_trained_prior() {
            curves.extend(self.over(body, "training users", &users, |at| (at, all_queries))?);
        }
        if all_queries > 0 {
            curves.extend(self.over(body, "queries of a user's own past", &queries, |at| (all_users, at))?);
        }
        Ok(curves)
    }

    fn over<B: Body>(
        &self,
        body: &mut B,
        grows: &str,
        places: &[usize],
        amounts: impl Fn(usize) -> (usize, usize),
    ) -> Result<Vec<Curve>, ExperimentError> {
        let metrics = self.task.metrics().into_iter();
        let curve = |metric| Curve { system: "HYDRA-adapter".into(), metric, grows: grows.into(), points: Vec::new() };
        let mut curves: Vec<Curve> = metrics.map(curve).collect();
        for &at in places {
            let (users, queries) = amounts(at);
            let shared = self.train.prior(users)?;
            let (heads, _) = self.test.heads(self.plan, body, &shared, queries, Labels::AsMade)?;
            let mut bank = bank(&Arc::new(shared), self.test.views, heads)?;
            let template = &self.plan.candidate_template;
            let answers =
                pick_by(&mut *body, &mut bank, template, HeadChoice::Own, self.asked, self.shown, self.candidates)?;
            let values = self.task.values(self.test.views.len(), self.asked, &answers);
            for (curve, values) in curves.iter_mut().zip(values) {
                let zeros: Vec<Vec<f64>> = values.iter().map(|user| vec![0.0; user.len()]).collect();
                let paired =
                    Paired::by_user(&values, &zeros).map_err(|error| ExperimentError::Curve(Box::new(error)))?;
                curve.points.push(CurvePoint { at, value: paired.bootstrap(CONFIDENCE, RESAMPLES, self.plan.seed) });
            }
        }
        Ok(curves)
    }
}

/// 1, 2, 4 and so on, and `all` at the end.
fn doublings(all: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |at| at.checked_mul(2))
        .take_while(move |&at| at < all)
        .chain((all > 0).then_some(all))
}

/// Rows of fewer users hardly make a prior head.
const FEWEST_USERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::doublings;

    #[test]
    fn the_last_place_is_all() {
        for (all, expected) in [(0, vec![]), (1, vec![1]), (5, vec![1, 2, 4, 5]), (8, vec![1, 2, 4, 8])] {
            assert_eq!(doublings(all).collect::<Vec<_>>(), expected);
        }
    }
}
