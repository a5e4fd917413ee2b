//! Who spent what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use hydra_types::UserId;

use crate::{
    BoxFuture, Capabilities, EventStream, LlmClient, LlmError, Prices, Request, Response, Spend, StreamEvent, Usage,
};

/// A book of what each user spent with each model; clones are the same book.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    lines: Arc<Mutex<BTreeMap<LedgerLine, Spend>>>,
}

/// For whom, and with which model.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LedgerLine {
    /// The user of the requests; none for requests without one.
    pub user: Option<UserId>,
    /// The model that was asked.
    pub model: String,
}

impl Ledger {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All lines, by user and then by model.
    #[must_use]
    pub fn lines(&self) -> Vec<(LedgerLine, Spend)> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|(line, spend)| (line.clone(), *spend)).collect()
    }

    /// Everything together.
    #[must_use]
    pub fn total(&self) -> Spend {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).values().copied().sum()
    }

    fn add(&self, line: LedgerLine, spend: Spend) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = lines.entry(line).or_default();
        *sum = sum.plus(spend);
    }
}

/// A client that writes every call into a [`Ledger`].
///
/// A call that failed or was given up counts as a failed call without tokens: what it cost, if anything, nobody said.
pub struct Ledgered<C> {
    inner: C,
    ledger: Ledger,
    prices: Prices,
}

impl<C: LlmClient> Ledgered<C> {
    /// `inner`, its calls written into `ledger` at `prices`.
    pub fn new(inner: C, ledger: Ledger, prices: Prices) -> Self {
        Self { inner, ledger, prices }
    }

    fn open(&self, request: &Request) -> Entry {
        Entry {
            line: Some(LedgerLine { user: request.user.map(|tag| tag.user), model: self.inner.capabilities().model }),
            ledger: self.ledger.clone(),
            prices: self.prices,
        }
    }
}

impl<C: LlmClient> LlmClient for Ledgered<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let mut entry = self.open(&request);
            let answer = self.inner.complete(request).await;
            if let Ok(response) = &answer {
                entry.close(response.usage);
            }
            answer
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        let opened = async move {
            let mut entry = self.open(&request);
            Ok::<_, LlmError>(self.inner.stream(request).inspect_ok(move |event| {
                if let StreamEvent::End(end) = event {
                    entry.close(end.usage);
                }
            }))
        };
        stream::once(opened).try_flatten().boxed()
    }
}

/// A call that is under way. Dropped without an answer, it is written down as failed.
struct Entry {
    line: Option<LedgerLine>,
    ledger: Ledger,
    prices: Prices,
}

impl Entry {
    fn close(&mut self, usage: Usage) {
        if let Some(line) = self.line.take() {
            self.ledger.add(line, Spend::of_call(usage, &self.prices));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            self.ledger.add(line, Spend::of_failure(Usage::default(), &self.prices));
        }
    }
}
