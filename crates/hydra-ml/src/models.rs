//! The models that the pipeline is given, behind one type each.

use hydra_onnx::{Encoder, EncoderError};
use hydra_types::ndarray::Array2;
use hydra_types::{Body, Fingerprint, PairFeatures};

use crate::BodyError;

/// Turns queries and records into vectors, by which retrieval finds what is alike.
///
/// `hydra_onnx::Encoder` is one. A trait, since vectors may come from a server, and since the pipeline must be testable
/// without a model.
pub trait TextEncoder {
    /// Why texts could not be encoded.
    type Error: std::error::Error + Send + Sync + 'static;

    /// How many numbers a vector has.
    fn dimensions(&self) -> usize;

    /// Whether the vector of a text depends, beyond the rounding of sums, on which other texts are in the same call. Where
    /// it does, or where nothing is said, queries of different users are encoded in calls of their own, so that nobody's
    /// query changes what is found for anybody else.
    fn rows_interact(&self) -> bool {
        true
    }

    /// Which encoder it is, so that a history is not searched with vectors of another one than its own. None, the default,
    /// if it cannot tell: then only the width of vectors is compared.
    ///
    /// For a model behind an address, a hash of its name and version will do.
    fn fingerprint(&self) -> Option<Fingerprint> {
        None
    }

    /// One vector a text, in the order of the texts.
    ///
    /// # Shapes
    /// - returns: `[texts, dimensions]`, finite
    ///
    /// # Errors
    /// Whatever keeps it from encoding one of them.
    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Self::Error>;
}

impl TextEncoder for Encoder {
    type Error = EncoderError;

    fn dimensions(&self) -> usize {
        self.hidden()
    }

    fn rows_interact(&self) -> bool {
        Encoder::rows_interact(self)
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        Some(Encoder::fingerprint(self))
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, EncoderError> {
        Ok(Encoder::encode(self, texts)?.features)
    }
}

/// Any encoder.
pub(crate) type AnyEncoder = Box<dyn TextEncoder<Error = BodyError> + Send>;

/// Any body.
pub(crate) type AnyBody = Box<dyn Body<Error = BodyError> + Send>;

/// A model whose error was put in a box, and of which nothing passes that has another shape than it must have.
pub(crate) struct Boxed<M>(pub(crate) M);

impl<M: TextEncoder> TextEncoder for Boxed<M> {
    type Error = BodyError;

    fn dimensions(&self) -> usize {
        self.0.dimensions()
    }

    fn rows_interact(&self) -> bool {
        self.0.rows_interact()
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.0.fingerprint()
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, BodyError> {
        let vectors = self.0.encode(texts).map_err(|error| BodyError(Box::new(error)))?;
        check_shape((texts.len(), self.dimensions()), vectors.dim())?;
        Ok(vectors)
    }
}

impl<M: Body> Body for Boxed<M> {
    type Error = BodyError;

    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn hidden(&self) -> usize {
        self.0.hidden()
    }

    fn rows_interact(&self) -> bool {
        self.0.rows_interact()
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, BodyError> {
        let made = self.0.pair_features(pairs).map_err(|error| BodyError(Box::new(error)))?;
        check_shape((pairs.len(), self.hidden()), made.features.dim())?;
        check_shape((pairs.len(), 1), (made.cut.len(), 1))?;
        Ok(made)
    }
}

/// What a model made has another shape than it must have.
#[derive(Debug, thiserror::Error)]
#[error(
    "it made {} rows of {} numbers, and {} of {} are expected: make one row for each text, of the width that it says it has",
    got.0, got.1, expected.0, expected.1
)]
struct ShapeError {
    expected: (usize, usize),
    got: (usize, usize),
}

fn check_shape(expected: (usize, usize), got: (usize, usize)) -> Result<(), BodyError> {
    if expected == got { Ok(()) } else { Err(BodyError(Box::new(ShapeError { expected, got }))) }
}
