//! What comes out of a comparison, and why nothing does.

use std::sync::Arc;

use hydra_adapter::AdaptError;
use hydra_eval::{ComparisonError, Curve, Interval, Table};
use hydra_heads::{FacetError, Shared};
use hydra_llm::{LlmError, PromptError};
use hydra_rerank::RerankError;
use hydra_train::{AdaptRow, FittingError, LabelError, RerankRow};
use serde::Serialize;

/// What came out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExperimentResult {
    /// All methods.
    pub table: Table,
    /// Numbers that have no place in the table, all of a method together, in the order of its rows.
    pub further: Vec<Further>,
    /// What is personal: users' own heads against the prior head and against the heads of others, each on the same candidates.
    pub personal: Vec<PersonalGain>,
    /// What labels took, and how many were positive.
    pub labels: LabelCost,
    /// Methods some of whose calls have no answer, which counts as one that cannot be read.
    pub unanswered: Vec<Unanswered>,
    /// How many test users have an adapter's head of their own; the others have the prior head.
    pub own_adapters: usize,
    /// How many test users have a reranker's head of their own.
    pub own_rerankers: usize,
    /// How the adapter does with fewer training users and with fewer of a user's own labels.
    pub curves: Vec<Curve>,
    /// What was learned, to serve people with.
    pub learned: Learned,
}

/// What an experiment learned: prior heads, and what test users' own heads are fitted on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Learned {
    /// The reranker's prior head.
    pub reranker: Arc<Shared>,
    /// The adapter's prior head.
    pub adapter: Arc<Shared>,
    /// The reranker's label rows of the test users' own past.
    pub rerank_rows: Vec<RerankRow>,
    /// The adapter's.
    pub adapt_rows: Vec<AdaptRow>,
}

/// A number about all of a method's answers that has no interval: it is no mean over queries (macro-F1, RMSE), or of answers
/// that were read in another way than the table's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Further {
    /// The row of the table.
    pub method: String,
    /// What is measured.
    pub metric: &'static str,
    /// How much.
    pub value: f64,
}

/// Calls of a method that the language model did not answer, and would not at another attempt: the prompt is too long for it,
/// or it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unanswered {
    /// The row of the table.
    pub method: String,
    /// How many of its calls.
    pub calls: u64,
}

/// A paired difference between two rows of the table that pick from the same candidates.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PersonalGain {
    /// The row with users' own heads.
    pub system: String,
    /// The row with others.
    pub over: String,
    /// Of each metric of the table, in its order: positive where own heads are better.
    pub gains: Vec<Interval>,
}

/// What labels took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// The reranker failed.
    #[error("records could not be ordered")]
    Rerank(#[from] RerankError),
    /// The adapter failed.
    #[error("candidates could not be scored")]
    Adapt(#[from] AdaptError),
    /// Heads and features do not go together.
    #[error("heads and features do not go together")]
    Heads(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is nothing to compare.
    #[error("there is no table")]
    Comparison(#[from] ComparisonError),
    /// A curve has no points.
    #[error("there is no curve")]
    Curve(#[source] Box<dyn std::error::Error + Send + Sync>),
}
