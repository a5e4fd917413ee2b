//! Reranking.

use std::time::Duration;

use hydra_llm::{AnswerFault, LlmError, Score};
use serde_json::Value;

use crate::{OpenAiClient, fault, json, read, wire};

impl OpenAiClient {
    /// How well each of `documents` answers `query`, by the call `rerank`: as Jina, Cohere, llama.cpp and vLLM serve it,
    /// and, where that call does not exist, as Text Embeddings Inference does. No documents give no scores, without a
    /// call.
    ///
    /// Higher is better. Range and zero are the server's: some give probabilities, some logits of any size. Scores may
    /// be compared within one call only.
    ///
    /// # Shapes
    /// - returns: `[documents]`, in their order
    ///
    /// # Errors
    /// [`LlmError`]; [`LlmError::BadAnswer`] if there is not exactly one finite score for each document.
    pub async fn rerank(
        &self,
        query: &str,
        documents: &[&str],
        deadline: Option<Duration>,
    ) -> Result<Vec<Score>, LlmError> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let body = wire::rerank(query, documents, self.model());
        let answer = self.transport.post(self.address.call("rerank"), body, deadline).await;
        let answer = match (answer, self.address.call_without_version("rerank")) {
            (Err(LlmError::Status { status: 404 | 405, .. }), Some(url)) => {
                let body = wire::rerank_texts(query, documents, self.model());
                self.transport.post(url, body, deadline).await
            }
            (answer, _) => answer,
        }?;
        read_scores(&answer, documents.len()).map_err(|error| self.transport.scrub(error))
    }
}

/// `{"results": [..]}`, `{"data": [..]}` or the bare list, of `{"index", "relevance_score" or "score"}`.
fn read_scores(body: &[u8], documents: usize) -> Result<Vec<Score>, LlmError> {
    fault::check_web_page(body)?;
    let value = json::parse(body)?;
    if let Some(error) = fault::from_value(&value) {
        return Err(error);
    }
    let entries = value.get("results").or_else(|| value.get("data")).unwrap_or(&value).as_array().ok_or(FAULT)?;
    read::in_order(entries, documents, read_score).ok_or_else(|| FAULT.into())
}

#[allow(clippy::cast_possible_truncation, reason = "the nearest f32 is what is wanted")]
fn read_score(entry: &Value) -> Option<Score> {
    let score = entry.get("relevance_score").or_else(|| entry.get("score"))?.as_f64()?;
    Score::new(score as f32).ok()
}

const FAULT: AnswerFault = AnswerFault::Field { field: "results" };
