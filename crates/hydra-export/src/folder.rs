//! A model folder, read and validated.

mod config;
mod error;
mod names;
mod pooling;
mod weights;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::Dtype;

pub(crate) use config::RELATIVE_BUCKETS;
pub use config::{Activation, Config, Family, Task};
pub use error::FolderError;
pub(crate) use names::{LayerModule, Module, Part};
pub use pooling::{Pooling, PoolingKind};
use weights::Weights;

/// A folder as it is published: `config.json`, `tokenizer.json`, and `model.safetensors` or shards with their index.
///
/// Weights are mapped and not read; that every tensor of the family is there, in the shape that the configuration makes
/// it and in a number type that is known, holds from the moment that the folder is open.
pub struct Folder {
    path: PathBuf,
    config: Config,
    task: Task,
    pooling: Pooling,
    max_tokens: usize,
    tokenizer: Vec<u8>,
    weights: Weights,
    prefix: &'static str,
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// The first thing about the folder that is missing, broken or not supported.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FolderError> {
        let path = path.as_ref();
        let config = Config::parse(&read_file(path, "config.json", MAX_CONFIG)?)?;
        let tokenizer = read_file(path, "tokenizer.json", MAX_TOKENIZER)?;
        let weights = Weights::open(path)?;

        let family = config.family;
        let table = format!("{}.weight", Module::Words.name(family, ""));
        let prefix = names::prefix(family);
        let prefix = if weights.contains(&format!("{prefix}{table}")) { prefix } else { "" };
        let classifier = format!("{}.weight", Module::Classifier.name(family, prefix));
        let task = match config.classifier {
            Some(false) => Task::Encode,
            None if !weights.contains(&classifier) => Task::Encode,
            _ if !weights.contains(&classifier) => {
                return Err(FolderError::MissingTensor { tensor: classifier, family });
            }
            _ => match weights.describe(&classifier).shape.first() {
                Some(classes @ 1..) => Task::Classify { classes: *classes },
                _ => {
                    return Err(FolderError::Shape {
                        tensor: classifier,
                        expected: vec![1, config.hidden],
                        got: vec![],
                    });
                }
            },
        };
        let max_tokens = pooling::max_tokens(path)?.unwrap_or(usize::MAX).min(config.max_tokens());
        let pooling = Pooling::read(path)?;
        let folder = Self { path: path.to_owned(), config, task, pooling, max_tokens, tokenizer, weights, prefix };
        for module in Module::all(&folder.config, folder.task) {
            for part in module.parts() {
                folder.validate(module, *part)?;
            }
        }
        Ok(folder)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sizes and family.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the model gives.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// How the vectors of a text's tokens become its features, from `modules.json`; the default without one.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// The longest sequence: `max_seq_length` of `sentence_bert_config.json`, but never more than the position table has
    /// rows for.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// The bytes of `tokenizer.json`.
    #[must_use]
    pub fn tokenizer(&self) -> &[u8] {
        &self.tokenizer
    }

    /// The numbers of a tensor in row-major order; linear maps are `[out, in]`.
    ///
    /// # Panics
    /// If a model of this family and task has no such module.
    pub(crate) fn read(&self, module: Module, part: Part) -> Result<Vec<f32>, FolderError> {
        self.weights.read(&self.tensor(module, part).expect("open found every tensor of the family"))
    }

    /// The name that a module's tensors have in the checkpoint without its prefix: what the graph calls it too.
    pub(crate) fn name(&self, module: Module) -> String {
        module.name(self.config.family, "")
    }

    fn validate(&self, module: Module, part: Part) -> Result<(), FolderError> {
        let tensor = self.tensor(module, part).ok_or_else(|| FolderError::MissingTensor {
            tensor: format!("{}{}", module.name(self.config.family, self.prefix), part.suffixes()[0]),
            family: self.config.family,
        })?;
        let expected = module.shape(part, &self.config, self.task);
        let info = self.weights.describe(&tensor);
        if info.shape != expected {
            return Err(FolderError::Shape { expected, got: info.shape.clone(), tensor });
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(FolderError::NumberType { got: format!("{:?}", info.dtype), tensor });
        }
        Ok(())
    }

    fn tensor(&self, module: Module, part: Part) -> Option<String> {
        let name = module.name(self.config.family, self.prefix);
        part.suffixes().into_iter().map(|suffix| format!("{name}{suffix}")).find(|name| self.weights.contains(name))
    }
}

/// The bytes of a file of the folder, if it has at most `most`.
fn read_file(folder: &Path, file: &str, most: u64) -> Result<Vec<u8>, FolderError> {
    let path = folder.join(file);
    if !path.is_file() {
        return Err(FolderError::MissingFile { file: file.to_owned(), folder: folder.to_owned() });
    }
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|open| open.take(most + 1).read_to_end(&mut bytes));
    read.map_err(|source| FolderError::Io { path, source })?;
    if bytes.len() as u64 > most {
        return Err(FolderError::TooLarge { file: file.to_owned(), most });
    }
    Ok(bytes)
}

const MAX_CONFIG: u64 = 1 << 20;
/// The tokenizer of XLM-R has 17 MB.
const MAX_TOKENIZER: u64 = 256 << 20;
