//! What the first stage found for some claims, and how good an order of it is.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use hydra_eval::Judgements;
use hydra_heads::HeadChoice;
use hydra_rerank::{
    FirstStage as Unchanged, FusedReranker, Fusion, Ranking, RerankError, RerankRequest, Reranker, Retrieved,
};
use hydra_types::{RecordId, Scope, Score, Scored, UserId};

use super::data::Claim;
use super::first_stage::FirstStage;

/// Claims, each with its best abstracts by BM25.
pub(super) struct Found<'a> {
    claims: &'a [Claim],
    /// A claim is one user: intervals are over claims.
    scopes: Vec<Scope>,
    records: Vec<Vec<Retrieved<'a>>>,
}

/// How much the second stage counts when two are fused, in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight(u8);

impl Weight {
    /// From 0 to 1.
    fn all() -> impl Iterator<Item = Self> {
        (0..=10).map(Self)
    }

    fn share(self) -> f32 {
        f32::from(self.0) / 10.0
    }

    /// Of the first stage.
    pub(super) fn rest(self) -> Self {
        Self(10 - self.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.share())
    }
}

impl<'a> Found<'a> {
    pub(super) fn new(claims: &'a [Claim], first_stage: &'a FirstStage) -> Result<Self> {
        let scopes = claims.iter().map(scope).collect();
        let records = claims.iter().map(|claim| {
            let best = first_stage.best(&claim.text, DEPTH)?;
            Ok(best
                .into_iter()
                .map(|Scored { id, score }| Retrieved { record: first_stage.record(id), score })
                .collect())
        });
        Ok(Self { claims, scopes, records: records.collect::<Result<_>>()? })
    }

    pub(super) fn len(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        self.claims.iter().map(|claim| claim.text.as_str()).collect()
    }

    /// All are to be ordered.
    pub(super) fn requests(&self) -> Vec<RerankRequest<'_>> {
        self.requests_by(self.claims.iter())
    }

    /// All are to be ordered, by the text of the claim that comes next.
    pub(super) fn requests_by_the_next(&self) -> Vec<RerankRequest<'_>> {
        self.requests_by(self.claims.iter().cycle().skip(1))
    }

    fn requests_by(&'a self, asking: impl Iterator<Item = &'a Claim>) -> Vec<RerankRequest<'a>> {
        let found = self.scopes.iter().zip(&self.records).zip(asking);
        let request = |((scope, records), claim): ((&'a Scope, &'a Vec<Retrieved<'a>>), &'a Claim)| RerankRequest {
            scope,
            head: HeadChoice::Prior,
            query: &claim.text,
            records,
            keep: records.len(),
        };
        found.map(request).collect()
    }

    /// The first stage's own order.
    pub(super) fn first_stage(&self) -> Vec<Ranking> {
        Unchanged.rerank(&self.requests()).expect("what was found has every record once")
    }

    /// No reranker can do better.
    pub(super) fn ideal(&self) -> Vec<Ranking> {
        let score = |relevant| Score::new(f32::from(u8::from(relevant))).expect("0 and 1 are finite");
        let rankings = self.claims.iter().zip(&self.records).map(|(claim, records)| {
            let ids = records.iter().map(|found| found.record.id());
            let mut ranked: Vec<_> = ids.map(|id| Scored::new(id, score(claim.cited.contains(&id)))).collect();
            ranked.sort_unstable();
            Ranking { ranked, cut: Vec::new() }
        });
        rankings.collect()
    }

    /// The second stage with this weight and the first with what is left of 1.
    pub(super) fn fused(&self, second: &[Ranking], weight: Weight) -> Result<Vec<Ranking>, RerankError> {
        FusedReranker::new(Said(second), Fusion::Standardised, weight.share())?.rerank(&self.requests())
    }

    /// The weight at which fusing gives the best mean, of equals the smallest; and the means of all weights.
    pub(super) fn best_weight(&self, second: &[Ranking]) -> Result<(Weight, Vec<f64>), RerankError> {
        let mean = |weight| {
            let ndcg = self.ndcg(&self.fused(second, weight)?);
            Ok(ndcg.iter().sum::<f64>() / ndcg.len() as f64)
        };
        let means = Weight::all().map(mean).collect::<Result<Vec<f64>, RerankError>>()?;
        let best = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = Weight::all().zip(&means).find(|(_, mean)| **mean >= best).expect("there are eleven weights").0;
        Ok((weight, means))
    }

    /// As if the first stage had given these scores.
    pub(super) fn scored_by(&self, rankings: &[Ranking]) -> Found<'a> {
        let scores = |ranking: &Ranking| -> BTreeMap<RecordId, Score> {
            ranking.ranked.iter().map(|scored| (scored.id, scored.score)).collect()
        };
        let records = self.records.iter().zip(rankings.iter().map(scores)).map(|(records, scores)| {
            let score = |found: &Retrieved<'a>| Retrieved { score: scores[&found.record.id()], ..*found };
            records.iter().map(score).collect()
        });
        let scopes = self.claims.iter().map(scope).collect();
        Found { claims: self.claims, scopes, records: records.collect() }
    }

    /// nDCG@10 for each claim; the ideal has all that the claim cites, found or not.
    pub(super) fn ndcg(&self, rankings: &[Ranking]) -> Vec<f64> {
        let value = |(claim, ranking): (&Claim, &Ranking)| {
            let judgements = Judgements::new(claim.cited.iter().map(|id| (id.get().to_string(), 1)));
            // By rank, so that equal scores stay in the ranking's own order.
            let ranked = (0_u8..).zip(&ranking.ranked).map(|(rank, at)| (at.id.get().to_string(), -f32::from(rank)));
            hydra_eval::Ranking::new(&judgements, ranked).ndcg(10)
        };
        self.claims.iter().zip(rankings).map(value).collect()
    }
}

/// A second stage that has spoken: it is asked again for free, with the same requests.
struct Said<'a>(&'a [Ranking]);

impl Reranker for Said<'_> {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        assert_eq!(requests.len(), self.0.len(), "the requests that were answered");
        Ok(self.0.to_vec())
    }
}

fn scope(claim: &Claim) -> Scope {
    Scope::acting_for(UserId::new(claim.id.into()))
}

/// How many abstracts of the first stage are reranked.
pub(super) const DEPTH: usize = 100;
