//! Why records cannot be ordered.

use hydra_heads::{FeaturesError, ResidentError};
use hydra_types::{Fingerprint, PairFeaturesError, RecordId};

/// Why a reranker cannot be made, or records cannot be ordered. Shows no text of any query or record.
///
/// A call that fails for one request gives nothing for any: who wants the others asks again without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RerankError {
    /// The same record was handed in twice.
    #[error("request {request} has record {record} twice: merge what several retrievers found")]
    RecordTwice {
        /// Which request of the call.
        request: usize,
        /// Which record.
        record: RecordId,
    },
    /// The body cannot encode the pairs.
    #[error("the body cannot encode the pairs")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What the body made is not one row for each pair.
    #[error("the body made no features of the pairs that it was given")]
    Shape(#[from] PairFeaturesError),
    /// What the body made are no features.
    #[error("the body made no usable features")]
    Features(#[from] FeaturesError),
    /// The heads cannot score them.
    #[error("the heads cannot score the pairs")]
    Heads(#[from] ResidentError),
    /// Heads for other pairs or for another body.
    #[error(
        "the heads are for features {expected}, body and template make features {got}: fit heads on what `RecordTemplate::features_of` says, or serve with the template that they were fitted on"
    )]
    Fingerprint {
        /// What the heads are bound to.
        expected: Fingerprint,
        /// What the body makes of this template's pairs.
        got: Fingerprint,
    },
    /// A classifier that does not say how relevant a record is.
    #[error("a classifier of {classes} classes: one (the relevance) or two (irrelevant, relevant) can order records")]
    Classes {
        /// How many it has.
        classes: usize,
    },
    /// A weight that is none.
    #[error("the weight of the second stage is {weight}: give a number from 0 to 1")]
    Weight {
        /// As given.
        weight: f32,
    },
    /// The numbers are so large that no score comes out.
    #[error("a score of request {request} is not finite: check the model and the first stage's scores")]
    NotFinite {
        /// Which request of the call.
        request: usize,
    },
    /// A reranker that did not answer every request.
    #[error("the reranker made {got} rankings for {expected} requests: it must make one for each, in their order")]
    Rankings {
        /// How many requests there were.
        expected: usize,
        /// How many rankings came back.
        got: usize,
    },
    /// A reranker that lost records, or made some up.
    #[error(
        "the ranking of request {request} is none of its records: rank each at most once, and as many as are to be kept"
    )]
    Ranking {
        /// Which request of the call.
        request: usize,
    },
    /// There is nothing of that name to explain.
    #[error("the request has no record {record}: explain one that is in it")]
    NoSuchRecord {
        /// Which was asked for.
        record: RecordId,
    },
}
