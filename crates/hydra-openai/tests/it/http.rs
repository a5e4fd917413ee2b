//! HTTP as it goes wrong: resets, slow and cut bodies, redirects, proxies, storms of refusals.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use hydra_llm::{
    AnswerFault, ApiKey, LlmClient, LlmError, Retry, RetryPolicy, Stage, StreamEvent, VirtualClock, block_on,
};
use hydra_openai::{BuildError, OpenAiClient};

use crate::oddities::assemble;
use crate::server::{Reads, Server, Step, answer, ask, json, says, stream_head, with_headers};

const SOON: Duration = Duration::from_millis(60);
/// Only reached when a test fails.
const FOREVER: Duration = Duration::from_secs(30);

#[test]
fn a_reset_before_the_answer_is_a_broken_connection() {
    let server = Server::reading(Reads::Nothing, |_, _| Vec::new());
    for result in [block_on(server.client().complete(ask())), assemble(&server.client(), ask())] {
        assert!(matches!(result, Err(LlmError::Transport { stage: Stage::Sending, .. })), "{result:?}");
        assert!(result.unwrap_err().is_transient());
    }
}

#[test]
fn a_reset_in_the_middle_of_an_answer_is_a_broken_connection() {
    let server = Server::reading(Reads::HeadOnly, |_, _| {
        vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\"".to_vec())]
    });
    let result = block_on(server.client().complete(ask()));
    assert!(matches!(result, Err(LlmError::Transport { .. })), "{result:?}");
}

#[test]
fn an_answer_of_the_wrong_length_is_never_taken_for_whole() {
    let body = r#"{"choices":[{"index":0,"message":{"content":"A"},"finish_reason":"stop"}]}"#;
    let claims = |length: usize| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        let server = Server::answering(vec![[head.as_bytes(), body.as_bytes()].concat()]);
        block_on(server.client().complete(ask()))
    };
    assert_eq!(claims(body.len()).unwrap().text(), "A");
    let longer = claims(body.len() + 10);
    assert!(matches!(longer, Err(LlmError::Transport { stage: Stage::Reading, .. })), "{longer:?}");
    let shorter = claims(body.len() - 10);
    assert!(matches!(shorter, Err(LlmError::BadAnswer(AnswerFault::CutShort))), "{shorter:?}");
    assert!(shorter.unwrap_err().is_transient());
}

#[test]
fn a_chunked_answer_without_its_last_chunk_is_not_whole() {
    let body = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n{}  \r\n";
    let server = Server::answering(vec![body.as_bytes().to_vec()]);
    let result = block_on(server.client().complete(ask()));
    assert!(matches!(result, Err(LlmError::Transport { stage: Stage::Reading, .. })), "{result:?}");
}

#[test]
fn an_endpoint_that_never_answers_is_left_at_the_deadline() {
    let (closed, is_closed) = mpsc::channel();
    let server = Server::start(move |_, _| vec![Step::Hang(closed.clone())]);
    let mut request = ask();
    request.deadline = Some(SOON);
    let before = Instant::now();
    let result = block_on(server.client().complete(request.clone()));
    assert!(matches!(result, Err(LlmError::Timeout { limit }) if limit == SOON), "{result:?}");
    assert!(before.elapsed() >= SOON && before.elapsed() < FOREVER);
    is_closed.recv_timeout(FOREVER).expect("the connection is given up, too");
    let result = assemble(&server.client(), request);
    assert!(matches!(result, Err(LlmError::Timeout { .. })), "{result:?}");
}

#[test]
fn a_body_that_drips_is_left_at_the_deadline_and_one_that_stops_after_a_silence() {
    let (closed, is_closed) = mpsc::channel();
    let server = Server::start(move |_, _| {
        vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"cho".to_vec()), Step::Hang(closed.clone())]
    });
    let mut request = ask();
    request.deadline = Some(SOON);
    let result = block_on(server.client().complete(request));
    assert!(matches!(result, Err(LlmError::Timeout { limit }) if limit == SOON), "{result:?}");
    is_closed.recv_timeout(FOREVER).unwrap();

    let impatient = server.builder().silence_timeout(SOON).build().unwrap();
    let result = block_on(impatient.complete(ask()));
    assert!(matches!(result, Err(LlmError::Timeout { limit }) if limit == SOON), "{result:?}");
}

#[test]
fn a_client_has_a_deadline_where_a_request_has_none() {
    let (closed, _is_closed) = mpsc::channel();
    let server = Server::start(move |_, _| vec![Step::Hang(closed.clone())]);
    let client = server.builder().call_timeout(SOON).build().unwrap();
    let result = block_on(client.complete(ask()));
    assert!(matches!(result, Err(LlmError::Timeout { limit }) if limit == SOON), "{result:?}");
}

