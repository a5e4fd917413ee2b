//! The pipeline.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::{Either, join, join_all, select};
use hydra_llm::{Clock, FenceKey, LlmClient, Request, Response, SystemClock, Template};
use hydra_store::Store;
use hydra_types::{Record, Scope};

use crate::builder::{Builder, Settings};
use crate::stages::{Cpu, Done, Prepared};
use crate::worker::Worker;
use crate::{Answer, Ask, Feedback, FitReport, PersonalizeError, Stage};

/// HYDRA composed: retrieve, rerank, prompt, ask, adapt.
///
/// A handle: clones share one pipeline. Models run and files are read on a thread of its own, one call after the other;
/// while the language model answers, other calls have that thread. Futures are of no particular runtime.
///
/// Dropping the future of an answer gives up every stage that has not begun, and the language model's call; so does its
/// deadline. A model that is running on the processor is not interrupted.
#[derive(Clone)]
pub struct Personalizer {
    pub(crate) client: Arc<dyn LlmClient>,
    pub(crate) settings: Settings,
    pub(crate) worker: Worker<Cpu>,
}

impl Personalizer {
    /// What to put a pipeline together from.
    ///
    /// The prompt's marks are made from `fence`: 32 random bytes once a deployment.
    pub fn builder(
        store: Arc<Store>,
        client: impl LlmClient + 'static,
        template: Template,
        fence: FenceKey,
    ) -> Builder {
        Builder::new(store, Arc::new(client), template, fence)
    }

    /// Answers one query.
    ///
    /// # Errors
    /// [`PersonalizeError`].
    pub async fn answer(&self, ask: Ask) -> Result<Answer, PersonalizeError> {
        self.answer_many(vec![ask]).await.pop().ok_or(PersonalizeError::Gone)?
    }

    /// Answers many queries of many users, in their order: their pairs share the body's batches, and the language model is
    /// asked all at once. Wrap the client in [`hydra_llm::Limited`] if it must not be.
    ///
    /// One query's failure is not another's: where a model fails on a batch, each query of it is tried alone. A slow one
    /// costs the others nothing but the wait: each candidate is picked when the language model has answered that query,
    /// together with those of the others that are there by then.
    pub async fn answer_many(&self, asks: Vec<Ask>) -> Vec<Result<Answer, PersonalizeError>> {
        let started = Instant::now();
        let mut answers: Vec<Option<Result<Done, PersonalizeError>>> = asks.iter().map(|_| None).collect();
        // Until when anybody waits, whatever the worker does. Nobody's deadline is the end of it all where one has none.
        let last = asks.iter().try_fold(Duration::ZERO, |last, ask| Some(last.max(ask.deadline?)));
        let too_late = {
            let work = pin!(self.answer_each(asks, started, &mut answers));
            match last {
                None => {
                    work.await;
                    false
                }
                Some(last) => matches!(select(work, SystemClock.sleep(last)).await, Either::Right(_)),
            }
        };
        let missing = || if too_late { PersonalizeError::Deadline } else { PersonalizeError::Gone };
        let give_out =
            |done: Done| if done.call.has_ended() { Err(PersonalizeError::Forgotten) } else { Ok(done.answer) };
        answers.into_iter().map(|done| done.unwrap_or_else(|| Err(missing())).and_then(give_out)).collect()
    }

    /// Writes each answer into its place as soon as it is there; leaves places empty if the worker's thread is gone.
    async fn answer_each(
        &self,
        asks: Vec<Ask>,
        started: Instant,
        answers: &mut [Option<Result<Done, PersonalizeError>>],
    ) {
        let prepared = self.worker.run(move |cpu, awaited| cpu.prepare(asks, started, awaited)).await;
        let (sender, generated) = mpsc::unbounded();
        let calls = prepared.unwrap_or_default().into_iter().enumerate().map(|(place, prepared)| {
            let sender = sender.clone();
            async move {
                let generated = self.generate(prepared).await;
                // It is received until the last one was sent.
                let _ = sender.unbounded_send((place, generated));
            }
        });
        let calls = join_all(calls);
        drop(sender);
        let mut generated = generated.ready_chunks(answers.len().max(1));
        let mut groups = 0;
        let pick = async {
            while let Some(group) = generated.next().await {
                let (mut places, mut answered) = (Vec::new(), Vec::new());
                for (place, generated) in group {
                    match generated {
                        Ok(generated) => {
                            places.push(place);
                            answered.push(generated);
                        }
                        Err(error) => answers[place] = Some(Err(error)),
                    }
                }
                groups += 1;
                if !places.is_empty() {
                    let picked = self.worker.run(move |cpu, awaited| cpu.pick(answered, awaited)).await;
                    for (place, picked) in places.into_iter().zip(picked.unwrap_or_default()) {
                        answers[place] = Some(picked);
                    }
                }
            }
        };
        // The calls go on while the worker picks.
        join(calls, pick).await;
        if groups > 1 {
            self.look_again(answers).await;
        }
    }

    /// Takes back answers that waited for slower ones while their user was forgotten, by whomever.
    async fn look_again(&self, answers: &mut [Option<Result<Done, PersonalizeError>>]) {
        let places = answers.iter().enumerate();
        let done = places.filter_map(|(place, done)| Some((place, done.as_ref()?.as_ref().ok()?)));
        let made_from: Vec<_> = done.map(|(place, done)| (place, done.scope.clone(), done.vault)).collect();
        let forgotten = self.worker.run(move |cpu, _| {
            let gone = made_from.into_iter().filter(|(_, scope, vault)| cpu.is_forgotten(scope, *vault));
            gone.map(|(place, ..)| place).collect::<Vec<usize>>()
        });
        for place in forgotten.await.unwrap_or_default() {
            answers[place] = Some(Err(PersonalizeError::Forgotten));
        }
    }

