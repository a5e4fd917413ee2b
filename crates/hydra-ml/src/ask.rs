//! What is asked, and what is answered.

use std::fmt;
use std::time::Duration;

use hydra_heads::HeadChoice;
use hydra_llm::Usage;
use hydra_rerank::CutRecord;
use hydra_types::{Fingerprint, Generation, RecordId, Scope, Score, Scored, Time};

/// One query of one user. `Debug` shows its length and never its text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// In whose name.
    pub scope: Scope,
    /// What the user asks.
    pub query: String,
    /// When. Only records from before that moment reach the prompt.
    pub at: Time,
    /// How long the answer may take in all. None: as long as it takes.
    pub deadline: Option<Duration>,
}

impl Ask {
    /// A query without a deadline.
    #[must_use]
    pub fn new(scope: &Scope, query: impl Into<String>, at: Time) -> Self {
        Self { scope: scope.clone(), query: query.into(), at, deadline: None }
    }

    /// The same, to be answered within `deadline`.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("scope", &self.scope)
            .field("query_bytes", &self.query.len())
            .field("at", &self.at)
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// An answer, and how it came about. `Debug` shows the text's length and never the text.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// How it came about.
    pub trace: Trace,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("text_bytes", &self.text.len()).field("trace", &self.trace).finish()
    }
}

/// How an answer came about: ids, scores, versions, costs; no text.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Trace {
    /// What retrieval found, best first, with its scores.
    pub retrieved: Vec<Scored<RecordId>>,
    /// What the reranker made of that; none where there is no reranker, or where it failed and may.
    pub reranked: Option<Vec<Scored<RecordId>>>,
    /// The records that stood in the prompt, in their order there.
    pub shown: Vec<RecordId>,
    /// Records that were shown in part, or not at all for want of room.
    pub cut: Vec<RecordId>,
    /// Records, shown or not, that the reranker did not read to their end, and how many tokens of each it did not read.
    pub unread: Vec<CutRecord>,
    /// The candidates, in the order of arrival; equal texts are one.
    pub candidates: Vec<CandidateTrace>,
    /// Which of the stages' heads served, where the stage has heads.
    pub heads: StageHeads,
    /// Stages that failed and were skipped, because their [`OnFailure`] says so.
    pub skipped: Vec<Stage>,
    /// The model that answered, as it names itself.
    pub model: String,
    /// What the language model cost.
    pub usage: Usage,
    /// Where the time went.
    pub times: Times,
}

/// One distinct candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CandidateTrace {
    /// Where it first stood among the language model's answers.
    pub index: usize,
    /// How often it came.
    pub count: usize,
    /// What the adapter makes of it; see the adapter for what it means. None where there is no adapter.
    pub score: Option<Score>,
    /// How many tokens of it and of the query beside it the adapter did not read because they did not fit.
    pub unread: usize,
}

/// Which head served which stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct StageHeads {
    /// The personal reranker's.
    pub reranker: Option<HeadTrace>,
    /// The personal adapter's.
    pub adapter: Option<HeadTrace>,
}

/// The head that served a stage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HeadTrace {
    /// What it stands on: the body's features of the stage's template.
    pub body: Fingerprint,
    /// The user's own one, or the prior head.
    pub choice: HeadChoice,
    /// Which of the user's own it is: each fit since the user came counts one up. None for the prior head.
    pub generation: Option<Generation>,
}

/// A stage that an answer can do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stage {
    /// Without it records stand in the order of retrieval.
    Rerank,
    /// Without it the first candidate is the answer.
    Adapt,
}

/// What happens when a stage fails that an answer can do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnFailure {
    /// The answer fails, too.
    #[default]
    Fail,
    /// The stage is skipped, a warning says so, and so does [`Trace::skipped`].
    Skip,
}

/// Where the time of an answer went. Stages that answers went through together are shared by them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Times {
    /// Reading the history and finding records.
    pub retrieve: Duration,
    /// Reranking them and writing the prompt.
    pub rerank: Duration,
    /// The language model.
    pub generate: Duration,
    /// Picking a candidate.
    pub adapt: Duration,
}
