//! A small HTTP/1.1 server that does what a test tells it to, misbehaviour included.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use hydra_llm::{Message, Request};
use hydra_openai::{OpenAiBuilder, OpenAiClient};
use serde_json::Value;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server does after it has read a request.
pub(crate) enum Step {
    /// Sends bytes at once.
    Send(Vec<u8>),
    /// Waits until the test gives a sign.
    Await(mpsc::Receiver<()>),
    /// Keeps the connection open and silent until the client closes it, then gives a sign.
    Hang(mpsc::Sender<()>),
}

/// How much of a request is read before the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// All of it.
    All,
    /// The head. What is left unread when the connection is closed makes the system send a reset.
    HeadOnly,
    /// A single byte, with the same effect at once.
    Nothing,
}

pub(crate) struct Server {
    pub(crate) address: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    /// Answers every request with what `answer` makes of its number and itself, then closes the connection.
    pub(crate) fn start(answer: impl Fn(usize, &Received) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::reading(Reads::All, answer)
    }

    pub(crate) fn reading(
        reads: Reads,
        answer: impl Fn(usize, &Received) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let (seen, answer) = (Arc::clone(&received), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                // The thread ends with its connection; one that hangs ends with the process of the test.
                thread::spawn(move || serve(stream, reads, &seen, &*answer));
            }
        });
        Self { address, received }
    }

    /// Answers the requests with these, in order, and the last one again and again.
    pub(crate) fn answering(answers: Vec<Vec<u8>>) -> Self {
        Self::start(move |number, _| vec![Step::Send(answers[number.min(answers.len() - 1)].clone())])
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn builder(&self) -> OpenAiBuilder {
        // What the machine's environment says about proxies is not what is tested.
        OpenAiClient::builder(&self.address, "m").no_proxy().call_timeout(Duration::from_secs(20))
    }

    pub(crate) fn client(&self) -> OpenAiClient {
        self.builder().build().unwrap()
    }
}

fn serve(
    stream: TcpStream,
    reads: Reads,
    seen: &Mutex<Vec<Received>>,
    answer: &(impl Fn(usize, &Received) -> Vec<Step> + ?Sized),
) -> Option<()> {
    let mut input = BufReader::with_capacity(1, stream.try_clone().ok()?);
    let mut output = stream;
    if reads == Reads::Nothing {
        input.read_exact(&mut [0]).ok()?;
        return None;
    }
    let mut line = String::new();
    input.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        input.read_line(&mut header).ok()?;
        match header.trim().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    let mut body = vec![0; if reads == Reads::All { length } else { 0 }];
    input.read_exact(&mut body).ok()?;
    let received = Received { line: line.trim().to_owned(), headers, body };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(received.clone());
        seen.len() - 1
    };
    for step in answer(number, &received) {
        match step {
            Step::Send(bytes) => output.write_all(&bytes).and_then(|()| output.flush()).ok()?,
            Step::Await(sign) => sign.recv().ok()?,
            Step::Hang(closed) => {
                let _ = input.read(&mut [0]);
                let _ = closed.send(());
            }
        }
    }
    Some(())
}

/// A whole answer of a server that knows HTTP.
pub(crate) fn answer(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let extra = format!("content-type: {content_type}\r\n");
    with_headers(status, &extra, body)
}

pub(crate) fn with_headers(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub(crate) fn json(body: &str) -> Vec<u8> {
    answer(200, "application/json", body.as_bytes())
}

/// The head of a stream that ends with its connection.
pub(crate) fn stream_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec()
}

/// An answer of this text as OpenAI writes it.
pub(crate) fn says(text: &str) -> Vec<u8> {
    let message = serde_json::json!({"role": "assistant", "content": text});
    let choice = serde_json::json!({"index": 0, "message": message, "finish_reason": "stop"});
    json(&serde_json::json!({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}).to_string())
}

pub(crate) fn ask() -> Request {
    Request::new(vec![Message::user("a rainy day film?")])
}
