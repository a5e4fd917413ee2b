//! What all heads of one body stand on: the prior head and, where there are any, the facets.

use hydra_types::Fingerprint;
use sha2::{Digest, Sha256};

use crate::head::Head;
use crate::pack;
use crate::weights::{Kind, Prior, Weights};

/// One body, its prior head and its facets.
///
/// A user's head is a change of the prior head, so it means nothing on another one: every [`Head`] remembers the body and
/// a checksum of the shared part that it was made on, and is refused elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    body: Fingerprint,
    prior: Weights,
    facets: Option<Weights>,
    prior_check: u64,
    facets_check: u64,
}

impl Shared {
    /// The shared part of `body`: a prior head, no facets yet.
    ///
    /// # Errors
    /// [`SharedError::PriorKind`] if `prior` is neither two-layer nor linear.
    pub fn new(body: Fingerprint, prior: Weights) -> Result<Self, SharedError> {
        match prior.kind() {
            Kind::TwoLayer { .. } | Kind::Linear => {}
            kind => return Err(SharedError::PriorKind { kind }),
        }
        Ok(Self { body, prior_check: check(&[&prior]), facets_check: 0, prior, facets: None })
    }

    /// The same with facets that routing heads mix.
    ///
    /// # Errors
    /// [`SharedError`] if `facets` is of another kind, or for features of another width than the prior head.
    pub fn with_facets(self, facets: Weights) -> Result<Self, SharedError> {
        if !matches!(facets.kind(), Kind::Facets { .. }) {
            return Err(SharedError::FacetsKind { kind: facets.kind() });
        }
        if facets.hidden() != self.hidden() {
            return Err(SharedError::Width { expected: self.hidden(), got: facets.hidden() });
        }
        Ok(Self { facets_check: check(&[&self.prior, &facets]), facets: Some(facets), ..self })
    }

    /// Binds a user's weights to this body and prior head.
    ///
    /// # Errors
    /// [`BindError`] if they do not fit.
    pub fn head(&self, weights: Weights) -> Result<Head, BindError> {
        let hidden = self.hidden();
        if weights.hidden() != hidden {
            return Err(BindError::Width { expected: hidden, got: weights.hidden() });
        }
        match (weights.kind(), self.prior.kind(), self.facets.as_ref().map(Weights::kind)) {
            (Kind::TwoLayer { .. } | Kind::Linear, _, _) => {}
            (Kind::LowRank { inner, .. }, Kind::TwoLayer { inner: expected }, _) if inner == expected => {}
            (Kind::LowRank { inner, .. }, Kind::TwoLayer { inner: expected }, _) => {
                return Err(BindError::Inner { expected, got: inner });
            }
            (Kind::LowRank { .. }, _, _) => return Err(BindError::LinearPrior),
            (Kind::Routing { facets }, _, Some(Kind::Facets { facets: expected })) if facets == expected => {}
            (Kind::Routing { facets: got }, _, Some(Kind::Facets { facets: expected })) => {
                return Err(BindError::FacetCount { expected, got });
            }
            (Kind::Routing { facets: got }, _, _) => return Err(BindError::FacetCount { expected: 0, got }),
            (Kind::Facets { .. }, _, _) => return Err(BindError::FacetsAsHead),
        }
        let base = self.base(weights.kind());
        Ok(Head::bound(weights, self.body, base))
    }

    /// Which body.
    #[must_use]
    pub fn body(&self) -> Fingerprint {
        self.body
    }

    /// The width of the body's features.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.prior.hidden()
    }

    /// The prior head's weights.
    #[must_use]
    pub fn prior(&self) -> &Weights {
        &self.prior
    }

    /// The facets, if any are shared.
    #[must_use]
    pub fn facets(&self) -> Option<&Weights> {
        self.facets.as_ref()
    }

    /// Whether `head` was made on this body and this prior head.
    ///
    /// # Errors
    /// [`BindError`] that says what differs.
    pub fn check(&self, head: &Head) -> Result<(), BindError> {
        if head.body() != self.body {
            return Err(BindError::Body { expected: self.body, got: head.body() });
        }
        if head.base() != self.base(head.kind()) {
            return Err(BindError::Base);
        }
        Ok(())
    }

    pub(crate) fn as_prior(&self) -> Prior<'_> {
        Prior { weights: &self.prior, facets: self.facets.as_ref() }
    }

    /// The checksum of the shared numbers that a head of this kind adds to.
    fn base(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Routing { .. } => self.facets_check,
            kind if kind.adds_to_prior() => self.prior_check,
            _ => 0,
        }
    }
}

/// Weights that cannot be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// Not a kind that stands alone.
    #[error("a prior head is two-layer or linear, got {kind:?}")]
    PriorKind {
        /// As given.
        kind: Kind,
    },
    /// Not facets.
    #[error("facets are made by `Weights::facets`, got {kind:?}")]
    FacetsKind {
        /// As given.
        kind: Kind,
    },
    /// Facets of another body.
    #[error("facets take features of width {got}, the prior head takes {expected}: train both on one body")]
    Width {
        /// The prior head's.
        expected: usize,
        /// The facets'.
        got: usize,
    },
}

/// A head that does not belong to this body, prior head or facets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Made on another body.
    #[error("the head was made on body {got}, this is body {expected}: fit it again on this body")]
    Body {
        /// The shared part's.
        expected: Fingerprint,
        /// The head's.
        got: Fingerprint,
    },
    /// Made on another prior head or other facets of this body.
    #[error("the head was made on another prior head or other facets of this body: fit it again")]
    Base,
    /// For features of another width.
    #[error("the head takes features of width {got}, this body makes {expected}")]
    Width {
        /// The body's.
        expected: usize,
        /// The head's.
        got: usize,
    },
    /// A low-rank change of another inner width.
    #[error("the head changes an inner layer of {got}, the prior head has one of {expected}")]
    Inner {
        /// The prior head's.
        expected: usize,
        /// The head's.
        got: usize,
    },
    /// A low-rank change of a prior head without inner layer.
    #[error("a low-rank head changes a two-layer prior head, this one is linear: fit a linear head")]
    LinearPrior,
    /// A routing over another number of facets.
    #[error("the routing mixes {got} facets, {expected} are shared")]
    FacetCount {
        /// As shared.
        expected: usize,
        /// As in the routing.
        got: usize,
    },
    /// Facets are no user's head.
    #[error("facets are shared and no head of one user: give a routing")]
    FacetsAsHead,
}

/// The first eight bytes of a SHA-256 over the numbers: enough against accidents, which is all that it is for.
fn check(weights: &[&Weights]) -> u64 {
    let mut hash = Sha256::new();
    for weights in weights {
        let mut bytes = Vec::with_capacity(weights.bytes());
        pack::write_numbers(weights, &mut bytes);
        hash.update(&bytes);
    }
    let digest = hash.finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}
