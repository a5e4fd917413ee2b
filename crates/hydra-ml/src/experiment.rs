//! HYDRA against every simpler way, on users that nothing was learned from but their own past.
//!
//! [`run`] makes labels, fits heads and asks every test query by every method; one [`Table`](hydra_eval::Table) comes
//! out. All that a method may know of a test user is the user's [`FitView`]; targets are read by the metrics alone.

mod ask;
mod body_rows;
mod curves;
mod heads;
mod methods;
mod rehearse;
mod remembered;
mod result;
mod splits;
mod task;

use std::sync::Arc;

use hydra_adapter::{AdaptError, AdaptRequest, Adapter, MajorityVote, PersonalAdapter};
use hydra_eval::{Comparison, Standing, SystemRun};
use hydra_heads::{HeadBank, HeadChoice, Weights};
use hydra_llm::{LlmClient, LlmError};
use hydra_rerank::{PersonalReranker, RerankError, RerankRequest, Reranker};
use hydra_train::{
    AdaptRow, FitView, LabelFault, LabelPlan, LabelReport, Labels, RerankRow, Split, TextRecipe, adapt_labels,
    rerank_labels,
};
use hydra_types::{Body, CandidateTemplate, Record, RecordTemplate};
use serde::Serialize;

use ask::{Answered, Asker, Failures};
pub use body_rows::{BodyRow, adapter_rows};
use curves::Measured;
use heads::{AdaptHeads, RerankHeads, TestRows, TrainRows};
use methods::{BASELINES, Show};
pub use rehearse::rehearse;
use remembered::Remembered;
pub use result::{ExperimentError, ExperimentResult, Further, LabelCost, Learned, PersonalGain, Unanswered};
pub use splits::{SplitPlan, TaskSplit};
pub use task::{ExperimentTask, TaskError};

/// How much is asked, and of whom. The defaults are those of the HYDRA paper where it names a number.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ExperimentPlan {
    /// Of every draw.
    pub seed: u64,
    /// What a training user is asked for labels.
    pub train: Labelling,
    /// What a test user's own past is asked for labels.
    pub test: Labelling,
    /// How many records retrieval hands to the reranker.
    pub retrieved: usize,
    /// How many records stand in a prompt.
    pub shown: usize,
    /// How many candidates are drawn.
    pub candidates: u32,
    /// How many records of a history the router of the facets reads: the newest.
    pub routed: usize,
    /// Pairs for the reranker.
    pub record_template: RecordTemplate,
    /// Pairs for the adapter.
    pub candidate_template: CandidateTemplate,
}

impl Default for ExperimentPlan {
    fn default() -> Self {
        Self {
            seed: 0,
            train: Labelling::default(),
            test: Labelling::default(),
            retrieved: 10,
            shown: 4,
            candidates: 8,
            routed: 32,
            record_template: RecordTemplate::with_output(),
            candidate_template: CandidateTemplate::query_only(),
        }
    }
}

/// How much one user is asked for labels: of each scorer, so many of their newest records as pseudo-queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Labelling {
    /// Pseudo-queries for the reranker's labels.
    pub rerank_queries: usize,
    /// Retrieved records that each of these is tried with, one at a time: a call each.
    pub tried: usize,
    /// Pseudo-queries for the adapter's labels: a call each, for all candidates.
    pub adapt_queries: usize,
}

impl Default for Labelling {
    fn default() -> Self {
        Self { rerank_queries: 10, tried: 10, adapt_queries: 10 }
    }
}

impl Labelling {
    /// The most calls that a user can take.
    #[must_use]
    pub const fn calls(self) -> usize {
        self.rerank_queries * self.tried + self.adapt_queries
    }
}

/// One thing asked of a test user.
struct Asked<'s> {
    user: usize,
    view: &'s FitView,
    target: &'s hydra_train::Target,
}

/// Where features come from: of one encoder for both scorers, or of bodies that were trained for each.
#[derive(Debug)]
pub struct Bodies<'b, R, A> {
    /// The reranker's.
    pub reranker: &'b mut R,
    /// The adapter's.
    pub adapter: &'b mut A,
    /// The head that the adapter's body was trained with; without it, the prior head is fitted on the training users' labels.
    pub adapter_prior: Option<Weights>,
}

