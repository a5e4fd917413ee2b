//! Sessions on ONNX Runtime: bundles that are checked before they run, devices that never change silently, and encoders
//! that turn texts into features.
//!
//! A [`Bundle`] is a folder with a graph, a tokenizer and a manifest. Opening it reads every file once, compares its
//! SHA-256, and walks the protobuf within bounds; the bytes that were checked are the bytes that ONNX Runtime gets, from
//! memory. An [`Encoder`] makes features of texts and pairs, a [`CrossEncoder`] logits of pairs, a [`Session`] runs any
//! checked graph. Every token that is cut off is counted and handed back.
//!
//! # Who should not use it
//! Who serves one model over HTTP to many machines wants an inference server. Who needs gradients wants a trainer. Who
//! wants a model downloaded by name wants another crate: nothing here opens a socket.
//!
//! # Examples
//! ```no_run
//! use hydra_onnx::{Bundle, Encoder, EncoderOptions};
//!
//! let bundle = Bundle::open("target/hydra/all-minilm-l6-v2".as_ref())?;
//! let mut encoder = Encoder::open(&bundle, &EncoderOptions::default())?;
//! let features = encoder.encode(&["A man is eating food.", "Somebody is having a meal."])?.features;
//! println!("{:.2}", features.row(0).dot(&features.row(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a manifest refuses can be seen without any model:
//! ```
//! use hydra_onnx::{BundleError, Manifest};
//!
//! let newer = Manifest::from_json(br#"{ "format": 9 }"#).unwrap_err();
//! assert!(matches!(newer, BundleError::Format { found: 9, supported: 1 }));
//! ```
//!
//! # The library
//! ONNX Runtime 1.24 or later is loaded at run time, once a process: from [`load_runtime`] if it is called first, else
//! from `ORT_DYLIB_PATH`, else from where the system finds `libonnxruntime`.
//!
//! # What is held, and what is shared
//! A bundle holds the bytes of its model while it lives, and a session holds its own copy: drop the bundle when the
//! sessions are open. Sessions of [`Session::open_many`] share large initialisers and what ONNX Runtime packs from them.
//! Measured with all-MiniLM-L6-v2 in fp32 (90 MB of weights), resident after the first run, without the bundle:
//!
//! | sessions | [`Session::open`] each | [`Session::open_many`] |
//! |---|---|---|
//! | 1 | 144 MB | 181 MB |
//! | 2 | 265 MB | 216 MB |
//! | 4 | 464 MB | 223 MB |
//!
//! What ONNX Runtime merges into new tensors, the weights of fused attention above all, every session has for itself,
//! and half-precision weights are not shared; that is also why `open_many` of one session costs more than `open`.
//!
//! # Exact rows
//! Rows of a batch never see each other's tokens, but arithmetic is not quite blind to company: padding and batch shape
//! change the order of sums (below 1e-5 in fp32), and a per-tensor int8 graph shares one scale among all rows
//! ([`Precision::rows_interact`]). [`Rows::Alone`] runs every row by itself and gives the same bytes in any company, at
//! the cost of batching; a per-row int8 bundle needs no such care. The default is together, because most callers encode
//! texts of one owner at a time; who mixes owners under a promise of isolation chooses one of the two.
//!
//! # Why bytes in memory, and not a path
//! Handing ONNX Runtime a path would map large weights lazily and read external data by itself. It would also read files
//! that nobody checked: between check and use a file can be exchanged, and an external tensor can name any file. We
//! read a model once and hand over the bytes. That costs a copy while a session is being opened, and it is why a bundle
//! that does not fit into memory cannot be opened here.
//!
//! # Body and prior head in one bundle
//! The graph of an exported cross-encoder also gives the `features` that its classifier reads. Such a bundle opens as a
//! [`CrossEncoder`] (the opinion that is the same for everybody), as an [`Encoder`] (a body, on whose features users' heads
//! stand), and [`Bundle::prior_head`] gives the classifier's numbers, from which those heads begin. All three have one
//! fingerprint. A bundle of logits alone is read as before, as a cross-encoder.
//!
//! # Formats
//! A fingerprint is the SHA-256 of these fields, each as its length in eight little-endian bytes and its bytes: the text
//! `hydra-onnx body fingerprint, version 1`; the kind; the SHA-256 of `model.onnx`; name and SHA-256 of each further
//! model file in order of name; the SHA-256 of `tokenizer.json`; the pooling; `normalized` or `as is`; the greatest
//! number of tokens in eight little-endian bytes. `manifest.json` is `format`, `checksum` (SHA-256 of the body as
//! compact JSON) and `body`. Checksums find damage; who needs proof of origin pins the fingerprint.
//!
//! # Features
//! - `runtime` (default): sessions and encoders. Without it the crate reads, checks and writes bundles, and builds in
//!   seconds.
//! - `cuda`: makes [`Device::Cuda`] work with a CUDA build of ONNX Runtime. The device exists in every build; without
//!   the feature asking for it is an error.
//!
//! A bundle's tokenizer is parsed by the `tokenizers` crate: its hash is checked, its meaning is trusted.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bundle;
mod check;
#[cfg(feature = "runtime")]
mod device;
#[cfg(feature = "runtime")]
mod encoder;
#[cfg(feature = "runtime")]
mod runtime;
#[cfg(feature = "runtime")]
mod session;
mod spec;

pub use bundle::{
    Bound, Bundle, BundleError, Description, FileEntry, Kind, Manifest, Measure, Parity, Pooling, Precision, PriorHead,
};
pub use check::{CheckError, GraphFacts, Model};
#[cfg(feature = "runtime")]
pub use device::{CudaError, Device};
#[cfg(feature = "runtime")]
pub use encoder::{
    CrossEncoder, Encoded, Encoder, EncoderError, EncoderOptions, Logits, Rows, TokenFeatures, TokenUse, Work,
};
#[cfg(feature = "runtime")]
pub use runtime::{RuntimeError, load_runtime};
#[cfg(feature = "runtime")]
pub use session::{Arena, Outputs, Session, SessionError, SessionOptions, Spinning, State, TensorView};
pub use spec::{Dim, Element, TensorSpec};
