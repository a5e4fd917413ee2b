//! One ranking out of several.

use std::collections::BTreeMap;

use hydra_types::{RecordId, Score, Scored};

use crate::filter::Filter;
use crate::query::{Query, SearchError};
use crate::retriever::Retriever;
use crate::scratch::Scratch;

/// How rankings become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fusion {
    /// Each ranking gives a record `weight / (60 + rank)`, with ranks from 1. Needs no comparable scores, and is hard to
    /// spoil: the sane choice without data to tune on.
    ///
    /// # Source
    /// Cormack, Clarke and Büttcher, *Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods*,
    /// SIGIR 2009, with its constant. **Differs:** weights.
    #[default]
    ReciprocalRank,
    /// Each ranking gives a record `weight · (score - lowest) / (highest - lowest)` of that ranking; where all its scores
    /// are equal, `weight`.
    ///
    /// # Source
    /// Lee, *Analyses of Multiple Evidence Combination*, SIGIR 1997, equation 1 and CombSUM. **Differs:** weights.
    Weighted,
}

/// Several retrievers as one.
///
/// Each is asked for the same number of records, [`depth`](Self::depth) or `k` if that is more; a record that a retriever
/// did not return gets nothing from it. Scores are sums of what the retrievers give, from 0 to the sum of weights.
pub struct Fused<'a> {
    parts: Vec<(&'a dyn Retriever, f64)>,
    fusion: Fusion,
    depth: usize,
}

/// A weight that cannot be used.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error(
    "a weight is a finite number above zero and at most 1e6, got {got}: leave a retriever out instead of weighing it zero"
)]
pub struct WeightError {
    /// What was given.
    pub got: f64,
}

impl<'a> Fused<'a> {
    /// Of `first`, with weight 1, and what is added.
    #[must_use]
    pub fn new(fusion: Fusion, first: &'a dyn Retriever) -> Self {
        Self { parts: vec![(first, 1.0)], fusion, depth: 100 }
    }

    /// And `retriever`, whose ranking counts `weight` times as much as one of weight 1.
    ///
    /// # Errors
    /// [`WeightError`].
    pub fn and(mut self, retriever: &'a dyn Retriever, weight: f64) -> Result<Self, WeightError> {
        if !(weight > 0.0 && weight <= 1e6) {
            return Err(WeightError { got: weight });
        }
        self.parts.push((retriever, weight));
        Ok(self)
    }

    /// How many records each retriever is asked for at least; 100 if nothing is said.
    #[must_use]
    pub fn depth(self, records: usize) -> Self {
        Self { depth: records, ..self }
    }
}

impl Retriever for Fused<'_> {
    fn search(
        &self,
        query: &Query<'_>,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError> {
        let mut sums: BTreeMap<RecordId, f64> = BTreeMap::new();
        for (retriever, weight) in &self.parts {
            let ranking = retriever.search(query, self.depth.max(k), filter, scratch)?;
            for (id, share) in shares(self.fusion, &ranking) {
                *sums.entry(id).or_default() += weight * share;
            }
        }
        let mut fused: Vec<_> = sums.into_iter().map(|(id, sum)| Scored::new(id, narrow(sum))).collect();
        fused.sort_unstable();
        fused.truncate(k);
        Ok(fused)
    }
}

impl std::fmt::Debug for Fused<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fused")
            .field("parts", &self.parts.len())
            .field("fusion", &self.fusion)
            .field("depth", &self.depth)
            .finish()
    }
}

fn shares(fusion: Fusion, ranking: &[Scored<RecordId>]) -> impl Iterator<Item = (RecordId, f64)> {
    let score = |scored: Option<&Scored<RecordId>>| scored.map_or(0.0, |scored| f64::from(scored.score.get()));
    let (highest, lowest) = (score(ranking.first()), score(ranking.last()));
    (1u32..).zip(ranking).map(move |(rank, scored)| {
        let share = match fusion {
            Fusion::ReciprocalRank => 1.0 / (RANK_CONSTANT + f64::from(rank)),
            Fusion::Weighted if highest > lowest => (score(Some(scored)) - lowest) / (highest - lowest),
            Fusion::Weighted => 1.0,
        };
        (scored.id, share)
    })
}

#[expect(clippy::cast_possible_truncation, reason = "to the nearest float is what is meant")]
fn narrow(sum: f64) -> Score {
    Score::new(sum as f32).expect("bounded weights times shares of at most one")
}

/// From the paper.
const RANK_CONSTANT: f64 = 60.0;