#[test]
fn nobody_listening_is_a_connection_that_cannot_be_made() {
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let client = OpenAiClient::builder(&address, "m").no_proxy().build().unwrap();
    let error = block_on(client.complete(ask())).unwrap_err();
    assert!(matches!(error, LlmError::Transport { stage: Stage::Connecting, .. }), "{error:?}");
    assert!(error.is_free() && error.is_transient());
}

#[test]
fn pieces_arrive_while_the_server_still_writes() {
    let (go_on, may_go_on) = mpsc::channel();
    let gate = std::sync::Mutex::new(Some(may_go_on));
    let server = Server::start(move |_, _| {
        let first =
            [stream_head(), b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"A\"}}]}\n\n".to_vec()].concat();
        let rest = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"B\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        vec![Step::Send(first), Step::Await(gate.lock().unwrap().take().unwrap()), Step::Send(rest.to_vec())]
    });
    let client = server.client();
    let mut stream = client.stream(ask());
    let first = block_on(stream.next()).unwrap().unwrap();
    assert!(matches!(first, StreamEvent::Delta(delta) if delta.text == "A"));
    go_on.send(()).unwrap();
    let rest: Vec<_> = block_on(stream.try_collect()).unwrap();
    assert_eq!(rest.len(), 2);
}

#[test]
fn nothing_is_sent_before_the_first_poll() {
    let server = Server::answering(vec![says("A")]);
    let client = server.client();
    drop(client.complete(ask()));
    drop(client.stream(ask()));
    assert_eq!(block_on(client.complete(ask())).unwrap().text(), "A");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_call_that_is_dropped_is_aborted() {
    let (closed, is_closed) = mpsc::channel();
    let server = Server::start(move |_, _| vec![Step::Send(stream_head()), Step::Hang(closed.clone())]);
    let client = server.client();
    for streamed in [false, true] {
        if streamed {
            let mut stream = client.stream(ask());
            assert!(stream.next().now_or_never().is_none());
            wait_for_request(&server, 2);
        } else {
            let mut call = client.complete(ask());
            assert!((&mut call).now_or_never().is_none());
            wait_for_request(&server, 1);
        }
        is_closed.recv_timeout(FOREVER).expect("the connection is closed");
    }
}

#[test]
fn a_storm_of_429_is_weathered_by_the_retry_wrapper() {
    let refusal =
        with_headers(429, "retry-after: 7\r\n", br#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#);
    let server =
        Server::start(move |number, _| vec![Step::Send(if number < 40 { refusal.clone() } else { says("A") })]);
    let clock = VirtualClock::new();
    let policy = RetryPolicy { attempts: 50, ..RetryPolicy::default() };
    let client = Retry::new(server.client(), policy, clock.clone());
    let answers = clock.block_on(join_all((0..10).map(|_| client.complete(ask()))));
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().text() == "A"));
    assert_eq!(server.received().len(), 50);
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let answers = vec![
        with_headers(503, "retry-after: 0\r\n", b"<html>starting</html>"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{".to_vec(),
        b"nonsense that is no http\r\n\r\n".to_vec(),
        says("A"),
    ];
    let server = Server::answering(answers);
    let clock = VirtualClock::new();
    let client = Retry::new(server.client(), RetryPolicy::default(), clock.clone());
    assert_eq!(clock.block_on(client.complete(ask())).unwrap().text(), "A");
    assert_eq!(server.received().len(), 4);
}

#[test]
fn what_is_too_large_is_not_read_to_its_end() {
    let endless = b"x".repeat(100_000);
    let server = Server::answering(vec![answer(200, "application/json", &endless)]);
    let client = server.builder().max_answer_bytes(10_000).build().unwrap();
    let whole = block_on(client.complete(ask()));
    assert!(matches!(whole, Err(LlmError::BadAnswer(AnswerFault::TooLarge))), "{whole:?}");
    let streamed = assemble(&client, ask());
    assert!(matches!(streamed, Err(LlmError::BadAnswer(AnswerFault::TooLarge))), "{streamed:?}");
}

#[test]
fn neither_key_nor_prompt_follows_a_redirect_to_another_host() {
    let other = Server::answering(vec![says("stolen")]);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}/v1/chat/completions\r\n", other.address);
        let server = Server::answering(vec![with_headers(status, &location, b"")]);
        let client =
            server.builder().api_key(ApiKey::new("sk-secret").unwrap()).header("x-team", "sk-other").build().unwrap();
        for result in [block_on(client.complete(ask())), assemble(&client, ask())] {
            let error = result.unwrap_err();
            assert!(matches!(error, LlmError::Status { status: got, .. } if got == status), "{error:?}");
            assert!(!error.is_transient());
        }
    }
    assert!(other.received().is_empty());
}

