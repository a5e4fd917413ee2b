//! Texts and pairs of texts to features, or to logits.

mod batches;
mod cross;
mod engine;
mod error;
mod options;
mod pooling;
mod tokens;

use std::time::Duration;

pub use cross::{CrossEncoder, Logits};
use engine::Engine;
pub use error::EncoderError;
use hydra_types::ndarray::{Array2, Ix2, Ix3, s};
use hydra_types::{Body, Fingerprint, PairFeatures};
pub use options::{EncoderOptions, Rows};
use tokens::Row;
pub use tokens::TokenUse;

use crate::bundle::{Bundle, FEATURES, Kind, Pooling};
use crate::device::Device;
use crate::session::Outputs;

/// Turns texts and pairs of texts into features.
///
/// Rows are sorted by length, cut into batches of bounded size, and handed back in the caller's order. The same texts
/// in the same call give the same bytes; in another call a text may sit in another batch, and then its features differ
/// by rounding (fp32: below 1e-5 in our tests), or by more with a per-tensor int8 bundle: see [`Rows`].
///
/// No text becomes a special token, whatever it says: one that says `[SEP]` is read as brackets and letters.
///
/// # Examples
/// ```no_run
/// use hydra_onnx::{Bundle, Encoder, EncoderOptions};
///
/// let bundle = Bundle::open("target/hydra/all-minilm-l6-v2".as_ref())?;
/// let mut encoder = Encoder::open(&bundle, &EncoderOptions::default())?;
/// let encoded = encoder.encode(&["a man is eating food", "somebody has a meal"])?;
/// assert_eq!(encoded.features.dim(), (2, encoder.hidden()));
/// assert_eq!(encoded.tokens[0].cut(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Encoder {
    engine: Engine,
    source: Source,
}

/// Where features come from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// They are made of the vectors of tokens.
    Tokens { pooling: Pooling, normalize: bool },
    /// The graph gives them: what a cross-encoder's classifier reads.
    Graph,
}

/// Features of some rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Encoded {
    /// `[n, hidden]`: one row a text or pair, in the caller's order; finite.
    pub features: Array2<f32>,
    /// What became of the tokens of each.
    pub tokens: Vec<TokenUse>,
    /// What it cost.
    pub work: Work,
}

/// Vectors of all tokens of some rows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenFeatures {
    /// For each text or pair, in the caller's order, `[seq, hidden]`: one row a token, those that the tokenizer adds
    /// included, without padding; finite.
    pub features: Vec<Array2<f32>>,
    /// What became of the tokens of each.
    pub tokens: Vec<TokenUse>,
    /// What it cost.
    pub work: Work,
}

/// What a call cost.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Work {
    /// How often the graph ran.
    pub batches: usize,
    /// Tokens that it read.
    pub tokens: usize,
    /// Places that it read besides, to fill rows up to the longest of their batch.
    pub padding: usize,
    /// Time inside ONNX Runtime.
    pub running: Duration,
}

impl Encoder {
    /// Makes the encoder of a bundle ready to run: of an encoder, or of a cross-encoder whose graph gives the features that
    /// its classifier reads. These are handed out as they are.
    ///
    /// # Errors
    /// [`EncoderError::Kind`] or [`EncoderError::NoFeatures`] if the bundle holds something else,
    /// [`EncoderError::Session`] if ONNX Runtime or the device cannot be had, [`EncoderError::Tokenizer`] or
    /// [`EncoderError::Options`].
    pub fn open(bundle: &Bundle, options: &EncoderOptions) -> Result<Self, EncoderError> {
        let (source, width) = Source::of(bundle)?;
        Ok(Self { engine: Engine::open(bundle, width, options)?, source })
    }

