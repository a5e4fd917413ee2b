//! What is learned: a prior head of all training users, a head of each test user's own, facets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hydra_heads::{
    ClassWeights, FacetOptions, FacetUser, Features, Fit, FitRows, Head, HeadBank, Outcome, Shared, Weights, fit_facets,
};
use hydra_train::{AdaptRow, FeatureCache, FitView, HeadPlan, PackedHead, RerankRow, fit_adapter, fit_reranker};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, CandidateTemplate, Fingerprint, Record, UserId};

use super::{ExperimentError, ExperimentPlan, ExperimentTask, methods};

/// The heads that order records.
pub(super) struct RerankHeads {
    /// Every test user's own head.
    pub(super) own: HeadBank,
    /// How many of them are not the prior head.
    pub(super) fitted: usize,
    /// The prior head.
    pub(super) shared: Arc<Shared>,
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
    /// The prior head.
    pub(super) shared: Arc<Shared>,
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
        let shared = Arc::new(shared);
        Ok(Self { own: bank(&shared, test, heads)?, fitted, shared })
    }
}

impl AdaptHeads {
    pub(super) fn fit<B: Body>(
        (task, plan): (&ExperimentTask, &ExperimentPlan),
        body: &mut B,
        train: &TrainRows<'_>,
        test: &TestRows<'_>,
    ) -> Result<Self, ExperimentError> {
        let shared = train.prior(train.users())?;
        let (own, fitted) = test.heads(plan, body, &shared, usize::MAX, Labels::AsMade)?;
        let (permuted, _) = test.heads(plan, body, &shared, usize::MAX, Labels::Permuted)?;
        let mut swapped = own.clone();
        swapped.rotate_left(1);
        let labelled = task.of_train(plan.train).adapt_queries;
        let (with_facets, routed) = train.facets((plan, labelled), body, &shared, test.views)?;
        let shared = Arc::new(shared);
        Ok(Self {
            own: bank(&shared, test.views, own)?,
            fitted,
            routed: bank(&with_facets, test.views, routed)?,
            swapped: bank(&shared, test.views, swapped)?,
            permuted: bank(&shared, test.views, permuted)?,
            shared,
        })
    }
}

/// Whether a control asks what heads are worth that were fitted on nonsense.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    AsMade,
    Permuted,
}

/// The adapter's label rows of training users, with their features.
pub(super) struct TrainRows<'v> {
    features_of: Fingerprint,
    made: Vec<(&'v FitView, Array2<f32>, Vec<bool>)>,
    /// The head that the body was trained with, if it was.
    trained: Option<Shared>,
}

impl<'v> TrainRows<'v> {
    pub(super) fn new<B: Body>(
        plan: &ExperimentPlan,
        body: &mut B,
        views: &'v [FitView],
        rows: &[AdaptRow],
        trained: Option<Weights>,
    ) -> Result<Self, ExperimentError> {
        let template = &plan.candidate_template;
        let mut made = Vec::new();
        for view in views {
            let of_user = rows.iter().filter(|row| row.user == view.user());
            let labelled = |row: &AdaptRow| Some((adapter_pair(template, view, row)?, row.label));
            let (pairs, labels): (Pairs, Vec<bool>) = of_user.filter_map(labelled).unzip();
            if !pairs.is_empty() {
                made.push((view, features(body, &pairs)?, labels));
            }
        }
        let features_of = template.features_of(body.fingerprint());
        let trained = trained.map(|head| Shared::new(features_of, head)).transpose().map_err(boxed)?;
        Ok(Self { features_of, made, trained })
    }

    /// How many users have rows.
    pub(super) fn users(&self) -> usize {
        self.made.len()
    }

    /// Whether the prior head came with the body, and is the same for any number of users.
    pub(super) fn has_trained_prior(&self) -> bool {
        self.trained.is_some()
    }

    /// The head that the body was trained with, or else the one that explains the rows of the first `users` best: on rows that
    /// a body was trained on, its features look better than they are.
    pub(super) fn prior(&self, users: usize) -> Result<Shared, ExperimentError> {
        if let Some(trained) = &self.trained {
            return Ok(trained.clone());
        }
        let made = &self.made[..users.min(self.made.len())];
        let rows: Vec<_> = made.iter().flat_map(|(_, features, _)| features.rows()).collect();
        let rows = hydra_types::ndarray::stack(hydra_types::ndarray::Axis(0), &rows).map_err(boxed)?;
        let labels: Vec<bool> = made.iter().flat_map(|(.., labels)| labels.iter().copied()).collect();
        prior(self.features_of, &rows, &labels)
    }

