//! `tokenizer.json` from the tokenizer that a GGUF file carries.

use serde_json::{Value as Json, json};

use super::DecoderError;
use crate::gguf::{Gguf, GgufError, Value};

/// Rebuilds the tokenizer of a file: byte-level BPE with the pre-tokenizers of gpt-2, smollm, qwen2 and llama 3.
///
/// # Errors
/// [`DecoderError::Tokenizer`] for another kind of tokenizer or one that contradicts itself.
///
/// # Panics
/// Never: what is written is plain data.
pub fn tokenizer_json(gguf: &Gguf) -> Result<Vec<u8>, DecoderError> {
    let wrong = |what| DecoderError::Tokenizer { what };
    if gguf.text("tokenizer.ggml.model")? != "gpt2" {
        return Err(wrong("only byte-level bpe (`gpt2`) is read"));
    }
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let list = |name: &str| gguf.metadata().get(&key(name)).ok_or_else(|| GgufError::Metadata { key: key(name) });
    let tokens = list("tokens")?.as_texts().ok_or_else(|| wrong("the tokens are not texts"))?;
    let merges = list("merges")?.as_texts().ok_or_else(|| wrong("the merges are not texts"))?;
    let types = match gguf.metadata().get(&key("token_type")).map(Value::as_integers) {
        Some(Some(types)) if types.len() == tokens.len() => types,
        _ => return Err(wrong("there is not one type for each token")),
    };
    let mut vocabulary = serde_json::Map::new();
    for (id, token) in tokens.iter().enumerate() {
        if vocabulary.insert(token.clone(), id.into()).is_some() {
            return Err(wrong("a token stands twice in the vocabulary"));
        }
    }
    let known = |token: &str| vocabulary.contains_key(token);
    let mut pairs = Vec::new();
    for merge in merges {
        let (left, right) = merge.split_once(' ').ok_or_else(|| wrong("a merge is not a pair"))?;
        if !known(left) || !known(right) || !known(&format!("{left}{right}")) {
            return Err(wrong("a merge makes what the vocabulary does not have"));
        }
        pairs.push([left, right]);
    }
    let added: Vec<Json> = tokens
        .iter()
        .zip(types)
        .enumerate()
        .filter(|(_, (_, kind))| matches!(**kind, CONTROL | USER_DEFINED | UNKNOWN))
        .map(|(id, (token, kind))| {
            json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": *kind != USER_DEFINED,
            })
        })
        .collect();
    let pre = gguf.metadata().get("tokenizer.ggml.pre").and_then(Value::as_text).unwrap_or("gpt-2");
    let (normalizer, pre_tokenizer) = pre_tokenizer(pre)?;
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": pre == "llama-bpe", "vocab": vocabulary, "merges": pairs,
        },
    });
    Ok(serde_json::to_vec(&tokenizer).expect("plain data with text keys"))
}

/// Normalizer and pre-tokenizer by the name that the file gives.
///
/// # Source
/// The regular expressions of `llama-vocab.cpp` (github.com/ggml-org/llama.cpp) and of the models' own `tokenizer.json`.
fn pre_tokenizer(name: &str) -> Result<(Json, Json), DecoderError> {
    let bytes =
        |regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let sequence = |parts: Vec<Json>| json!({"type": "Sequence", "pretokenizers": parts});
    let split = |digits: &str| {
        let regex = format!(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        );
        json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
    };
    Ok(match name {
        "gpt-2" | "default" => (Json::Null, bytes(true)),
        "smollm" => (Json::Null, sequence(vec![json!({"type": "Digits", "individual_digits": true}), bytes(true)])),
        "qwen2" => (json!({"type": "NFC"}), sequence(vec![split(r"\p{N}"), bytes(false)])),
        "llama-bpe" => (Json::Null, sequence(vec![split(r"\p{N}{1,3}"), bytes(false)])),
        _ => {
            let what = "only the pre-tokenizers gpt-2, smollm, qwen2 and llama-bpe are read";
            return Err(DecoderError::Tokenizer { what });
        }
    })
}

const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
