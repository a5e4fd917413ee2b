//! What can be wrong with a model folder.

use std::io;
use std::path::PathBuf;

/// A folder that holds no model that can be trained, or could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("cannot read or write the file: check that it exists and who may use it: {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file is not the JSON that it should be.
    #[error("{file} is not valid: take the one that was published with the weights")]
    Json {
        /// Which file.
        file: &'static str,
        /// Where it breaks.
        source: serde_json::Error,
    },
    /// A key is missing from `config.json`.
    #[error("config.json has no {key}: take the one that was published with the weights")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key of `config.json` has a value that is not modelled.
    #[error("config.json says {key} = {value}, supported: {supported}")]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        supported: &'static str,
    },
    /// A weight file is not safetensors.
    #[error("{file} is not a safetensors file: convert the weights or fetch them again")]
    Weights {
        /// Which file.
        file: String,
        /// Where it breaks.
        source: safetensors::SafeTensorError,
    },
    /// A tensor of the family is missing.
    #[error("no tensor {tensor}: the weights are not those of the architecture in config.json")]
    MissingTensor {
        /// Its name.
        tensor: String,
    },
    /// A tensor has another shape.
    #[error("tensor {tensor} has shape {got:?}, config.json says {expected:?}")]
    Shape {
        /// Its name.
        tensor: String,
        /// What `config.json` implies.
        expected: Vec<usize>,
        /// What the file has.
        got: Vec<usize>,
    },
    /// A tensor is not F32, F16 or BF16, or holds NaN or infinity.
    #[error("tensor {tensor} does not hold finite F32, F16 or BF16 numbers: convert the weights")]
    Numbers {
        /// Its name.
        tensor: String,
    },
    /// The model is of the other task.
    #[error("the model gives {got}, this needs {expected}")]
    Task {
        /// What was asked for.
        expected: &'static str,
        /// What the model is.
        got: &'static str,
    },
}
