//! A client that shows how far a run is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hydra_llm::{BoxFuture, Capabilities, EventStream, LlmClient, LlmError, Request, Response};
use indicatif::{ProgressBar, ProgressStyle};

/// Counts every answer on a bar.
pub(crate) struct Shown<C> {
    inner: C,
    bar: ProgressBar,
}

impl<C: LlmClient> Shown<C> {
    pub(crate) fn new(inner: C, calls: u64) -> Self {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} calls, {elapsed}, {eta} left");
        let bar = ProgressBar::new(calls).with_message("asking").with_style(style.expect("the template is valid"));
        Self { inner, bar }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl<C: LlmClient> LlmClient for Shown<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            let answer = self.inner.complete(request).await;
            self.bar.inc(1);
            answer
        })
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.inner.stream(request)
    }
}

/// Counts what reaches the model itself.
pub(crate) struct Counted<C> {
    inner: C,
    calls: Arc<AtomicU64>,
}

impl<C: LlmClient> Counted<C> {
    pub(crate) fn new(inner: C) -> (Self, Arc<AtomicU64>) {
        let calls = Arc::new(AtomicU64::new(0));
        (Self { inner, calls: Arc::clone(&calls) }, calls)
    }
}

impl<C: LlmClient> LlmClient for Counted<C> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.complete(request)
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.stream(request)
    }
}
