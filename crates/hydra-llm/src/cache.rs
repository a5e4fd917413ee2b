//! The same question is asked once.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::oneshot;
use futures_util::{StreamExt, TryStreamExt, stream};
use hydra_types::UserId;

use crate::deadline::Deadline;
use crate::{
    Assembler, BoxFuture, Capabilities, Clock, EventStream, KeyScope, LlmClient, LlmError, Request, RequestKey,
    Response, StreamEvent,
};

/// A client that remembers answers by the content of the request, in memory, and lets callers who ask the same at the
/// same moment wait for one answer.
///
/// Sampling is remembered like everything else: who wants a second draw says so with [`Request::draw`]. Answers are
/// kept apart by user unless the scope is [`KeyScope::Shared`]; [`forget`](Self::forget) drops a user's.
///
/// The least recently used answers go when the byte budget is full. Failures are not remembered. Of callers who wait
/// together, all get the error of the one who asked, but for its deadline, which is its own: then the next one asks.
/// A stream is answered from memory and fills it, and does not wait for others.
pub struct Cached<C> {
    inner: C,
    scope: KeyScope,
    clock: Box<dyn Clock>,
    state: Mutex<State>,
}

/// What a cache holds and how well it does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct CacheStats {
    /// Answers from memory, or shared with a caller who asked the same at that moment.
    pub hits: u64,
    /// Answers that had to be asked for.
    pub misses: u64,
    /// Answers held.
    pub answers: usize,
    /// Bytes held: texts and what they lie in, about.
    pub bytes: usize,
}

impl<C: LlmClient> Cached<C> {
    /// `inner`, up to `max_bytes` of its answers remembered.
    pub fn new(inner: C, max_bytes: usize, scope: KeyScope, clock: impl Clock + 'static) -> Self {
        Self { inner, scope, clock: Box::new(clock), state: Mutex::new(State { max_bytes, ..State::default() }) }
    }

    /// What it holds and how well it does.
    pub fn stats(&self) -> CacheStats {
        let state = self.lock();
        CacheStats { answers: state.answers.len(), bytes: state.bytes, ..state.stats }
    }

    /// Drops every answer that was made for `user`, of whatever generation.
    ///
    /// Answers under way for that user are given to those who wait for them and not remembered.
    pub fn forget(&self, user: UserId) {
        let mut state = self.lock();
        state.forgotten += 1;
        let keys: Vec<_> = state.answers.iter().filter(|(_, kept)| kept.user == Some(user)).map(|(k, _)| *k).collect();
        for key in keys {
            state.remove(&key);
        }
    }

    async fn answer(&self, request: Request) -> Result<Response, LlmError> {
        let key = self.key(&request);
        let deadline = Deadline::start(&*self.clock, &request);
        loop {
            match self.join(key) {
                Turn::Known(response) => return Ok((*response).clone()),
                Turn::Wait(answer) => match deadline.bound(answer).await? {
                    // The one who asked gave up, or ran out of time that was its own.
                    Err(oneshot::Canceled) | Ok(Err(LlmError::Timeout { .. })) => {}
                    Ok(answer) => {
                        self.lock().stats.hits += 1;
                        return answer;
                    }
                },
                Turn::Ask(turn) => {
                    let user = request.user.map(|tag| tag.user);
                    let answer = match deadline.apply(request) {
                        Ok(request) => self.inner.complete(request).await,
                        Err(error) => Err(error),
                    };
                    turn.finish(user, &answer);
                    return answer;
                }
            }
        }
    }

    /// Looks the key up, or gets in line for it.
    fn join(&self, key: RequestKey) -> Turn<'_> {
        let mut state = self.lock();
        if let Some(response) = state.touch(&key) {
            state.stats.hits += 1;
            return Turn::Known(response);
        }
        if let Some(waiting) = state.under_way.get_mut(&key) {
            let (tell, told) = oneshot::channel();
            waiting.push(tell);
            return Turn::Wait(told);
        }
        state.under_way.insert(key, Vec::new());
        state.stats.misses += 1;
        Turn::Ask(AskingTurn { state: &self.state, key, forgotten: state.forgotten, done: false })
    }

    fn key(&self, request: &Request) -> RequestKey {
        RequestKey::of(&self.inner.capabilities().model, request, self.scope)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: LlmClient> LlmClient for Cached<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(self.answer(request))
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        let key = self.key(&request);
        let forgotten = {
            let mut state = self.lock();
            if let Some(response) = state.touch(&key) {
                state.stats.hits += 1;
                return stream::iter((*response).clone().into_events().into_iter().map(Ok)).boxed();
            }
            state.stats.misses += 1;
            state.forgotten
        };
        let user = request.user.map(|tag| tag.user);
        let mut assembler = Some(Assembler::default());
        self.inner
            .stream(request)
            .inspect_ok(move |event| {
                let Some(mut so_far) = assembler.take() else { return };
                if so_far.push(event.clone()).is_err() {
                    return;
                }
                if !matches!(event, StreamEvent::End(_)) {
                    assembler = Some(so_far);
                } else if let Ok(response) = so_far.finish() {
                    self.lock().keep(key, user, forgotten, Arc::new(response));
                }
            })
            .boxed()
    }
}

