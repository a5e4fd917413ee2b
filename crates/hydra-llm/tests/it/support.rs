//! Requests, and a client whose answers take simulated time.

use std::sync::Mutex;
use std::time::Duration;

use hydra_llm::{
    BoxFuture, Capabilities, Choice, Clock, Delta, End, ErrorCode, EventStream, FinishReason, LlmClient, LlmError,
    Message, Request, Response, StreamEvent, Usage, UserTag, VirtualClock, Withheld,
};
use hydra_types::{Generation, UserId};

pub(crate) fn ask(text: &str) -> Request {
    Request::new(vec![Message::user(text)])
}

pub(crate) fn by_user(text: &str, user: u128) -> Request {
    let mut request = ask(text);
    request.user = Some(UserTag { user: UserId::new(user), generation: Generation::FIRST });
    request
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn status(status: u16, retry_after: Option<u64>) -> LlmError {
    LlmError::Status { status, code: None, retry_after: retry_after.map(seconds), said: Withheld::default() }
}

pub(crate) fn quota() -> LlmError {
    LlmError::Status {
        status: 429,
        code: ErrorCode::parse("insufficient_quota"),
        retry_after: None,
        said: Withheld::default(),
    }
}

pub(crate) fn able(model: &str) -> Capabilities {
    let mut capabilities = Capabilities::new(model);
    capabilities.max_n = 8;
    capabilities.seed = true;
    capabilities.streaming = true;
    capabilities
}

/// Echoes the question after `takes` of simulated time, and keeps the times at which it was asked.
pub(crate) struct Slow {
    pub(crate) clock: VirtualClock,
    pub(crate) takes: Duration,
    pub(crate) state: Mutex<SlowState>,
}

#[derive(Default)]
pub(crate) struct SlowState {
    pub(crate) begun: Vec<Duration>,
    pub(crate) order: Vec<String>,
    pub(crate) running: usize,
    pub(crate) most_running: usize,
}

impl Slow {
    pub(crate) fn new(clock: &VirtualClock, takes: Duration) -> Self {
        Self { clock: clock.clone(), takes, state: Mutex::default() }
    }

    pub(crate) fn begun(&self) -> Vec<Duration> {
        self.state.lock().unwrap().begun.clone()
    }
}

impl LlmClient for Slow {
    fn capabilities(&self) -> Capabilities {
        able("slow")
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let text = request.messages[0].text.clone();
            {
                let mut state = self.state.lock().unwrap();
                state.begun.push(self.clock.now());
                state.order.push(text.clone());
                state.running += 1;
                state.most_running = state.most_running.max(state.running);
            }
            let _running = Running(self);
            if let Some(limit) = request.deadline.filter(|&limit| limit < self.takes) {
                self.clock.sleep(limit).await;
                return Err(LlmError::Timeout { limit });
            }
            self.clock.sleep(self.takes).await;
            Ok(Response::new(vec![Choice::new(text)], Usage::reported(10, 5)))
        })
    }
}

struct Running<'a>(&'a Slow);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().running -= 1;
    }
}

/// Streams scripted events, one script a call.
pub(crate) struct Streaming(pub(crate) Mutex<Vec<Vec<Result<StreamEvent, LlmError>>>>);

impl Streaming {
    pub(crate) fn new(mut scripts: Vec<Vec<Result<StreamEvent, LlmError>>>) -> Self {
        scripts.reverse();
        Self(Mutex::new(scripts))
    }

    pub(crate) fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl LlmClient for Streaming {
    fn capabilities(&self) -> Capabilities {
        able("streaming")
    }

    fn complete(&self, _: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        unreachable!("this client only streams")
    }

    fn stream(&self, _: Request) -> EventStream<'_> {
        let script = self.0.lock().unwrap().pop().expect("a script for every call");
        Box::pin(futures_util::stream::iter(script))
    }
}

pub(crate) fn piece(text: &str) -> Result<StreamEvent, LlmError> {
    Ok(StreamEvent::Delta(Delta { text: text.to_owned(), ..Delta::default() }))
}

pub(crate) fn last_piece(text: &str) -> Result<StreamEvent, LlmError> {
    Ok(StreamEvent::Delta(Delta { text: text.to_owned(), finish: Some(FinishReason::Stop), ..Delta::default() }))
}

pub(crate) fn end(prompt: u64, completion: u64) -> Result<StreamEvent, LlmError> {
    Ok(StreamEvent::End(End { usage: Usage::reported(prompt, completion), ..End::default() }))
}
