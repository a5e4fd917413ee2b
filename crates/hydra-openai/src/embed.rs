//! Embeddings.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hydra_llm::{AnswerFault, LlmError, Usage};
use serde_json::Value;

use crate::{OpenAiClient, fault, json, read, wire};

/// Vectors of texts, in the order of the texts. `Debug` shows how many.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Embeddings {
    /// One for each text, all of the same length, every number finite.
    pub vectors: Vec<Vec<f32>>,
    /// What they cost.
    pub usage: Usage,
}

impl fmt::Debug for Embeddings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embeddings")
            .field("vectors", &self.vectors.len())
            .field("hidden", &self.vectors.first().map_or(0, Vec::len))
            .field("usage", &self.usage)
            .finish()
    }
}

impl OpenAiClient {
    /// The vectors of `texts`, by the call `embeddings`. No texts give no vectors, without a call.
    ///
    /// # Shapes
    /// - returns: `[texts, hidden]`, as many rows as texts, in their order
    ///
    /// # Errors
    /// [`LlmError`]; [`LlmError::BadAnswer`] if there is not exactly one vector of finite numbers for each text, all
    /// of one length.
    pub async fn embed(&self, texts: &[&str], deadline: Option<Duration>) -> Result<Embeddings, LlmError> {
        if texts.is_empty() {
            return Ok(Embeddings { vectors: Vec::new(), usage: Usage::reported(0, 0) });
        }
        let body = wire::embeddings(texts, self.model());
        let body = self.transport.post(self.address.call("embeddings"), body, deadline).await?;
        let (vectors, usage) = read_embeddings(&body, texts.len()).map_err(|error| self.transport.scrub(error))?;
        let estimated = || Usage::estimated(texts.iter().map(|text| self.estimate().text(text.len())).sum(), 0);
        Ok(Embeddings { vectors, usage: usage.unwrap_or_else(estimated) })
    }
}

/// The vectors, and the usage if the server counted.
fn read_embeddings(body: &[u8], texts: usize) -> Result<(Vec<Vec<f32>>, Option<Usage>), LlmError> {
    fault::check_web_page(body)?;
    let mut value = json::parse(body)?;
    if let Some(error) = fault::from_value(&value) {
        return Err(error);
    }
    let usage = value.as_object_mut().and_then(read::take_usage);
    let entries = value.get("data").unwrap_or(&value).as_array().ok_or(FAULT)?;
    let vectors =
        read::in_order(entries, texts, |entry| read_vector(entry.get("embedding").unwrap_or(entry))).ok_or(FAULT)?;
    let hidden = vectors[0].len();
    if hidden == 0 || vectors.iter().any(|vector| vector.len() != hidden) {
        return Err(FAULT.into());
    }
    Ok((vectors, usage))
}

/// An array of numbers, an array of one such array, or little-endian floats in base64.
#[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
fn read_vector(value: &Value) -> Option<Vec<f32>> {
    let vector: Vec<f32> = match value {
        Value::String(text) => {
            let bytes = STANDARD.decode(text).ok()?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| numbers.iter().map(|&number| f32::from_le_bytes(number)).collect())?
        }
        Value::Array(numbers) => match numbers.as_slice() {
            [inner @ Value::Array(_)] => return read_vector(inner),
            numbers => numbers.iter().map(|number| Some(number.as_f64()? as f32)).collect::<Option<_>>()?,
        },
        _ => return None,
    };
    vector.iter().all(|number| number.is_finite()).then_some(vector)
}

const FAULT: AnswerFault = AnswerFault::Field { field: "data" };
