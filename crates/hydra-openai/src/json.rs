//! JSON as servers write it.

use hydra_llm::{AnswerFault, LlmError};
use serde_json::Value;

/// Reads a JSON text. What is tolerated: a byte-order mark, the numbers that JSON does not have (`NaN`, `Infinity`,
/// read as null), and a stream's end mark behind the text.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, LlmError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    let text = text.strip_suffix("data: [DONE]").unwrap_or(text);
    serde_json::from_str(&without_bare_words(text)).map_err(|_| fault_of(&error))
}

/// All the JSON values that stand one after the other, as servers write them that stream lines instead of events.
pub(crate) fn parse_all(bytes: &[u8]) -> Result<Vec<Value>, LlmError> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_slice(bytes).into_iter().collect();
    match values {
        Ok(values) => Ok(values),
        Err(_) => parse(bytes).map(|value| vec![value]),
    }
}

/// Where it went wrong, and no word of the text.
fn fault_of(error: &serde_json::Error) -> LlmError {
    if error.is_eof() {
        AnswerFault::CutShort.into()
    } else {
        AnswerFault::NotJson { line: error.line(), column: error.column() }.into()
    }
}

/// Puts null in the place of the words outside of strings that are no JSON.
fn without_bare_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        if !in_string && let Some(word) = BARE_WORDS.iter().find(|&&word| rest.starts_with(word)) {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        let mut len = c.len_utf8();
        match c {
            '"' => in_string = !in_string,
            '\\' if in_string => len += rest[len..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// As Python's `json.dumps` writes them.
const BARE_WORDS: &[&str] = &["-Infinity", "Infinity", "NaN"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_almost_json_is_read() {
        for (text, expected) in [
            ("{\"a\": [NaN, -Infinity, Infinity, 1]}", json!({"a": [null, null, null, 1]})),
            (r#"{"a": "NaN \" Infinity \\", "b": NaN}"#, json!({"a": "NaN \" Infinity \\", "b": null})),
            ("\u{feff}{}", json!({})),
            ("{\"a\": 1}\n\ndata: [DONE]\n\n", json!({"a": 1})),
            ("null", Value::Null),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_and_not_quoted() {
        for text in ["secret", "{\"a\": secret}", "{\"a\": \"secret\"} secret", "\u{0}secret"] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, LlmError::BadAnswer(AnswerFault::NotJson { .. })), "{text}");
            assert!(!format!("{error:?}{error}").contains("secret"));
        }
        for text in ["", "{\"a\": \"b", "[1,"] {
            assert!(matches!(parse(text.as_bytes()), Err(LlmError::BadAnswer(AnswerFault::CutShort))), "{text}");
        }
    }

    #[test]
    fn values_in_a_row_are_all_read() {
        assert_eq!(parse_all(b"{\"a\":1}\n{\"a\":2}\n").unwrap().len(), 2);
        assert_eq!(parse_all(b"{\"a\":NaN}").unwrap(), [json!({"a": null})]);
        assert!(parse_all(b"{} x").is_err());
    }
}
