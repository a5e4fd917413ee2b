//! `config.json`: which architecture, and its sizes.

use std::fmt;

use serde::Deserialize;

use super::error::FolderError;

/// A model family: how its checkpoints name their tensors, and where it departs from BERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// BERT (Devlin et al. 2018), MiniLM among others.
    Bert,
    /// RoBERTa (Liu et al. 2019) and XLM-R: positions count the tokens that are not padding.
    Roberta,
    /// DistilBERT (Sanh et al. 2019): no token types.
    DistilBert,
    /// MPNet (Song et al. 2020): relative positions are added to the attention scores.
    MpNet,
}

impl Family {
    /// What `model_type` in `config.json` says for each supported family.
    pub const MODEL_TYPES: [(&str, Family); 5] = [
        ("bert", Family::Bert),
        ("roberta", Family::Roberta),
        ("xlm-roberta", Family::Roberta),
        ("distilbert", Family::DistilBert),
        ("mpnet", Family::MpNet),
    ];

    /// Whether positions start behind the padding id and skip padding, as in fairseq.
    pub(crate) fn positions_skip_padding(self) -> bool {
        matches!(self, Self::Roberta | Self::MpNet)
    }

    /// Whether checkpoints have a table of token types.
    pub(crate) fn has_token_types(self) -> bool {
        matches!(self, Self::Bert | Self::Roberta)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bert => "BERT",
            Self::Roberta => "RoBERTa",
            Self::DistilBert => "DistilBERT",
            Self::MpNet => "MPNet",
        })
    }
}

/// What the model gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// The last hidden states: `[batch, seq, hidden]`.
    Encode,
    /// Logits of a classifier on the first token: `[batch, classes]`.
    Classify {
        /// How many classes.
        classes: usize,
    },
}

/// The function between the two linear maps of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `x Φ(x)` with the exact error function.
    Gelu,
    /// `max(x, 0)`.
    Relu,
}

/// The sizes of a transformer encoder, all within bounds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Model family.
    pub family: Family,
    /// Numbers of one token's vector.
    pub hidden: usize,
    /// Transformer layers.
    pub n_layers: usize,
    /// Attention heads of a layer; divides `hidden`.
    pub n_heads: usize,
    /// Width between the two linear maps of a layer.
    pub intermediate: usize,
    /// Rows of the word table.
    pub vocab: usize,
    /// Rows of the position table.
    pub max_positions: usize,
    /// Rows of the token type table; 0 where the family has none.
    pub token_types: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: f64,
    /// Between the two linear maps of a layer.
    pub activation: Activation,
    /// Id of the padding token.
    pub padding_id: usize,
    /// Whether the architecture is named as a classifier; `None` when the file names none.
    pub(super) classifier: Option<bool>,
}

impl Config {
    /// Reads and validates the text of a `config.json`.
    pub(super) fn parse(json: &[u8]) -> Result<Self, FolderError> {
        let raw: Raw =
            serde_json::from_slice(json).map_err(|source| FolderError::Json { file: "config.json".into(), source })?;
        let model_type = raw.model_type.as_deref().ok_or(FolderError::MissingKey { key: "model_type" })?;
        let family = Family::MODEL_TYPES
            .into_iter()
            .find_map(|(name, family)| (name == model_type).then_some(family))
            .ok_or_else(|| FolderError::UnknownFamily { model_type: model_type.to_owned() })?;
        raw.refuse_what_is_not_modelled(family)?;

        let config = Self {
            family,
            hidden: size("hidden_size", raw.hidden_size, MAX_WIDTH)?,
            n_layers: size("num_hidden_layers", raw.num_hidden_layers, MAX_LAYERS)?,
            n_heads: size("num_attention_heads", raw.num_attention_heads, MAX_WIDTH)?,
            intermediate: size("intermediate_size", raw.intermediate_size, MAX_WIDTH)?,
            vocab: size("vocab_size", raw.vocab_size, MAX_ROWS)?,
            max_positions: size("max_position_embeddings", raw.max_position_embeddings, MAX_ROWS)?,
            token_types: if family.has_token_types() {
                size("type_vocab_size", raw.type_vocab_size.or(Some(2)), MAX_WIDTH)?
            } else {
                0
            },
            layer_norm_epsilon: if family == Family::DistilBert {
                EPSILON
            } else {
                raw.layer_norm_eps.unwrap_or(EPSILON)
            },
            activation: raw.activation()?,
            padding_id: padding_id(family, raw.pad_token_id)?,
            classifier: classifier(raw.architectures.as_deref())?,
        };
        if !config.hidden.is_multiple_of(config.n_heads) {
            return Err(FolderError::HeadsDoNotDivide { n_heads: config.n_heads, hidden: config.hidden });
        }
        if !(config.layer_norm_epsilon > 0.0 && config.layer_norm_epsilon < 1.0) {
            return Err(FolderError::Unsupported {
                key: "layer_norm_eps",
                value: config.layer_norm_epsilon.to_string(),
                supported: "a number between 0 and 1",
            });
        }
        if config.padding_id >= config.vocab || config.max_tokens() == 0 {
            return Err(FolderError::OutOfRange {
                key: "pad_token_id",
                value: config.padding_id as u64,
                most: (config.vocab.min(config.max_positions) - 1) as u64,
            });
        }
        Ok(config)
    }

