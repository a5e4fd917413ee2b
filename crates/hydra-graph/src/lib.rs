//! Writes ONNX graphs: a typed builder, files with external data, int8 and half precision, and a check of it all.
//!
//! A [`GraphBuilder`] has one method for each operator. It knows the type and the shape of every [`Value`] while the
//! graph is built, so that a wrong shape is an error at the line that made it, and not in a runtime on another machine.
//! A finished [`Model`] is plain data: passes ([`Quantization`], [`TableQuantization`], [`HalfPrecision`]) make one
//! from another, [`Model::check`] proves that it hangs together, [`Model::save`] and [`Model::save_external`] write it.
//!
//! ```
//! use hydra_graph::{DataType, Dim, GraphBuilder, Model, Tensor};
//!
//! let mut graph = GraphBuilder::new("classifier");
//! let features = graph.input("features", DataType::F32, [Dim::from("batch"), 3.into()])?;
//! let scores = graph.scope("classifier", |graph| {
//!     // Weights can be borrowed: a mapped file goes to the disk without a copy in between.
//!     let weight = graph.initializer("weight", Tensor::new(&[3, 2], &[0.5_f32, -1.0, 0.0, 2.0, 1.0, 0.25][..])?)?;
//!     let bias = graph.initializer("bias", Tensor::new(&[2], &[0.1_f32, -0.1][..])?)?;
//!     graph.linear(features, weight, bias).map_err(Box::<dyn std::error::Error>::from)
//! })?;
//! assert_eq!(graph.shape(scores), [Dim::from("batch"), 2.into()]);
//! graph.output("scores", scores)?;
//!
//! let model = graph.finish()?;
//! assert_eq!(Model::read(&model.to_bytes()?)?, model);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who should not use it
//! Whoever has the model in PyTorch and Python at hand: its own exporter traces any model, this crate writes those
//! whose graph you write down. It does not run models, and it reads only what it could have written: dense tensors of
//! seven element types, no subgraphs, opsets 17 to 21.
//!
//! # Two symbols are two sizes
//! ONNX says nothing about whether `batch` and `seq` may be equal, and its own inference leaves the sum of a `[batch]`
//! and a `[seq]` open. Here it is an error: a graph that works only if two sizes happen to agree is a graph with a
//! mistake in it, and the mistake is cheapest to find while it is made. The price is that a model from elsewhere that
//! has two names for one size does not pass the check. Sizes that are computed have canonical names ([`Dim::sum`],
//! [`Dim::product`]), so that equal ones have equal names.
//!
//! # Features
//! - `codegen`: the binary `generate-proto`, which makes the committed protobuf types from `proto/onnx.proto`.
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
pub use pass::{ActivationScale, HalfPrecision, PassError, Quantization, Smoothing, TableQuantization, WeightRange};
pub use read::ReadError;
pub use save::{ExternalData, SaveError};
pub use tensor::{LengthMismatch, Tensor, TensorType};
