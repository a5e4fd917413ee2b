//! The trait that everything which orders records stands behind.

use crate::{Ranking, RerankError, RerankRequest};

/// Orders the records of users for their queries, many requests of many users in one call.
///
/// Answers come in the order of the requests. What one request gets does not depend on the others beyond the rounding of
/// sums, and never on their users' data: where a body lets rows of one batch influence each other, users get batches of
/// their own.
///
/// It takes `&mut self` because a model session is exclusive: give every worker thread its own.
pub trait Reranker {
    /// Orders the records of every request.
    ///
    /// # Errors
    /// [`RerankError`]; nothing is then returned for any request.
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError>;
}

impl<R: Reranker + ?Sized> Reranker for &mut R {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        (**self).rerank(requests)
    }
}

impl<R: Reranker + ?Sized> Reranker for Box<R> {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        (**self).rerank(requests)
    }
}
