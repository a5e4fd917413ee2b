//! GGUF in, bundle out.

use std::fmt;
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use hydra_graph::ExternalData;
use hydra_onnx::{Bundle, Description, Kind, Manifest, Pooling, Precision};
use serde_json::json;

use super::{DecoderConfig, DecoderError, gate, graph, tokenizer_json};
use crate::export::ParsePrecisionError;
use crate::gguf::{Gguf, Value};

/// The numbers that an exported decoder computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DecoderPrecision {
    /// 32-bit floats.
    #[default]
    Fp32,
    /// 8-bit weights in blocks of 32, activations rounded to 8 bits as it runs.
    Int8,
    /// What the file holds in 4-bit blocks (Q4_0, Q4_1, Q4_K), exactly as it is; the rest as with `Int8`. A third smaller
    /// than that, no faster, and for files that hold such blocks only: weights are never rounded to 4 bits here.
    Int4,
}

impl DecoderPrecision {
    /// All of them, by the names that the command line uses.
    pub const ALL: [(&str, Self); 3] = [("fp32", Self::Fp32), ("int8", Self::Int8), ("int4", Self::Int4)];
}

impl fmt::Display for DecoderPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL.iter().find(|(_, precision)| precision == self).expect("all are listed");
        f.pad(name)
    }
}

impl FromStr for DecoderPrecision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find_map(|(name, precision)| (*name == text).then_some(*precision)).ok_or(ParsePrecisionError)
    }
}

/// How to export a decoder. [`DecoderOptions::default`] is the place where the defaults live.
///
/// # Shapes
/// Inputs of the graph:
/// - `input_ids`: `[batch, seq]`, i64; or `inputs_embeds`: `[batch, seq, hidden]`
/// - `position_ids`: `[batch, seq]`, i64
/// - `attention_bias`: `[batch or 1, heads or 1, seq, total]`, added to the scores of attention
/// - `last_positions`: `[batch]`, i32: for each row how many tokens it has with the new ones, less one
/// - `total_length`: a number, i32: the longest row's tokens with the new ones
/// - `logit_rows`: `[rows]`, i64: of which tokens, counted over the whole batch, logits are asked
/// - `past.L.key`, `past.L.value`: `[batch, shared heads, cache, head size]` for each layer `L`
///
/// Outputs: `logits`: `[rows, vocabulary]`; `present.L.key`, `present.L.value`, as long as the cache if that has room;
/// `hidden.L`: `[batch, seq, hidden]` for the layers that were asked for. Rows of different lengths in one batch go one
/// token at a time; several tokens over a cache that is not empty go one row at a time.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DecoderOptions {
    precision: DecoderPrecision,
    embeddings: bool,
    hidden_states: Vec<usize>,
}

impl DecoderOptions {
    /// The numbers that the graph computes with; `fp32` by default.
    #[must_use]
    pub fn precision(mut self, precision: DecoderPrecision) -> Self {
        self.precision = precision;
        self
    }

    /// Vectors go in where tokens do otherwise.
    #[must_use]
    pub fn embeddings_in(mut self) -> Self {
        self.embeddings = true;
        self
    }

    /// What these layers make, counted from 0, comes out too.
    #[must_use]
    pub fn hidden_states_out(mut self, layers: &[usize]) -> Self {
        self.hidden_states = layers.to_vec();
        self
    }

    pub(super) fn chosen_precision(&self) -> DecoderPrecision {
        self.precision
    }

    pub(super) fn takes_embeddings(&self) -> bool {
        self.embeddings
    }

    pub(super) fn hidden_states(&self) -> &[usize] {
        &self.hidden_states
    }
}

