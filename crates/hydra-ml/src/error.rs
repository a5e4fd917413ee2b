//! Why there is no answer.

use hydra_adapter::AdaptError;
use hydra_heads::{BindError, FitError, RowsError, UnpackError};
use hydra_llm::{LlmError, PromptError};
use hydra_rerank::RerankError;
use hydra_retrieval::{HistoryError, SearchError, StoredHistoryError};
use hydra_store::StoreError;
use hydra_types::{Generation, RecordId, UserId};

use crate::Stage;

/// Why something was not answered, learned or forgotten. Shows no text of any query, record or answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersonalizeError {
    /// A user's history cannot be read or changed.
    #[error("the history cannot be read or changed")]
    History(#[source] Box<StoredHistoryError>),
    /// A history was opened in another user's scope: a fault of this crate.
    #[error("the history is another user's")]
    Scope(#[from] HistoryError),
    /// Retrieval cannot be made.
    #[error("records cannot be searched")]
    Search(#[from] SearchError),
    /// The encoder of queries and records failed.
    #[error("the encoder cannot encode the texts")]
    Encoder(#[source] BodyError),
    /// Records cannot be ordered.
    #[error("the records cannot be reranked")]
    Rerank(#[from] RerankError),
    /// The prompt cannot be written.
    #[error("the prompt cannot be written")]
    Prompt(#[from] PromptError),
    /// The language model did not answer.
    #[error("the language model did not answer")]
    Llm(#[source] Box<LlmError>),
    /// It answered without a single candidate.
    #[error("the language model answered with no candidate: ask it again")]
    NoCandidate,
    /// No candidate can be picked.
    #[error("no candidate can be picked")]
    Adapt(#[from] AdaptError),
    /// The user was forgotten while this was under way.
    #[error("the user was forgotten meanwhile: what was made from their data is gone, too")]
    Forgotten,
    /// There was no time left.
    #[error("the deadline passed: allow more time, or ask for fewer records or candidates")]
    Deadline,
    /// Feedback on a record that the user does not have.
    #[error("the user has no record {record}: give feedback on records that were shown")]
    NoSuchRecord {
        /// Which record.
        record: RecordId,
    },
    /// A head cannot be fitted.
    #[error("the head cannot be fitted")]
    Fit(#[from] FitError),
    /// What the body made of the feedback cannot be fitted on.
    #[error("the feedback cannot be fitted on")]
    Rows(#[from] RowsError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// Feedback in the store that this version cannot read. What is wrong with it is not said, since that would quote it.
    #[error("a row of stored feedback does not read: a newer version may have written it, restore a snapshot")]
    Feedback,
    /// A head for a stage that has none.
    #[error("the stage {stage:?} has no heads: give the builder a personal one")]
    NoHeads {
        /// Which stage.
        stage: Stage,
    },
    /// Bytes that are no user's head.
    #[error("the bytes are no packed head")]
    Packed(#[from] UnpackError),
    /// A head of somebody else.
    #[error("the head is of user {got}, the scope of user {expected}: install each head in its own user's scope")]
    ForeignHead {
        /// Whose scope it is.
        expected: UserId,
        /// Whose head it is.
        got: UserId,
    },
    /// A head for another body, prior head or template.
    #[error("the head does not belong to this stage")]
    HeadElsewhere(#[from] BindError),
    /// A head of a user who was forgotten since.
    #[error(
        "the head was fitted on generation {got}, the data are of {expected}: the user was forgotten, fit it again"
    )]
    StaleHead {
        /// Of the user's data.
        expected: Generation,
        /// Of the data that the head was fitted on.
        got: Generation,
    },
    /// The thread that does the work is gone: it panicked, which is a fault of ours or of a part that was given to it.
    #[error("the personalizer's thread is gone: make a new personalizer")]
    Gone,
}

impl From<StoredHistoryError> for PersonalizeError {
    fn from(error: StoredHistoryError) -> Self {
        Self::History(Box::new(error))
    }
}

impl From<StoreError> for PersonalizeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Forgotten { .. } => Self::Forgotten,
            error => Self::Store(error),
        }
    }
}

impl From<LlmError> for PersonalizeError {
    fn from(error: LlmError) -> Self {
        Self::Llm(Box::new(error))
    }
}

/// What a body or an encoder that the application brought says went wrong.
#[derive(Debug, thiserror::Error)]
#[error("the model failed")]
pub struct BodyError(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);
