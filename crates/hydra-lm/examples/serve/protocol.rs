//! The model behind the OpenAI chat protocol, on loopback, with streaming.
//!
//! `cargo run --release -p hydra-lm --example serve -- [BUNDLE] [ADDRESS]`. One connection at a time answers at most one
//! request: enough to try a client against, and nothing to put before the world.
#![allow(clippy::print_stderr, reason = "an example says where it listens")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use hydra_llm::{FinishReason, LlmClient, LlmError, Message, Request, StreamEvent, Usage, block_on};
use hydra_lm::{LanguageModel, LmOptions, LocalClient};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let bundle = arguments.next().unwrap_or_else(|| "target/hydra/smollm2-135m-instruct-int8".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let client = Arc::new(LocalClient::new(LanguageModel::open(bundle.as_ref(), &LmOptions::default())?)?);
    let listener = TcpListener::bind(&address)?;
    eprintln!("http://{}/v1", listener.local_addr()?);
    for stream in listener.incoming() {
        let (client, stream) = (Arc::clone(&client), stream?);
        std::thread::spawn(move || {
            if let Err(error) = serve(&client, &stream) {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

fn serve(client: &LocalClient, stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.take(MAX_REQUEST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().context("a content length")?;
        }
    }
    if length as u64 > MAX_REQUEST {
        return answer(stream, 413, &json!({ "error": { "message": "the request is too long" } }));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked: Value = match serde_json::from_slice(&body) {
        Ok(asked) if path.ends_with("/chat/completions") => asked,
        Ok(_) => return answer(stream, 404, &json!({ "error": { "message": "ask /v1/chat/completions" } })),
        Err(_) => return answer(stream, 400, &json!({ "error": { "message": "the body is not json" } })),
    };
    let request = match read(&asked) {
        Ok(request) => request,
        Err(error) => return answer(stream, 400, &json!({ "error": { "message": error.to_string() } })),
    };
    if asked["stream"] == true { send_pieces(client, stream, request) } else { send_whole(client, stream, request) }
}

fn read(asked: &Value) -> Result<Request> {
    let mut messages = Vec::new();
    for message in asked["messages"].as_array().context("there are no messages")? {
        let text = message["content"].as_str().context("a message has no text")?;
        messages.push(match message["role"].as_str() {
            Some("system" | "developer") => Message::system(text),
            Some("user") => Message::user(text),
            Some("assistant") => Message::assistant(text),
            _ => bail!("a message has an unknown role"),
        });
    }
    let whole = |name: &str| asked[name].as_u64();
    #[allow(clippy::cast_possible_truncation, reason = "options are small numbers")]
    let float = |name: &str| asked[name].as_f64().map(|value| value as f32);
    let mut request = Request::new(messages);
    request.n = whole("n").map_or(Ok(1), u32::try_from)?;
    request.temperature = float("temperature");
    request.top_p = float("top_p");
    request.seed = whole("seed");
    request.max_tokens = whole("max_completion_tokens").or(whole("max_tokens")).map(u32::try_from).transpose()?;
    request.stop = match &asked["stop"] {
        Value::String(stop) => vec![stop.clone()],
        Value::Array(stops) => stops.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if asked["logprobs"] == true {
        request.logprobs = Some(whole("top_logprobs").map_or(Ok(0), u32::try_from)?);
    }
    Ok(request)
}

fn send_whole(client: &LocalClient, stream: &TcpStream, request: Request) -> Result<()> {
    let response = match block_on(client.complete(request)) {
        Ok(response) => response,
        Err(error) => return answer(stream, status(&error), &json!({ "error": { "message": error.to_string() } })),
    };
    let choices: Vec<_> = response
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let logprobs = choice.logprobs.as_ref().map(|tokens| {
                let top = |top: &[(String, f32)]| -> Vec<Value> {
                    top.iter().map(|(token, logprob)| json!({ "token": token, "logprob": logprob })).collect()
                };
                let token = |t: &hydra_llm::TokenLogprob| {
                    json!({ "token": t.token, "logprob": t.logprob, "top_logprobs": top(&t.top) })
                };
                json!({ "content": tokens.iter().map(token).collect::<Vec<_>>() })
            });
            json!({
                "index": index, "message": { "role": "assistant", "content": choice.text },
                "logprobs": logprobs, "finish_reason": finish(choice.finish),
            })
        })
        .collect();
    let body = json!({
        "id": "chatcmpl-local", "object": "chat.completion", "created": 0, "model": response.model,
        "choices": choices, "usage": usage(&response.usage),
    });
    answer(stream, 200, &body)
}

fn send_pieces(client: &LocalClient, mut stream: &TcpStream, request: Request) -> Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")?;
    let model = client.capabilities().model;
    let piece = |choices: Value, usage: Value| {
        json!({
            "id": "chatcmpl-local", "object": "chat.completion.chunk", "created": 0, "model": model,
            "choices": choices, "usage": usage,
        })
    };
    let mut events = client.stream(request);
    while let Some(event) = block_on(events.next()) {
        let body = match event {
            Ok(StreamEvent::Delta(delta)) => piece(
                json!([{
                    "index": delta.choice, "delta": { "content": delta.text },
                    "finish_reason": delta.finish.map(finish),
                }]),
                Value::Null,
            ),
            Ok(StreamEvent::End(end)) => piece(json!([]), usage(&end.usage)),
            Ok(_) => continue,
            Err(error) => json!({ "error": { "message": error.to_string() } }),
        };
        write!(stream, "data: {body}\n\n")?;
        stream.flush()?;
    }
    stream.write_all(b"data: [DONE]\n\n")?;
    Ok(())
}

fn answer(mut stream: &TcpStream, status: u16, body: &Value) -> Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body.as_bytes())?)
}

fn status(error: &LlmError) -> u16 {
    match error {
        LlmError::InvalidRequest(_) | LlmError::Unsupported { .. } | LlmError::ContextOverflow { .. } => 400,
        LlmError::Timeout { .. } => 504,
        _ => 500,
    }
}

fn finish(finish: FinishReason) -> &'static str {
    if finish == FinishReason::Length { "length" } else { "stop" }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens(), "prompt_tokens_details": { "cached_tokens": usage.cached_tokens },
    })
}

const MAX_REQUEST: u64 = 8 << 20;
