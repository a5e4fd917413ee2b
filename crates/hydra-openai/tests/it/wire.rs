//! What is sent.

use std::time::Duration;

use hydra_llm::{ApiKey, Generation, LlmClient, Message, Request, ResponseFormat, UserId, UserTag, block_on};
use hydra_openai::{OpenAiBuilder, TokenLimitField};
use serde_json::{Value, json};

use crate::oddities::assemble;
use crate::server::{Received, Server, answer, ask, says};

fn sent(request: Request, set_up: fn(OpenAiBuilder) -> OpenAiBuilder) -> Received {
    let server = Server::answering(vec![says("A")]);
    let client = set_up(server.builder()).build().unwrap();
    block_on(client.complete(request)).unwrap();
    server.received().remove(0)
}

fn full() -> Request {
    let mut request = Request::new(vec![Message::system("s"), Message::user("ü\n\"q\""), Message::assistant("a")]);
    request.n = 2;
    request.temperature = Some(0.7);
    request.top_p = Some(0.1);
    request.stop = vec!["\n".into()];
    request.max_tokens = Some(64);
    request.seed = Some(u64::MAX);
    request.logprobs = Some(0);
    request.response_format = ResponseFormat::JsonSchema { name: "tag".into(), schema: json!({"type": "object"}) };
    request.user = Some(UserTag { user: UserId::new(7), generation: Generation::FIRST });
    request.draw = 5;
    request.deadline = Some(Duration::from_secs(9));
    request
}

#[test]
fn a_plain_request_sends_nothing_that_it_leaves_open() {
    let received = sent(ask(), |b| b);
    assert_eq!(received.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("authorization"), None);
    let expected =
        json!({"model": "m", "messages": [{"role": "user", "content": "a rainy day film?"}], "stream": false});
    assert_eq!(received.json(), expected);
}

#[test]
fn a_full_request_is_sent_as_the_api_documents_it() {
    let expected = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "ü\n\"q\""},
            {"role": "assistant", "content": "a"},
        ],
        "stream": false,
        "n": 2,
        "temperature": 0.7,
        "top_p": 0.1,
        "stop": ["\n"],
        "max_tokens": 64,
        "seed": i64::MAX,
        "logprobs": true,
        "top_logprobs": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "tag", "schema": {"type": "object"}, "strict": true}},
    });
    assert_eq!(sent(full(), |b| b).json(), expected);
}

#[test]
fn keys_headers_and_dialects_are_sent_as_set_up() {
    let received = sent(full(), |b| {
        b.api_key(ApiKey::new("sk-test").unwrap())
            .header("x-team", "films")
            .token_limit_field(TokenLimitField::MaxCompletionTokens)
            .user_pseudonym(b"salt")
    });
    assert_eq!((received.header("authorization"), received.header("x-team")), (Some("Bearer sk-test"), Some("films")));
    let body = received.json();
    assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&json!(64), &Value::Null));
    // sha256(b"salt" + (7).to_bytes(16, "little")), the first 32 digits, by Python's hashlib.
    assert_eq!(body["user"], "41fe78df4b36e9ace0c4c3f035b78ab4");
}

#[test]
fn a_stream_asks_for_its_usage_unless_told_not_to() {
    let stream = |set_up: fn(OpenAiBuilder) -> OpenAiBuilder| {
        let body = b"data: {\"choices\":[{\"delta\":{\"content\":\"A\"}}]}\n\ndata: [DONE]\n\n";
        let server = Server::answering(vec![answer(200, "text/event-stream", body)]);
        assemble(&set_up(server.builder()).build().unwrap(), ask()).unwrap();
        server.received().remove(0).json()
    };
    let asked = stream(|b| b);
    assert_eq!((&asked["stream"], &asked["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    assert_eq!(stream(OpenAiBuilder::without_stream_usage)["stream_options"], Value::Null);
}

#[test]
fn what_the_model_lacks_is_not_sent() {
    let server = Server::answering(vec![says("A")]);
    let lacking = hydra_llm::Capabilities::new("plain");
    let client = server.builder().capabilities(lacking).build().unwrap();
    assert!(block_on(client.complete(full())).is_err());
    assert!(assemble(&client, full()).is_err());
    assert!(server.received().is_empty());
    block_on(client.complete(ask())).unwrap();
    assert_eq!(server.received()[0].json()["model"], "plain");
}
