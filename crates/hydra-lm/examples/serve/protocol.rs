//! The OpenAI chat protocol before a [`LocalClient`]: one connection answers one request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use hydra_llm::{FinishReason, LlmClient, LlmError, Message, Request, StreamEvent, TokenLogprob, Usage, block_on};
use hydra_lm::LocalClient;
use serde_json::{Value, json};

/// Answers whoever connects, each on a thread of its own, until the listener fails. What goes wrong with a connection
/// is handed to `on_error`.
pub(crate) fn listen(listener: &TcpListener, client: LocalClient, on_error: fn(anyhow::Error)) -> Result<()> {
    let client = Arc::new(client);
    for stream in listener.incoming() {
        let (client, stream) = (Arc::clone(&client), stream?);
        std::thread::spawn(move || serve(&client, &stream).unwrap_or_else(on_error));
    }
    Ok(())
}

fn serve(client: &LocalClient, stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(SLOWEST))?;
    stream.set_nodelay(true)?;
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
    if !matches!(asked["response_format"]["type"].as_str(), None | Some("text")) {
        bail!("only answers of text are served");
    }
    Ok(request)
}

fn send_whole(client: &LocalClient, stream: &TcpStream, request: Request) -> Result<()> {
    let response = match block_on(client.complete(request)) {
        Ok(response) => response,
        Err(error) => return answer(stream, status(&error), &refusal(&error)),
    };
    let choices: Vec<_> = response
        .choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            json!({
                "index": index, "message": { "role": "assistant", "content": choice.text },
                "logprobs": choice.logprobs.as_deref().map(logprobs), "finish_reason": finish(choice.finish),
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
                    "logprobs": delta.logprobs.as_deref().map(logprobs), "finish_reason": delta.finish.map(finish),
                }]),
                Value::Null,
            ),
            Ok(StreamEvent::End(end)) => piece(json!([]), usage(&end.usage)),
            Ok(_) => continue,
            Err(error) => refusal(&error),
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

fn refusal(error: &LlmError) -> Value {
    let code = matches!(error, LlmError::ContextOverflow { .. }).then_some("context_length_exceeded");
    json!({ "error": { "message": error.to_string(), "code": code } })
}

fn finish(finish: FinishReason) -> &'static str {
    if finish == FinishReason::Length { "length" } else { "stop" }
}

fn logprobs(tokens: &[TokenLogprob]) -> Value {
    let one = |token: &str, logprob: f32| json!({ "token": token, "logprob": logprob });
    let content = tokens.iter().map(|token| {
        let mut entry = one(&token.token, token.logprob);
        entry["top_logprobs"] = token.top.iter().map(|(token, logprob)| one(token, *logprob)).collect();
        entry
    });
    json!({ "content": content.collect::<Vec<_>>() })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens(), "prompt_tokens_details": { "cached_tokens": usage.cached_tokens },
    })
}

const MAX_REQUEST: u64 = 8 << 20;
/// The longest pause of a client in the middle of its request.
const SLOWEST: Duration = Duration::from_secs(10);
