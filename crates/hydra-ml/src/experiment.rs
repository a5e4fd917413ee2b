//! HYDRA against every simpler way, on users that nothing was learned from but their own past.
//!
//! [`run`] makes labels, fits heads and asks every test query by every method; one [`Table`] comes out. All that a method
//! may know of a test user is the user's [`FitView`]; targets are read by the metrics alone.

mod ask;
mod heads;
mod methods;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

use hydra_adapter::AdaptError;
use hydra_eval::{Comparison, ComparisonError, Standing, SystemRun, Table};
use hydra_heads::{FacetError, HeadBank, HeadName};
use hydra_llm::{LlmClient, LlmError, PromptError, Usage};
use hydra_train::{
    AdaptRow, FitView, FittingError, LabelError, LabelPlan, Labels, Marking, RerankRow, Split, TextRecipe,
    adapt_labels, rerank_labels,
};
use hydra_types::{Body, CandidateTemplate, Record, RecordTemplate, UserId};

use ask::{Answered, Asker, Reading};
use heads::Stage;
use methods::Show;
pub use task::ExperimentTask;

/// How much is asked, and of whom. The defaults are those of the HYDRA paper where it names a number.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExperimentPlan {
    /// Of every draw.
    pub seed: u64,
    /// How many pseudo-queries a training user is asked for each scorer's labels.
    pub train_queries: usize,
    /// The same for a test user.
    pub test_queries: usize,
    /// How many retrieved records a pseudo-query is tried with, one at a time.
    pub tried: usize,
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
            train_queries: 10,
            test_queries: 10,
            tried: 10,
            retrieved: 10,
            shown: 4,
            candidates: 8,
            routed: 32,
            record_template: RecordTemplate::with_output(),
            candidate_template: CandidateTemplate::query_only(),
        }
    }
}

/// What came out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExperimentResult {
    /// All methods.
    pub table: Table,
    /// What labels took, and how many were positive.
    pub labels: LabelCost,
    /// How many test users have an adapter's head of their own; the others have the prior head.
    pub own_adapters: usize,
    /// How many test users have a reranker's head of their own.
    pub own_rerankers: usize,
}

/// What labels took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelCost {
    /// Calls, also of those that a cassette answered.
    pub calls: u64,
    /// Calls that failed; their rows are missing.
    pub failed: u64,
    /// Tokens in and out.
    pub tokens: u64,
    /// Rows for the reranker.
    pub rerank_rows: usize,
    /// Those that are positive.
    pub rerank_positives: usize,
    /// Rows for the adapter.
    pub adapt_rows: usize,
    /// Those that are positive.
    pub adapt_positives: usize,
}

