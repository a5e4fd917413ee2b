//! The protobuf messages of ONNX, generated from `proto/onnx.proto`: only reading and writing see them.

#[rustfmt::skip]
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, dead_code, rustdoc::all)]
mod onnx;

pub(crate) use onnx::*;
