//! `config.json`: which architecture, and its sizes.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::ModelError;

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
pub(crate) enum Activation {
    /// `x Φ(x)`, exact.
    Gelu,
    /// `max(x, 0)`.
    Relu,
}

/// The sizes of a transformer encoder.
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
    /// Id of the padding token.
    pub padding_id: usize,
    pub(crate) activation: Activation,
    /// Whether the file names a classifier.
    pub(super) names_classifier: bool,
}

impl Family {
    /// Whether positions start behind the padding id and skip padding, as in fairseq.
    pub(crate) fn positions_skip_padding(self) -> bool {
        matches!(self, Self::Roberta | Self::MpNet)
    }
}

impl Config {
    pub(super) fn parse(json: &[u8]) -> Result<Self, ModelError> {
        let raw: Raw =
            serde_json::from_slice(json).map_err(|source| ModelError::Json { file: "config.json", source })?;
        let family = match raw.model_type.as_deref() {
            Some("bert") => Family::Bert,
            Some("roberta" | "xlm-roberta") => Family::Roberta,
            Some("distilbert") => Family::DistilBert,
            Some("mpnet") => Family::MpNet,
            Some(other) => {
                return Err(unsupported("model_type", other, "bert, roberta, xlm-roberta, distilbert, mpnet"));
            }
            None => return Err(ModelError::MissingKey { key: "model_type" }),
        };
        let activation = match raw.hidden_act.as_deref() {
            None | Some("gelu") => Activation::Gelu,
            Some("relu") => Activation::Relu,
            Some(other) => return Err(unsupported("hidden_act", other, "gelu, relu")),
        };
        if let Some(other) = raw.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
            return Err(unsupported("position_embedding_type", other, "absolute"));
        }
        if raw.is_decoder == Some(true) {
            return Err(unsupported("is_decoder", "true", "false"));
        }
        let has_types = matches!(family, Family::Bert | Family::Roberta);
        let config = Self {
            family,
            hidden: size("hidden_size", raw.hidden_size)?,
            n_layers: size("num_hidden_layers", raw.num_hidden_layers)?,
            n_heads: size("num_attention_heads", raw.num_attention_heads)?,
            intermediate: size("intermediate_size", raw.intermediate_size)?,
            vocab: size("vocab_size", raw.vocab_size)?,
            max_positions: size("max_position_embeddings", raw.max_position_embeddings)?,
            token_types: if has_types { size("type_vocab_size", raw.type_vocab_size.or(Some(2)))? } else { 0 },
            layer_norm_epsilon: match raw.layer_norm_eps {
                Some(epsilon) if family != Family::DistilBert => epsilon,
                _ => EPSILON,
            },
            padding_id: raw.pad_token_id.unwrap_or(usize::from(family.positions_skip_padding())),
            activation,
            names_classifier: raw
                .architectures
                .as_ref()
                .and_then(|names| names.first())
                .is_some_and(|name| name.ends_with(CLASSIFIER)),
        };
        if !config.hidden.is_multiple_of(config.n_heads) {
            return Err(unsupported("num_attention_heads", &config.n_heads.to_string(), "a divisor of hidden_size"));
        }
        if !(config.layer_norm_epsilon > 0.0 && config.layer_norm_epsilon < 1.0) {
            let value = config.layer_norm_epsilon.to_string();
            return Err(unsupported("layer_norm_eps", &value, "a number between 0 and 1"));
        }
        if config.padding_id >= config.vocab || config.max_tokens() == 0 {
            let value = config.padding_id.to_string();
            return Err(unsupported("pad_token_id", &value, "an id of the vocabulary, below the number of positions"));
        }
        Ok(config)
    }

    /// Numbers of one attention head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.hidden / self.n_heads
    }

    /// The padding token as an id.
    pub(super) fn padding(&self) -> i64 {
        i64::try_from(self.padding_id).expect("the configuration was read with a bound on ids")
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

/// The file again, for a classifier of `classes` classes; other keys stay as they are.
pub(super) fn for_classifier(json: &[u8], classes: usize) -> Result<Vec<u8>, ModelError> {
    let (mut keys, stem) = keys_and_stem(json)?;
    keys.insert("architectures".into(), vec![format!("{stem}{CLASSIFIER}")].into());
    let labels = (0..classes).map(|class| format!("LABEL_{class}"));
    let ids: Map<String, Value> = labels.clone().enumerate().map(|(id, name)| (id.to_string(), name.into())).collect();
    keys.insert("id2label".into(), ids.into());
    keys.insert(
        "label2id".into(),
        labels.enumerate().map(|(id, name)| (name, id.into())).collect::<Map<_, _>>().into(),
    );
    Ok(pretty(&keys))
}

/// The file again, for the encoder alone.
pub(super) fn for_encoder(json: &[u8]) -> Result<Vec<u8>, ModelError> {
    let (mut keys, stem) = keys_and_stem(json)?;
    keys.insert("architectures".into(), vec![format!("{stem}Model")].into());
    keys.remove("id2label");
    keys.remove("label2id");
    Ok(pretty(&keys))
}

/// The file's keys, and what the names of the family's architectures begin with.
fn keys_and_stem(json: &[u8]) -> Result<(Map<String, Value>, &'static str), ModelError> {
    let keys: Map<String, Value> =
        serde_json::from_slice(json).map_err(|source| ModelError::Json { file: "config.json", source })?;
    let stem = match keys.get("model_type").and_then(Value::as_str) {
        Some("roberta") => "Roberta",
        Some("xlm-roberta") => "XLMRoberta",
        Some("distilbert") => "DistilBert",
        Some("mpnet") => "MPNet",
        _ => "Bert",
    };
    Ok((keys, stem))
}

fn pretty(keys: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec_pretty(keys).expect("keys are strings")
}

#[derive(Deserialize)]
struct Raw {
    model_type: Option<String>,
    architectures: Option<Vec<String>>,
    #[serde(alias = "dim")]
    hidden_size: Option<usize>,
    #[serde(alias = "n_layers")]
    num_hidden_layers: Option<usize>,
    #[serde(alias = "n_heads")]
    num_attention_heads: Option<usize>,
    #[serde(alias = "hidden_dim")]
    intermediate_size: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    type_vocab_size: Option<usize>,
    layer_norm_eps: Option<f64>,
    #[serde(alias = "activation")]
    hidden_act: Option<String>,
    pad_token_id: Option<usize>,
    position_embedding_type: Option<String>,
    is_decoder: Option<bool>,
}

fn size(key: &'static str, value: Option<usize>) -> Result<usize, ModelError> {
    let value = value.ok_or(ModelError::MissingKey { key })?;
    if (1..=MAX_SIZE).contains(&value) {
        Ok(value)
    } else {
        Err(unsupported(key, &value.to_string(), "1 to 16,777,216"))
    }
}

fn unsupported(key: &'static str, value: &str, supported: &'static str) -> ModelError {
    ModelError::Unsupported { key, value: value.to_owned(), supported }
}

const CLASSIFIER: &str = "ForSequenceClassification";
/// What the four families use where the file does not say.
const EPSILON: f64 = 1e-12;
/// Far above every published encoder; products of two still fit 64 bits.
const MAX_SIZE: usize = 1 << 24;
