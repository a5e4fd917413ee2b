//! Why a GGUF file cannot be read.

use std::io;
use std::path::PathBuf;

/// Why a GGUF file cannot be read. Names in the messages are cut, and no text of the file but names is shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file system refused.
    #[error("cannot read the file: {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin like a GGUF file.
    #[error("the file does not begin with `GGUF`: give a file of that format")]
    NotGguf,
    /// A version of the format that is not read.
    #[error("gguf version {found} is not read: convert the file to version 2 or 3, little-endian")]
    Version {
        /// The version, as it stands in the file.
        found: u32,
    },
    /// It ends inside something.
    #[error("the file ends at byte {length} inside {what}: fetch it again")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes of the file.
        length: usize,
    },
    /// More of something than any file has.
    #[error("the file claims {found} {what}: at most {limit} are read")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        found: u64,
        /// The most that are read.
        limit: u64,
    },
    /// A name or text that is not UTF-8.
    #[error("{what} is not utf-8")]
    NotUtf8 {
        /// Which text.
        what: &'static str,
    },
    /// Two of the same name.
    #[error("the name `{name}` stands twice in the file")]
    Duplicate {
        /// The name, cut.
        name: String,
    },
    /// A metadata value of a type that the format does not have, or arrays inside arrays.
    #[error("the metadata `{key}` has the value type {found}, which is not read")]
    ValueType {
        /// The key, cut.
        key: String,
        /// The number of the type.
        found: u32,
    },
    /// An alignment that is no power of two, or too large.
    #[error("the alignment {found} is not a power of two from 1 to 65536")]
    Alignment {
        /// What the file says.
        found: u64,
    },
    /// A tensor type that is not read.
    #[error("tensor `{name}` has type {found}, which is not read: convert the file to one of {SUPPORTED}")]
    TensorType {
        /// The tensor, cut.
        name: String,
        /// The number of the type.
        found: u32,
    },
    /// A tensor with a shape that cannot be.
    #[error("tensor `{name}` has a shape that its type cannot have")]
    Shape {
        /// The tensor, cut.
        name: String,
    },
    /// A tensor that lies outside the file or askew.
    #[error("tensor `{name}` lies outside the file or is not aligned: fetch the file again")]
    Place {
        /// The tensor, cut.
        name: String,
    },
    /// Metadata that the model needs is not there, or of another type.
    #[error("the metadata `{key}` is missing or of another type")]
    Metadata {
        /// The key.
        key: String,
    },
    /// A tensor that the model needs is not there.
    #[error("the file has no tensor `{name}`")]
    MissingTensor {
        /// The tensor.
        name: String,
    },
}

/// The types that are read, for messages.
const SUPPORTED: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";