    async fn generate(
        &self,
        prepared: Result<Prepared, PersonalizeError>,
    ) -> Result<(Prepared, Response), PersonalizeError> {
        let mut prepared = prepared?;
        let mut request = Request::new(std::mem::take(&mut prepared.messages));
        request.n = self.settings.candidates;
        request.temperature = Some(self.settings.temperature);
        request.max_tokens = self.settings.max_tokens;
        request.seed = self.settings.seed;
        request.response_format = self.settings.response_format.clone();
        request.user = Some(prepared.tag);
        request.deadline = prepared.ask.left(prepared.started)?;
        let begin = Instant::now();
        let deadline = request.deadline;
        let call = prepared.call.run(self.client.complete(request));
        let answered = match deadline {
            None => call.await,
            // A client keeps deadlines by itself; that one of the application's does is not taken for granted.
            Some(left) => match select(pin!(call), SystemClock.sleep(left)).await {
                Either::Left((answered, _)) => answered,
                Either::Right(_) => Err(PersonalizeError::Deadline),
            },
        };
        let answered = answered?;
        // Whose time was up, whoever noticed first.
        prepared.ask.left(prepared.started)?;
        let mut response = answered?;
        prepared.trace.times.generate = begin.elapsed();
        prepared.trace.usage = response.usage;
        prepared.trace.model = response.model.take().unwrap_or_else(|| self.client.capabilities().model);
        Ok((prepared, response))
    }

    /// Adds records to a user's history, all or none, and returns when they are on disk.
    ///
    /// # Errors
    /// [`PersonalizeError`], for instance if a record of the same id is there.
    pub async fn learn(&self, scope: &Scope, records: Vec<Record>) -> Result<(), PersonalizeError> {
        let scope = scope.clone();
        self.worker.run(move |cpu, _| cpu.learn(&scope, records)).await?
    }

    /// Keeps what a user thought of what they got, for [`fit`](Self::fit).
    ///
    /// # Errors
    /// [`PersonalizeError::NoSuchRecord`] if it names a record that the user does not have, or what the store said.
    pub async fn feedback(&self, scope: &Scope, feedback: Feedback) -> Result<(), PersonalizeError> {
        let scope = scope.clone();
        self.worker.run(move |cpu, _| cpu.feedback(&scope, &feedback)).await?
    }

    /// Fits the user's heads on all their feedback: the personal reranker's, the personal adapter's, or both, in the place of
    /// those that were fitted or [installed](Self::install) before. A stage that there is no feedback for keeps its head.
    ///
    /// # Errors
    /// [`PersonalizeError`]; both heads are then what they were.
    pub async fn fit(&self, scope: &Scope) -> Result<FitReport, PersonalizeError> {
        let scope = scope.clone();
        self.worker.run(move |cpu, _| cpu.fit(&scope)).await?
    }

    /// Puts a head that was fitted elsewhere in the place of the user's own: one that [`hydra_heads::pack`] wrote, for
    /// instance in a `PackedHead` of hydra-train. The next answer is served by it.
    ///
    /// Its stamp says whose it is, and on which generation of the user's data in the store it was fitted: that keeps a head
    /// out which was fitted before the user was forgotten, unless the user came back and has changed as often again. So
    /// drop with a user's data the heads that are not installed yet.
    ///
    /// # Errors
    /// [`PersonalizeError`] if the stage has no heads, if it is another user's head, damaged, for another body, prior head
    /// or template, or of a generation that the user's data has not reached; the user's head is then what it was.
    pub async fn install(&self, scope: &Scope, stage: Stage, packed: Vec<u8>) -> Result<(), PersonalizeError> {
        let scope = scope.clone();
        self.worker.run(move |cpu, _| cpu.install(&scope, stage, &packed)).await?
    }

    /// Forgets everything about a user: history, feedback and heads, on disk and in memory.
    ///
    /// When this returns, no prompt with a record of theirs is sent any more, and no answer is made from one: what was
    /// under way for them, calls of the language model too, ends in [`PersonalizeError::Forgotten`]. Other personalizers on
    /// the same store answer nothing from their data either; only a call that they have already begun goes on, to the same
    /// error. What a client remembers is the client's to forget: see [`hydra_llm::Cached::forget`].
    ///
    /// # Errors
    /// What the store said.
    pub async fn forget(&self, scope: &Scope) -> Result<(), PersonalizeError> {
        let scope = scope.clone();
        self.worker.run(move |cpu, _| cpu.forget(&scope)).await?
    }

    /// Drops this handle, and returns when the thread has ended and let go of the store, so that it can be opened again. It
    /// waits for what the thread still does, and until every clone is dropped or closed, too.
    ///
    /// A handle that is only dropped does not wait: the thread then ends by itself.
    pub async fn close(self) {
        let Self { client, worker, .. } = self;
        drop(client);
        worker.end().await;
    }
}

impl std::fmt::Debug for Personalizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Personalizer").field("settings", &self.settings).finish_non_exhaustive()
    }
}
