//! The trait that every language model stands behind.

use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{Capabilities, LlmError, Request, Response, StreamEvent};

/// A future that can be sent between threads; of no particular runtime.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The events of one answer as they arrive. Nothing is sent before the first poll; dropping it gives the call up.
///
/// Any number of [`StreamEvent::Delta`], then exactly one [`StreamEvent::End`]; or an error, after which it is over.
pub type EventStream<'a> = Pin<Box<dyn Stream<Item = Result<StreamEvent, LlmError>> + Send + 'a>>;

/// A language model that answers requests.
///
/// Object-safe, so that which model answers can be a run-time choice, and of no particular runtime: any executor may
/// poll the futures, [`block_on`](crate::block_on) among them. Wrappers take any client and are clients again.
///
/// An implementation calls [`Capabilities::admit`] first, keeps [`Request::deadline`], and puts no text of the request
/// or of the answer into an error that would show it.
pub trait LlmClient: Send + Sync {
    /// Which model answers, and what it can do.
    fn capabilities(&self) -> Capabilities;

    /// Answers `request`. Dropping the future gives the call up.
    ///
    /// # Errors
    /// [`LlmError`]: what went wrong and whether another attempt can help.
    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>>;

    /// Answers `request` piece by piece. Unless an implementation can do better, the pieces come all at once, cut from
    /// what [`complete`](Self::complete) answered.
    fn stream(&self, request: Request) -> EventStream<'_> {
        whole_as_stream(self.complete(request))
    }
}

macro_rules! forward_to_inner {
    ($($pointer:ty),+) => {$(
        impl<T: LlmClient + ?Sized> LlmClient for $pointer {
            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
                (**self).complete(request)
            }

            fn stream(&self, request: Request) -> EventStream<'_> {
                (**self).stream(request)
            }
        }
    )+};
}

forward_to_inner!(Arc<T>, Box<T>, &T);

/// The events of an answer that comes whole.
pub(crate) fn whole_as_stream<'a>(
    answer: impl Future<Output = Result<Response, LlmError>> + Send + 'a,
) -> EventStream<'a> {
    stream::once(answer)
        .map_ok(|response| stream::iter(response.into_events().into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}
