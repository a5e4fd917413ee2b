//! Another attempt, a little later.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use crate::deadline::Deadline;
use crate::{
    BoxFuture, Capabilities, Clock, EventStream, KeyScope, LlmClient, LlmError, Request, RequestKey, Response,
};

/// When to try again, and after how long.
///
/// The pause after attempt k is `first_pause * 2^(k-1)`, at most `longest_pause`, spread by `jitter`; if the server
/// said `Retry-After`, at least that long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 0 counts as 1.
    pub attempts: u32,
    /// The pause after the first attempt.
    pub first_pause: Duration,
    /// No pause of ours is longer.
    pub longest_pause: Duration,
    /// A server that asks for a longer pause than this is not waited for: the caller gets its error at once.
    pub longest_retry_after: Duration,
    /// Which part of a pause is left to chance, 0 to 1: a pause p is drawn evenly from `p * (1 - jitter)` to `p`.
    pub jitter: f64,
    /// Makes the chance repeatable. Processes that share an endpoint should not share a seed, or they knock together.
    pub seed: u64,
}

impl Default for RetryPolicy {
    /// Five attempts, from half a second to half a minute, half of it left to chance. `Retry-After` is kept up to two
    /// minutes.
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            longest_retry_after: Duration::from_secs(120),
            jitter: 0.5,
            seed: 0,
        }
    }
}

impl RetryPolicy {
    /// How long to pause after attempt number `attempt` (from 1) at the request with this key failed with `error`;
    /// nothing if it should not be tried again.
    ///
    /// The same policy, key and attempt give the same pause, whatever else the process does.
    #[must_use]
    pub fn pause(&self, key: &RequestKey, attempt: u32, error: &LlmError) -> Option<Duration> {
        if attempt >= self.attempts || !error.is_transient() {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        let chance = self.jitter.clamp(0.0, 1.0) * self.draw(key, attempt);
        let ours = full.mul_f64(1.0 - chance);
        match error.retry_after() {
            Some(asked) if asked > self.longest_retry_after => None,
            Some(asked) => Some(ours.max(asked)),
            None => Some(ours),
        }
    }

    /// In [0, 1).
    fn draw(&self, key: &RequestKey, attempt: u32) -> f64 {
        let mut hash = Sha256::new_with_prefix(self.seed.to_le_bytes());
        hash.update(key.as_bytes());
        hash.update(attempt.to_le_bytes());
        let bytes: [u8; 32] = hash.finalize().into();
        let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    }
}

/// A client that tries again when another attempt may help ([`LlmError::is_transient`]).
///
/// The request's deadline holds for all attempts and pauses together: a pause that would not leave time for another
/// attempt is not begun. A stream is tried again only until its first event: what was shown cannot be taken back.
pub struct Retry<C> {
    inner: C,
    policy: RetryPolicy,
    clock: Box<dyn Clock>,
}

impl<C: LlmClient> Retry<C> {
    /// `inner`, tried again by `policy`.
    pub fn new(inner: C, policy: RetryPolicy, clock: impl Clock + 'static) -> Self {
        Self { inner, policy, clock: Box::new(clock) }
    }

    /// Calls `attempt` with the request until it succeeds or there is no point in going on.
    async fn run<'a, T, F>(&'a self, request: Request, attempt: impl Fn(&'a C, Request) -> F) -> Result<T, LlmError>
    where
        F: Future<Output = Result<T, LlmError>>,
    {
        let deadline = Deadline::start(&*self.clock, &request);
        let key = RequestKey::of("", &request, KeyScope::User);
        let mut number = 1;
        loop {
            let error = match attempt(&self.inner, deadline.apply(request.clone())?).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = self.policy.pause(&key, number, &error) else {
                return Err(error);
            };
            if !deadline.allows(pause) {
                return Err(error);
            }
            tracing::debug!(attempt = number, pause_ms = pause.as_millis(), %error, "trying again");
            self.clock.sleep(pause).await;
            number += 1;
        }
    }
}

impl<C: LlmClient> LlmClient for Retry<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(self.run(request, C::complete))
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        let begun = self.run(request, |inner, request| async move {
            let mut events = inner.stream(request);
            let first = events.next().await.transpose()?;
            Ok(stream::iter(first.map(Ok)).chain(events))
        });
        stream::once(begun).try_flatten().boxed()
    }
}