impl<'b, R, A> Bodies<'b, R, A> {
    /// Of encoders that were trained for something else: both prior heads are fitted.
    pub fn new(reranker: &'b mut R, adapter: &'b mut A) -> Self {
        Self { reranker, adapter, adapter_prior: None }
    }
}

/// Runs everything. The same split, plan, bodies and answers give the same result.
///
/// # Errors
/// [`ExperimentError`].
pub async fn run<R: Body, A: Body>(
    split: &Split,
    task: &ExperimentTask,
    plan: &ExperimentPlan,
    bodies: Bodies<'_, R, A>,
    client: &dyn LlmClient,
) -> Result<ExperimentResult, ExperimentError> {
    run_live(split, task, plan, bodies, client, client).await
}

/// The same with one client for labels, say a cassette, and another for the queries of test users.
///
/// # Errors
/// [`ExperimentError`].
pub async fn run_live<R: Body, A: Body>(
    split: &Split,
    task: &ExperimentTask,
    plan: &ExperimentPlan,
    bodies: Bodies<'_, R, A>,
    labels_from: &dyn LlmClient,
    client: &dyn LlmClient,
) -> Result<ExperimentResult, ExperimentError> {
    let (reranker, adapter) = (&mut Remembered::new(bodies.reranker), &mut Remembered::new(bodies.adapter));
    let test_views: Vec<FitView> = split.test.iter().map(|user| user.fit.clone()).collect();
    let labeller = Asker::new(task, labels_from);
    let asker = Asker::new(task, client);

    // Labels, of the training users for what all share and of the test users' own past for their heads.
    let mut labels = LabelCost::default();
    let train = label(&labeller, plan, task.of_train(plan.train), &split.train, &mut labels).await?;
    let test = label(&labeller, plan, task.of_test(plan.test), &test_views, &mut labels).await?;

    let mut rerank_heads = RerankHeads::fit(plan, reranker, &split.train, &train.0, &test_views, &test.0)?;
    let train_rows = TrainRows::new(plan, adapter, &split.train, &train.1, bodies.adapter_prior)?;
    let test_rows = TestRows { views: &test_views, rows: &test.1 };
    let mut adapt_heads = AdaptHeads::fit((task, plan), adapter, &train_rows, &test_rows)?;

    let asked = asked_of(split);
    let mut comparison = Comparison::new(task.metrics());
    let users = split.test.len();
    let (mut further, mut unanswered) = (Vec::new(), Vec::new());
    let mut add = |name: &str, standing, answers: &[String], took: Took| {
        let numbers = task.further(&asked, answers).into_iter();
        further.extend(numbers.map(|(metric, value)| Further { method: name.into(), metric, value }));
        if took.failed > 0 {
            unanswered.push(Unanswered { method: name.into(), calls: took.failed });
        }
        let values = task.values(users, &asked, answers);
        comparison.add(SystemRun { name: name.into(), standing, values, calls: took.calls, tokens: took.tokens })
    };

    // Baselines: one prompt, one answer.
    let shown_by = |show: Show| -> Vec<Vec<&Record>> { asked.iter().map(|asked| show.of(plan.seed, asked)).collect() };
    for (name, show) in BASELINES {
        let answered = asker.greedy(&asked, &shown_by(show)).await?;
        add(name, Standing::Baseline, &answered.first(), Took::of(&answered))?;
    }
    let (summaries, took) = asker.summaries(&asked, plan).await?;
    let plain = shown_by(Show::Words(plan.shown));
    let answered = asker.greedy(&asked, &with_profiles(&summaries, &asked, &plain)).await?;
    add(
        &format!("summary + BM25 k={}", plan.shown),
        Standing::Baseline,
        &answered.first(),
        Took::of(&answered).plus(took),
    )?;

    // Candidates from the records that retrieval ranks first, and from those that the personal reranker does.
    let candidates = asker.candidates(&asked, &plain, plan).await?;
    let personal = reranked(plan, reranker, &mut rerank_heads.own, &asked)?;
    let greedy = asker.greedy(&asked, &personal).await?;
    let hydra = asker.candidates(&asked, &personal, plan).await?;
    let (took, hydra_took) = (Took::of(&candidates), Took::of(&hydra));

    let vote = picked(&mut MajorityVote, HeadChoice::Prior, &asked, &plain, &candidates)?;
    add(&format!("majority vote of {}", plan.candidates), Standing::Reference, &vote, took)?;
    add(&format!("oracle best of {}", plan.candidates), Standing::Reference, &task.oracle(&asked, &candidates), took)?;
    if task.records_are_answers() {
        add("user's majority answer", Standing::Reference, &methods::majority(&asked), Took::default())?;
    }
    add("HYDRA-reranker", Standing::System, &greedy.first(), Took::of(&greedy))?;
    let mut pick = |bank: &mut HeadBank, head, shown: &[Vec<&Record>], of: &Answered| {
        pick_by(&mut *adapter, bank, &plan.candidate_template, head, &asked, shown, of)
    };
    let (own, prior) = (HeadChoice::Own, HeadChoice::Prior);
    let AdaptHeads { own: bank, routed, swapped, permuted, fitted: own_adapters, shared } = &mut adapt_heads;
    add("HYDRA-adapter", Standing::System, &pick(bank, own, &plain, &candidates)?, took)?;
    add("HYDRA", Standing::System, &pick(bank, own, &personal, &hydra)?, hydra_took)?;
    add("HYDRA, facets, no fit", Standing::System, &pick(routed, own, &plain, &candidates)?, took)?;
    add("HYDRA, prior heads", Standing::System, &pick(bank, prior, &plain, &candidates)?, took)?;
    add("HYDRA, heads swapped", Standing::Control, &pick(swapped, own, &personal, &hydra)?, hydra_took)?;
    add("HYDRA, labels permuted", Standing::Control, &pick(permuted, own, &personal, &hydra)?, hydra_took)?;

    let measured = Measured {
        task,
        plan,
        asked: &asked,
        shown: &plain,
        candidates: &candidates,
        train: &train_rows,
        test: test_rows,
    };
    let personal =
        [("HYDRA-adapter", "HYDRA, prior heads"), ("HYDRA", "HYDRA, heads swapped")].map(|(system, over)| {
            let gains = comparison.gains(system, over, CONFIDENCE, RESAMPLES, plan.seed).unwrap_or_default();
            PersonalGain { system: system.to_owned(), over: over.to_owned(), gains }
        });
    Ok(ExperimentResult {
        curves: measured.curves(adapter)?,
        personal: personal.into(),
        table: comparison.table(CONFIDENCE, RESAMPLES, plan.seed)?,
        further,
        labels,
        unanswered,
        own_adapters: *own_adapters,
        own_rerankers: rerank_heads.fitted,
        learned: Learned {
            reranker: rerank_heads.shared,
            adapter: Arc::clone(shared),
            rerank_rows: test.0,
            adapt_rows: test.1,
        },
    })
}

