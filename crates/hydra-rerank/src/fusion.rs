//! A second stage that does not forget the first.

use std::collections::BTreeMap;

use hydra_types::{RecordId, Score, Scored};

use crate::{Ranking, RerankError, RerankRequest, Reranker, check_rankings};

/// How two opinions about the same records become one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fusion {
    /// Both stages' scores, less their mean and divided by their standard deviation over the records of the request. Keeps how
    /// sure each stage is; one far-off score squeezes the others together.
    Standardised,
    /// `1 / (60 + rank)` of each stage, ranks from 1. Looks at the order alone, whatever the scores' scale.
    ///
    /// # Source
    /// Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet", equation 1, with its `k = 60`.
    /// **Differs:** weighted.
    Ranks,
}

/// The weighted sum of a reranker's opinion and retrieval's.
///
/// # Scores
/// `weight` times the second stage's number plus `1 - weight` times the first stage's, by [`Fusion`]: higher is better.
/// [`Fusion::Standardised`] gives numbers around 0, [`Fusion::Ranks`] between 0 and 1/61. They depend on which other
/// records were retrieved, so they are comparable within one ranking only.
#[derive(Clone, Debug)]
pub struct FusedReranker<R> {
    inner: R,
    fusion: Fusion,
    weight: f32,
}

impl<R: Reranker> FusedReranker<R> {
    /// `inner` with `weight`, the first stage with what is left of 1.
    ///
    /// # Errors
    /// [`RerankError::Weight`] if `weight` does not lie between 0 and 1.
    pub fn new(inner: R, fusion: Fusion, weight: f32) -> Result<Self, RerankError> {
        if !(0.0..=1.0).contains(&weight) {
            return Err(RerankError::Weight { weight });
        }
        Ok(Self { inner, fusion, weight })
    }
}

impl<R: Reranker> Reranker for FusedReranker<R> {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let of_all: Vec<_> =
            requests.iter().map(|request| RerankRequest { keep: request.records.len(), ..*request }).collect();
        let inner = self.inner.rerank(&of_all)?;
        check_rankings(&of_all, &inner)?;
        let mut rankings = Vec::with_capacity(requests.len());
        for (number, (request, second)) in requests.iter().zip(inner).enumerate() {
            let first = request.records.iter().map(|found| Scored::new(found.record.id(), found.score)).collect();
            let (first, second_stage) = (self.fusion.numbers(first), self.fusion.numbers(second.ranked));
            let fused = |id: RecordId| self.weight * second_stage[&id] + (1.0 - self.weight) * first[&id];
            let scores: Result<Vec<Score>, _> =
                request.records.iter().map(|found| Score::new(fused(found.record.id()))).collect();
            let scores = scores.map_err(|_| RerankError::NotFinite { request: number })?;
            rankings.push(Ranking { cut: second.cut, ..Ranking::new(request, &scores, &[]) });
        }
        Ok(rankings)
    }
}

impl Fusion {
    /// A number for every record that another stage's numbers may be added to.
    fn numbers(self, mut scored: Vec<Scored<RecordId>>) -> BTreeMap<RecordId, f32> {
        // Sums are then the same in whatever order the records came.
        scored.sort_unstable();
        match self {
            Self::Standardised => {
                let values: Vec<f64> = scored.iter().map(|scored| f64::from(scored.score.get())).collect();
                let count = values.len().max(1) as f64;
                let mean = values.iter().sum::<f64>() / count;
                let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
                // Scores that are all equal say nothing, and neither does a difference that is only rounding.
                let says_something = spread > SMALLEST_SPREAD * mean.abs().max(f64::from(f32::MIN_POSITIVE));
                let number = |value: f64| if says_something { narrow((value - mean) / spread) } else { 0.0 };
                scored.iter().zip(values).map(|(scored, value)| (scored.id, number(value))).collect()
            }
            Self::Ranks => {
                let number = |place: usize| 1.0 / (RANK_OFFSET + 1.0 + place as f32);
                scored.iter().enumerate().map(|(place, scored)| (scored.id, number(place))).collect()
            }
        }
    }
}

/// A standardised number of `n` is at most `sqrt(n)` in size.
#[allow(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn narrow(value: f64) -> f32 {
    value as f32
}

const RANK_OFFSET: f32 = 60.0;

/// Relative to the mean: a few roundings of `f32`.
const SMALLEST_SPREAD: f64 = 1e-6;
