//! The shape of a model, from the metadata of its file.

use super::DecoderError;
use crate::gguf::{Gguf, GgufError, Value};

/// The shape of a decoder of the llama family.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DecoderConfig {
    /// Layers.
    pub layers: usize,
    /// Numbers of a token's vector.
    pub hidden: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Heads of keys and values, each shared by `heads / shared` heads of queries.
    pub shared: usize,
    /// Numbers of a head's vector.
    pub head_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// The most tokens that the model was trained to read.
    pub context: usize,
    /// Added inside the root of a normalisation.
    pub epsilon: f32,
    /// The angle per position of each pair of numbers of a head: `[head_size / 2]`.
    pub frequencies: Vec<f64>,
    /// Whether query and key rows lie in the order of interleaved rotation.
    pub(super) interleaved: bool,
    /// Whether queries, keys and values have a bias.
    pub(super) has_bias: bool,
    /// Whether the output matrix is the table of embeddings.
    pub(super) tied: bool,
}

impl DecoderConfig {
    /// Reads the shape of a model, and compares every tensor with it.
    ///
    /// # Errors
    /// [`DecoderError::Architecture`], [`DecoderError::Config`], [`DecoderError::Shape`], [`DecoderError::Gguf`].
    pub fn new(gguf: &Gguf) -> Result<Self, DecoderError> {
        let architecture = gguf.text("general.architecture")?;
        if !matches!(architecture, "llama" | "qwen2") {
            let found = architecture.chars().filter(|c| !c.is_control()).take(32).collect();
            return Err(DecoderError::Architecture { found });
        }
        let key = |name: &str| format!("{architecture}.{name}");
        let number = |name: &str| gguf.number(&key(name));
        let float = |name: &str| gguf.metadata().get(&key(name)).and_then(Value::as_f64);
        let heads = number("attention.head_count")?;
        let hidden = number("embedding_length")?;
        if heads == 0 || hidden == 0 {
            return Err(DecoderError::Config { what: "a model without heads or width" });
        }
        let head_size = number("attention.key_length").unwrap_or(hidden / heads);
        let table = gguf.tensors().get("token_embd.weight");
        let table = table.ok_or_else(|| GgufError::MissingTensor { name: "token_embd.weight".to_owned() })?;
        let epsilon = "attention.layer_norm_rms_epsilon";
        #[allow(clippy::cast_possible_truncation, reason = "the file holds an f32")]
        let epsilon = float(epsilon).ok_or_else(|| GgufError::Metadata { key: key(epsilon) })? as f32;
        let config = Self {
            layers: number("block_count")?,
            hidden,
            heads,
            shared: number("attention.head_count_kv").unwrap_or(heads),
            head_size,
            intermediate: number("feed_forward_length")?,
            vocabulary: table.shape[0],
            context: number("context_length")?,
            epsilon,
            frequencies: frequencies(gguf, &key, float("rope.freq_base").unwrap_or(10_000.0), head_size)?,
            interleaved: architecture == "llama",
            has_bias: gguf.tensors().contains_key("blk.0.attn_q.bias"),
            tied: !gguf.tensors().contains_key("output.weight"),
        };
        let rotated = number("rope.dimension_count").unwrap_or(head_size);
        if rotated != head_size || !head_size.is_multiple_of(2) || head_size == 0 {
            return Err(DecoderError::Config { what: "rotation does not cover the whole of an even head" });
        }
        config.check(gguf)?;
        Ok(config)
    }

