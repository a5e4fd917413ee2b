//! One body, and for every user the head that is theirs.

use hydra_heads::{Features, HeadName, Heads, Scratch, probability};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, CandidateTemplate, Fingerprint, Score, UserId};

use crate::request::distinct;
use crate::{AdaptError, AdaptRequest, Adapted, Adapter, Standing};

/// Picks the candidate that *this* user would have chosen: the body reads query and candidate as a pair, with or without
/// the user's records beside the query, and the user's head reads what the body made of it.
///
/// The pairs of all requests share the body's batches, and all rows of all users are scored in one call of the heads. With
/// a body whose rows interact (int8 per tensor) every user gets batches of their own instead.
///
/// # Scores
/// The log-odds that the candidate is right for the user: any finite number, higher is better, 0 is even odds. How often a
/// candidate was proposed does not count: it is in [`Standing::count`]. The [confidence](Adapted::confidence) is the best
/// one's probability by its head, as the paper has it. Scores of one user are comparable among queries as far as the head is
/// calibrated; those of different users only after a [`Judge`](crate::Judge)'s calibration.
///
/// # Source
/// Zhuang et al. 2024, arXiv:2406.02888, section 3.3: the candidate with the highest `s_A(q, o; u)`. **Differs:**
/// log-odds, which order alike and do not tie where the probability rounds to 0 or 1.
#[derive(Debug)]
pub struct PersonalAdapter<B, H> {
    body: B,
    heads: H,
    template: CandidateTemplate,
    features: Fingerprint,
    scratch: Scratch,
}

impl<B: Body, H: Heads> PersonalAdapter<B, H> {
    /// An adapter of this body and these heads, on the pairs that `template` makes.
    ///
    /// # Errors
    /// [`AdaptError::Fingerprint`] if the heads are bound to another body or to pairs of another template.
    pub fn new(body: B, heads: H, template: CandidateTemplate) -> Result<Self, AdaptError> {
        let (expected, got) = (heads.shared().body(), template.features_of(body.fingerprint()));
        if expected != got {
            return Err(AdaptError::Fingerprint { expected, got });
        }
        Ok(Self { body, heads, template, features: got, scratch: Scratch::new() })
    }

    /// Which pairs it makes.
    #[must_use]
    pub fn template(&self) -> &CandidateTemplate {
        &self.template
    }

    /// What its heads are fitted on: the features that its body makes of pairs of its template.
    ///
    /// # Shapes
    /// - returns: `[pairs, hidden]`
    ///
    /// # Errors
    /// [`AdaptError::Body`], [`AdaptError::Shape`].
    pub fn features(&mut self, pairs: &[(String, String)]) -> Result<Array2<f32>, AdaptError> {
        let made = self.body.pair_features(pairs).map_err(|error| AdaptError::Body(Box::new(error)))?;
        made.check(pairs.len(), self.body.hidden())?;
        Ok(made.features)
    }

    /// The heads, to add, replace or remove one.
    pub fn heads_mut(&mut self) -> &mut H {
        &mut self.heads
    }
}

impl<B: Body, H: Heads> Adapter for PersonalAdapter<B, H> {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        let distinct = distinct(requests)?;
        let (mut owners, mut names, mut pairs): (Vec<UserId>, Vec<HeadName>, Vec<_>) = Default::default();
        for (request, distinct) in requests.iter().zip(&distinct) {
            for seen in distinct {
                owners.push(request.scope.user());
                names.push(request.head.name(request.scope));
                pairs.push(self.template.pair(request.query, request.history, &request.candidates[seen.candidate]));
            }
        }
        let made = self.body.pair_features_of(&owners, &pairs).map_err(|error| AdaptError::Body(Box::new(error)))?;
        made.check(pairs.len(), self.body.hidden())?;
        let mut scores = vec![0.0; names.len()];
        let features = Features::new(self.features, &made.features)?;
        self.heads.log_odds_into(&names, &features, &mut self.scratch, &mut scores)?;
        tracing::debug!(requests = requests.len(), pairs = names.len(), tokens = made.tokens, "adapted");

        let mut rows = scores.into_iter().zip(made.cut);
        let mut all = Vec::with_capacity(requests.len());
        for (number, distinct) in distinct.into_iter().enumerate() {
            let standings: Result<Vec<Standing>, AdaptError> = distinct
                .into_iter()
                .zip(rows.by_ref())
                .map(|(seen, (score, cut))| {
                    let score = Score::new(score).map_err(|_| AdaptError::NotFinite { request: number })?;
                    Ok(Standing { candidate: seen.candidate, count: seen.count, score, cut })
                })
                .collect();
            all.push(Adapted::new(standings?, |best| probability(best.score.get())));
        }
        Ok(all)
    }
}
