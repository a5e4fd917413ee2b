//! Parts that say when they are called, and that wait in a call until the test lets them go on. They show nothing about any
//! model.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures_channel::oneshot;
use hydra_ml::adapter::{AdaptError, AdaptRequest, Adapted, Adapter, FirstCandidate};
use hydra_ml::llm::{BoxFuture, Capabilities, Choice, LlmClient, LlmError, Request, Response, Usage, block_on};
use hydra_ml::rerank::{FirstStage, Ranking, RerankError, RerankRequest, Reranker};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::{Builder, Retrieval, TextEncoder};

use crate::toy::{Place, prompt};

/// Which part was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Encoder,
    Reranker,
    Client,
    Adapter,
}

/// Encoder, reranker, client and adapter of one pipeline; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    calls: Vec<(Part, usize)>,
    hold: Option<(Part, oneshot::Sender<()>, oneshot::Receiver<()>)>,
}

impl Gate {
    /// A pipeline of these parts.
    pub(crate) fn pipeline(&self, place: &Place) -> Builder {
        let builder = place.plain_with(self.clone()).encoder(self.clone()).retrieve(Retrieval::Meaning, 10);
        builder.reranker(self.clone()).adapter(self.clone())
    }

    /// Holds the next call of this part. The first value is done when the call has begun; the call goes on when the second
    /// one is dropped. A call of the client waits without a thread.
    pub(crate) fn hold(&self, part: Part) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((begun, has_begun), (go_on, wait)) = (oneshot::channel(), oneshot::channel());
        self.0.lock().unwrap().hold = Some((part, begun, wait));
        (has_begun, go_on)
    }

    /// The calls since this was asked last, and how many texts or requests each had.
    pub(crate) fn calls(&self) -> Vec<(Part, usize)> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// Notes a call; what to wait for if it is held.
    fn enter(&self, part: Part, count: usize) -> Option<oneshot::Receiver<()>> {
        let mut state = self.0.lock().unwrap();
        state.calls.push((part, count));
        let (_, begun, wait) = state.hold.take_if(|(held, ..)| *held == part)?;
        // The test may have looked away.
        let _ = begun.send(());
        Some(wait)
    }

    fn pass(&self, part: Part, count: usize) {
        if let Some(wait) = self.enter(part, count) {
            assert!(block_on(wait).is_err(), "nothing is sent");
        }
    }
}

impl TextEncoder for Gate {
    type Error = Infallible;

    fn dimensions(&self) -> usize {
        1
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Infallible> {
        self.pass(Part::Encoder, texts.len());
        Ok(Array2::ones((texts.len(), 1)))
    }
}

impl Reranker for Gate {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        self.pass(Part::Reranker, requests.len());
        FirstStage.rerank(requests)
    }
}

impl LlmClient for Gate {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new("gate")
    }

    /// The last word of the query.
    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        let held = self.enter(Part::Client, 1);
        Box::pin(async move {
            if let Some(wait) = held {
                assert!(wait.await.is_err(), "nothing is sent");
            }
            let prompt = prompt(&request);
            let word = prompt.split_whitespace().last().unwrap_or_default();
            Ok(Response::new(vec![Choice::new(word)], Usage::reported(7, 1)))
        })
    }
}

impl Adapter for Gate {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        self.pass(Part::Adapter, requests.len());
        FirstCandidate.adapt(requests)
    }
}