/// Every query of every test user, in their order.
fn asked_of(split: &Split) -> Vec<Asked<'_>> {
    let users = split.test.iter().enumerate();
    users
        .flat_map(|(user, test)| test.eval.targets().iter().map(move |target| Asked { user, view: &test.fit, target }))
        .collect()
}

/// What is shown, below each user's profile.
fn with_profiles<'r>(profiles: &'r [Record], asked: &[Asked<'_>], shown: &[Vec<&'r Record>]) -> Vec<Vec<&'r Record>> {
    let below = |(shown, asked): (&Vec<&'r Record>, &Asked<'_>)| {
        std::iter::once(&profiles[asked.user]).chain(shown.iter().copied()).collect()
    };
    shown.iter().zip(asked).map(below).collect()
}

/// The records that each user's own head puts first among those that share most words with the query.
fn reranked<'s, B: Body>(
    plan: &ExperimentPlan,
    body: &mut B,
    heads: &mut HeadBank,
    asked: &[Asked<'s>],
) -> Result<Vec<Vec<&'s Record>>, RerankError> {
    let of = |asked: &Asked<'s>| methods::found_by_words(asked.view.records(), asked.target.query(), plan.retrieved);
    let found: Vec<_> = asked.iter().map(of).collect();
    let request = |(asked, records)| {
        let Asked { view, target, .. }: &Asked<'_> = asked;
        let records: &Vec<_> = records;
        RerankRequest { scope: view.scope(), head: HeadChoice::Own, query: target.query(), records, keep: plan.shown }
    };
    let requests: Vec<RerankRequest<'_>> = asked.iter().zip(&found).map(request).collect();
    let rankings = PersonalReranker::new(body, heads, plan.record_template.clone())?.rerank(&requests)?;
    let records = |(ranking, asked): (&hydra_rerank::Ranking, &Asked<'s>)| {
        ranking.ranked.iter().filter_map(|scored| asked.view.record(scored.id)).collect()
    };
    Ok(rankings.iter().zip(asked).map(records).collect())
}