    /// Facets, and the routing of each of these users over them. The router reads what users wrote before the queries that
    /// its labels come from, the newest `labelled`.
    fn facets<B: Body>(
        &self,
        (plan, labelled): (&ExperimentPlan, usize),
        body: &mut B,
        shared: &Shared,
        test: &[FitView],
    ) -> Result<(Arc<Shared>, Vec<Head>), ExperimentError> {
        let features_of = self.features_of;
        let mut histories = Vec::new();
        for (view, ..) in &self.made {
            let first = view.pseudo_queries(labelled).first().map(hydra_train::PseudoQuery::time);
            let older = view.records().iter().filter(|record| first.is_none_or(|first| record.time() < first));
            histories.push(history(plan, body, older)?);
        }
        let users = self.made.iter().zip(&histories).map(|((_, features, labels), history)| {
            let history = Features::new(features_of, history).map_err(boxed)?;
            Ok(FacetUser { history, rows: Features::new(features_of, features).map_err(boxed)?, labels })
        });
        let users: Vec<FacetUser<'_>> = users.collect::<Result<_, ExperimentError>>()?;
        let facets = fit_facets(shared, &users, FacetOptions::new(plan.seed))?;
        let with_facets = Arc::new(shared.clone().with_facets(facets.facets).map_err(boxed)?);
        let mut routed = Vec::new();
        for view in test {
            let history = history(plan, body, view.records().iter())?;
            let routing = facets.router.route(Features::new(features_of, &history).map_err(boxed)?).map_err(boxed)?;
            routed.push(with_facets.head(routing).map_err(boxed)?);
        }
        Ok((with_facets, routed))
    }
}

/// The adapter's label rows of test users' own past.
#[derive(Clone, Copy)]
pub(super) struct TestRows<'v> {
    pub(super) views: &'v [FitView],
    pub(super) rows: &'v [AdaptRow],
}

impl TestRows<'_> {
    /// A head for each user from the rows of their `queries` newest pseudo-queries, and how many are not exactly the prior.
    pub(super) fn heads<B: Body>(
        &self,
        plan: &ExperimentPlan,
        body: &mut B,
        shared: &Shared,
        queries: usize,
        labels: Labels,
    ) -> Result<(Vec<Head>, usize), ExperimentError> {
        heads(self.views, &mut |view: &FitView| {
            let newest: BTreeSet<_> = view.pseudo_queries(queries).iter().map(|query| query.record().id()).collect();
            let of_user = self.rows.iter().filter(|row| row.user == view.user() && newest.contains(&row.query));
            let mut rows: Vec<AdaptRow> = of_user.cloned().collect();
            if labels == Labels::Permuted {
                permute(plan.seed, &mut rows);
            }
            let template = &plan.candidate_template;
            let mut cache = FeatureCache::new();
            Ok(fit_adapter(view, &rows, (&mut *body, template), shared, &mut cache, &HeadPlan::default())?)
        })
    }
}

/// What a body is shown of a label row; nothing if the user has not the record that was asked.
pub(super) fn adapter_pair(template: &CandidateTemplate, view: &FitView, row: &AdaptRow) -> Option<(String, String)> {
    let history: Vec<&Record> = row.history.iter().filter_map(|&id| view.record(id)).collect();
    Some(template.pair(view.record(row.query)?.input(), &history, &row.candidate))
}

/// Deals the labels of a user's rows out anew.
fn permute(seed: u64, rows: &mut [AdaptRow]) {
    let drawn = |(place, row): (usize, &AdaptRow)| {
        (methods::draw(seed, row.user.get(), row.query.get(), place as u64), row.label)
    };
    let mut labels: Vec<(u64, bool)> = rows.iter().enumerate().map(drawn).collect();
    labels.sort_unstable();
    rows.iter_mut().zip(labels).for_each(|(row, (_, label))| row.label = label);
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
pub(super) fn bank(shared: &Arc<Shared>, users: &[FitView], heads: Vec<Head>) -> Result<HeadBank, ExperimentError> {
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