    /// The matrices and vectors of a layer, with their shapes.
    fn check(&self, gguf: &Gguf) -> Result<(), DecoderError> {
        if !(1..=MAX_LAYERS).contains(&self.layers) || !(1..=MAX_CONTEXT).contains(&self.context) {
            return Err(DecoderError::Config { what: "no layers or no context, or more than any model has" });
        }
        if self.shared == 0 || !self.heads.is_multiple_of(self.shared) || self.intermediate == 0 {
            return Err(DecoderError::Config { what: "heads that cannot share keys and values" });
        }
        if !(self.epsilon > 0.0 && self.epsilon < 1.0) {
            return Err(DecoderError::Config { what: "a normalisation with an epsilon that is not between 0 and 1" });
        }
        let (queries, keys) = (self.heads * self.head_size, self.shared * self.head_size);
        let expect = |name: &str, expected: &[usize]| {
            let missing = || GgufError::MissingTensor { name: name.to_owned() };
            let found = &gguf.tensors().get(name).ok_or_else(missing)?.shape;
            if found == expected {
                return Ok(());
            }
            Err(DecoderError::Shape { name: name.to_owned(), expected: expected.to_vec(), found: found.clone() })
        };
        expect("token_embd.weight", &[self.vocabulary, self.hidden])?;
        expect("output_norm.weight", &[self.hidden])?;
        if !self.tied {
            expect("output.weight", &[self.vocabulary, self.hidden])?;
        }
        for layer in 0..self.layers {
            for (part, shape) in [
                ("attn_norm.weight", vec![self.hidden]),
                ("ffn_norm.weight", vec![self.hidden]),
                ("attn_q.weight", vec![queries, self.hidden]),
                ("attn_k.weight", vec![keys, self.hidden]),
                ("attn_v.weight", vec![keys, self.hidden]),
                ("attn_output.weight", vec![self.hidden, queries]),
                ("ffn_gate.weight", vec![self.intermediate, self.hidden]),
                ("ffn_up.weight", vec![self.intermediate, self.hidden]),
                ("ffn_down.weight", vec![self.hidden, self.intermediate]),
            ] {
                expect(&format!("blk.{layer}.{part}"), &shape)?;
            }
            if self.has_bias {
                for (part, size) in [("attn_q.bias", queries), ("attn_k.bias", keys), ("attn_v.bias", keys)] {
                    expect(&format!("blk.{layer}.{part}"), &[size])?;
                }
            }
        }
        Ok(())
    }
}

/// # Source
/// Su et al., *RoFormer*, arXiv:2104.09864, equation 15. **Differs:** divided by the factors of long-context files.
fn frequencies(
    gguf: &Gguf,
    key: &impl Fn(&str) -> String,
    base: f64,
    head_size: usize,
) -> Result<Vec<f64>, DecoderError> {
    let scaling = gguf.metadata().get(&key("rope.scaling.type")).and_then(Value::as_text);
    if !(base.is_finite() && base > 0.0) || head_size > MAX_HEAD_SIZE {
        return Err(DecoderError::Config { what: "a rotation that cannot be" });
    }
    let divisor = match scaling {
        None | Some("none") => 1.0,
        Some("linear") => {
            let factor = gguf.metadata().get(&key("rope.scaling.factor")).and_then(Value::as_f64);
            factor.filter(|f| *f >= 1.0).ok_or(DecoderError::Config { what: "a linear rotation without its factor" })?
        }
        Some(_) => return Err(DecoderError::Config { what: "a rotation that is scaled in a way that is not read" }),
    };
    let factors = match gguf.tensors().get("rope_freqs.weight") {
        None => vec![1.0; head_size / 2],
        Some(_) => gguf.tensor("rope_freqs.weight")?,
    };
    if factors.len() != head_size / 2 || !factors.iter().all(|factor| *factor > 0.0) {
        return Err(DecoderError::Config { what: "factors of rotation that do not fit the heads" });
    }
    let size = u32::try_from(head_size).expect("at most MAX_HEAD_SIZE");
    let angle =
        |pair: u32, factor: f32| base.powf(-f64::from(2 * pair) / f64::from(size)) / divisor / f64::from(factor);
    Ok((0..).zip(factors).map(|(pair, factor)| angle(pair, factor)).collect())
}

const MAX_LAYERS: usize = 1_024;
const MAX_CONTEXT: usize = 1 << 24;
const MAX_HEAD_SIZE: usize = 1 << 16;
