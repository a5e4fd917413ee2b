//! The client.

use futures_util::{StreamExt, TryStreamExt, future, stream};
use hydra_llm::{
    BoxFuture, Capabilities, Choice, EventStream, LlmClient, LlmError, Request, Response, TokenEstimate, Usage,
};

use crate::address::Address;
use crate::builder::{Dialect, OpenAiBuilder};
use crate::chat_stream::ChatStream;
use crate::transport::Transport;
use crate::{fault, json, read, sse, wire};

/// A model behind an OpenAI-compatible HTTP API.
///
/// It does not retry, wait or count: wrap it for that ([`hydra_llm`]). It can be polled from any thread and any
/// runtime, and from none: see [`hydra_llm::block_on`].
pub struct OpenAiClient {
    pub(crate) transport: Transport,
    pub(crate) address: Address,
    dialect: Dialect,
    capabilities: Capabilities,
}

impl OpenAiClient {
    /// Sets up a client for `model` at `address`, which may end in `/v1` or not.
    pub fn builder(address: &str, model: impl Into<String>) -> OpenAiBuilder {
        OpenAiBuilder::new(address, model.into())
    }

    pub(crate) fn from_parts(
        transport: Transport,
        address: Address,
        dialect: Dialect,
        capabilities: Capabilities,
    ) -> Self {
        Self { transport, address, dialect, capabilities }
    }

    pub(crate) fn model(&self) -> &str {
        &self.capabilities.model
    }

    pub(crate) fn estimate(&self) -> &TokenEstimate {
        &self.dialect.estimate
    }

    async fn ask(&self, request: Request) -> Result<Response, LlmError> {
        self.capabilities.admit(&request)?;
        let prompt = self.estimate().most(&request).prompt_tokens;
        let body = wire::chat(&request, &self.capabilities, &self.dialect, false);
        let url = self.address.call("chat/completions");
        let body = self.transport.post(url, body, request.deadline).await?;
        self.read_whole(&body, prompt).map_err(|error| self.transport.scrub(error))
    }

    fn read_whole(&self, body: &[u8], prompt: u64) -> Result<Response, LlmError> {
        fault::check_web_page(body)?;
        if sse::looks_like_events(body) {
            return ChatStream::new(prompt, *self.estimate(), body.len()).read_all(body);
        }
        let (mut response, usage) = read::completion(json::parse(body)?)?;
        response.usage = usage.unwrap_or_else(|| {
            let bytes = response.choices.iter().map(Choice::text_bytes).sum();
            Usage::estimated(prompt, self.estimate().text(bytes))
        });
        Ok(response)
    }

    fn ask_streaming(&self, request: &Request) -> Result<EventStream<'_>, LlmError> {
        self.capabilities.admit(request)?;
        let prompt = self.estimate().most(request).prompt_tokens;
        let body = wire::chat(request, &self.capabilities, &self.dialect, true);
        let url = self.address.call("chat/completions");
        let pieces = self.transport.post_stream(url, body, request.deadline)?;
        let reader = ChatStream::new(prompt, *self.estimate(), self.transport.answer_bytes());
        let events = stream::unfold(Some((pieces.boxed(), reader)), |state| async move {
            let (mut pieces, mut reader) = state?;
            let (events, goes_on) = match pieces.next().await {
                Some(Ok(bytes)) => (reader.push(&bytes), true),
                Some(Err(error)) => (Err(error), false),
                None => (reader.finish(), false),
            };
            let goes_on = goes_on && events.is_ok() && !reader.is_done();
            let events = match events {
                Ok(events) => events.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            };
            Some((stream::iter(events), goes_on.then_some((pieces, reader))))
        });
        Ok(events.flatten().map_err(|error| self.transport.scrub(error)).boxed())
    }
}

impl LlmClient for OpenAiClient {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(self.ask(request))
    }

    fn stream(&self, request: Request) -> EventStream<'_> {
        // Nothing is sent before the first poll.
        stream::once(future::lazy(move |_| self.ask_streaming(&request))).try_flatten().boxed()
    }
}
