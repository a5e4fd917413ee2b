//! The client.

use std::time::Duration;

use hydra_llm::{Assembler, Feature, LlmClient, LlmError, Message, Request, ResponseFormat, StreamEvent, block_on};
use hydra_lm::LocalClient;

use crate::model;

fn request(text: &str) -> Request {
    let mut request = Request::new(vec![Message::user(text)]);
    request.max_tokens = Some(12);
    request.seed = Some(3);
    request
}

fn events(client: &LocalClient, request: Request) -> Vec<Result<StreamEvent, LlmError>> {
    use futures_util::StreamExt;
    block_on(client.stream(request).collect())
}

#[test]
fn a_stream_is_the_answer_in_pieces() {
    let client = LocalClient::new(model()).unwrap();
    let mut asked = request("hello world");
    (asked.n, asked.logprobs) = (2, Some(1));
    let whole = block_on(client.complete(asked.clone())).unwrap();
    let mut assembler = Assembler::default();
    let mut pieces = 0;
    for event in events(&client, asked) {
        pieces += 1;
        assembler.push(event.unwrap()).unwrap();
    }
    let streamed = assembler.finish().unwrap();
    assert_eq!(streamed.choices, whole.choices);
    assert!(pieces > 4, "{pieces}");
    assert_eq!(whole.choices.len(), 2);
    assert_ne!(whole.choices[0].text, whole.choices[1].text);
    let tokens: usize = whole.choices.iter().map(|choice| choice.logprobs.as_ref().unwrap().len()).sum();
    assert_eq!(whole.usage.completion_tokens, tokens as u64);
    assert!(whole.usage.prompt_tokens > 10);
}

#[test]
fn requests_that_begin_alike_read_the_beginning_once() {
    let label = |record: &str| {
        let mut label = Request::new(vec![Message::user(format!("{} {record}", "does it help? ".repeat(8)))]);
        (label.max_tokens, label.n, label.logprobs, label.seed) = (Some(1), 8, Some(5), Some(1));
        label
    };
    let client = LocalClient::new(model()).unwrap();
    let cached: Vec<_> = ["one", "another", "a third"]
        .map(|record| {
            let warm = block_on(client.complete(label(record))).unwrap();
            let fresh = block_on(LocalClient::new(model()).unwrap().complete(label(record))).unwrap();
            assert_eq!(warm.choices, fresh.choices);
            assert_eq!(warm.choices.len(), 8);
            (warm.usage.cached_tokens, fresh.usage.cached_tokens)
        })
        .into();
    assert!(cached[0] == (0, 0) && cached[1..].iter().all(|(warm, fresh)| *warm >= 64 && *fresh == 0), "{cached:?}");
}

#[test]
fn too_long_a_prompt_and_too_short_a_time_are_typed_and_say_nothing_of_the_prompt() {
    let client = LocalClient::new(model()).unwrap();
    let error = block_on(client.complete(request(&"canary ".repeat(200)))).unwrap_err();
    assert!(matches!(error, LlmError::ContextOverflow { .. }));
    assert!(!format!("{error:?} {error}").contains("canary"));
    let mut hurried = request("hello");
    (hurried.max_tokens, hurried.deadline) = (Some(100_000), Some(Duration::from_nanos(1)));
    let error = block_on(client.complete(hurried)).unwrap_err();
    assert!(matches!(error, LlmError::Timeout { .. }), "{error:?}");
    assert!(block_on(client.complete(request("hello"))).is_ok(), "the client goes on");
}

#[test]
fn an_answer_that_nobody_waits_for_is_given_up() {
    let client = LocalClient::new(model()).unwrap();
    let mut long = request("hello");
    long.max_tokens = Some(100_000);
    {
        use futures_util::StreamExt;
        let mut stream = client.stream(long);
        assert!(block_on(stream.next()).is_some());
    }
    assert!(block_on(client.complete(request("hello"))).is_ok());
}

#[test]
fn a_schema_that_names_every_answer_is_kept_to_and_any_other_is_refused() {
    let client = LocalClient::new(model()).unwrap();
    let with = |schema| {
        let mut asked = request("hello world");
        (asked.n, asked.temperature) = (16, Some(1.0));
        asked.response_format = ResponseFormat::JsonSchema { name: "rating".into(), schema };
        block_on(client.complete(asked))
    };
    let answer = with(serde_json::json!({ "enum": [1, 2, 5] })).unwrap();
    assert!(answer.choices.iter().all(|choice| ["1", "2", "5"].contains(&choice.text.as_str())));
    let refused = with(serde_json::json!({ "type": "string" }));
    assert!(matches!(refused, Err(LlmError::Unsupported { feature: Feature::JsonSchema, .. })), "{refused:?}");
}
