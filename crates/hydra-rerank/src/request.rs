//! What is asked of a reranker, and what it answers.

use std::collections::BTreeSet;
use std::fmt;

use hydra_heads::HeadChoice;
use hydra_types::{Record, RecordId, Scope, Score, Scored};

use crate::RerankError;

/// One query of one user, and the records that retrieval found for it.
///
/// `Debug` shows lengths and never the query.
#[derive(Clone, Copy)]
pub struct RerankRequest<'a> {
    /// In whose name it is asked: the records are that user's, and so is the head that orders them.
    pub scope: &'a Scope,
    /// Whether that user has a head of their own. Nothing is guessed: who has none is served by saying
    /// [`HeadChoice::Prior`].
    pub head: HeadChoice,
    /// What the user asks.
    pub query: &'a str,
    /// What retrieval found, each record once, in any order.
    pub records: &'a [Retrieved<'a>],
    /// How many records are wanted; fewer come back only if there are fewer.
    pub keep: usize,
}

impl fmt::Debug for RerankRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RerankRequest")
            .field("scope", self.scope)
            .field("head", &self.head)
            .field("query_bytes", &self.query.len())
            .field("records", &self.records)
            .field("keep", &self.keep)
            .finish()
    }
}

/// A record that retrieval found, with the score that retrieval gave it.
#[derive(Clone, Copy, Debug)]
pub struct Retrieved<'a> {
    /// The record.
    pub record: &'a Record,
    /// How well it matches by the first stage's measure; higher is better.
    pub score: Score,
}

/// The records of one request, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// At most as many as were to be kept. Equal scores are ordered by record id. What a score means, and what it may be
    /// compared with, is said by the reranker that made it.
    pub ranked: Vec<Scored<RecordId>>,
    /// Which records, kept or not, were not read to their end because the pair of query and record was too long.
    pub cut: Vec<CutRecord>,
}

/// A record that was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutRecord {
    /// Which record.
    pub record: RecordId,
    /// How many tokens of it and of the query beside it were left out.
    pub tokens: usize,
}

impl Ranking {
    /// The ranking of a request whose records have these scores and lost so many tokens, both in the order of its records.
    pub(crate) fn new(request: &RerankRequest<'_>, scores: &[Score], cut: &[usize]) -> Self {
        let ids = || request.records.iter().map(|retrieved| retrieved.record.id());
        let mut ranked: Vec<_> = ids().zip(scores).map(|(id, &score)| Scored::new(id, score)).collect();
        ranked.sort_unstable();
        ranked.truncate(request.keep);
        let cut = ids().zip(cut).filter(|&(_, &tokens)| tokens > 0);
        Self { ranked, cut: cut.map(|(record, &tokens)| CutRecord { record, tokens }).collect() }
    }
}

/// Whether a reranker did what it must: one ranking a request, of that request's records, each at most once, and of as many
/// as are to be kept or as there are. For those who call a reranker that somebody else wrote.
///
/// # Errors
/// [`RerankError::Rankings`] and [`RerankError::Ranking`].
pub fn check_rankings(requests: &[RerankRequest<'_>], rankings: &[Ranking]) -> Result<(), RerankError> {
    if requests.len() != rankings.len() {
        return Err(RerankError::Rankings { expected: requests.len(), got: rankings.len() });
    }
    for (number, (request, ranking)) in requests.iter().zip(rankings).enumerate() {
        let mut left: BTreeSet<_> = request.records.iter().map(|retrieved| retrieved.record.id()).collect();
        let are_its_own = ranking.ranked.iter().all(|scored| left.remove(&scored.id));
        if !are_its_own || ranking.ranked.len() < request.keep.min(request.records.len()) {
            return Err(RerankError::Ranking { request: number });
        }
    }
    Ok(())
}

/// Whether every request names each of its records once: a record that came twice would take the place of another.
pub(crate) fn check(requests: &[RerankRequest<'_>]) -> Result<(), RerankError> {
    for (number, request) in requests.iter().enumerate() {
        let mut seen = BTreeSet::new();
        let twice = request.records.iter().map(|retrieved| retrieved.record.id()).find(|&id| !seen.insert(id));
        if let Some(record) = twice {
            return Err(RerankError::RecordTwice { request: number, record });
        }
    }
    Ok(())
}
