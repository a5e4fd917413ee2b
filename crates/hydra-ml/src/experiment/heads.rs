//! What is learned: a prior head of all training users, a head of each test user's own, facets.

use std::collections::BTreeMap;
use std::sync::Arc;

use hydra_heads::{
    ClassWeights, FacetOptions, FacetUser, Features, Fit, FitRows, HeadBank, HeadName, Outcome, Shared, Weights,
    fit_facets,
};
use hydra_train::{AdaptRow, FeatureCache, FitView, HeadPlan, PackedHead, RerankRow, fit_adapter, fit_reranker};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, Fingerprint, Record, UserId};

use super::ask::Answered;
use super::{Asked, ExperimentError, ExperimentPlan, methods};

/// One scorer with all its heads.
pub(super) struct Stage {
    /// Every test user's own head.
    pub(super) own: Arc<HeadBank>,
    /// Every test user's routing over facets; empty for the reranker.
    pub(super) routed: Arc<HeadBank>,
    /// Heads that were fitted on permuted labels; empty for the reranker.
    pub(super) permuted: Arc<HeadBank>,
    /// How many of them are not the prior head.
    pub(super) fitted: usize,
}

type Pairs = Vec<(String, String)>;

impl Stage {
    pub(super) fn reranker<B: Body>(
        plan: &ExperimentPlan,
        body: &mut B,
        train: &[FitView],
        train_rows: &[RerankRow],
        test: &[FitView],
        test_rows: &[RerankRow],
    ) -> Result<Self, ExperimentError> {
        let template = &plan.record_template;
        let views = by_user(train);
        let pair = |row: &RerankRow| {
            let view = views.get(&row.user)?;
            Some(template.pair(view.record(row.query)?.input(), view.record(row.record)?))
        };
        let (pairs, labels): (Pairs, Vec<bool>) =
            train_rows.iter().filter_map(|row| Some((pair(row)?, row.label))).unzip();
        let features = features(body, &pairs)?;
        let shared = prior(template.features_of(body.fingerprint()), &features, &labels)?;
        let mut fit = |view: &FitView| {
            let rows: Vec<RerankRow> = test_rows.iter().filter(|row| row.user == view.user()).copied().collect();
            let packed =
                fit_reranker(view, &rows, (body, template), &shared, &mut FeatureCache::new(), &HeadPlan::default())?;
            Ok(packed)
        };
        let (own, fitted) = bank(&shared, test, &mut fit)?;
        let empty = Arc::new(HeadBank::new(Arc::clone(own.shared())));
        Ok(Self { own, routed: Arc::clone(&empty), permuted: empty, fitted })
    }

