//! Not too many at once, not too fast.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::deadline::Deadline;
use crate::{BoxFuture, Capabilities, Clock, EventStream, LlmClient, LlmError, Request, Response, TokenEstimate};

/// How much may be asked of an endpoint. What is not set is not limited.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// Calls under way at the same moment; 0 counts as 1.
    pub at_once: Option<usize>,
    /// Calls begun in a minute; 0 counts as 1.
    pub calls_per_minute: Option<u32>,
    /// Tokens asked for in a minute, by [`TokenEstimate::most`]; 0 counts as 1. A request that alone is larger is
    /// spread over the minutes that it needs: it runs, and those behind it wait.
    pub tokens_per_minute: Option<u32>,
}

/// A client that waits until the [`Limits`] allow a call. First come, first served; waiting counts towards the
/// request's deadline.
///
/// Rates are kept by spacing: a call that costs a share of a minute moves the next one back by that share, and at most
/// ten seconds' worth may be saved up in quiet times, so that a burst is a sixth of the limit. A call that is given up
/// while it waits gives its place at the door back at once, and its place in the rate when its time has passed.
pub struct Limited<C> {
    inner: C,
    clock: Box<dyn Clock>,
    estimate: TokenEstimate,
    limits: Limits,
    door: Option<Arc<Door>>,
    rates: Mutex<Rates>,
}

impl<C: LlmClient> Limited<C> {
    /// `inner` within `limits`.
    pub fn new(inner: C, limits: Limits, estimate: TokenEstimate, clock: impl Clock + 'static) -> Self {
        Self {
            inner,
            clock: Box::new(clock),
            estimate,
            limits,
            door: limits.at_once.map(|places| Arc::new(Door::new(places.max(1)))),
            rates: Mutex::default(),
        }
    }

    /// Waits for a place, then for the rates. The place is held until it is dropped.
    async fn enter(&self, request: Request) -> Result<(Option<Place>, Request), LlmError> {
        self.inner.capabilities().admit(&request)?;
        let deadline = Deadline::start(&*self.clock, &request);
        let place = match &self.door {
            Some(door) => Some(deadline.bound(Door::enter(door)).await?),
            None => None,
        };
        let wait = self.book(&request, &deadline)?;
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        Ok((place, deadline.apply(request)?))
    }

    /// Books the request and says how long it has to wait. If it cannot wait that long, it learns so now, and nothing
    /// is booked.
    fn book(&self, request: &Request, deadline: &Deadline<'_>) -> Result<Duration, LlmError> {
        let now = self.clock.now();
        let tokens = self.estimate.most(request).total_tokens();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = self.limits.calls_per_minute.map(|limit| rates.calls.next(now, share_of_minute(1, limit)));
        let tokens = self.limits.tokens_per_minute.map(|limit| rates.tokens.next(now, share_of_minute(tokens, limit)));
        let wait = [calls, tokens].into_iter().flatten().map(|booking| booking.begin.saturating_sub(now)).max();
        let wait = wait.unwrap_or_default();
        if !deadline.allows(wait) {
            return Err(deadline.passed());
        }
        if let Some(booking) = calls {
            rates.calls.booked_until = booking.end;
        }
        if let Some(booking) = tokens {
            rates.tokens.booked_until = booking.end;
        }
        Ok(wait)
    }
}

impl<C: LlmClient> LlmClient for Limited<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let (_place, request) = self.enter(request).await?;
            self.inner.complete(request).await
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        let entered = async move {
            let (place, request) = self.enter(request).await?;
            // The place lives as long as the stream.
            Ok::<_, LlmError>(self.inner.stream(request).inspect(move |_| {
                let _ = &place;
            }))
        };
        stream::once(entered).try_flatten().boxed()
    }
}

#[derive(Default)]
struct Rates {
    calls: Rate,
    tokens: Rate,
}

/// What may be done in a minute, as a time that is booked piece by piece.
#[derive(Default)]
struct Rate {
    booked_until: Duration,
}

/// The piece of a rate's time that one call would take.
#[derive(Clone, Copy)]
struct Booking {
    begin: Duration,
    end: Duration,
}

impl Rate {
    /// The next free piece of this length. What was saved up lies in the past.
    fn next(&self, now: Duration, share: Duration) -> Booking {
        let begin = self.booked_until.max(now.saturating_sub(SAVED_UP));
        Booking { begin, end: begin.saturating_add(share) }
    }
}

fn share_of_minute(amount: u64, limit: u32) -> Duration {
    let nanos = u128::from(amount) * 60_000_000_000 / u128::from(limit.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

const SAVED_UP: Duration = Duration::from_secs(10);

/// Places, given in the order of arrival.
struct Door {
    state: Mutex<DoorState>,
}

struct DoorState {
    free: usize,
    waiting: VecDeque<oneshot::Sender<Place>>,
}

impl Door {
    fn new(places: usize) -> Self {
        Self { state: Mutex::new(DoorState { free: places, waiting: VecDeque::new() }) }
    }

    async fn enter(door: &Arc<Self>) -> Place {
        let called = {
            let mut state = door.lock();
            if state.free > 0 {
                state.free -= 1;
                return Place(Arc::clone(door));
            }
            let (call, called) = oneshot::channel();
            state.waiting.push_back(call);
            called
        };
        called.await.expect("the door calls everyone who waits")
    }

    fn lock(&self) -> MutexGuard<'_, DoorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place; dropped, it goes to the next who waits.
struct Place(Arc<Door>);

impl Drop for Place {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            // Those who gave up are passed over.
            let next = std::iter::from_fn(|| state.waiting.pop_front()).find(|call| !call.is_canceled());
            if next.is_none() {
                state.free += 1;
            }
            next
        };
        if let Some(call) = next {
            // Sent outside the lock: if the receiver has just given up, the place is dropped again, here.
            drop(call.send(Self(Arc::clone(&self.0))));
        }
    }
}
