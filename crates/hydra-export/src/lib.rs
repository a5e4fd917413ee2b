//! Weights in, bundle out: model families as graphs, and the parity gate.

mod export;
mod folder;
mod gate;
mod graph;
mod reference;
mod tokens;

pub use export::{
    ExportError, ExportOptions, ParsePrecisionError, Precision, Stage, Weights, check, export, export_model,
};
pub use folder::{Activation, Config, Family, Folder, FolderError, Pooling, PoolingKind, Task};
pub use gate::GateError;
pub use graph::{BuildError, build};
pub use reference::{ReferenceError, forward};
pub use tokens::{Tokens, TokensError};