    pub(super) fn adapter<B: Body>(
        plan: &ExperimentPlan,
        body: &mut B,
        train: &[FitView],
        train_rows: &[AdaptRow],
        test: &[FitView],
        test_rows: &[AdaptRow],
        seed: u64,
    ) -> Result<Self, ExperimentError> {
        let template = &plan.candidate_template;
        let features_of = template.features_of(body.fingerprint());
        let views = by_user(train);
        let pair = |row: &AdaptRow| {
            let view = views.get(&row.user)?;
            let history: Vec<&Record> = row.history.iter().filter_map(|&id| view.record(id)).collect();
            Some(template.pair(view.record(row.query)?.input(), &history, &row.candidate))
        };
        let mut pairs: BTreeMap<UserId, (Pairs, Vec<bool>)> = BTreeMap::new();
        for row in train_rows {
            if let Some(pair) = pair(row) {
                let (of_user, labels) = pairs.entry(row.user).or_default();
                of_user.push(pair);
                labels.push(row.label);
            }
        }
        let mut made: Vec<(UserId, Array2<f32>, Vec<bool>)> = Vec::new();
        for (user, (pairs, labels)) in pairs {
            made.push((user, features(body, &pairs)?, labels));
        }
        let all_rows: Vec<_> = made.iter().flat_map(|(_, features, _)| features.rows()).collect();
        let all = hydra_types::ndarray::stack(hydra_types::ndarray::Axis(0), &all_rows).map_err(boxed)?;
        let all_labels: Vec<bool> = made.iter().flat_map(|(_, _, labels)| labels.iter().copied()).collect();
        let shared = prior(features_of, &all, &all_labels)?;

        let fit_with = |body: &mut B, view: &FitView, permute: bool| {
            let mut rows: Vec<AdaptRow> = test_rows.iter().filter(|row| row.user == view.user()).cloned().collect();
            if permute {
                let mut labels: Vec<(u64, bool)> = rows
                    .iter()
                    .enumerate()
                    .map(|(place, row)| (methods::draw(seed, row.user.get(), row.query.get(), place as u64), row.label))
                    .collect();
                labels.sort_unstable();
                rows.iter_mut().zip(labels).for_each(|(row, (_, label))| row.label = label);
            }
            let packed =
                fit_adapter(view, &rows, (body, template), &shared, &mut FeatureCache::new(), &HeadPlan::default())?;
            Ok(packed)
        };
        let (own, fitted) = bank(&shared, test, &mut |view: &FitView| fit_with(body, view, false))?;
        let (permuted, _) = bank(&shared, test, &mut |view: &FitView| fit_with(body, view, true))?;

        // Facets: the router reads what users wrote before the queries that its labels come from.
        let mut histories = Vec::new();
        for (user, ..) in &made {
            let view = views[user];
            let first = view.pseudo_queries(plan.train_queries).first().map(hydra_train::PseudoQuery::time);
            let older = view.records().iter().filter(|record| first.is_none_or(|first| record.time() < first));
            histories.push(history(plan, body, older)?);
        }
        let facet_users: Vec<FacetUser<'_>> = made
            .iter()
            .zip(&histories)
            .map(|((_, features, labels), history)| {
                Ok(FacetUser {
                    history: Features::new(features_of, history).map_err(boxed)?,
                    rows: Features::new(features_of, features).map_err(boxed)?,
                    labels,
                })
            })
            .collect::<Result<_, ExperimentError>>()?;
        let facets = fit_facets(&shared, &facet_users, FacetOptions::new(seed))?;
        let with_facets = Arc::new(shared.with_facets(facets.facets).map_err(boxed)?);
        let mut routed = HeadBank::new(Arc::clone(&with_facets));
        for view in test {
            let history = history(plan, body, view.records().iter())?;
            let routing = facets.router.route(Features::new(features_of, &history).map_err(boxed)?).map_err(boxed)?;
            routed.insert(view.user(), with_facets.head(routing).map_err(boxed)?).map_err(boxed)?;
        }
        Ok(Self { own, routed: Arc::new(routed), permuted, fitted })
    }

