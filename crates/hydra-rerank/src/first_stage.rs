//! No second stage at all.

use hydra_types::Score;

use crate::{Ranking, RerankError, RerankRequest, Reranker, request};

/// Keeps the order of retrieval: the baseline that every other reranker has to beat, and the fallback when there is no body.
///
/// # Scores
/// Those of retrieval, as they are: range and comparability are the retriever's.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstStage;

impl Reranker for FirstStage {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        request::check(requests)?;
        let ranking = |request: &RerankRequest<'_>| {
            let scores: Vec<Score> = request.records.iter().map(|retrieved| retrieved.score).collect();
            Ranking::new(request, &scores, &[])
        };
        Ok(requests.iter().map(ranking).collect())
    }
}
