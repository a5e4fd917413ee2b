//! A client for tests that answers what it was told to.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::{BoxFuture, Capabilities, Choice, LlmClient, LlmError, Request, Response, TokenEstimate, Usage};

/// Answers a list of texts and errors in order, and remembers what it was asked.
///
/// It proves only the logic of the code around it: nothing about any model.
pub struct ScriptedClient {
    capabilities: Capabilities,
    state: Mutex<State>,
}

impl ScriptedClient {
    /// Answers each call with the next of `texts`.
    #[must_use]
    pub fn answering<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::replying(texts.into_iter().map(|text| Ok(Response::new(vec![Choice::new(text)], Usage::default()))))
    }

    /// Answers each call with the next of `replies`; an answer without usage gets an estimate.
    #[must_use]
    pub fn replying(replies: impl IntoIterator<Item = Result<Response, LlmError>>) -> Self {
        Self {
            capabilities: Capabilities::new("scripted"),
            state: Mutex::new(State { replies: replies.into_iter().collect(), asked: Vec::new() }),
        }
    }

    /// The same script under other capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// What it was asked so far, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<Request> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

impl LlmClient for ScriptedClient {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    /// # Panics
    /// When the script is over.
    fn complete(&self, request: Request) -> BoxFuture<'_, Result<Response, LlmError>> {
        Box::pin(async move {
            self.capabilities.admit(&request)?;
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let prompt = TokenEstimate::default().most(&request).prompt_tokens;
            state.asked.push(request);
            let mut reply = state.replies.pop_front().expect("the script has an answer for every call");
            if let Ok(response) = &mut reply
                && response.usage == Usage::default()
            {
                let bytes = response.choices.iter().map(|choice| choice.text.len()).sum();
                response.usage = Usage::estimated(prompt, TokenEstimate::default().text(bytes));
            }
            reply
        })
    }
}

struct State {
    replies: VecDeque<Result<Response, LlmError>>,
    asked: Vec<Request>,
}
