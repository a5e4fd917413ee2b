//! The client of hydra-openai against this model behind the example's server: real HTTP on loopback, and the same answers
//! as without it.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use hydra_llm::{Assembler, LlmClient, LlmError, Message, Request, Response, StreamEvent, block_on};
use hydra_lm::LocalClient;
use hydra_openai::OpenAiClient;

use crate::model;

#[path = "../../examples/serve/protocol.rs"]
mod protocol;

/// The model in process, and the same model behind the protocol.
fn both() -> (LocalClient, OpenAiClient) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = LocalClient::new(model()).unwrap();
    let here = LocalClient::new(model()).unwrap();
    // The thread waits for connections until the process ends.
    std::thread::spawn(move || protocol::listen(&listener, served, |error| panic!("{error:#}")));
    let there = OpenAiClient::builder(&address, here.capabilities().model).no_proxy().build().unwrap();
    (here, there)
}

fn request(text: &str) -> Request {
    let mut request = Request::new(vec![Message::system("answer in few words"), Message::user(text)]);
    (request.max_tokens, request.seed) = (Some(12), Some(3));
    request
}

fn streamed(client: &impl LlmClient, request: Request) -> Result<(Response, usize), LlmError> {
    let mut assembler = Assembler::default();
    let events: Vec<_> = block_on(client.stream(request).collect());
    let pieces = events.iter().filter(|event| matches!(event, Ok(StreamEvent::Delta(_)))).count();
    for event in events {
        assembler.push(event?)?;
    }
    Ok((assembler.finish()?, pieces))
}

/// What the protocol does not carry left out: both sides number and count alike.
fn plain(response: &Response) -> Response {
    let mut plain = Response::new(response.choices.clone(), response.usage);
    plain.model.clone_from(&response.model);
    plain.usage.cached_tokens = 0;
    plain
}

#[test]
fn answers_through_the_protocol_are_those_of_the_model() {
    let (here, there) = both();
    let mut several = request("hello world");
    (several.n, several.temperature, several.top_p) = (3, Some(0.8), Some(0.9));
    let mut stopping = request("hello");
    stopping.stop = vec!["a".to_owned(), "e".to_owned()];
    let mut scored = request("hel");
    (scored.max_tokens, scored.n, scored.logprobs) = (Some(1), 4, Some(5));
    for asked in [request("ü\n\"quoted\" \u{1F3AC}"), several, stopping, scored] {
        let expected = block_on(here.complete(asked.clone())).unwrap();
        assert_eq!(plain(&block_on(there.complete(asked.clone())).unwrap()), plain(&expected), "{asked:?}");
        let (whole, pieces) = streamed(&there, asked.clone()).unwrap();
        assert_eq!(plain(&whole), plain(&expected), "{asked:?}");
        assert!(pieces >= expected.choices.len(), "{pieces}");
    }
}

#[test]
fn pieces_come_through_the_protocol_while_the_model_writes() {
    let (_, there) = both();
    let mut long = request("hello");
    (long.max_tokens, long.n) = (Some(200), 8);
    let mut stream = there.stream(long);
    for _ in 0..3 {
        assert!(matches!(block_on(stream.next()), Some(Ok(StreamEvent::Delta(_)))));
    }
    drop(stream);
    // Nobody waits any more, so the model is free for the next one.
    let mut next = request("hello");
    next.deadline = Some(Duration::from_secs(30));
    assert!(block_on(there.complete(next)).is_ok());
}

#[test]
fn a_refusal_keeps_its_type_through_the_protocol() {
    let (_, there) = both();
    let long = request(&"canary ".repeat(200));
    let whole = block_on(there.complete(long.clone())).unwrap_err();
    let pieces = streamed(&there, long).unwrap_err();
    for error in [whole, pieces] {
        assert!(matches!(error, LlmError::ContextOverflow { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary"));
    }
    let mut json = request("hello");
    json.response_format = hydra_llm::ResponseFormat::JsonObject;
    assert!(matches!(block_on(there.complete(json)), Err(LlmError::Status { status: 400, .. })));
}

#[test]
fn many_callers_at_once_are_all_answered_as_alone() {
    let (here, there) = both();
    let requests: Vec<_> = (0..8).map(|at| request(&format!("hello {at}"))).collect();
    let together = block_on(join_all(requests.iter().map(|request| there.complete(request.clone()))));
    for (request, got) in requests.into_iter().zip(together) {
        assert_eq!(plain(&got.unwrap()), plain(&block_on(here.complete(request)).unwrap()));
    }
}
