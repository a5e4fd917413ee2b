//! One model for everybody: a classifier of pairs.

use hydra_onnx::{CrossEncoder, EncoderError, TokenUse};
use hydra_types::{Body, Fingerprint, PairFeatures, RecordTemplate};

use crate::pairs::{Pairs, rankings};
use crate::{Ranking, RerankError, RerankRequest, Reranker};

/// Orders records by a cross-encoder's opinion, which is the same for everybody: what a personal reranker is compared
/// with, and what to use before anything is known of anybody.
///
/// # Scores
/// A logit: any finite number, higher is more relevant. With one class it is that class's; with two it is the second one's
/// less the first one's, so that 0 is even odds. Comparable among all users and queries of one model, as far as the model
/// is calibrated; not with any other reranker's scores.
///
/// The head that a request chooses is not used: there is only one.
#[derive(Debug)]
pub struct CrossReranker<B = LogitBody> {
    body: B,
    template: RecordTemplate,
}

impl CrossReranker {
    /// A reranker of this classifier on the pairs that `template` makes.
    ///
    /// # Errors
    /// [`RerankError::Classes`] if it has more than two classes.
    pub fn new(encoder: CrossEncoder, template: RecordTemplate) -> Result<Self, RerankError> {
        Self::around(LogitBody(encoder), template)
    }
}

impl<B: Body> CrossReranker<B> {
    /// As [`new`](CrossReranker::new), for any body whose features are logits: a server's, say.
    ///
    /// # Errors
    /// [`RerankError::Classes`] if it has more than two.
    pub fn around(body: B, template: RecordTemplate) -> Result<Self, RerankError> {
        match body.hidden() {
            1 | 2 => Ok(Self { body, template }),
            classes => Err(RerankError::Classes { classes }),
        }
    }
}

impl<B: Body> Reranker for CrossReranker<B> {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let made = Pairs::of(requests, &self.template)?.features(&mut self.body)?;
        let logits = &made.features;
        let scores: Vec<f32> = match logits.ncols() {
            1 => logits.column(0).to_vec(),
            2 => logits.rows().into_iter().map(|row| row[1] - row[0]).collect(),
            // No pairs, and no columns either.
            _ if logits.nrows() == 0 => Vec::new(),
            classes => return Err(RerankError::Classes { classes }),
        };
        rankings(requests, &scores, &made.cut)
    }
}

/// A cross-encoder whose logits are taken for features.
#[derive(Debug)]
pub struct LogitBody(CrossEncoder);

impl Body for LogitBody {
    type Error = EncoderError;

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn hidden(&self) -> usize {
        self.0.classes()
    }

    fn rows_interact(&self) -> bool {
        self.0.rows_interact()
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, EncoderError> {
        let made = self.0.logits(pairs)?;
        let cut = made.tokens.iter().map(TokenUse::cut).collect();
        Ok(PairFeatures { features: made.logits, cut, tokens: made.work.tokens })
    }
}