enum Turn<'a> {
    Known(Arc<Response>),
    Wait(oneshot::Receiver<Result<Response, LlmError>>),
    Ask(AskingTurn<'a>),
}

/// The right to ask for a key. Dropped without an answer (the caller gave up), those who wait find out and try again.
struct AskingTurn<'a> {
    state: &'a Mutex<State>,
    key: RequestKey,
    forgotten: u64,
    done: bool,
}

impl AskingTurn<'_> {
    fn finish(mut self, user: Option<UserId>, answer: &Result<Response, LlmError>) {
        let waiting = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(response) = answer {
                state.keep(self.key, user, self.forgotten, Arc::new(response.clone()));
            }
            self.done = true;
            state.under_way.remove(&self.key).unwrap_or_default()
        };
        for tell in waiting {
            // Who does not listen any more does not need to know.
            let _ = tell.send(answer.clone());
        }
    }
}

impl Drop for AskingTurn<'_> {
    fn drop(&mut self) {
        if self.done {
            // The key may be another caller's by now.
            return;
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).under_way.remove(&self.key);
    }
}

#[derive(Default)]
struct State {
    max_bytes: usize,
    bytes: usize,
    /// Counts uses; the smallest was used longest ago.
    last_use: u64,
    /// How often a user was forgotten: an answer that was asked for before that is not kept.
    forgotten: u64,
    answers: BTreeMap<RequestKey, Kept>,
    by_use: BTreeMap<u64, RequestKey>,
    under_way: BTreeMap<RequestKey, Vec<oneshot::Sender<Result<Response, LlmError>>>>,
    stats: CacheStats,
}

struct Kept {
    response: Arc<Response>,
    user: Option<UserId>,
    bytes: usize,
    used: u64,
}

impl State {
    fn touch(&mut self, key: &RequestKey) -> Option<Arc<Response>> {
        let kept = self.answers.get_mut(key)?;
        self.by_use.remove(&kept.used);
        self.last_use += 1;
        kept.used = self.last_use;
        self.by_use.insert(kept.used, *key);
        Some(Arc::clone(&kept.response))
    }

    fn keep(&mut self, key: RequestKey, user: Option<UserId>, forgotten: u64, response: Arc<Response>) {
        let bytes = size_of::<Kept>() + size_in_memory(&response);
        if bytes > self.max_bytes || (user.is_some() && forgotten != self.forgotten) {
            return;
        }
        self.remove(&key);
        self.last_use += 1;
        self.bytes += bytes;
        self.by_use.insert(self.last_use, key);
        self.answers.insert(key, Kept { response, user, bytes, used: self.last_use });
        while self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &RequestKey) {
        if let Some(kept) = self.answers.remove(key) {
            self.by_use.remove(&kept.used);
            self.bytes -= kept.bytes;
        }
    }
}

/// About how many bytes an answer takes. Unknown fields are counted as the JSON that they came from.
fn size_in_memory(response: &Response) -> usize {
    let json = |fields: &serde_json::Map<String, serde_json::Value>| {
        if fields.is_empty() { 0 } else { serde_json::to_string(fields).map_or(0, |text| text.len()) }
    };
    let choices = response.choices.iter().map(|choice| {
        let tokens = choice.logprobs.iter().flatten().map(|token| {
            let top = token.top.iter().map(|(text, _)| text.len() + 32).sum::<usize>();
            token.token.len() + 64 + top
        });
        size_of_val(choice) + choice.text_bytes() + json(&choice.extra) + tokens.sum::<usize>()
    });
    size_of_val(response) + choices.sum::<usize>() + json(&response.extra)
}
