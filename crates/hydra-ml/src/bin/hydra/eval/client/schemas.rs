//! Endpoints and JSON schemas.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use hydra_llm::{BoxFuture, Capabilities, EventStream, LlmClient, LlmError, Request, Response, ResponseFormat};
use serde_json::{Value, json};

/// A client that asks in plain text from the moment on at which the endpoint refuses a JSON schema, and says so.
pub(super) struct SchemasOrText<C> {
    inner: C,
    refused: AtomicBool,
}

impl<C: LlmClient> SchemasOrText<C> {
    pub(super) fn new(inner: C) -> Self {
        Self { inner, refused: AtomicBool::new(false) }
    }

    async fn ask(&self, request: Request) -> Result<Response, LlmError> {
        let ResponseFormat::JsonSchema { name, schema } = &request.response_format else {
            return self.inner.complete(request).await;
        };
        let mut plain = request.clone();
        plain.response_format = ResponseFormat::Text;
        if self.refused.load(Ordering::Relaxed) {
            return self.inner.complete(plain).await;
        }
        let mut with_schema = request.clone();
        with_schema.response_format = ResponseFormat::JsonSchema { name: name.clone(), schema: of_an_object(schema) };
        match self.inner.complete(with_schema).await {
            Err(error) if may_be_the_schema(&error) => {
                // It was the schema if the same question is answered without.
                let answer = self.inner.complete(plain).await?;
                if !self.refused.swap(true, Ordering::Relaxed) {
                    eprintln!(
                        "the endpoint refuses JSON schemas: it is asked in plain text, and what it says is read leniently"
                    );
                }
                Ok(answer)
            }
            answer => answer,
        }
    }
}

impl<C: LlmClient> LlmClient for SchemasOrText<C> {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.json_schema = true;
        capabilities
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(self.ask(request))
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.inner.stream(request)
    }
}

fn may_be_the_schema(error: &LlmError) -> bool {
    match error {
        LlmError::Status { status, .. } => matches!(status, 400 | 404 | 415 | 422 | 501),
        LlmError::Unsupported { .. } => true,
        _ => false,
    }
}

/// A list of objects as the schema of one: most endpoints take no list at the root, and want all fields named. Where the list
/// has every combination of its fields' values, as ours have, both allow the same.
fn of_an_object(schema: &Value) -> Value {
    let objects: Option<Vec<_>> =
        schema.get("enum").and_then(Value::as_array).and_then(|all| all.iter().map(Value::as_object).collect());
    let Some(objects) = objects.filter(|all| !all.is_empty()) else { return schema.clone() };
    let names: Vec<&String> = objects[0].keys().collect();
    if objects.iter().any(|object| object.keys().collect::<Vec<_>>() != names) {
        return schema.clone();
    }
    let property = |name: &&String| {
        let mut seen = BTreeSet::new();
        let values: Vec<&Value> =
            objects.iter().map(|object| &object[*name]).filter(|value| seen.insert(value.to_string())).collect();
        let kind = if values.iter().all(|value| value.is_string()) { "string" } else { "number" };
        ((*name).clone(), json!({ "type": kind, "enum": values }))
    };
    let properties: serde_json::Map<String, Value> = names.iter().map(property).collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use hydra_llm::{Choice, Message, Usage, Withheld, block_on};

    use super::*;

    /// An endpoint of our own making: it shows our logic, and nothing about endpoints.
    #[derive(Default)]
    struct NoSchemas {
        asked: Mutex<Vec<&'static str>>,
    }

    impl LlmClient for NoSchemas {
        fn capabilities(&self) -> Capabilities {
            Capabilities::new("no schemas")
        }

        fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
            let plain = request.response_format == ResponseFormat::Text;
            self.asked.lock().unwrap().push(if plain { "plain" } else { "schema" });
            let refused = || {
                let said = Withheld::new("response_format");
                LlmError::Status { status: 400, code: None, retry_after: None, said }
            };
            let answer =
                if plain { Ok(Response::new(vec![Choice::new("4")], Usage::default())) } else { Err(refused()) };
            Box::pin(async move { answer })
        }
    }

    #[test]
    fn an_endpoint_that_refuses_a_schema_is_asked_once_with_it() {
        let client = SchemasOrText::new(NoSchemas::default());
        let mut request = Request::new(vec![Message::user("4 or 5?")]);
        request.response_format =
            ResponseFormat::JsonSchema { name: "rating".into(), schema: json!({"enum": [{"rating": 4}]}) };
        for _ in 0..2 {
            assert_eq!(block_on(client.complete(request.clone())).unwrap().text(), "4");
        }
        assert_eq!(*client.inner.asked.lock().unwrap(), ["schema", "plain", "plain"]);
    }

    #[test]
    fn a_list_of_objects_becomes_an_object_with_lists() {
        let list = json!({"enum": [{"likes": "war", "usual": 1}, {"likes": "war", "usual": 2}, {"likes": "noir", "usual": 1}, {"likes": "noir", "usual": 2}]});
        let expected = json!({
            "type": "object",
            "properties": {
                "likes": {"type": "string", "enum": ["war", "noir"]},
                "usual": {"type": "number", "enum": [1, 2]},
            },
            "required": ["likes", "usual"],
            "additionalProperties": false,
        });
        assert_eq!(of_an_object(&list), expected);
        for other in [
            json!({"type": "object"}),
            json!({"enum": []}),
            json!({"enum": ["a"]}),
            json!({"enum": [{"a": 1}, {"b": 1}]}),
        ] {
            assert_eq!(of_an_object(&other), other);
        }
    }
}
