//! No more than this: calls, tokens and money, refused before anything is sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    BoxFuture, Capabilities, EventStream, LlmClient, LlmError, Money, Prices, Request, Response, Spend, StreamEvent,
    TokenEstimate, Usage,
};

/// How much may be spent. What is not set is not limited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BudgetLimits {
    /// Calls, those that fail included.
    pub calls: Option<u64>,
    /// Tokens, prompt and answers.
    pub tokens: Option<u64>,
    /// Money, at the prices of the budget.
    pub cost: Option<Money>,
}

/// A purse that any number of [`Budgeted`] clients may draw on; clones are the same purse.
///
/// A call first sets aside the most that it may cost ([`TokenEstimate::most`]) and afterwards pays what it did cost, so
/// that calls at the same moment cannot overdraw it together. With [`TokenEstimate::upper_bound`] and a token limit in
/// every request, what is spent never exceeds the limits; with a rougher estimate the last calls may, by its error.
///
/// A call that failed before the server worked on it ([`LlmError::is_free`]) costs only the call. One that timed out,
/// broke off or was given up may be billed all the same: its prompt, and what had arrived of the answer, stay spent.
#[derive(Clone, Debug)]
pub struct Budget {
    limits: BudgetLimits,
    prices: Prices,
    estimate: TokenEstimate,
    state: Arc<Mutex<State>>,
}

impl Budget {
    /// A purse from which nothing was taken yet.
    #[must_use]
    pub fn new(limits: BudgetLimits, prices: Prices, estimate: TokenEstimate) -> Self {
        Self { limits, prices, estimate, state: Arc::default() }
    }

    /// What was spent so far, without what is set aside for calls under way.
    #[must_use]
    pub fn spent(&self) -> Spend {
        self.lock().spent
    }

    /// The most that `request` may cost.
    #[must_use]
    pub fn estimate(&self, request: &Request) -> Spend {
        Spend::of_call(self.estimate.most(request), &self.prices)
    }

    fn reserve(&self, request: &Request) -> Result<Reservation, BudgetError> {
        let most = self.estimate(request);
        let mut state = self.lock();
        let taken = state.spent.plus(state.reserved);
        let after = taken.plus(most);
        if let Some(limit) = self.limits.calls.filter(|&limit| after.calls > limit) {
            return Err(BudgetError::Calls { limit });
        }
        if let Some(limit) = self.limits.tokens.filter(|&limit| after.usage.total_tokens() > limit) {
            return Err(BudgetError::Tokens {
                limit,
                taken: taken.usage.total_tokens(),
                needed: most.usage.total_tokens(),
            });
        }
        if let Some(limit) = self.limits.cost.filter(|&limit| after.cost > limit) {
            return Err(BudgetError::Cost { limit, taken: taken.cost, needed: most.cost });
        }
        state.reserved = state.reserved.plus(most);
        Ok(Reservation { budget: self.clone(), most, answered_bytes: 0, settled: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call was refused. Nothing was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// No calls are left.
    #[error("all {limit} calls are made or under way: raise the limit to go on")]
    Calls {
        /// How many there were.
        limit: u64,
    },
    /// Too few tokens are left.
    #[error("the call may need {needed} tokens, and {taken} of {limit} are taken: raise the limit or lower max tokens")]
    Tokens {
        /// How many there were.
        limit: u64,
        /// How many are spent or set aside.
        taken: u64,
        /// How many the call may need.
        needed: u64,
    },
    /// Too little money is left.
    #[error("the call may cost {needed}, and {taken} of {limit} is taken: raise the limit or lower max tokens")]
    Cost {
        /// How much there was.
        limit: Money,
        /// How much is spent or set aside.
        taken: Money,
        /// How much the call may cost.
        needed: Money,
    },
}

/// A client that draws on a [`Budget`]. Under it lies what costs money: put caches and cassettes above.
pub struct Budgeted<C> {
    inner: C,
    budget: Budget,
}

impl<C: LlmClient> Budgeted<C> {
    /// `inner`, as far as `budget` goes.
    pub fn new(inner: C, budget: Budget) -> Self {
        Self { inner, budget }
    }
}

impl<C: LlmClient> LlmClient for Budgeted<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let reservation = self.budget.reserve(&request)?;
            let answer = self.inner.complete(request).await;
            match &answer {
                Ok(response) => reservation.pay(response.usage),
                Err(error) => reservation.fail(error),
            }
            answer
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        let reserved = async move {
            let mut reservation = Some(self.budget.reserve(&request)?);
            Ok::<_, LlmError>(self.inner.stream(request).inspect(move |event| match event {
                Ok(StreamEvent::Delta(delta)) => {
                    if let Some(reservation) = &mut reservation {
                        reservation.answered_bytes += delta.text_bytes();
                    }
                }
                Ok(StreamEvent::End(end)) => reservation.take().into_iter().for_each(|r| r.pay(end.usage)),
                Err(error) => reservation.take().into_iter().for_each(|r| r.fail(error)),
            }))
        };
        stream::once(reserved).try_flatten().boxed()
    }
}

#[derive(Debug, Default)]
struct State {
    spent: Spend,
    reserved: Spend,
}

/// What one call has set aside. Dropped without a word (the call was given up), it pays for the prompt and for what
/// had arrived.
struct Reservation {
    budget: Budget,
    most: Spend,
    answered_bytes: usize,
    settled: bool,
}

impl Reservation {
    fn pay(mut self, usage: Usage) {
        self.settle(Spend::of_call(usage, &self.budget.prices));
    }

    fn fail(mut self, error: &LlmError) {
        if error.is_free() {
            self.settle(Spend::of_failure(Usage::default(), &self.budget.prices));
        }
    }

    fn settle(&mut self, actual: Spend) {
        let mut state = self.budget.lock();
        state.reserved.calls -= self.most.calls;
        state.reserved.usage.prompt_tokens -= self.most.usage.prompt_tokens;
        state.reserved.usage.completion_tokens -= self.most.usage.completion_tokens;
        state.reserved.cost = Money::from_micros(state.reserved.cost.micros() - self.most.cost.micros());
        state.spent = state.spent.plus(actual);
        self.settled = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            let answered = self.budget.estimate.text(self.answered_bytes);
            let usage = Usage::estimated(self.most.usage.prompt_tokens, answered);
            self.settle(Spend::of_failure(usage, &self.budget.prices));
        }
    }
}
