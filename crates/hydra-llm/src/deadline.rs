//! How much of a request's time is left.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::{Clock, LlmError, Request};

/// The deadline of one call, started when the call was made.
pub(crate) struct Deadline<'a> {
    clock: &'a dyn Clock,
    limit: Option<Duration>,
    started: Duration,
}

impl<'a> Deadline<'a> {
    /// Starts now.
    pub(crate) fn start(clock: &'a dyn Clock, request: &Request) -> Self {
        Self { clock, limit: request.deadline, started: clock.now() }
    }

    /// Whether `pause` fits into what is left.
    pub(crate) fn allows(&self, pause: Duration) -> bool {
        self.left().is_none_or(|left| pause < left)
    }

    /// `request` with what is left as its deadline.
    pub(crate) fn apply(&self, mut request: Request) -> Result<Request, LlmError> {
        request.deadline = self.left();
        if request.deadline == Some(Duration::ZERO) {
            return Err(self.passed());
        }
        Ok(request)
    }

    /// `future`, unless the deadline passes first.
    pub(crate) async fn bound<T>(&self, future: impl Future<Output = T>) -> Result<T, LlmError> {
        let Some(left) = self.left() else {
            return Ok(future.await);
        };
        match select(pin!(future), self.clock.sleep(left)).await {
            Either::Left((value, _)) => Ok(value),
            Either::Right(_) => Err(self.passed()),
        }
    }

    fn left(&self) -> Option<Duration> {
        let elapsed = self.clock.now().saturating_sub(self.started);
        self.limit.map(|limit| limit.saturating_sub(elapsed))
    }

    /// The error of a call that has no time left.
    pub(crate) fn passed(&self) -> LlmError {
        LlmError::Timeout { limit: self.limit.unwrap_or_default() }
    }
}
