//! How a published sentence encoder makes one vector of a text, where the folder says so.

use std::path::Path;

use serde::Deserialize;

use super::error::FolderError;
use super::read_file;

/// How the vectors of a text's tokens become its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Which vector.
    pub kind: PoolingKind,
    /// Whether it is scaled to length 1.
    pub l2: bool,
}

/// Which vector stands for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolingKind {
    /// The mean over the tokens that are not padding.
    Mean,
    /// The first token's.
    Cls,
}

impl Default for Pooling {
    /// Mean, then length 1: what the published sentence encoders of these families do, and what `all-MiniLM-L6-v2`
    /// was trained for.
    fn default() -> Self {
        Self { kind: PoolingKind::Mean, l2: true }
    }
}

impl Pooling {
    /// Reads `modules.json` and the configuration of the pooling module that it names; the default without one.
    pub(super) fn read(folder: &Path) -> Result<Self, FolderError> {
        if !folder.join(MODULES).is_file() {
            return Ok(Self::default());
        }
        let modules: Vec<Module> = parse(folder, MODULES)?;
        let mut pooling = Self { l2: false, ..Self::default() };
        for module in modules {
            match module.kind.rsplit('.').next() {
                Some("Transformer") => {}
                Some("Normalize") => pooling.l2 = true,
                Some("Pooling") => {
                    let Some(path) = module.path.filter(|path| is_folder_name(path)) else {
                        return Err(unsupported(
                            "path",
                            "of a pooling module",
                            "the name of a folder beside modules.json",
                        ));
                    };
                    pooling.kind = parse::<Raw>(folder, &format!("{path}/config.json"))?.kind()?;
                }
                _ => {
                    return Err(unsupported(
                        "type",
                        &module.kind,
                        "Transformer, Pooling and Normalize in modules.json",
                    ));
                }
            }
        }
        Ok(pooling)
    }
}

/// The longest text that the encoder was trained for, where the folder says so.
pub(super) fn max_tokens(folder: &Path) -> Result<Option<usize>, FolderError> {
    if !folder.join(SENTENCES).is_file() {
        return Ok(None);
    }
    Ok(parse::<Sentences>(folder, SENTENCES)?.max_seq_length.filter(|tokens| *tokens > 0))
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Sentences {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Raw {
    pooling_mode: Option<String>,
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

impl Raw {
    fn kind(&self) -> Result<PoolingKind, FolderError> {
        let others = self.pooling_mode_max_tokens
            || self.pooling_mode_mean_sqrt_len_tokens
            || self.pooling_mode_weightedmean_tokens
            || self.pooling_mode_lasttoken;
        match (self.pooling_mode.as_deref(), self.pooling_mode_mean_tokens, self.pooling_mode_cls_token, others) {
            (Some("mean"), ..) | (None, true, false, false) => Ok(PoolingKind::Mean),
            (Some("cls"), ..) | (None, false, true, false) => Ok(PoolingKind::Cls),
            (other, ..) => Err(unsupported("pooling_mode", other.unwrap_or("another one, or several"), "mean, cls")),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(folder: &Path, file: &str) -> Result<T, FolderError> {
    serde_json::from_slice(&read_file(folder, file, MAX_BYTES)?)
        .map_err(|source| FolderError::Json { file: file.to_owned(), source })
}

fn unsupported(key: &'static str, value: &str, supported: &'static str) -> FolderError {
    FolderError::Unsupported { key, value: value.to_owned(), supported }
}

fn is_folder_name(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('.') && !path.contains(['/', '\\', ':', '\0'])
}

const MODULES: &str = "modules.json";
const SENTENCES: &str = "sentence_bert_config.json";
const MAX_BYTES: u64 = 1 << 20;