/// Exports a language model: builds the graph, passes it through the gate, and writes the bundle to `out`, whole or not
/// at all. With vectors as input there is no gate, since there are no tokens to compare, and the manifest says so by
/// having no parity.
///
/// # Errors
/// [`DecoderError`]; nothing is written then, and an older bundle at `out` stays as it is.
///
/// # Panics
/// Never: a file that was just written has a name.
pub fn export_decoder(gguf: &Gguf, options: &DecoderOptions, out: &Path) -> Result<Manifest, DecoderError> {
    let config = DecoderConfig::new(gguf)?;
    let tokenizer = tokenizer_json(gguf)?;
    let metadata = [("hydra.language_model", facts(gguf, &config)?)];
    let model = graph::build(gguf, &config, options, &metadata)?;
    let model = if model.initializer_bytes() >= EXTERNAL_FROM {
        let temporary = tempfile::tempdir().map_err(DecoderError::Temporary)?;
        let path = temporary.path().join("model.onnx");
        let data = model.save_external(&path, ExternalData::default())?;
        let read = |path: &Path| fs::read(path).map(Arc::<[u8]>::from).map_err(DecoderError::Temporary);
        let name = data.file_name().expect("it was just written").to_string_lossy().into_owned();
        hydra_onnx::Model::with_data(read(&path)?, [(name, read(&data)?)].into())?
    } else {
        hydra_onnx::Model::new(model.to_bytes()?)?
    };
    let parity = if options.takes_embeddings() {
        None
    } else {
        Some(gate::parity(gguf, &config, &model, &tokenizer, options.precision)?)
    };
    let description = Description {
        kind: Kind::LanguageModel,
        precision: match options.precision {
            DecoderPrecision::Fp32 => Precision::Fp32,
            DecoderPrecision::Int8 => Precision::Int8Blocks,
            DecoderPrecision::Int4 => Precision::Int4Blocks,
        },
        pooling: Pooling::None,
        normalize: false,
        max_tokens: config.context.clamp(LEAST_TOKENS, MOST_TOKENS),
        parity,
    };
    let bundle = Bundle::new(description, model, tokenizer)?;
    bundle.save(out)?;
    Ok(bundle.manifest().clone())
}

/// What the graph does not say and a conversation needs, in the metadata of the graph: it is hashed with it.
fn facts(gguf: &Gguf, config: &DecoderConfig) -> Result<String, DecoderError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let tokens = gguf.metadata().get(&key("tokens")).and_then(Value::as_texts).unwrap_or_default();
    if tokens.len() != config.vocabulary {
        return Err(DecoderError::Tokenizer {
            what: "the vocabulary does not have one token for each row of the table",
        });
    }
    let special = |name: &str| gguf.number(&key(name)).ok().filter(|id| *id < tokens.len());
    let text = |id: Option<usize>| id.map(|id| tokens[id].clone());
    let (begin, end) = (special("bos_token_id"), special("eos_token_id"));
    let mut stops: Vec<usize> = [end, special("eot_token_id"), special("eom_token_id")].into_iter().flatten().collect();
    stops.extend(tokens.iter().enumerate().filter(|(_, t)| TURN_ENDS.contains(&t.as_str())).map(|(id, _)| id));
    stops.sort_unstable();
    stops.dedup();
    let adds_begin = gguf.metadata().get(&key("add_bos_token")).and_then(Value::as_bool).unwrap_or(false);
    let facts = json!({
        "name": gguf.text("general.name").unwrap_or("language model"),
        "context": config.context,
        "begin": begin.filter(|_| adds_begin),
        "begin_text": text(begin),
        "end_text": text(end),
        "stops": stops,
        "chat_template": gguf.text("tokenizer.chat_template").ok(),
    });
    Ok(facts.to_string())
}

/// Weights of this many bytes no longer go into the model file.
const EXTERNAL_FROM: u64 = 1 << 30;
/// What a manifest may say.
const LEAST_TOKENS: usize = 8;
const MOST_TOKENS: usize = 1_000_000;
/// Tokens that end a turn whatever the metadata says.
const TURN_ENDS: [&str; 2] = ["<|im_end|>", "<|eot_id|>"];
