//! Bytes to the endpoint and back, on a thread of its own.
//!
//! HTTP needs a runtime, the LLM-client trait has none: all clients of a process share one thread that runs a small
//! one. It moves bytes and keeps time; reading what they mean is left to the thread that asked. A call that is dropped
//! is aborted there.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt, stream};
use hydra_llm::{AnswerFault, ApiKey, ErrorCode, LlmError, Stage, Withheld};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, StatusCode, Url};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::fault;

/// How long and how much.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) silence: Duration,
    pub(crate) call: Duration,
    pub(crate) answer_bytes: usize,
}

/// Sends bodies and receives answers.
pub(crate) struct Transport {
    http: Client,
    key: Option<ApiKey>,
    limits: Limits,
    connect: Duration,
}

/// The whole body of a successful answer.
pub(crate) type Body = Vec<u8>;

/// A client that keeps its word about redirects: only to the same place, and only those that keep the request as it
/// is. A key, other headers and the prompt itself never go to another host.
pub(crate) fn new_http(connect: Duration, silence: Duration) -> ClientBuilder {
    Client::builder().connect_timeout(connect).read_timeout(silence).redirect(Policy::custom(|attempt| {
        let keeps_request = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let same_place = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if keeps_request && same_place && attempt.previous().len() <= MAX_REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    }))
}

impl Transport {
    pub(crate) fn new(http: Client, key: Option<ApiKey>, limits: Limits, connect: Duration) -> Self {
        Self { http, key, limits, connect }
    }

    pub(crate) fn answer_bytes(&self) -> usize {
        self.limits.answer_bytes
    }

    /// Takes the key out of what a server said in an answer.
    pub(crate) fn scrub(&self, error: LlmError) -> LlmError {
        fault::scrub(error, self.key.as_ref())
    }

    /// Sends `body` and waits for the whole answer.
    pub(crate) async fn post(&self, url: Url, body: Vec<u8>, deadline: Option<Duration>) -> Result<Body, LlmError> {
        let call = self.call(url, body, deadline);
        let task = io_thread()?.spawn(async move {
            let response = call.send().await?;
            call.read_all(response).await
        });
        Task(task).await
    }

    /// Sends `body` and gives the answer piece by piece.
    pub(crate) fn post_stream(
        &self,
        url: Url,
        body: Vec<u8>,
        deadline: Option<Duration>,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, LlmError>> + Send + use<>, LlmError> {
        let call = self.call(url, body, deadline);
        let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
        let task = io_thread()?.spawn(async move {
            if let Err(error) = call.forward(&sender).await {
                // Nobody listens any more: then nobody wants to know.
                let _ = sender.send(Err(error)).await;
            }
            Ok(())
        });
        // The task lives, and is aborted, with the stream.
        let state = (receiver, Task(task));
        Ok(stream::unfold(state, |(mut receiver, task)| async move {
            receiver.recv().await.map(|piece| (piece, (receiver, task)))
        }))
    }

    fn call(&self, url: Url, body: Vec<u8>, deadline: Option<Duration>) -> Call {
        let limit = deadline.unwrap_or(self.limits.call);
        Call {
            request: self.http.post(url).body(body),
            key: self.key.clone(),
            limits: self.limits,
            connect: self.connect,
            limit,
            // What lies beyond the clock is no limit.
            until: Instant::now().checked_add(limit).unwrap_or_else(|| Instant::now() + FAR),
        }
    }
}

/// One call under way.
struct Call {
    request: reqwest::RequestBuilder,
    key: Option<ApiKey>,
    limits: Limits,
    connect: Duration,
    limit: Duration,
    until: Instant,
}

impl Call {
    /// The answer, if it is a successful one.
    async fn send(&self) -> Result<Response, LlmError> {
        let request = self.request.try_clone().expect("the body is in memory");
        let response = self.in_time(request.send()).await?.map_err(|error| self.explain(error, Stage::Sending))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(LlmError::Status {
                status: status.as_u16(),
                code: ErrorCode::parse("redirect_not_followed"),
                retry_after: None,
                said: Withheld::default(),
            });
        }
        let headers = response.headers().clone();
        // An error whose text is cut off or too long is still that error.
        let body = self.read_all(response).await.unwrap_or_default();
        Err(self.scrubbed(fault::from_status(status.as_u16(), &headers, &body)))
    }

    async fn read_all(&self, response: Response) -> Result<Body, LlmError> {
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = self.in_time(pieces.next()).await? {
            let piece = piece.map_err(|error| self.explain(error, Stage::Reading))?;
            if body.len() + piece.len() > self.limits.answer_bytes {
                return Err(AnswerFault::TooLarge.into());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn forward(&self, sender: &mpsc::Sender<Result<Vec<u8>, LlmError>>) -> Result<(), LlmError> {
        let mut pieces = self.send().await?.bytes_stream();
        while let Some(piece) = self.in_time(pieces.next()).await? {
            let piece = piece.map_err(|error| self.explain(error, Stage::Reading))?;
            if sender.send(Ok(piece.to_vec())).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, LlmError> {
        timeout_at(self.until, work).await.map_err(|_| LlmError::Timeout { limit: self.limit })
    }

    fn explain(&self, error: reqwest::Error, stage: Stage) -> LlmError {
        let error = error.without_url();
        match (error.is_timeout(), error.is_connect()) {
            (true, true) => LlmError::Timeout { limit: self.connect },
            (true, false) => LlmError::Timeout { limit: self.limits.silence },
            (false, connecting) => LlmError::Transport {
                stage: if connecting { Stage::Connecting } else { stage },
                source: Arc::new(error),
            },
        }
    }

    fn scrubbed(&self, error: LlmError) -> LlmError {
        fault::scrub(error, self.key.as_ref())
    }
}

/// A task of the I/O thread that ends when it is no longer wanted.
struct Task<T>(JoinHandle<Result<T, LlmError>>);

impl<T> Future for Task<T> {
    type Output = Result<T, LlmError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|done| done.unwrap_or(Err(LlmError::ShutDown)))
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The thread, started by the first call of the process.
fn io_thread() -> Result<&'static Handle, LlmError> {
    static THREAD: OnceLock<Option<Handle>> = OnceLock::new();
    let start = || {
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("hydra-openai-io".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .ok()?;
        Some(handle)
    };
    THREAD.get_or_init(start).as_ref().ok_or(LlmError::ShutDown)
}

/// Reads the headers of a failed answer.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Pieces of a stream that wait for a reader before the server has to.
const PIECES_AHEAD: usize = 16;
const MAX_REDIRECTS: usize = 3;
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
