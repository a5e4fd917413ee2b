//! The model behind the trait of every language model.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures_channel::mpsc as answers;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt, stream};
use hydra_llm::{
    Assembler, BoxFuture, Capabilities, Clock, Delta, End, ErrorCode, EventStream, Feature, LlmClient, LlmError,
    Request, Response, StreamEvent, SystemClock, TokenLogprob, Usage, Withheld,
};

use crate::choices::{NotServed, allowed};
use crate::{LanguageModel, LmError, Piece, Prompt, Sampling, TokenChoice};

/// A [`LanguageModel`] as an [`LlmClient`]: a thread of its own answers one request after another.
///
/// Requests wait for each other, so that what one is answered does not depend on which others came at the same time.
/// Of JSON schemas it serves those that name every answer, `{"enum": [..]}`: the answer is then drawn among these alone.
/// What a request leaves open: temperature 1, as the common servers have it, up to 512 tokens, and a seed that depends
/// only on [`Request::draw`], so that equal requests get equal answers. Dropping the client stops the thread after the
/// token at which it is.
pub struct LocalClient {
    jobs: mpsc::Sender<Job>,
    capabilities: Capabilities,
}

struct Job {
    request: Request,
    choices: Option<Vec<String>>,
    deadline: Option<Instant>,
    answer: answers::UnboundedSender<Result<StreamEvent, LlmError>>,
}

impl LocalClient {
    /// Gives the model a thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn new(model: LanguageModel) -> std::io::Result<Self> {
        let mut capabilities = Capabilities::new(model.name());
        capabilities.max_n = MAX_N;
        capabilities.logprobs = true;
        capabilities.seed = true;
        capabilities.json_schema = true;
        capabilities.streaming = true;
        capabilities.prefix_cache = true;
        capabilities.context_tokens = u32::try_from(model.context()).ok();
        let (jobs, queue) = mpsc::channel();
        thread::Builder::new().name("hydra-lm".to_owned()).spawn(move || work(model, &queue))?;
        Ok(Self { jobs, capabilities })
    }

    fn start(&self, request: Request) -> Result<EventStream<'static>, LlmError> {
        self.capabilities.admit(&request)?;
        let model = || self.capabilities.model.clone();
        let not_served = |NotServed| LlmError::Unsupported { feature: Feature::JsonSchema, model: model() };
        let choices = allowed(&request.response_format).map_err(not_served)?;
        let (answer, events) = answers::unbounded();
        let limit = request.deadline;
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.jobs.send(Job { request, choices, deadline, answer }).map_err(|_| LlmError::ShutDown)?;
        Ok(match limit {
            None => events.boxed(),
            Some(limit) => bounded(events, limit),
        })
    }
}

impl LlmClient for LocalClient {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let mut events = self.start(request)?;
            let mut whole = Assembler::default();
            while let Some(event) = events.next().await {
                whole.push(event?)?;
            }
            whole.finish()
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        async move {
            match self.start(request) {
                Ok(events) => events,
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        }
        .flatten_stream()
        .boxed()
    }
}

impl std::fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalClient").field("capabilities", &self.capabilities).finish_non_exhaustive()
    }
}

/// The events until the time is over: also a request that still waits for its turn is answered in time.
fn bounded(events: answers::UnboundedReceiver<Result<StreamEvent, LlmError>>, limit: Duration) -> EventStream<'static> {
    let sleep = SystemClock.sleep(limit);
    stream::unfold(Some((events, sleep)), move |state| async move {
        let (mut events, sleep) = state?;
        match select(events.next(), sleep).await {
            Either::Left((event, sleep)) => Some((event?, Some((events, sleep)))),
            Either::Right(_) => Some((Err(LlmError::Timeout { limit }), None)),
        }
    })
    .boxed()
}

fn work(mut model: LanguageModel, queue: &mpsc::Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        let answered = answer(&mut model, &job);
        // Nobody listens any more where sending fails.
        drop(match answered {
            Ok(end) => job.answer.unbounded_send(Ok(StreamEvent::End(end))),
            Err(error) => job.answer.unbounded_send(Err(error)),
        });
    }
}

fn answer(model: &mut LanguageModel, job: &Job) -> Result<End, LlmError> {
    let request = &job.request;
    let failed = |error: LmError| translate(&error, request);
    let tokens = model.chat_tokens(&request.messages).map_err(failed)?;
    let prompt_tokens = tokens.len() as u64;
    let n = usize::try_from(request.n).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN);
    let max_tokens = request.max_tokens.map_or(DEFAULT_MAX_TOKENS, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let choices = job.choices.as_ref().map(|answers| model.choice_tokens(answers)).transpose().map_err(failed)?;
    let prompt = Prompt {
        n,
        choices,
        sampling: Sampling {
            temperature: request.temperature.unwrap_or(1.0),
            top_p: request.top_p.unwrap_or(1.0),
            seed: request.seed.unwrap_or(request.draw.wrapping_mul(DRAWS_APART)),
            ..Sampling::default()
        },
        stop: request.stop.clone(),
        max_tokens,
        logprobs: request.logprobs.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
        ..Prompt::new(tokens)
    };
    let tokenizer = model.tokenizer.clone();
    let name = |id: u32| tokenizer.decode(&[id], false).unwrap_or_default();
    let on_piece = |piece: Piece<'_>| {
        let late = job.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || job.answer.is_closed() {
            return ControlFlow::Break(());
        }
        let logprobs = piece.token.and_then(|token| token_logprob(token, name));
        if piece.text.is_empty() && piece.finish.is_none() && logprobs.is_none() {
            return ControlFlow::Continue(());
        }
        let delta = Delta {
            choice: piece.answer,
            text: piece.text.to_owned(),
            finish: piece.finish,
            logprobs: logprobs.map(|logprob| vec![logprob]),
            ..Delta::default()
        };
        match job.answer.unbounded_send(Ok(StreamEvent::Delta(delta))) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let answers = model.generate(&[prompt], on_piece).map_err(failed)?;
    let answers = answers.first().map(Vec::as_slice).unwrap_or_default();
    let mut usage = Usage::reported(prompt_tokens, answers.iter().map(|answer| answer.tokens.len() as u64).sum());
    usage.cached_tokens = answers.first().map_or(0, |answer| answer.cached_tokens as u64);
    Ok(End { usage, model: Some(model.name().to_owned()), ..End::default() })
}

fn token_logprob(token: &TokenChoice, name: impl Fn(u32) -> String) -> Option<TokenLogprob> {
    let top = token.top.iter().map(|(id, logprob)| (name(*id), *logprob)).collect();
    token.logprob.map(|logprob| TokenLogprob { token: name(token.id), logprob, top })
}

fn translate(error: &LmError, request: &Request) -> LlmError {
    let said = Withheld::new(&error.to_string());
    match error {
        LmError::ContextOverflow { .. } => LlmError::ContextOverflow { said },
        LmError::Cancelled => LlmError::Timeout { limit: request.deadline.unwrap_or_default() },
        // There is no server, so this is what one would answer.
        _ => LlmError::Status { status: 500, code: ErrorCode::parse("local_model_failed"), retry_after: None, said },
    }
}

/// Answers of one request: each is a row of the batch.
const MAX_N: u32 = 64;
const DEFAULT_MAX_TOKENS: usize = 512;
/// Odd, so that different draws have different seeds, and large, so that their answers' seeds do not meet.
const DRAWS_APART: u64 = 0xD1B5_4A32_D192_ED03;
