//! One body, and for every user the head that is theirs.

use hydra_heads::{Features, HeadName, Heads, Scratch};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, Fingerprint, RecordId, RecordTemplate};

use crate::explain::{self, Explanation};
use crate::pairs::{Pairs, checked, rankings};
use crate::{Ranking, RerankError, RerankRequest, Reranker};

/// Orders records by how likely they help *this* user: the body reads query and record as a pair, the user's head reads
/// what the body made of it.
///
/// The pairs of all requests share the body's batches, and all rows of all users are scored in one call of the heads. With
/// a body whose rows interact (int8 per tensor) every user gets batches of their own instead.
///
/// # Scores
/// The log-odds that the record helps: any finite number, higher is better, 0 is even odds;
/// [`hydra_heads::probability`] turns it into the paper's number between 0 and 1. Scores of one user are comparable among
/// queries as far as the head is calibrated; those of different users are not comparable.
///
/// # Source
/// Zhuang et al. 2024, arXiv:2406.02888, section 3.2: `s_R(q, h; u) = softmax(τ_u(σ(q, h)))[1]`. **Differs:** its
/// log-odds, which order alike and do not tie where the probability rounds to 0 or 1.
#[derive(Debug)]
pub struct PersonalReranker<B, H> {
    body: B,
    heads: H,
    template: RecordTemplate,
    features: Fingerprint,
    scratch: Scratch,
}

impl<B: Body, H: Heads> PersonalReranker<B, H> {
    /// A reranker of this body and these heads, on the pairs that `template` makes.
    ///
    /// # Errors
    /// [`RerankError::Fingerprint`] if the heads are bound to another body or to pairs of another template.
    pub fn new(body: B, heads: H, template: RecordTemplate) -> Result<Self, RerankError> {
        let (expected, got) = (heads.shared().body(), template.features_of(body.fingerprint()));
        if expected != got {
            return Err(RerankError::Fingerprint { expected, got });
        }
        Ok(Self { body, heads, template, features: got, scratch: Scratch::new() })
    }

    /// Which pairs it makes.
    #[must_use]
    pub fn template(&self) -> &RecordTemplate {
        &self.template
    }

    /// What its heads are fitted on: the features that its body makes of pairs of its template.
    ///
    /// # Shapes
    /// - returns: `[pairs, hidden]`
    ///
    /// # Errors
    /// [`RerankError::Body`], [`RerankError::Shape`].
    pub fn features(&mut self, pairs: &[(String, String)]) -> Result<Array2<f32>, RerankError> {
        Ok(checked(self.body.pair_features(pairs), pairs.len(), self.body.hidden())?.features)
    }

    /// The heads, to add, replace or remove one.
    pub fn heads_mut(&mut self) -> &mut H {
        &mut self.heads
    }

    /// Which features moved the score of one record of a request.
    ///
    /// The record is encoded by itself: the score equals the ranking's up to the rounding of sums, and with a body whose rows
    /// interact up to what the other records of the user did to it.
    ///
    /// # Errors
    /// [`RerankError`], above all [`RerankError::NoSuchRecord`].
    pub fn explain(&mut self, request: &RerankRequest<'_>, record: RecordId) -> Result<Explanation, RerankError> {
        let retrieved = request.records.iter().find(|retrieved| retrieved.record.id() == record);
        let retrieved = retrieved.ok_or(RerankError::NoSuchRecord { record })?;
        let pair = [self.template.pair(request.query, retrieved.record)];
        let made = checked(self.body.pair_features(&pair), 1, self.body.hidden())?;
        explain::explain(self.features, &mut self.heads, request.head.name(request.scope), &made.features.row(0))
    }
}

impl<B: Body, H: Heads> Reranker for PersonalReranker<B, H> {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let pairs = Pairs::of(requests, &self.template)?;
        let made = pairs.features(&mut self.body)?;
        let names: Vec<HeadName> = requests
            .iter()
            .flat_map(|request| std::iter::repeat_n(request.head.name(request.scope), request.records.len()))
            .collect();
        let mut scores = vec![0.0; names.len()];
        let features = Features::new(self.features, &made.features)?;
        self.heads.log_odds_into(&names, &features, &mut self.scratch, &mut scores)?;
        tracing::debug!(requests = requests.len(), pairs = names.len(), tokens = made.tokens, "reranked");
        rankings(requests, &scores, &made.cut)
    }
}
