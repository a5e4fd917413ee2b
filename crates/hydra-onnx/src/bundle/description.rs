//! What whoever makes a bundle says about its model.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::BundleError;

/// What whoever makes a bundle knows and the graph does not say.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// What the graph computes.
    pub kind: Kind,
    /// The numbers that it computes with.
    pub precision: Precision,
    /// How the vectors of tokens become features; [`Pooling::None`] for a cross-encoder.
    pub pooling: Pooling,
    /// Whether features are divided by their length (L2 norm); not for a cross-encoder.
    pub normalize: bool,
    /// Most tokens of a row, those that the tokenizer adds included.
    pub max_tokens: usize,
    /// What was measured against the reference.
    pub parity: Option<Parity>,
}

/// What a graph computes. Fixes the names and shapes of its inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Texts or pairs to vectors of tokens: `last_hidden_state`: `[batch, seq, hidden]`.
    Encoder,
    /// Pairs to classes: `logits`: `[batch, classes]`; and, where its graph gives them, the `features` that the classifier
    /// reads: `[batch, hidden]`, with which it is a body and its prior head in one.
    CrossEncoder,
    /// Tokens and a cache to the next tokens: `logits`: `[rows, vocabulary]`.
    LanguageModel,
}

impl Kind {
    /// As the manifest writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::CrossEncoder => "cross-encoder",
            Self::LanguageModel => "language-model",
        }
    }

    /// The output that a graph of this kind must have.
    #[must_use]
    pub const fn output(self) -> &'static str {
        match self {
            Self::Encoder => "last_hidden_state",
            Self::CrossEncoder | Self::LanguageModel => "logits",
        }
    }
}

/// The numbers that a graph computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floats.
    #[serde(rename = "fp32")]
    Fp32,
    /// 16-bit floats inside, 32-bit at the edges.
    #[serde(rename = "fp16")]
    Fp16,
    /// 8-bit weights; activations share one scale per tensor, so that the rows of a batch touch each other.
    #[serde(rename = "int8-per-tensor")]
    Int8PerTensor,
    /// 8-bit weights; every row of activations has its own scale.
    #[serde(rename = "int8-per-row")]
    Int8PerRow,
    /// 8-bit weights in blocks, each with its scale; activations are rounded to 8 bits in the same blocks.
    #[serde(rename = "int8-blocks")]
    Int8Blocks,
    /// 4-bit weights in blocks, each with its scale; activations are rounded to 8 bits in the same blocks.
    #[serde(rename = "int4-blocks")]
    Int4Blocks,
}

impl Precision {
    /// As the manifest writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Fp16 => "fp16",
            Self::Int8PerTensor => "int8-per-tensor",
            Self::Int8PerRow => "int8-per-row",
            Self::Int8Blocks => "int8-blocks",
            Self::Int4Blocks => "int4-blocks",
        }
    }

    /// Whether a row's features depend, beyond rounding, on the rows that share its batch.
    #[must_use]
    pub const fn rows_interact(self) -> bool {
        matches!(self, Self::Int8PerTensor)
    }
}

/// How the vectors of a text's tokens become features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pooling {
    /// Their mean, padding left out.
    Mean,
    /// The first one.
    Cls,
    /// They stay as they are: one matrix a text.
    None,
}

impl Pooling {
    /// As the manifest writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Cls => "cls",
            Self::None => "none",
        }
    }
}

/// What was measured when the bundle was made: data, so that a reader can judge it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parity {
    /// What the graph was compared with.
    pub reference: String,
    /// On what.
    pub cases: String,
    /// The figures.
    pub measures: Vec<Measure>,
}

/// One figure and what was asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What was measured, such as `max_abs_difference`.
    pub name: String,
    /// What came out.
    pub value: f64,
    /// What was asked.
    pub bound: Bound,
}

/// What is asked of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Bound {
    /// Whether a figure is within it; NaN never is.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::AtLeast(limit) => write!(f, "at least {limit}"),
        }
    }
}

impl Description {
    pub(super) fn validate(&self) -> Result<(), BundleError> {
        let wrong = |what| Err(BundleError::Description { what });
        if !(MIN_TOKENS..=MAX_TOKENS).contains(&self.max_tokens) {
            return wrong(
                "the greatest number of tokens is not between 8 and 1,000,000; take it from the model's config",
            );
        }
        if self.kind == Kind::CrossEncoder && (self.pooling != Pooling::None || self.normalize) {
            return wrong("a cross-encoder gives logits: describe it with pooling `none` and without normalising");
        }
        if self.kind == Kind::LanguageModel && (self.pooling != Pooling::None || self.normalize) {
            return wrong("a language model gives logits: describe it with pooling `none` and without normalising");
        }
        if self.pooling == Pooling::None && self.normalize {
            return wrong("vectors of tokens are handed out as they are: describe pooling `none` without normalising");
        }
        for measure in self.parity.iter().flat_map(|parity| &parity.measures) {
            if !measure.value.is_finite() || !measure.bound.holds(measure.value) {
                return Err(BundleError::ParityFailed {
                    name: measure.name.clone(),
                    value: measure.value,
                    bound: measure.bound.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// Room for what tokenizers add around a pair, and for some of the pair.
const MIN_TOKENS: usize = 8;
const MAX_TOKENS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_is_called_as_the_manifest_writes_it() {
        for precision in [
            Precision::Fp32,
            Precision::Fp16,
            Precision::Int8PerTensor,
            Precision::Int8PerRow,
            Precision::Int8Blocks,
            Precision::Int4Blocks,
        ] {
            assert_eq!(serde_json::to_value(precision).unwrap(), precision.name());
        }
    }
}
