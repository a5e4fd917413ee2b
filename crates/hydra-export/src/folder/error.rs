//! Why a folder cannot be read.

use std::io;
use std::path::PathBuf;

use super::config::Family;

/// Why a model folder was refused.
///
/// Names of files and tensors are those of the folder; nothing of its texts is repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// A file that every model needs is not there.
    #[error("no {file}: give a folder with config.json, tokenizer.json and model.safetensors: {}", folder.display())]
    MissingFile {
        /// Its name.
        file: String,
        /// The folder that was read.
        folder: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is larger than any real one.
    #[error("{file} is larger than {most} bytes: this is not a file that belongs to a model")]
    TooLarge {
        /// Its name.
        file: String,
        /// The limit.
        most: u64,
    },
    /// A file is not the JSON that it should be.
    #[error("{file} is not what it should be: download it again")]
    Json {
        /// Its name.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `config.json` lacks a key.
    #[error("config.json has no `{key}`: copy the file that was published with the weights")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// `config.json` asks for a size that no model has.
    #[error("config.json sets `{key}` to {value}, supported are values up to {most}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// The largest value.
        most: u64,
    },
    /// The attention heads do not divide the vector.
    #[error("config.json asks for {n_heads} attention heads of a vector of {hidden} numbers: they must divide it")]
    HeadsDoNotDivide {
        /// Attention heads.
        n_heads: usize,
        /// Numbers of one token's vector.
        hidden: usize,
    },
    /// The model is of a family that is not known here.
    #[error("model type `{model_type}` is not supported: supported are {}", supported_types())]
    UnknownFamily {
        /// What `config.json` says.
        model_type: String,
    },
    /// The model has a part that is not known here.
    #[error("`{key}` is `{value}`, supported: {supported}")]
    Unsupported {
        /// The key, in whichever file of the folder sets it.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it may say.
        supported: &'static str,
    },
    /// A weight file is not safetensors, or is cut short.
    #[error("{file} is not a whole safetensors file: download it again")]
    Weights {
        /// Its name.
        file: String,
        /// Where and why.
        source: safetensors::SafeTensorError,
    },
    /// The index of the shards names a file outside the folder.
    #[error("model.safetensors.index.json names the shard `{shard}`: shards are files of the same folder")]
    ShardName {
        /// The name.
        shard: String,
    },
    /// The index of the shards and the shards disagree.
    #[error("tensor `{tensor}` is not in {shard}, where model.safetensors.index.json says it is")]
    NotInShard {
        /// The tensor.
        tensor: String,
        /// The shard.
        shard: String,
    },
    /// A tensor that the family needs is not there.
    #[error(
        "no tensor `{tensor}`, which a {family} model needs: supported are checkpoints of {} as transformers saves them, \
         encoders and sequence classifiers",
        supported_types()
    )]
    MissingTensor {
        /// Its name, with the prefix that the folder's other tensors have.
        tensor: String,
        /// The family.
        family: Family,
    },
    /// A tensor has another shape than `config.json` makes it.
    #[error("tensor `{tensor}` has shape {got:?}, config.json makes it {expected:?}")]
    Shape {
        /// Its name.
        tensor: String,
        /// What the configuration says.
        expected: Vec<usize>,
        /// What the file says.
        got: Vec<usize>,
    },
    /// A tensor has numbers of a type that is not read.
    #[error("tensor `{tensor}` holds {got} numbers, supported are F32, F16, BF16")]
    NumberType {
        /// Its name.
        tensor: String,
        /// The type.
        got: String,
    },
    /// A weight is infinite or not a number.
    #[error("tensor `{tensor}` holds a number that is not finite: the checkpoint is broken")]
    NotFinite {
        /// Its name.
        tensor: String,
    },
}

fn supported_types() -> String {
    Family::MODEL_TYPES.map(|(name, _)| name).join(", ")
}