    /// Numbers of one attention head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.hidden / self.n_heads
    }

    /// The longest sequence that the position table has rows for.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        if self.family.positions_skip_padding() {
            self.max_positions.saturating_sub(self.padding_id + 1)
        } else {
            self.max_positions
        }
    }
}

/// The keys that are read; families that call them otherwise are aliases.
#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    #[serde(alias = "dim")]
    hidden_size: Option<u64>,
    #[serde(alias = "n_layers")]
    num_hidden_layers: Option<u64>,
    #[serde(alias = "n_heads")]
    num_attention_heads: Option<u64>,
    #[serde(alias = "hidden_dim")]
    intermediate_size: Option<u64>,
    vocab_size: Option<u64>,
    max_position_embeddings: Option<u64>,
    type_vocab_size: Option<u64>,
    layer_norm_eps: Option<f64>,
    #[serde(alias = "activation")]
    hidden_act: Option<String>,
    pad_token_id: Option<u64>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
    relative_attention_num_buckets: Option<u64>,
}

impl Raw {
    fn activation(&self) -> Result<Activation, FolderError> {
        match self.hidden_act.as_deref() {
            None | Some("gelu") => Ok(Activation::Gelu),
            Some("relu") => Ok(Activation::Relu),
            Some(other) => {
                Err(FolderError::Unsupported { key: "hidden_act", value: other.to_owned(), supported: "gelu, relu" })
            }
        }
    }

    fn refuse_what_is_not_modelled(&self, family: Family) -> Result<(), FolderError> {
        if let Some(other) = self.position_embedding_type.as_deref().filter(|found| *found != "absolute") {
            return Err(FolderError::Unsupported {
                key: "position_embedding_type",
                value: other.to_owned(),
                supported: "absolute",
            });
        }
        if self.is_decoder == Some(true) {
            return Err(FolderError::Unsupported { key: "is_decoder", value: "true".to_owned(), supported: "false" });
        }
        match self.relative_attention_num_buckets {
            Some(buckets) if family == Family::MpNet && buckets != RELATIVE_BUCKETS as u64 => {
                Err(FolderError::Unsupported {
                    key: "relative_attention_num_buckets",
                    value: buckets.to_string(),
                    supported: "32",
                })
            }
            _ => Ok(()),
        }
    }
}

fn size(key: &'static str, value: Option<u64>, most: u64) -> Result<usize, FolderError> {
    let value = value.ok_or(FolderError::MissingKey { key })?;
    match usize::try_from(value) {
        Ok(size) if (1..=most).contains(&value) => Ok(size),
        _ => Err(FolderError::OutOfRange { key, value, most }),
    }
}

fn padding_id(family: Family, value: Option<u64>) -> Result<usize, FolderError> {
    let value = value.unwrap_or(u64::from(family.positions_skip_padding()));
    usize::try_from(value).map_err(|_| FolderError::OutOfRange { key: "pad_token_id", value, most: MAX_ROWS })
}

fn classifier(architectures: Option<&[String]>) -> Result<Option<bool>, FolderError> {
    let Some(name) = architectures.and_then(<[String]>::first) else {
        return Ok(None);
    };
    if name.ends_with("ForSequenceClassification") {
        Ok(Some(true))
    } else if ["Model", "ForMaskedLM", "ForPreTraining"].iter().any(|end| name.ends_with(end)) {
        Ok(Some(false))
    } else {
        Err(FolderError::Unsupported {
            key: "architectures",
            value: name.clone(),
            supported: "encoders (…Model, …ForMaskedLM, …ForPreTraining) and cross-encoders (…ForSequenceClassification)",
        })
    }
}

/// Rows of MPNet's table of relative positions: fixed in the published model, whatever a configuration says.
pub(crate) const RELATIVE_BUCKETS: usize = 32;
/// What BERT, RoBERTa, DistilBERT and MPNet use where the file does not say.
const EPSILON: f64 = 1e-12;
/// Far above every published encoder; products of two still fit 64 bits by far.
const MAX_WIDTH: u64 = 1 << 16;
const MAX_LAYERS: u64 = 1 << 10;
const MAX_ROWS: u64 = 1 << 24;
