//! What is answered.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Delta, End, StreamEvent};

/// What a model answered. `Debug` shows lengths and never the texts.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Response {
    /// The answers, in the order of the server.
    pub choices: Vec<Choice>,
    /// What it cost, for all answers together.
    pub usage: Usage,
    /// The model that the server says has answered, which may be a dated version of the one that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Fields of the server's answer that have no place here.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Response {
    /// These answers at this cost.
    #[must_use]
    pub fn new(choices: Vec<Choice>, usage: Usage) -> Self {
        Self { choices, usage, model: None, extra: Map::new() }
    }

    /// The first answer's text, or nothing if there is no answer.
    #[must_use]
    pub fn text(&self) -> &str {
        self.choices.first().map_or("", |choice| &choice.text)
    }

    /// The same answer as the events of a stream: a piece for each choice, then the end.
    #[must_use]
    pub fn into_events(self) -> Vec<StreamEvent> {
        let pieces = self.choices.into_iter().enumerate().map(|(index, choice)| {
            StreamEvent::Delta(Delta {
                choice: index,
                text: choice.text,
                reasoning: choice.reasoning,
                finish: Some(choice.finish),
                logprobs: choice.logprobs,
                extra: choice.extra,
            })
        });
        let end = StreamEvent::End(End { usage: self.usage, model: self.model, extra: self.extra });
        pieces.chain([end]).collect()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("choices", &self.choices)
            .field("usage", &self.usage)
            .field("model", &self.model)
            .field("extra_fields", &self.extra.len())
            .finish()
    }
}

/// One answer of several. `Debug` shows lengths and never the texts.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Choice {
    /// The answer.
    pub text: String,
    /// What the model thought aloud before it, where the server keeps that apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it ends where it ends.
    pub finish: FinishReason,
    /// The tokens of the answer, if they were asked for and given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Vec<TokenLogprob>>,
    /// Fields of the server's choice that have no place here.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Choice {
    /// An answer that came to its end.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), reasoning: None, finish: FinishReason::Stop, logprobs: None, extra: Map::new() }
    }
}

impl Choice {
    /// How many bytes of text it has, reasoning included.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len() + self.reasoning.as_ref().map_or(0, String::len)
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice")
            .field("text_bytes", &self.text.len())
            .field("reasoning_bytes", &self.reasoning.as_ref().map(String::len))
            .field("finish", &self.finish)
            .field("logprobs", &self.logprobs.as_ref().map(Vec::len))
            .field("extra_fields", &self.extra.len())
            .finish()
    }
}

/// Why an answer ends where it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or came to a stop string.
    Stop,
    /// It came to the limit of tokens.
    Length,
    /// A filter cut it.
    ContentFilter,
    /// It wants a tool to be called.
    ToolCalls,
    /// The server gave no reason, or one that is not known here.
    Unknown,
}

/// One token of an answer. `Debug` shows the numbers and never the token.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token's text, as the server writes it.
    pub token: String,
    /// Natural logarithm of its probability: finite, at most 0 up to rounding.
    pub logprob: f32,
    /// The most probable tokens in its place, as the server orders them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<(String, f32)>,
}

impl fmt::Debug for TokenLogprob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenLogprob").field("logprob", &self.logprob).field("top", &self.top.len()).finish()
    }
}

/// What an answer cost, in tokens.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of all answers, reasoning included.
    pub completion_tokens: u64,
    /// Tokens of the prompt that the server had read before and charges less for.
    pub cached_tokens: u64,
    /// Tokens of the answers that were reasoning.
    pub reasoning_tokens: u64,
    /// Who counted.
    pub source: UsageSource,
}

impl Usage {
    /// What a server counted.
    #[must_use]
    pub fn reported(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, completion_tokens, source: UsageSource::Reported, ..Self::default() }
    }

    /// What we guess because the server did not count.
    #[must_use]
    pub fn estimated(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, completion_tokens, source: UsageSource::Estimated, ..Self::default() }
    }

    /// Prompt and answers.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Both together; estimated if one of them is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            cached_tokens: self.cached_tokens.saturating_add(other.cached_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
            source: self.source.max(other.source),
        }
    }
}

/// Who counted the tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The server.
    #[default]
    Reported,
    /// A [`TokenEstimate`](crate::TokenEstimate), because the server did not say.
    Estimated,
}