/// Why there is no result. What the language model had answered until then is in the journal, if the client keeps one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// Labels could not be made.
    #[error("labels could not be made")]
    Labels(#[from] LabelError),
    /// A head could not be fitted.
    #[error("a head could not be fitted")]
    Fitting(#[from] FittingError),
    /// Facets could not be trained.
    #[error("facets could not be trained")]
    Facets(#[from] FacetError),
    /// A prompt could not be made.
    #[error("a prompt could not be made")]
    Prompt(#[from] PromptError),
    /// The language model failed.
    #[error("the language model failed: run again, what it had answered is kept where the client is a journal")]
    Llm(#[from] LlmError),
    /// A body could not encode.
    #[error("the body could not encode")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A scorer failed.
    #[error("candidates could not be scored")]
    Adapt(#[from] AdaptError),
    /// Heads and features do not go together.
    #[error("heads and features do not go together")]
    Heads(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is nothing to compare.
    #[error("there is no table")]
    Comparison(#[from] ComparisonError),
}

/// One thing asked of a test user.
struct Asked<'s> {
    user: usize,
    view: &'s FitView,
    target: &'s hydra_train::Target,
}

/// Runs everything. The same split, plan, body and answers give the same result.
///
/// # Errors
/// [`ExperimentError`].
pub async fn run<B: Body>(
    split: &Split,
    task: &ExperimentTask,
    plan: &ExperimentPlan,
    body: &mut B,
    client: &dyn LlmClient,
) -> Result<ExperimentResult, ExperimentError> {
    let test_views: Vec<FitView> = split.test.iter().map(|user| user.fit.clone()).collect();
    let asker = Asker { task, client: Reading { task, client } };

    // Labels, of the training users for what all share and of the test users' own past for their heads.
    let mut labels = LabelCost::default();
    let train = label(&asker, plan, plan.train_queries, &split.train, &mut labels).await?;
    let test = label(&asker, plan, plan.test_queries, &test_views, &mut labels).await?;

    let reranker = Stage::reranker(plan, body, &split.train, &train.0, &test_views, &test.0)?;
    let adapter = Stage::adapter(plan, body, &split.train, &train.1, &test_views, &test.1, plan.seed)?;
    let permuted = adapter.permuted.clone();

    let asked: Vec<Asked<'_>> = split
        .test
        .iter()
        .enumerate()
        .flat_map(|(user, test)| test.eval.targets().iter().map(move |target| Asked { user, view: &test.fit, target }))
        .collect();
    let mut comparison = Comparison::new(task.metrics());
    let users = split.test.len();
    let mut add = |name: &str, standing, answers: &[String], took: Took| {
        let values = task.values(users, &asked, answers);
        comparison.add(SystemRun { name: name.into(), standing, values, calls: took.calls, tokens: took.tokens })
    };

    // Baselines: one prompt, one answer.
    let shown_by = |show: Show| -> Vec<Vec<&Record>> { asked.iter().map(|asked| show.of(plan.seed, asked)).collect() };
    for (name, show) in [
        ("zero-shot", Show::Nothing),
        ("random k=4", Show::Random(4)),
        ("BM25 k=1", Show::Words(1)),
        ("BM25 k=2", Show::Words(2)),
        ("BM25 k=4", Show::Words(4)),
        ("recency k=4", Show::Newest(4)),
    ] {
        let answered = asker.greedy(&asked, &shown_by(show)).await?;
        add(name, Standing::Baseline, &answered.first(), Took::of(&answered))?;
    }
    let (summaries, took) = asker.summaries(&asked, plan).await?;
    let with_summary: Vec<Vec<&Record>> = shown_by(Show::Words(plan.shown))
        .into_iter()
        .zip(&asked)
        .map(|(shown, asked)| std::iter::once(&summaries[asked.user]).chain(shown).collect())
        .collect();
    let answered = asker.greedy(&asked, &with_summary).await?;
    add("summary + BM25 k=4", Standing::Baseline, &answered.first(), Took::of(&answered).plus(took))?;

    // Candidates from the records that retrieval ranks first, and from those that the personal reranker does.
    let plain = shown_by(Show::Words(plan.shown));
    let candidates = asker.candidates(&asked, &plain, plan).await?;
    let personal = reranker.best(plan, body, &asked, &shown_by(Show::Words(plan.retrieved)))?;
    let reranked = asker.greedy(&asked, &personal).await?;
    let hydra = asker.candidates(&asked, &personal, plan).await?;
    let (took, hydra_took) = (Took::of(&candidates), Took::of(&hydra));

    let own = |asked: &Asked<'_>| HeadName::User(asked.view.user());
    let prior = |_: &Asked<'_>| HeadName::Prior;
    // Everybody gets the head of the next test user.
    let next: BTreeMap<UserId, UserId> = test_views
        .iter()
        .zip(test_views.iter().cycle().skip(1))
        .map(|(view, other)| (view.user(), other.user()))
        .collect();
    let swapped = |asked: &Asked<'_>| HeadName::User(next[&asked.view.user()]);
    let mut pick = |bank: &Arc<HeadBank>,
                    name: &dyn Fn(&Asked<'_>) -> HeadName,
                    shown: &[Vec<&Record>],
                    of: &Answered| { adapter.pick(plan, body, bank, name, &asked, shown, of) };
    add("majority vote of 8", Standing::Reference, &candidates.vote(), took)?;
    add("oracle best of 8", Standing::Reference, &task.oracle(&asked, &candidates), took)?;
    add("user's majority answer", Standing::Reference, &methods::majority(&asked), Took::default())?;
    add("HYDRA-reranker", Standing::System, &reranked.first(), Took::of(&reranked))?;
    add("HYDRA-adapter", Standing::System, &pick(&adapter.own, &own, &plain, &candidates)?, took)?;
    add("HYDRA", Standing::System, &pick(&adapter.own, &own, &personal, &hydra)?, hydra_took)?;
    add("HYDRA, facets, no fit", Standing::System, &pick(&adapter.routed, &own, &plain, &candidates)?, took)?;
    add("HYDRA, prior heads", Standing::System, &pick(&adapter.own, &prior, &plain, &candidates)?, took)?;
    add("HYDRA, heads swapped", Standing::Control, &pick(&adapter.own, &swapped, &personal, &hydra)?, hydra_took)?;
    add("HYDRA, labels permuted", Standing::Control, &pick(&permuted, &own, &personal, &hydra)?, hydra_took)?;

    Ok(ExperimentResult {
        table: comparison.table(0.95, RESAMPLES, plan.seed)?,
        labels,
        own_adapters: adapter.fitted,
        own_rerankers: reranker.fitted,
    })
}

/// Calls and tokens.
#[derive(Clone, Copy, Default)]
struct Took {
    calls: u64,
    tokens: u64,
}

impl Took {
    fn of(answered: &Answered) -> Self {
        Self { calls: answered.calls, tokens: tokens(answered.usage) }
    }

    fn plus(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, tokens: self.tokens + other.tokens }
    }
}

fn tokens(usage: Usage) -> u64 {
    usage.prompt_tokens + usage.completion_tokens
}

async fn label(
    asker: &Asker<'_>,
    plan: &ExperimentPlan,
    queries: usize,
    views: &[FitView],
    cost: &mut LabelCost,
) -> Result<(Vec<RerankRow>, Vec<AdaptRow>), ExperimentError> {
    let label_plan = LabelPlan {
        queries,
        records: plan.tried,
        shown: plan.shown,
        candidates: plan.candidates,
        ..asker.task.label_plan()
    };
    let marking = Marking::Classes(asker.task.labels());
    let mut retrieve = |query: &hydra_train::PseudoQuery<'_>, most: usize| {
        let found = methods::by_words(query.earlier(), query.record().input(), most);
        Ok(found.into_iter().map(Record::id).collect())
    };
    let Labels { rows: rerank, report, .. } =
        rerank_labels(&asker.client, views, &mut retrieve, &label_plan, marking).await?;
    let Labels { rows: adapt, report: second, .. } =
        adapt_labels(&asker.client, views, &mut retrieve, &label_plan, marking, TextRecipe::RelativeMetric).await?;
    for report in [&report, &second] {
        cost.calls += report.calls;
        cost.failed += report.failures.len() as u64;
        cost.tokens += tokens(report.usage);
    }
    cost.rerank_rows += rerank.len();
    cost.rerank_positives += rerank.iter().filter(|row| row.label).count();
    cost.adapt_rows += adapt.len();
    cost.adapt_positives += adapt.iter().filter(|row| row.label).count();
    Ok((rerank, adapt))
}

/// Of every interval.
const RESAMPLES: usize = 10_000;