    /// Makes as many encoders of one bundle, for as many threads; they share what can be shared:
    /// see [`Session::open_many`](crate::Session::open_many).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_many(bundle: &Bundle, options: &EncoderOptions, count: usize) -> Result<Vec<Self>, EncoderError> {
        let (source, width) = Source::of(bundle)?;
        let engines = Engine::open_many(bundle, width, options, count)?;
        Ok(engines.into_iter().map(|engine| Self { engine, source }).collect())
    }

    /// Features of texts. No text gives no row; an empty text gives the features of the tokens that the tokenizer adds.
    ///
    /// # Shapes
    /// - returns: `features`: `[texts, hidden]`
    ///
    /// # Errors
    /// [`EncoderError::NotPooled`] if the bundle does not pool, [`EncoderError::TextTooLong`],
    /// [`EncoderError::NoTokens`], [`EncoderError::NotFinite`], [`EncoderError::Session`]. Nothing is returned of a
    /// call that fails for one text.
    pub fn encode(&mut self, texts: &[impl AsRef<str> + Sync]) -> Result<Encoded, EncoderError> {
        let rows = self.engine.tokenize(texts)?;
        self.pool(&rows)
    }

    /// Features of pairs, in the tokenizer's own pair encoding. The second text is cut first: see
    /// [`EncoderOptions::first_budget`].
    ///
    /// # Shapes
    /// - returns: `features`: `[pairs, hidden]`
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_pairs(
        &mut self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<Encoded, EncoderError> {
        let rows = self.engine.tokenize_pairs(pairs)?;
        self.pool(&rows)
    }

    /// Vectors of all tokens of texts, as the graph gives them: neither pooled nor normalised.
    ///
    /// # Shapes
    /// - returns: `features`: one `[seq, hidden]` a text
    ///
    /// # Errors
    /// As [`encode`](Self::encode), with [`EncoderError::OnlyPooled`] in the place of [`EncoderError::NotPooled`].
    pub fn encode_tokens(&mut self, texts: &[impl AsRef<str> + Sync]) -> Result<TokenFeatures, EncoderError> {
        let rows = self.engine.tokenize(texts)?;
        self.unpooled(&rows)
    }

    /// Vectors of all tokens of pairs, as the graph gives them: neither pooled nor normalised.
    ///
    /// # Shapes
    /// - returns: `features`: one `[seq, hidden]` a pair
    ///
    /// # Errors
    /// As [`encode_tokens`](Self::encode_tokens).
    pub fn encode_pair_tokens(
        &mut self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<TokenFeatures, EncoderError> {
        let rows = self.engine.tokenize_pairs(pairs)?;
        self.unpooled(&rows)
    }

    /// What would become of the tokens of texts; the graph does not run.
    ///
    /// # Errors
    /// [`EncoderError::TextTooLong`], [`EncoderError::Tokenize`].
    pub fn count_tokens(&self, texts: &[impl AsRef<str> + Sync]) -> Result<Vec<TokenUse>, EncoderError> {
        Ok(self.engine.tokenize(texts)?.iter().map(Row::usage).collect())
    }

    /// What would become of the tokens of pairs; the graph does not run.
    ///
    /// # Errors
    /// As [`count_tokens`](Self::count_tokens).
    pub fn count_pair_tokens(
        &self,
        pairs: &[(impl AsRef<str> + Sync, impl AsRef<str> + Sync)],
    ) -> Result<Vec<TokenUse>, EncoderError> {
        Ok(self.engine.tokenize_pairs(pairs)?.iter().map(Row::usage).collect())
    }

    /// Numbers of one features vector.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.engine.width()
    }

    /// Most tokens of a row, those that the tokenizer adds included.
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
    /// bundle with [`Rows::Together`].
    #[must_use]
    pub fn rows_interact(&self) -> bool {
        self.engine.rows_interact()
    }

    /// Where it runs: never [`Device::CudaOrCpu`], but what became of it.
    #[must_use]
    pub fn device(&self) -> Device {
        self.engine.device()
    }

    fn pool(&mut self, rows: &[Row]) -> Result<Encoded, EncoderError> {
        let source = self.source;
        if let Source::Tokens { pooling: Pooling::None, .. } = source {
            return Err(EncoderError::NotPooled);
        }
        let mut features = Array2::zeros((rows.len(), self.hidden()));
        let work = self.engine.run(rows, |batch, outputs| match source {
            Source::Tokens { pooling, normalize } => pool(rows, batch, outputs, (pooling, normalize), &mut features),
            Source::Graph => pooling::place(&outputs.f32::<Ix2>(FEATURES)?, batch, &mut features),
        })?;
        Ok(Encoded { features, tokens: rows.iter().map(Row::usage).collect(), work })
    }

    fn unpooled(&mut self, rows: &[Row]) -> Result<TokenFeatures, EncoderError> {
        if let Source::Graph = self.source {
            return Err(EncoderError::OnlyPooled);
        }
        let mut features = vec![Array2::zeros((0, 0)); rows.len()];
        let work = self.engine.run(rows, |batch, outputs| {
            let states = outputs.f32::<Ix3>(Kind::Encoder.output())?;
            for (at, &row) in batch.iter().enumerate() {
                let tokens = states.slice(s![at, ..rows[row].len(), ..]);
                if !tokens.rows().into_iter().all(pooling::is_finite) {
                    return Err(EncoderError::NotFinite { row });
                }
                features[row] = tokens.to_owned();
            }
            Ok(())
        })?;
        Ok(TokenFeatures { features, tokens: rows.iter().map(Row::usage).collect(), work })
    }
}

impl Source {
    /// With the width of features.
    fn of(bundle: &Bundle) -> Result<(Self, usize), EncoderError> {
        let manifest = bundle.manifest();
        match (manifest.kind(), manifest.features_width()) {
            (Kind::Encoder, Some(width)) => {
                Ok((Self::Tokens { pooling: manifest.pooling(), normalize: manifest.normalize() }, width))
            }
            (Kind::CrossEncoder, Some(width)) => Ok((Self::Graph, width)),
            (Kind::CrossEncoder, None) => Err(EncoderError::NoFeatures),
            (found, _) => Err(EncoderError::Kind { expected: Kind::Encoder, found }),
        }
    }
}

/// Features of a batch, made of the vectors of its tokens.
fn pool(
    rows: &[Row],
    batch: &[usize],
    outputs: &Outputs<'_>,
    (pooling, normalize): (Pooling, bool),
    features: &mut Array2<f32>,
) -> Result<(), EncoderError> {
    let states = outputs.f32::<Ix3>(Kind::Encoder.output())?;
    for (at, &row) in batch.iter().enumerate() {
        let tokens = states.slice(s![at, ..rows[row].len(), ..]);
        let mut pooled = features.row_mut(row);
        match pooling {
            Pooling::Mean => pooling::mean(&tokens, &mut pooled),
            Pooling::Cls | Pooling::None => pooled.assign(&tokens.row(0)),
        }
        let usable = if normalize { pooling::normalize(&mut pooled) } else { pooling::is_finite(&pooled) };
        if !usable {
            return Err(EncoderError::NotFinite { row });
        }
    }
    Ok(())
}

/// The encoder as a body: features of pairs, whatever the bundle pools them from.
impl Body for Encoder {
    type Error = EncoderError;

    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint()
    }

    fn hidden(&self) -> usize {
        self.hidden()
    }

    fn rows_interact(&self) -> bool {
        self.rows_interact()
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, EncoderError> {
        let Encoded { features, tokens, work } = self.encode_pairs(pairs)?;
        Ok(PairFeatures { features, cut: tokens.iter().map(TokenUse::cut).collect(), tokens: work.tokens })
    }
}