/// The candidates that the heads of `bank` put first.
fn pick_by<B: Body>(
    body: B,
    bank: &mut HeadBank,
    template: &CandidateTemplate,
    head: HeadChoice,
    asked: &[Asked<'_>],
    shown: &[Vec<&Record>],
    answered: &Answered,
) -> Result<Vec<String>, AdaptError> {
    picked(&mut PersonalAdapter::new(body, bank, template.clone())?, head, asked, shown, answered)
}

/// The candidates that an adapter puts first.
fn picked(
    adapter: &mut dyn Adapter,
    head: HeadChoice,
    asked: &[Asked<'_>],
    shown: &[Vec<&Record>],
    answered: &Answered,
) -> Result<Vec<String>, AdaptError> {
    let request = |((asked, history), candidates)| {
        let Asked { view, target, .. }: &Asked<'_> = asked;
        let (history, candidates): (&Vec<&Record>, &Vec<String>) = (history, candidates);
        AdaptRequest { scope: view.scope(), head, query: target.query(), history, candidates }
    };
    let requests: Vec<AdaptRequest<'_>> = asked.iter().zip(shown).zip(&answered.candidates).map(request).collect();
    let adapted = adapter.adapt(&requests)?;
    Ok(adapted.iter().zip(&requests).map(|(adapted, request)| request.candidates[adapted.best()].clone()).collect())
}

/// Calls and tokens.
#[derive(Clone, Copy, Default)]
struct Took {
    calls: u64,
    tokens: u64,
    failed: u64,
}

impl Took {
    fn of(answered: &Answered) -> Self {
        Self { calls: answered.calls, tokens: answered.usage.total_tokens(), failed: answered.failed }
    }

    fn plus(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, tokens: self.tokens + other.tokens, failed: self.failed + other.failed }
    }
}

async fn label(
    asker: &Asker<'_>,
    plan: &ExperimentPlan,
    labelling: Labelling,
    views: &[FitView],
    cost: &mut LabelCost,
) -> Result<(Vec<RerankRow>, Vec<AdaptRow>), ExperimentError> {
    let label_plan = |queries| LabelPlan {
        queries,
        records: labelling.tried,
        shown: plan.shown,
        candidates: plan.candidates,
        ..asker.task.label_plan()
    };
    let marking = asker.task.marking();
    let mut retrieve = |query: &hydra_train::PseudoQuery<'_>, most: usize| {
        let found = methods::by_words(query.earlier(), query.record().input(), most);
        Ok(found.into_iter().map(Record::id).collect())
    };
    let Labels { rows: rerank, report, .. } =
        rerank_labels(&asker.client, views, &mut retrieve, &label_plan(labelling.rerank_queries), marking).await?;
    let adapt_plan = label_plan(labelling.adapt_queries);
    let Labels { rows: adapt, report: second, .. } =
        adapt_labels(&asker.client, views, &mut retrieve, &adapt_plan, marking, TextRecipe::RelativeMetric).await?;
    for report in [&report, &second] {
        check_failures(report)?;
        cost.calls += report.calls;
        cost.failed += report.failures.len() as u64;
        cost.tokens += report.usage.total_tokens();
    }
    cost.rerank_rows += rerank.len();
    cost.rerank_positives += rerank.iter().filter(|row| row.label).count();
    cost.adapt_rows += adapt.len();
    cost.adapt_positives += adapt.iter().filter(|row| row.label).count();
    Ok((rerank, adapt))
}

/// A row that is missing because its request has no answer is counted; an error that is about more ends the run.
fn check_failures(report: &LabelReport) -> Result<(), LlmError> {
    let mut failures = Failures::default();
    for failure in &report.failures {
        if let LabelFault::Llm(error) = &failure.fault {
            failures.count(error)?;
        }
    }
    failures.of(report.calls).map(drop)
}

/// Of every interval.
const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 10_000;
