//! Writes ONNX graphs: builder, external data, quantisation, checks.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod check;
mod dim;
mod element;
mod error;
mod model;
mod op;
mod opset;
mod pass;
mod proto;
mod read;
mod save;
mod tensor;

pub use builder::{Attended, BlockMatrix, CachedAttention, GemmOptions, GraphBuilder, Quantized, Reduced, Value};
pub use dim::Dim;
pub use element::{DataType, Element};
pub use error::GraphError;
pub use model::{Attribute, Initializer, Model, Node, ValueInfo};
pub use op::OpError;
pub use pass::{ActivationScale, HalfPrecision, PassError, Quantization, Smoothing, WeightRange};
pub use read::ReadError;
pub use save::{ExternalData, SaveError};
pub use tensor::{LengthMismatch, Tensor, TensorType};
