//! A key and a prompt that must not be seen, against servers that quote them.

use hydra_llm::{
    ApiKey, Cassette, CassetteMode, KeyScope, LlmClient, LlmError, Message, Request, Retry, RetryPolicy, VirtualClock,
    block_on,
};
use hydra_openai::{BuildError, OpenAiClient};
use hydra_testkit::Seen;

use crate::oddities::gather;
use crate::server::{Reads, Server, answer, json, says, with_headers};

const KEY: &str = "sk-canary-93b1";
const HEADER: &str = "canary-in-a-header";
const PROMPT: &str = "canary-of-a-prompt";

#[test]
fn neither_key_nor_prompt_is_seen_anywhere() {
    let seen = Seen::default();
    let error = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: {KEY}. You said: {PROMPT}","type":"{KEY}","code":"{PROMPT}-12345678"}}}}"#
    );
    let stream = format!("data: {error}\n\n");
    let servers = [
        Server::answering(vec![answer(401, "application/json", error.as_bytes())]),
        Server::answering(vec![answer(429, "text/plain", format!("{KEY} {PROMPT}").as_bytes()), says(PROMPT)]),
        Server::answering(vec![answer(200, "text/event-stream", stream.as_bytes())]),
        Server::answering(vec![json(&error)]),
        Server::answering(vec![json(&format!("{KEY} is not json, nor is {PROMPT}"))]),
        Server::answering(vec![json(&format!(r#"{{"choices":"{PROMPT}"}}"#))]),
        Server::answering(vec![with_headers(302, &format!("location: http://{KEY}.invalid/{PROMPT}\r\n"), b"")]),
        Server::answering(vec![with_headers(200, &format!("x-key: {KEY}\r\n"), b"<html>")]),
        Server::answering(vec![format!("{KEY} is no http\r\n\r\n").into_bytes()]),
        Server::reading(Reads::Nothing, |_, _| Vec::new()),
    ];
    let nobody = OpenAiClient::builder("http://127.0.0.1:9", "m").no_proxy();
    let builders = servers.iter().map(Server::builder).chain([nobody]);
    let folder = tempfile::tempdir().unwrap();
    tracing::subscriber::with_default(seen.clone(), || {
        for (number, builder) in builders.enumerate() {
            let client = builder.api_key(ApiKey::new(KEY).unwrap()).header("x-secret", HEADER).build().unwrap();
            let clock = VirtualClock::new();
            let retry = Retry::new(client, RetryPolicy::default(), clock.clone());
            let tape = folder.path().join(format!("{number}"));
            let client = Cassette::open(retry, &tape, CassetteMode::Record, KeyScope::User).unwrap();
            for streamed in [false, true] {
                let mut request = Request::new(vec![Message::user(PROMPT)]);
                request.draw = u64::from(streamed);
                let result = if streamed {
                    clock.block_on(gather(&client, request))
                } else {
                    clock.block_on(client.complete(request))
                };
                match result {
                    Ok(response) => seen.note(&response),
                    Err(error) => seen.error(&error),
                }
            }
            drop(client);
            let tape = std::fs::read(&tape).unwrap();
            for secret in [KEY, HEADER] {
                assert!(!tape.windows(secret.len()).any(|window| window == secret.as_bytes()));
            }
        }
    });
    for error in
        [BuildError::Address, BuildError::Credentials, BuildError::Header, BuildError::Proxy, BuildError::Certificate]
    {
        seen.error(&error);
    }
    assert!(seen.text().contains("trying again"), "the net catches something");
    for secret in [KEY, HEADER, PROMPT] {
        seen.holds_no(secret);
    }
}

#[test]
fn what_the_server_said_is_kept_for_who_asks_but_without_the_key() {
    let body = format!(r#"{{"error":{{"message":"Incorrect API key provided: {KEY}."}}}}"#);
    let server = Server::answering(vec![answer(401, "application/json", body.as_bytes())]);
    let client = server.builder().api_key(ApiKey::new(KEY).unwrap()).build().unwrap();
    match block_on(client.complete(crate::server::ask())) {
        Err(LlmError::Status { said, .. }) => assert_eq!(said.reveal(), "Incorrect API key provided: [key]."),
        other => panic!("{other:?}"),
    }
}
