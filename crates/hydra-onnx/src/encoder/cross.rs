//! Pairs to logits.

use hydra_types::Fingerprint;
use hydra_types::ndarray::Array2;

use super::engine::Engine;
use super::tokens::Row;
use super::{EncoderError, EncoderOptions, TokenUse, Work, pooling};
use crate::bundle::{Bundle, FEATURES, Kind};
use crate::device::Device;
use crate::session::Outputs;

/// Turns pairs of texts into the logits of a classifier: the graph of a cross-encoder, batched as an
/// [`Encoder`](super::Encoder) does it.
///
/// Logits have no fixed range, and may be compared only among pairs of one bundle and one class. What the classes mean
/// is the business of whoever trained the model.
#[derive(Debug)]
pub struct CrossEncoder {
    engine: Engine,
    /// Width of the features that the graph gives besides, if it does.
    features: Option<usize>,
}

/// Logits of some pairs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Logits {
    /// `[n, classes]`: one row a pair, in the caller's order; finite.
    pub logits: Array2<f32>,
    /// What became of the tokens of each.
    pub tokens: Vec<TokenUse>,
    /// What it cost.
    pub work: Work,
}

impl CrossEncoder {
    /// Makes the cross-encoder of a bundle ready to run.
    ///
    /// # Errors
    /// As [`Encoder::open`](super::Encoder::open).
    pub fn open(bundle: &Bundle, options: &EncoderOptions) -> Result<Self, EncoderError> {
        let engine = Engine::open(bundle, classes(bundle)?, options)?;
        Ok(Self { engine, features: bundle.manifest().features_width() })
    }

    /// Makes as many cross-encoders of one bundle, for as many threads.
    ///
    /// # Errors
    /// As [`Encoder::open`](super::Encoder::open).
    pub fn open_many(bundle: &Bundle, options: &EncoderOptions, count: usize) -> Result<Vec<Self>, EncoderError> {
        let engines = Engine::open_many(bundle, classes(bundle)?, options, count)?;
        let features = bundle.manifest().features_width();
        Ok(engines.into_iter().map(|engine| Self { engine, features }).collect())
    }

    /// Logits of pairs. The second text is cut first: see [`EncoderOptions::first_budget`].
    ///
    /// # Shapes
    /// - returns: `logits`: `[pairs, classes]`
    ///
    /// # Errors
    /// [`EncoderError::TextTooLong`], [`EncoderError::NoTokens`], [`EncoderError::NotFinite`],
    /// [`EncoderError::Session`]. Nothing is returned of a call that fails for one pair.
    pub fn logits(
        &mut self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<Logits, EncoderError> {
        let rows = self.engine.tokenize_pairs(pairs)?;
        self.run(&rows, |_, _| Ok(()))
    }

    /// Logits of pairs, and the features that the classifier read, from the same runs of the graph: what everybody gets, and
    /// what a user's head stands on.
    ///
    /// # Shapes
    /// - returns: `logits`: `[pairs, classes]`, and `[pairs, hidden]`, finite
    ///
    /// # Errors
    /// [`EncoderError::NoFeatures`] if the graph gives none, and as [`logits`](Self::logits).
    pub fn logits_and_features(
        &mut self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<(Logits, Array2<f32>), EncoderError> {
        let width = self.features.ok_or(EncoderError::NoFeatures)?;
        let rows = self.engine.tokenize_pairs(pairs)?;
        let mut features = Array2::zeros((rows.len(), width));
        let logits = self.run(&rows, |batch, outputs| pooling::place(&outputs.f32(FEATURES)?, batch, &mut features))?;
        Ok((logits, features))
    }

    /// What would become of the tokens of pairs; the graph does not run.
    ///
    /// # Errors
    /// [`EncoderError::TextTooLong`], [`EncoderError::Tokenize`].
    pub fn count_pair_tokens(
        &self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<Vec<TokenUse>, EncoderError> {
        Ok(self.engine.tokenize_pairs(pairs)?.iter().map(Row::usage).collect())
    }

    /// Numbers of one row of logits.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.engine.width()
    }

    /// Most tokens of a pair, those that the tokenizer adds included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.engine.max_tokens()
    }

    /// Which body this is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.engine.fingerprint()
    }

    /// Whether the numbers of a row depend, beyond rounding, on the rows that are encoded with it: a per-tensor int8
    /// bundle with [`Rows::Together`](crate::Rows::Together).
    #[must_use]
    pub fn rows_interact(&self) -> bool {
        self.engine.rows_interact()
    }

    /// Where it runs: never [`Device::CudaOrCpu`], but what became of it.
    #[must_use]
    pub fn device(&self) -> Device {
        self.engine.device()
    }

    /// Logits of all rows; `besides` reads what else of each batch is wanted.
    fn run(
        &mut self,
        rows: &[Row],
        mut besides: impl FnMut(&[usize], &Outputs<'_>) -> Result<(), EncoderError>,
    ) -> Result<Logits, EncoderError> {
        let mut logits = Array2::zeros((rows.len(), self.classes()));
        let work = self.engine.run(rows, |batch, outputs| {
            pooling::place(&outputs.f32(Kind::CrossEncoder.output())?, batch, &mut logits)?;
            besides(batch, outputs)
        })?;
        Ok(Logits { logits, tokens: rows.iter().map(Row::usage).collect(), work })
    }
}

/// Numbers of one row of logits.
fn classes(bundle: &Bundle) -> Result<usize, EncoderError> {
    match bundle.manifest().kind() {
        Kind::CrossEncoder => Ok(bundle.manifest().output_width()),
        found => Err(EncoderError::Kind { expected: Kind::CrossEncoder, found }),
    }
}
