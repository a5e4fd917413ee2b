//! What labelling took, and what came of it.

use std::collections::BTreeMap;

use hydra_llm::{LlmError, PromptError, Usage};
use hydra_types::{RecordId, UserId};

/// Label rows, and what they took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Labels<R> {
    /// By user, query and record or candidate, in the order in which views, queries and finds came.
    pub rows: Vec<R>,
    /// What they took.
    pub report: LabelReport,
}

/// What labelling took. Counts answers whether they were paid for now or are remembered from an earlier run; what was paid
/// is what [`Journal::spent`](crate::Journal::spent) says.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LabelReport {
    /// How many requests were to be made.
    pub calls: u64,
    /// Tokens of those that were answered.
    pub usage: Usage,
    /// Every request without a usable answer, in order. Its rows are missing.
    pub failures: Vec<LabelFailure>,
    /// What each user has, those without a row included.
    pub users: BTreeMap<UserId, UserLabels>,
}

/// What one user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserLabels {
    /// How many queries were asked.
    pub queries: usize,
    /// How many rows came of them.
    pub rows: usize,
    /// How many of these have a positive label.
    pub positives: usize,
}

/// A request without a usable answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LabelFailure {
    /// Whose.
    pub user: UserId,
    /// The query.
    pub query: RecordId,
    /// The one record that was to be shown; none if several were.
    pub record: Option<RecordId>,
    /// Why.
    pub fault: LabelFault,
}

/// Why a request has no usable answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelFault {
    /// There is no prompt.
    #[error("the prompt cannot be made")]
    Prompt(#[from] PromptError),
    /// What was to be shown does not fit into the prompt.
    #[error("a record does not fit into the prompt: raise the limits")]
    Dropped,
    /// The model gave no answer.
    #[error("the model gave no answer")]
    Llm(#[from] LlmError),
}

impl LabelReport {
    /// Counts a group of rows of one query.
    pub(super) fn count(&mut self, user: UserId, labels: impl IntoIterator<Item = bool>) {
        let own = self.users.entry(user).or_default();
        own.queries += 1;
        for label in labels {
            own.rows += 1;
            own.positives += usize::from(label);
        }
    }
}