#[test]
fn a_redirect_to_the_same_place_that_keeps_the_request_is_followed() {
    let server = Server::start(|number, _| {
        let elsewhere = with_headers(308, "location: /other/chat\r\n", b"");
        vec![Step::Send(if number == 0 { elsewhere } else { says("A") })]
    });
    let client = server.builder().api_key(ApiKey::new("sk-secret").unwrap()).build().unwrap();
    assert_eq!(block_on(client.complete(ask())).unwrap().text(), "A");
    let received = server.received();
    assert_eq!((received[1].path(), received[1].header("authorization")), ("/other/chat", Some("Bearer sk-secret")));
    assert_eq!(received[0].body, received[1].body);

    let circle = Server::answering(vec![with_headers(307, "location: /v1/chat/completions\r\n", b"")]);
    assert!(matches!(block_on(circle.client().complete(ask())), Err(LlmError::Status { status: 307, .. })));
    assert!(circle.received().len() < 6);
    let as_get = Server::answering(vec![with_headers(302, "location: /other\r\n", b"")]);
    assert!(block_on(as_get.client().complete(ask())).is_err());
    assert_eq!(as_get.received().len(), 1, "a 302 would turn the request into another one");
}

#[test]
fn a_proxy_is_used_when_it_is_named() {
    let proxy = Server::answering(vec![says("by proxy")]);
    let client = OpenAiClient::builder("http://model.invalid:81/v1", "m").proxy(&proxy.address).build().unwrap();
    assert_eq!(block_on(client.complete(ask())).unwrap().text(), "by proxy");
    assert_eq!(proxy.received()[0].path(), "http://model.invalid:81/v1/chat/completions");
}

#[test]
fn many_calls_run_at_once_on_one_thread() {
    // Nobody is answered before all have asked.
    let all_there = std::sync::Arc::new(std::sync::Barrier::new(32));
    let server = Server::start(move |_, _| {
        all_there.wait();
        vec![Step::Send(says("A"))]
    });
    let client = server.client();
    let answers = block_on(join_all((0..32).map(|_| client.complete(ask()))));
    assert!(answers.iter().all(Result::is_ok));
}

#[test]
fn a_client_is_used_from_many_threads() {
    let server = Server::answering(vec![says("A")]);
    let client = server.client();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(block_on(client.complete(ask())).unwrap().text(), "A"));
        }
    });
}

#[test]
fn empty_and_senseless_bodies_are_typed_errors() {
    for (body, expected) in [
        ("", AnswerFault::CutShort),
        ("null", AnswerFault::Field { field: "choices" }),
        ("[]", AnswerFault::Field { field: "choices" }),
        ("42", AnswerFault::Field { field: "choices" }),
        ("{\"choices\":[]}", AnswerFault::Empty),
        ("{\"choices\":[7]}", AnswerFault::Field { field: "choices" }),
        ("{\"choices\":{}}", AnswerFault::Field { field: "choices" }),
        ("ok", AnswerFault::NotJson { line: 1, column: 1 }),
    ] {
        let server = Server::answering(vec![json(body)]);
        match block_on(server.client().complete(ask())) {
            Err(LlmError::BadAnswer(fault)) => assert_eq!(fault, expected, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let server = Server::answering(vec![json(&deep)]);
    assert!(matches!(block_on(server.client().complete(ask())), Err(LlmError::BadAnswer(_))));
}

#[test]
fn what_a_client_cannot_be_made_from_is_refused() {
    let build = |make: fn(hydra_openai::OpenAiBuilder) -> hydra_openai::OpenAiBuilder| {
        make(OpenAiClient::builder("http://h", "m")).build().err()
    };
    assert_eq!(build(|b| b), None);
    assert_eq!(build(|b| b.exact_address("h")), Some(BuildError::Address));
    assert_eq!(build(|b| b.exact_address("http://sk-key@h")), Some(BuildError::Credentials));
    assert_eq!(build(|b| b.header("two words", "x")), Some(BuildError::Header));
    assert_eq!(build(|b| b.header("x", "a\r\nb: c")), Some(BuildError::Header));
    assert_eq!(build(|b| b.proxy("::")), Some(BuildError::Proxy));
    assert_eq!(build(|b| b.root_certificate_pem(b"no pem")), Some(BuildError::Certificate));
}

/// The request has left when the server has it; until then there is nothing to abort.
fn wait_for_request(server: &Server, count: usize) {
    let begun = Instant::now();
    while server.received().len() < count {
        assert!(begun.elapsed() < FOREVER, "no request came");
        thread::yield_now();
    }
}
