//! Passes: a model in, a model with the same inputs and outputs out.

mod half;
mod quantize;
mod rewrite;
mod smooth;
mod table;
mod weights;

use crate::error::GraphError;

pub use half::HalfPrecision;
pub use quantize::{ActivationScale, Quantization, WeightRange};
pub use smooth::Smoothing;
pub use table::TableQuantization;

/// Why a pass did not make a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// The model does not pass [`Model::check`](crate::Model::check), before the pass or after it.
    #[error("the model is not valid")]
    Graph(#[from] GraphError),
    /// A pass that would change nothing.
    #[error(
        "no node was selected that this pass can change, all of them read a constant f32 matrix: check the selection"
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
    /// A range of an activation that is no range.
    #[error("the range of {value:?} has an entry that is negative or not finite")]
    Range {
        /// Name of the value.
        value: String,
    },
    /// A strength of smoothing that is no share.
    #[error("the strength of smoothing is {strength}, it must be from 0 to 1")]
    Strength {
        /// The strength.
        strength: f32,
    },
    /// A range of an activation that has another number of channels.
    #[error("the range of {value:?} has {got} channels, the weight that it meets has {expected}")]
    Channels {
        /// Name of the value.
        value: String,
        /// Channels of the weight.
        expected: usize,
        /// Channels of the range.
        got: usize,
    },
}
