//! Why no candidate can be picked.

use hydra_heads::{FeaturesError, ResidentError};
use hydra_types::{Fingerprint, PairFeaturesError};

/// Why an adapter cannot be made, or no candidate can be picked. Shows no text of any query, record or candidate.
///
/// A call that fails for one request gives nothing for any: who wants the others asks again without it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// There is nothing to pick from.
    #[error("request {request} has no candidates: ask the language model for at least one")]
    NoCandidates {
        /// Which request of the call.
        request: usize,
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
        "the heads are for features {expected}, body and template make features {got}: fit heads on what `CandidateTemplate::features_of` says, or serve with the template that they were fitted on"
    )]
    Fingerprint {
        /// What the heads are bound to.
        expected: Fingerprint,
        /// What the body makes of this template's pairs.
        got: Fingerprint,
    },
    /// The numbers are so large that no score comes out.
    #[error("a score of request {request} is not finite: check the model")]
    NotFinite {
        /// Which request of the call.
        request: usize,
    },
    /// An adapter that did not weigh every request.
    #[error("the adapter gave {got} answers to {expected} requests: it must give one to each, in their order")]
    Answers {
        /// How many requests there were.
        expected: usize,
        /// How many answers came back.
        got: usize,
    },
    /// An adapter that picked what nobody proposed.
    #[error("request {request} has no candidate {candidate}: pick from its own candidates")]
    NoSuchCandidate {
        /// Which request of the call.
        request: usize,
        /// The place that was named.
        candidate: usize,
    },
    /// A threshold that is no probability.
    #[error("the threshold of abstaining is {threshold}: give a probability from 0 to 1")]
    Threshold {
        /// As given.
        threshold: f32,
    },
    /// A margin that is none.
    #[error("the margin is {margin}: give a number that is at least 0, in log-odds")]
    Margin {
        /// As given.
        margin: f32,
    },
}
