//! One user's head, bound to the body that it was made on.

use hydra_types::{Fingerprint, Scope, UserId};

use crate::precision::Precision;
use crate::weights::{Kind, Weights};

/// Weights that know their body and their prior head; made by [`Shared::head`](crate::Shared::head), by fitting, or
/// from bytes by [`unpack`](crate::unpack).
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    weights: Weights,
    body: Fingerprint,
    base: u64,
}

impl Head {
    pub(crate) fn bound(weights: Weights, body: Fingerprint, base: u64) -> Self {
        Self { weights, body, base }
    }

    /// The body that the head was made on.
    #[must_use]
    pub fn body(&self) -> Fingerprint {
        self.body
    }

    /// What the head computes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.weights.kind()
    }

    /// The numbers.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The same head in another precision.
    #[must_use]
    pub fn to_precision(&self, precision: Precision) -> Self {
        Self { weights: self.weights.to_precision(precision), ..*self }
    }

    /// The checksum of the shared numbers that the head adds to.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }
}

/// The head that one row of a batch is to be scored with: always said, never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeadName {
    /// The prior head: for somebody about whom nothing is known yet.
    Prior,
    /// This user's own head; there must be one.
    User(UserId),
}

/// Which head a user is to be served with: their own, or the prior head. Always said by the caller, who knows whether one
/// was fitted; a head of their own that is not there is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeadChoice {
    /// The prior head: for somebody about whom nothing is known yet.
    Prior,
    /// The head of the user in whose scope it is asked.
    Own,
}

impl HeadChoice {
    /// The head that this choice means in `scope`. There is no other way from a choice to a name, so that nobody's head
    /// can be reached with somebody else's scope.
    #[must_use]
    pub fn name(self, scope: &Scope) -> HeadName {
        match self {
            Self::Prior => HeadName::Prior,
            Self::Own => HeadName::User(scope.user()),
        }
    }
}
