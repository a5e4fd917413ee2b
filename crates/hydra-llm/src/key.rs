//! The address of an answer: a hash of the model and of everything in the request that can change what comes back.

use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Request, ResponseFormat, Role};

/// Whose answers a key can find.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum KeyScope {
    /// Those of the same user and the same generation of their data; requests without a user have a scope of their own.
    #[default]
    User,
    /// Everybody's. Only for requests into which nothing of a user goes: whoever asks the same learns, by how fast the
    /// answer comes, that it was asked before.
    Shared,
}

/// SHA-256 over the model and the canonical form of a request. Shown as 64 hexadecimal digits.
///
/// The deadline is not part of it: it changes when an answer comes and not what it is.
///
/// # Canonical form
/// The bytes `hydra-llm request 1`, then the fields that are present, each as a tag byte, the length of its value as
/// 8 bytes, and its value; numbers are 8 bytes, all little-endian, floats the bits of the 64-bit float. Tags, in this
/// order: 1 model; for each message 2 role (0 system, 1 user, 2 assistant) and 3 text; 4 n; 5 temperature; 6 top-p;
/// for each 7 stop string; 8 max tokens; 9 seed; 10 logprobs; 11 response format (`json_object`, or the schema's name)
/// and 12 the schema as JSON without blanks, the names of its objects sorted by bytes; 13 draw; 14 user (16 bytes) and
/// 15 generation, unless the scope is shared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey([u8; 32]);

impl RequestKey {
    /// The key of `request` to `model`.
    #[must_use]
    pub fn of(model: &str, request: &Request, scope: KeyScope) -> Self {
        let mut form = Canonical(Sha256::new_with_prefix(b"hydra-llm request 1"));
        form.bytes(1, model.as_bytes());
        for message in &request.messages {
            let role = match message.role {
                Role::System => 0,
                Role::User => 1,
                Role::Assistant => 2,
            };
            form.number(2, Some(role));
            form.bytes(3, message.text.as_bytes());
        }
        form.number(4, Some(request.n.into()));
        form.float(5, request.temperature);
        form.float(6, request.top_p);
        for stop in &request.stop {
            form.bytes(7, stop.as_bytes());
        }
        form.number(8, request.max_tokens.map(u64::from));
        form.number(9, request.seed);
        form.number(10, request.logprobs.map(u64::from));
        match &request.response_format {
            ResponseFormat::Text => {}
            ResponseFormat::JsonObject => form.bytes(11, b"json_object"),
            ResponseFormat::JsonSchema { name, schema } => {
                form.bytes(11, name.as_bytes());
                let mut json = String::new();
                write_sorted(schema, &mut json);
                form.bytes(12, json.as_bytes());
            }
        }
        form.number(13, Some(request.draw));
        if let (KeyScope::User, Some(tag)) = (scope, request.user) {
            form.bytes(14, &tag.user.get().to_le_bytes());
            form.number(15, Some(tag.generation.get()));
        }
        Self(form.0.finalize().into())
    }

    /// The key with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestKey({self})")
    }
}

struct Canonical(Sha256);

impl Canonical {
    fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.update([tag]);
        self.0.update((value.len() as u64).to_le_bytes());
        self.0.update(value);
    }

    fn number(&mut self, tag: u8, value: Option<u64>) {
        if let Some(value) = value {
            self.bytes(tag, &value.to_le_bytes());
        }
    }

    fn float(&mut self, tag: u8, value: Option<f32>) {
        // Negative zero asks for the same as zero.
        self.number(tag, value.map(|value| (f64::from(value) + 0.0).to_bits()));
    }
}

/// Compact JSON with sorted names, whatever order the map keeps: another crate's feature decides that for all.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_bytes());
            out.push('{');
            for (i, (name, field)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_sorted(field, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests;
