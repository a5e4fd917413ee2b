//! Weights in, bundle out: model families as ONNX graphs, and the gate that each must pass.
//!
//! [`Folder::open`] reads what is published (`config.json`, `tokenizer.json`, `model.safetensors` or shards), [`build`]
//! makes the graph, [`export()`] passes it through the gate and writes a bundle that `hydra-onnx` opens. Families: BERT,
//! RoBERTa and XLM-R, DistilBERT, MPNet; sentence encoders and sequence classifiers (cross-encoders). Python is not needed.
//!
//! What `hydra-train` saves is such a folder. A classifier's graph gives `logits`, and the `features` from which they are made:
//! body and prior head in one bundle, which `hydra-onnx` opens as either.
//!
//! ```
//! use hydra_export::{ExportOptions, Folder, Precision, export};
//!
//! # let models = hydra_testkit::fixture("models");
//! # let temporary = tempfile::tempdir()?;
//! # let out = temporary.path().join("bundle");
//! let folder = Folder::open(models.join("mpnet"))?;
//! let options = ExportOptions::default().precision(Precision::Fp16);
//! let manifest = export(&folder, &options, &out, |stage| eprintln!("{stage}"))?;
//!
//! // What was measured is in the manifest.
//! let parity = manifest.parity().expect("an export is never unmeasured");
//! assert!(parity.measures.iter().any(|measure| measure.name == "kendall_tau" && measure.value >= 0.97));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who should not use it
//! Whoever has another architecture: there is no tracer here, a family is written by hand, once. Language models are exported
//! from GGUF files alone, by [`export_decoder`]. Weights are not trained or changed; `pytorch_model.bin` must be converted to
//! safetensors first.
//!
//! # Parity is a gate, not a warning
//! Exporters usually compare with the framework that they export from, and warn. Here the judge is [`forward`], a second
//! implementation in `f64` written from the papers, which shares nothing with [`build`] but the reader of the weights.
//! That costs writing every family twice, and it is worth it: the gate works for any folder on any machine without
//! Python, an error in one of the two cannot hide in the other, and what is measured is the graph's error alone. The
//! judge is judged by outputs of PyTorch, committed for a tiny model of every family.
//!
//! - `fp32`: on ONNX Runtime, at four shapes with real padding, no number of any output is farther than 1e-5 from the
//!   reference, but at padding.
//! - fewer bits: over 300 pairs of sentences from a grammar, Kendall's tau between the similarities (of a classifier:
//!   its logits, the worst class counts) of this graph and of the `fp32` one is at least 0.97, and the mean cosine
//!   between their vectors (of a classifier: between a class's logits over all pairs, and between the features) at least
//!   0.995.
//!
//! Where a figure misses its bound nothing is written. The figures are in the manifest.
//!
//! # Eight bits
//! Only products inside layers are quantised, weights by output channel, activations while the graph runs. Channels
//! with outliers are smoothed first, by their ranges on sentences that the gate does not judge by.
//! [`Precision::Int8`] has one scale for all activations of a batch, padding included, so a row's features depend a
//! little on its companions and on how far the batch is padded: never let rows of two users share a batch where isolation
//! is promised. [`Precision::Int8PerRow`] has a scale for each token: a row's features are, bit for bit, the same in any
//! company at the same padded length. Padding more may change the last bits, as it does in `fp32`: sums over the sequence
//! get longer, by terms that are 0.
//!
//! Measured on all-MiniLM-L6-v2, one thread, 16 texts of 64 tokens: `int8` is 2.5 times as fast as `fp32`, `int8-per-row`
//! 2.1 times; `fp32` is as fast as PyTorch's own export.
//!
//! # Features
//! - `cli`: the binary `hydra-export`, which `cargo xtask export-onnx` runs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod calibration;
mod decoder;
mod export;
mod folder;
mod gate;
mod gguf;
mod graph;
mod reference;
mod tokens;

pub use decoder::{
    DecoderConfig, DecoderError, DecoderOptions, DecoderPrecision, decoder_logits, export_decoder, tokenizer_json,
};
pub use export::{
    ExportError, ExportOptions, ParsePrecisionError, Precision, Stage, Weights, check, export, export_model,
};
pub use folder::{Activation, Config, Family, Folder, FolderError, Pooling, PoolingKind, Task};
pub use gate::GateError;
pub use gguf::{Gguf, GgufError, TensorInfo, TensorType, Value};
pub use graph::{BuildError, build};
pub use reference::{ReferenceError, forward};
pub use tokens::{Tokens, TokensError};
