//! Language models of the llama and qwen2 architectures, from GGUF files.
//!
//! **Attention.** The graph uses ONNX Runtime's `GroupQueryAttention`: heads of keys and values are shared without being
//! copied out, rotation happens inside, and with the cache bound in place a step writes one row and copies none. Mask
//! and positions stay inputs all the same: an additive bias is added to the scores and positions are given for each
//! token, so that prefixes, trees and packed batches are a matter of what the caller passes. What the operator adds is
//! causality in the order of the cache, which a tree in topological order keeps by itself. Attention from primitive
//! operators would run on other runtimes too, but copies the whole cache at every step.
//!
//! **Rotation.** Files of the llama architecture hold query and key rows in the order of interleaved rotation; the graph
//! gets them back in halves, as the kernel is fastest, while the reference rotates them interleaved, as they lie.

mod config;
mod error;
mod export;
mod gate;
mod graph;
mod quantize;
mod reference;
mod tokenizer;

pub use config::DecoderConfig;
pub use error::DecoderError;
pub use export::{DecoderOptions, DecoderPrecision, export_decoder};
pub use reference::decoder_logits;
pub use tokenizer::tokenizer_json;
