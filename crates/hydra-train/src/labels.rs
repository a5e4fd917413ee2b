//! Labels from a language model: which records help this user's queries, and which candidates this user would have chosen.
//!
//! Every label is a pure function of a user's [`FitView`](crate::FitView), a plan and the model's answers. What is asked is
//! made from the past alone: a query is a record of the history, and what is shown beside it is strictly older; a retriever
//! that finds anything else is refused. With a [`Journal`](crate::Journal) as the client, a run that was cut off goes on
//! where it stopped and pays no answer twice.

mod adapt;
mod ask;
mod label_set;
mod plan;
mod report;
mod rerank;

use hydra_types::{RecordId, UserId};

pub use adapt::{AdaptRow, CandidateFrom, TextRecipe, adapt_labels};
pub use label_set::{LabelSet, LabelSetError};
pub use plan::{LabelPlan, Marking};
pub use report::{LabelFailure, LabelFault, LabelReport, Labels, UserLabels};
pub use rerank::{RerankRow, rerank_labels};

use crate::split::PseudoQuery;

/// Finds the records of a query's past that matter most: at most so many, best first, by id.
pub type Retrieve<'r> =
    dyn FnMut(&PseudoQuery<'_>, usize) -> Result<Vec<RecordId>, Box<dyn std::error::Error + Send + Sync>> + 'r;

/// Why labels cannot be made at all. Calls that fail are no reason: they are counted in the [`LabelReport`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The retriever failed.
    #[error("retrieval failed for user {user}")]
    Retrieve {
        /// Whose history was searched.
        user: UserId,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The retriever found something that is not in the past of the query.
    #[error(
        "retrieval found record {record} for query {query} of user {user}, which is not among the older records: search `PseudoQuery::earlier` only"
    )]
    NotEarlier {
        /// Whose.
        user: UserId,
        /// The query.
        query: RecordId,
        /// What was found.
        record: RecordId,
    },
    /// The retriever found a record twice.
    #[error(
        "retrieval found record {record} for query {query} of user {user} twice: merge what several retrievers found"
    )]
    FoundTwice {
        /// Whose.
        user: UserId,
        /// The query.
        query: RecordId,
        /// What was found.
        record: RecordId,
    },
    /// What the user answered is none of the classes.
    #[error(
        "the output of record {record} of user {user} is no label: add it to the label set, or leave the record out"
    )]
    NotALabel {
        /// Whose.
        user: UserId,
        /// Which.
        record: RecordId,
    },
    /// A metric that gives no number.
    #[error("the metric gave {value} for query {query} of user {user}: it must be finite")]
    Metric {
        /// Whose.
        user: UserId,
        /// The query.
        query: RecordId,
        /// As given.
        value: f64,
    },
    /// The client cannot give as many answers at once as are wanted.
    #[error("{wanted} candidates are wanted and the client gives {most} a request: wrap it in `hydra_llm::Repeat`")]
    Candidates {
        /// As many as the plan says.
        wanted: u32,
        /// As many as the client gives.
        most: u32,
    },
}