    /// The records that each user's own reranker puts first.
    pub(super) fn best<'s, B: Body>(
        &self,
        plan: &ExperimentPlan,
        body: &mut B,
        asked: &[Asked<'s>],
        retrieved: &[Vec<&'s Record>],
    ) -> Result<Vec<Vec<&'s Record>>, ExperimentError> {
        let mut best = Vec::new();
        for (asked, found) in asked.iter().zip(retrieved) {
            let pairs: Pairs =
                found.iter().map(|record| plan.record_template.pair(asked.target.query(), record)).collect();
            let scores = self.scores(body, &self.own, HeadName::User(asked.view.user()), &pairs)?;
            let mut order: Vec<usize> = (0..found.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            best.push(order.into_iter().take(plan.shown).map(|place| found[place]).collect());
        }
        Ok(best)
    }

    /// The candidate that the named head puts first; of equals, the one that came first.
    #[expect(clippy::too_many_arguments, reason = "one pick is made of all of these")]
    pub(super) fn pick<B: Body>(
        &self,
        plan: &ExperimentPlan,
        body: &mut B,
        bank: &HeadBank,
        name: &dyn Fn(&Asked<'_>) -> HeadName,
        asked: &[Asked<'_>],
        shown: &[Vec<&Record>],
        answered: &Answered,
    ) -> Result<Vec<String>, ExperimentError> {
        let mut picked = Vec::new();
        for ((asked, shown), said) in asked.iter().zip(shown).zip(&answered.candidates) {
            let distinct: Vec<&String> = said
                .iter()
                .enumerate()
                .filter(|(place, one)| !said[..*place].contains(one))
                .map(|(_, one)| one)
                .collect();
            let pair = |one: &&String| plan.candidate_template.pair(asked.target.query(), shown, one);
            let scores = self.scores(body, bank, name(asked), &distinct.iter().map(pair).collect::<Pairs>())?;
            let best = (0..distinct.len()).rev().max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            picked.push(best.map(|place| distinct[place].clone()).unwrap_or_default());
        }
        Ok(picked)
    }

    fn scores<B: Body>(
        &self,
        body: &mut B,
        bank: &HeadBank,
        name: HeadName,
        pairs: &Pairs,
    ) -> Result<Vec<f32>, ExperimentError> {
        let features = features(body, pairs)?;
        let features = Features::new(bank.shared().body(), &features).map_err(boxed)?;
        bank.log_odds(&vec![name; pairs.len()], &features).map_err(boxed)
    }
}

fn by_user(views: &[FitView]) -> BTreeMap<UserId, &FitView> {
    views.iter().map(|view| (view.user(), view)).collect()
}

fn features<B: Body>(body: &mut B, pairs: &Pairs) -> Result<Array2<f32>, ExperimentError> {
    body.pair_features(pairs).map(|made| made.features).map_err(|error| ExperimentError::Body(Box::new(error)))
}

/// The one head that explains everybody's rows best.
fn prior(features_of: Fingerprint, features: &Array2<f32>, labels: &[bool]) -> Result<Shared, ExperimentError> {
    let nothing = Weights::linear(&vec![0.0; features.ncols()], 0.0).map_err(boxed)?;
    let nothing = Shared::new(features_of, nothing).map_err(boxed)?;
    let features = Features::new(features_of, features).map_err(boxed)?;
    let rows = FitRows::new(features, labels, ClassWeights::Equal).map_err(boxed)?;
    let fitted = Fit::linear().run(&nothing, &rows).map_err(boxed)?;
    Shared::new(features_of, fitted.head.weights().clone()).map_err(boxed)
}

/// A head for each of these users, and how many are not exactly the prior head.
fn bank(
    shared: &Shared,
    users: &[FitView],
    fit: &mut dyn FnMut(&FitView) -> Result<PackedHead, ExperimentError>,
) -> Result<(Arc<HeadBank>, usize), ExperimentError> {
    let mut bank = HeadBank::new(Arc::new(shared.clone()));
    let mut fitted = 0;
    for view in users {
        let head = fit(view)?.fitted;
        fitted += usize::from(head.outcome == Outcome::Fitted);
        bank.insert(view.user(), head.head).map_err(boxed)?;
    }
    Ok((Arc::new(bank), fitted))
}

/// Features of what a user answered, newest records only: what the router reads.
fn history<'r, B: Body>(
    plan: &ExperimentPlan,
    body: &mut B,
    records: impl DoubleEndedIterator<Item = &'r Record>,
) -> Result<Array2<f32>, ExperimentError> {
    let newest = records.rev().take(plan.routed);
    let pairs: Pairs =
        newest.map(|record| plan.candidate_template.pair(record.input(), &[], record.output())).collect();
    if pairs.is_empty() {
        return Ok(Array2::zeros((0, body.hidden())));
    }
    features(body, &pairs)
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> ExperimentError {
    ExperimentError::Heads(Box::new(error))
}
