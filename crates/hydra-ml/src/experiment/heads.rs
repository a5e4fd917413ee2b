//! What is learned: a prior head of all training users, a head of each test user's own, facets.

use std::collections::BTreeMap;
use std::sync::Arc;

use hydra_heads::{
    ClassWeights, FacetOptions, FacetUser, Features, Fit, FitRows, Head, HeadBank, Outcome, Shared, Weights, fit_facets,
};
use hydra_train::{AdaptRow, FeatureCache, FitView, HeadPlan, PackedHead, RerankRow, fit_adapter, fit_reranker};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, Fingerprint, Record, UserId};

use super::{ExperimentError, ExperimentPlan, methods};

/// The heads that order records.
pub(super) struct RerankHeads {
    /// Every test user's own head.
    pub(super) own: HeadBank,
    /// How many of them are not the prior head.
    pub(super) fitted: usize,
}

/// The heads that pick candidates.
pub(super) struct AdaptHeads {
    /// Every test user's own head.
    pub(super) own: HeadBank,
    /// How many of them are not the prior head.
    pub(super) fitted: usize,
    /// Every test user's routing over facets.
    pub(super) routed: HeadBank,
    /// The head of the next test user in the place of everybody's own.
    pub(super) swapped: HeadBank,
    /// Heads that were fitted on permuted labels.
    pub(super) permuted: HeadBank,
}

type Pairs = Vec<(String, String)>;

impl RerankHeads {
    pub(super) fn fit<B: Body>(
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
        let (heads, fitted) = heads(test, &mut fit)?;
        Ok(Self { own: bank(&Arc::new(shared.clone()), test, heads)?, fitted })
    }
}

impl AdaptHeads {
    pub(super) fn fit<B: Body>(
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
        let (own, fitted) = heads(test, &mut |view: &FitView| fit_with(body, view, false))?;
        let (permuted, _) = heads(test, &mut |view: &FitView| fit_with(body, view, true))?;
        let mut swapped = own.clone();
        swapped.rotate_left(1);

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
        let with_facets = Arc::new(shared.clone().with_facets(facets.facets).map_err(boxed)?);
        let mut routed = Vec::new();
        for view in test {
            let history = history(plan, body, view.records().iter())?;
            let routing = facets.router.route(Features::new(features_of, &history).map_err(boxed)?).map_err(boxed)?;
            routed.push(with_facets.head(routing).map_err(boxed)?);
        }
        let shared = Arc::new(shared);
        Ok(Self {
            own: bank(&shared, test, own)?,
            fitted,
            routed: bank(&with_facets, test, routed)?,
            swapped: bank(&shared, test, swapped)?,
            permuted: bank(&shared, test, permuted)?,
        })
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
fn heads(
    users: &[FitView],
    fit: &mut dyn FnMut(&FitView) -> Result<PackedHead, ExperimentError>,
) -> Result<(Vec<Head>, usize), ExperimentError> {
    let fitted = users.iter().map(|view| Ok(fit(view)?.fitted)).collect::<Result<Vec<_>, ExperimentError>>()?;
    let count = fitted.iter().filter(|fitted| fitted.outcome == Outcome::Fitted).count();
    Ok((fitted.into_iter().map(|fitted| fitted.head).collect(), count))
}

/// The first head for the first user, and so on.
fn bank(shared: &Arc<Shared>, users: &[FitView], heads: Vec<Head>) -> Result<HeadBank, ExperimentError> {
    let mut bank = HeadBank::new(Arc::clone(shared));
    for (view, head) in users.iter().zip(heads) {
        bank.insert(view.user(), head).map_err(boxed)?;
    }
    Ok(bank)
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
