//! Names of tensor axes, in the order in which they stand: `batch, seq, n_heads, head_dim, hidden`.
//!
//! Docs write shapes with these words and exported graphs declare their symbolic dimensions with them, so that the
//! same word is found in the doc, in the ONNX file and in an error message.

/// Independent rows: texts, pairs, users.
pub const BATCH: &str = "batch";
/// Tokens of one row, padding included.
pub const SEQ: &str = "seq";
/// Attention heads of one layer.
pub const N_HEADS: &str = "n_heads";
/// Numbers of one attention head.
pub const HEAD_DIM: &str = "head_dim";
/// Numbers of one token's or one text's vector: the width of the features.
pub const HIDDEN: &str = "hidden";
/// Classes of a classifier's output.
pub const CLASSES: &str = "classes";
