//! One call of the language model, and how it is ended from outside.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::PersonalizeError;

/// One call of the language model. It ends at once when its user is forgotten, also if it waits in a queue or for another
/// attempt: a prompt that holds forgotten records is not sent any more.
#[derive(Default)]
pub(crate) struct Call(Mutex<State>);

#[derive(Default)]
struct State {
    ended: bool,
    waker: Option<Waker>,
}

impl Call {
    /// What `call` gives, unless it is ended first.
    pub(crate) async fn run<T>(&self, call: impl Future<Output = T>) -> Result<T, PersonalizeError> {
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            // Held while the call is polled, so that nothing of it runs when `end` has returned.
            let mut state = self.lock();
            if state.ended {
                return Poll::Ready(Err(PersonalizeError::Forgotten));
            }
            state.waker = Some(context.waker().clone());
            call.as_mut().poll(context).map(Ok)
        })
        .await
    }

    /// Ends it. When this returns, it does nothing any more.
    pub(crate) fn end(&self) {
        let waker = {
            let mut state = self.lock();
            state.ended = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was ended: what was made from its answer is not to be said any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A client that panicked ends its own call and nobody else's.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
