//! Where packed heads come from.

use std::sync::Arc;

use hydra_types::{Generation, UserId};

use crate::bank::ScoreError;
use crate::pack::UnpackError;
use crate::shared::BindError;

/// Something that holds packed heads: a store, a file, a service.
pub trait HeadSource {
    /// Why something could not be read.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The generation that this user's data has now; none if there is no head of theirs.
    ///
    /// Asked for every user whom a call names, so it should be quick.
    ///
    /// # Errors
    /// If it cannot be told.
    fn generation(&self, user: UserId) -> Result<Option<Generation>, Self::Error>;

    /// Appends this user's packed head to `bytes`, which is empty.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> Result<(), Self::Error>;
}

impl<S: HeadSource + ?Sized> HeadSource for Arc<S> {
    type Error = S::Error;

    fn generation(&self, user: UserId) -> Result<Option<Generation>, Self::Error> {
        (**self).generation(user)
    }

    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> Result<(), Self::Error> {
        (**self).read(user, bytes)
    }
}

/// Rows that could not be scored with heads from a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResidentError {
    /// The call itself is wrong, or the source has no head of a user.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The source failed.
    #[error("the source of heads failed for user {user}")]
    Source {
        /// Whose head was asked for.
        user: UserId,
        /// What the source says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the source gave is no head.
    #[error("the source gave bytes for user {user} that are no head")]
    Unpack {
        /// Whose head was asked for.
        user: UserId,
        /// What is wrong with them.
        #[source]
        source: UnpackError,
    },
    /// What the source gave belongs to somebody else.
    #[error("the source gave the head of user {got} for user {user}: repair the source")]
    Foreign {
        /// Whose head was asked for.
        user: UserId,
        /// Whose it is.
        got: UserId,
    },
    /// The source has only a head of data that have been replaced since.
    #[error(
        "the head of user {user} is of generation {got}, the data are of generation {expected}: fit it again, or name the prior head"
    )]
    Stale {
        /// Whose head was asked for.
        user: UserId,
        /// Of the data.
        expected: Generation,
        /// Of the head.
        got: Generation,
    },
    /// The head does not belong to this body, prior head or facets.
    #[error("the head of user {user} does not belong here")]
    Bind {
        /// Whose head was asked for.
        user: UserId,
        /// What differs.
        #[source]
        source: BindError,
    },
    /// There is no room, even with everything gone that may go.
    #[error("the head of user {user} and the pinned ones do not fit in {budget} bytes: raise the budget or unpin some")]
    Budget {
        /// Whose head was asked for.
        user: UserId,
        /// The budget.
        budget: usize,
    },
}
