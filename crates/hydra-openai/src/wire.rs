//! Requests as servers read them.

use hydra_llm::{Capabilities, Request, ResponseFormat, Role};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::builder::{Dialect, TokenLimitField};

/// The body of a chat completion. What the request leaves open is not sent.
pub(crate) fn chat(request: &Request, capabilities: &Capabilities, dialect: &Dialect, stream: bool) -> Vec<u8> {
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| {
            let role = match message.role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            json!({"role": role, "content": message.text})
        })
        .collect();
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", capabilities.model.as_str().into());
    set("messages", messages.into());
    // Some servers stream unless they are told not to.
    set("stream", stream.into());
    if stream && dialect.ask_stream_usage {
        set("stream_options", json!({"include_usage": true}));
    }
    if request.n > 1 {
        set("n", request.n.into());
    }
    if let Some(temperature) = request.temperature {
        set("temperature", decimal(temperature));
    }
    if let Some(top_p) = request.top_p {
        set("top_p", decimal(top_p));
    }
    if !request.stop.is_empty() {
        set("stop", request.stop.clone().into());
    }
    if let Some(limit) = request.max_tokens {
        let name = match dialect.token_limit {
            TokenLimitField::MaxTokens => "max_tokens",
            TokenLimitField::MaxCompletionTokens => "max_completion_tokens",
        };
        set(name, limit.into());
    }
    if let Some(seed) = request.seed {
        // Servers read it as a signed number.
        set("seed", (seed & SIGNED).into());
    }
    if let Some(top) = request.logprobs {
        set("logprobs", true.into());
        // vLLM wants it even when it is nought.
        set("top_logprobs", top.into());
    }
    match &request.response_format {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => {
            set("response_format", json!({"type": "json_object"}));
        }
        ResponseFormat::JsonSchema { name, schema } => {
            let schema = json!({"name": name, "schema": schema, "strict": true});
            set("response_format", json!({"type": "json_schema", "json_schema": schema}));
        }
    }
    if let (Some(tag), Some(salt)) = (request.user, &dialect.pseudonym) {
        let digest: [u8; 32] =
            Sha256::new_with_prefix(salt).chain_update(tag.user.get().to_le_bytes()).finalize().into();
        set("user", digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>().into());
    }
    to_bytes(&Value::Object(body))
}

/// The body of an embeddings call.
pub(crate) fn embeddings(texts: &[&str], model: &str) -> Vec<u8> {
    to_bytes(&json!({"model": model, "input": texts, "encoding_format": "float"}))
}

/// The body of a rerank call, as Jina, Cohere and llama.cpp read it.
pub(crate) fn rerank(query: &str, documents: &[&str], model: &str) -> Vec<u8> {
    to_bytes(&json!({"model": model, "query": query, "documents": documents, "top_n": documents.len()}))
}

/// The same as Text Embeddings Inference reads it.
pub(crate) fn rerank_texts(query: &str, documents: &[&str], model: &str) -> Vec<u8> {
    to_bytes(&json!({"model": model, "query": query, "texts": documents, "documents": documents}))
}

/// The shortest decimal that means the same `f32`: 0.7, not 0.699999988079071.
fn decimal(number: f32) -> Value {
    number.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn to_bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value can be written")
}

/// All bits but the sign.
const SIGNED: u64 = u64::MAX >> 1;
