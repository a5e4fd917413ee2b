//! Why no bundle came of a language model.

use hydra_graph::{GraphError, LengthMismatch, SaveError};
use hydra_onnx::{BundleError, CheckError, SessionError};

use crate::gguf::GgufError;

/// Why no bundle came of a language model. Nothing was written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecoderError {
    /// The file.
    #[error("the gguf file cannot be used")]
    Gguf(#[from] GgufError),
    /// An architecture that is not read.
    #[error("the architecture is not read: give a file of llama or qwen2; found: {found}")]
    Architecture {
        /// What the file says, cut.
        found: String,
    },
    /// Numbers that no such model can have.
    #[error("the metadata contradicts itself: {what}")]
    Config {
        /// What does not hold.
        what: &'static str,
    },
    /// A tensor of another shape than the metadata says.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// What the metadata says.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// A tokenizer that cannot be rebuilt.
    #[error("the tokenizer cannot be rebuilt: {what}")]
    Tokenizer {
        /// Why.
        what: &'static str,
    },
    /// Weights are carried over in 4 bits, never rounded to them, and this file has none.
    #[error("the file holds no 4-bit blocks: export it with int8, or give a file of Q4_0, Q4_1 or Q4_K")]
    NoFourBits,
    /// A token that the model does not have.
    #[error("the token id {id} is not in the vocabulary of {vocabulary}: use the tokenizer of this model")]
    Token {
        /// The id.
        id: u32,
        /// Tokens of the model.
        vocabulary: usize,
    },
    /// A layer whose output was asked for and that the model does not have.
    #[error("the model has no layer {layer}: it has {layers}")]
    Layer {
        /// Which was asked for, from 0.
        layer: usize,
        /// How many there are.
        layers: usize,
    },
    /// The graph could not be built.
    #[error("cannot build the graph")]
    Graph(#[from] GraphError),
    /// A tensor could not be made.
    #[error("cannot build the graph")]
    Tensor(#[from] LengthMismatch),
    /// The graph could not be turned into bytes.
    #[error("cannot serialise the graph")]
    Save(#[from] SaveError),
    /// The graph would be refused by those who run it.
    #[error("the graph would be refused by those who run it")]
    Check(#[from] CheckError),
    /// The graph could not be run for the gate.
    #[error("the graph cannot be run")]
    Session(#[from] SessionError),
    /// The bundle contradicts itself, the gate among it, or could not be written.
    #[error("cannot make the bundle")]
    Bundle(#[from] BundleError),
    /// A temporary file could not be used.
    #[error("cannot use a temporary file for weights beside the graph")]
    Temporary(#[source] std::io::Error),
}
