//! The trait that everything which picks a candidate stands behind.

use crate::{AdaptError, AdaptRequest, Adapted};

/// Picks one of several candidates for a user, many requests of many users in one call.
///
/// Answers come in the order of the requests. Candidates that are the same text are one candidate, weighed once and
/// counted; of equally good ones the one that came first wins. What one request gets does not depend on the others beyond
/// the rounding of sums, and never on their users' data.
///
/// It takes `&mut self` because a model session is exclusive: give every worker thread its own.
pub trait Adapter {
    /// Weighs the candidates of every request.
    ///
    /// # Errors
    /// [`AdaptError`]; nothing is then returned for any request.
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError>;
}

impl<A: Adapter + ?Sized> Adapter for &mut A {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        (**self).adapt(requests)
    }
}

impl<A: Adapter + ?Sized> Adapter for Box<A> {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        (**self).adapt(requests)
    }
}
