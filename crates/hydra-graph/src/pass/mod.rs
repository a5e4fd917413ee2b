//! Passes: a model in, a model with the same inputs and outputs out.

mod half;
mod quantize;
mod rewrite;

use crate::error::GraphError;

pub use half::HalfPrecision;
pub use quantize::{ActivationScale, Quantization, WeightRange};

/// Why a pass did not make a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// The model does not pass [`Model::check`](crate::Model::check), before the pass or after it.
    #[error("the model is not valid")]
    Graph(#[from] GraphError),
    /// A pass that would change nothing.
    #[error(
        "no node was selected that is a MatMul or Gemm with a constant f32 matrix: check the names in the selection"
    )]
    NothingSelected,
    /// A weight that is not a finite number.
    #[error("the initializer {name:?} holds a number that is not finite")]
    NotFinite {
        /// Name of the initializer.
        name: String,
    },
    /// A weight that half precision cannot hold.
    #[error("the initializer {name:?} holds {value}, half precision ends at 65504: keep the nodes that read it in f32")]
    HalfRange {
        /// Name of the initializer.
        name: String,
        /// The number.
        value: f32,
    },
}
