//! What is asked.

use std::fmt;
use std::time::Duration;

use hydra_types::{Generation, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who says a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The application. What a user wrote never stands here.
    System,
    /// The person, and all that was quoted for them.
    User,
    /// The model, in an earlier turn or an example.
    Assistant,
}

/// One message of a conversation. `Debug` shows its length and never its text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub text: String,
}

impl Message {
    /// A message of the application.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self { role: Role::System, text: text.into() }
    }

    /// A message of the person.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { role: Role::User, text: text.into() }
    }

    /// A message of the model.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into() }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("role", &self.role).field("bytes", &self.text.len()).finish()
    }
}

/// What shape the answer has.
#[derive(Clone, PartialEq, Default)]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that a schema describes.
    JsonSchema {
        /// A name for the schema, which some servers show to the model.
        name: String,
        /// The JSON schema.
        schema: Value,
    },
}

impl fmt::Debug for ResponseFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "Text",
            Self::JsonObject => "JsonObject",
            Self::JsonSchema { .. } => "JsonSchema",
        })
    }
}

/// For whom a request is made, and on which generation of their data.
///
/// It keeps answers of different users apart in caches and cassettes, and names who pays in a ledger. A client sends it
/// nowhere unless it was told to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserTag {
    /// Whose data went into the request.
    pub user: UserId,
    /// Which generation of it: after the data was replaced, older answers are no longer found.
    pub generation: Generation,
}

/// What is asked of a model: plain data, the same for every client.
///
/// Made with [`Request::new`], then fields are set. An absent option leaves the choice to the server.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The conversation so far, oldest first. Never empty.
    pub messages: Vec<Message>,
    /// How many independent answers, at least 1.
    pub n: u32,
    /// Sampling temperature, finite and at least 0.
    pub temperature: Option<f32>,
    /// Nucleus sampling: in (0, 1].
    pub top_p: Option<f32>,
    /// The answer ends before the first of these; none is empty.
    pub stop: Vec<String>,
    /// The most tokens of one answer, at least 1.
    pub max_tokens: Option<u32>,
    /// For answers that can be repeated. [`Repeat`](crate::Repeat) gives each of its calls a seed of its own, from this
    /// one upwards.
    pub seed: Option<u64>,
    /// Log-probabilities of the answer's tokens, each with this many alternatives (0: the chosen token only).
    pub logprobs: Option<u32>,
    /// What shape the answer has.
    pub response_format: ResponseFormat,
    /// For whom it is asked.
    pub user: Option<UserTag>,
    /// How long the call may take in all, from the moment it is made: waiting, attempts and pauses included.
    pub deadline: Option<Duration>,
    /// Which of several equal draws this is. Never sent: it keeps a second draw from being answered by the first one's
    /// cached answer.
    pub draw: u64,
}

impl Request {
    /// One answer to `messages`, everything else left to the server.
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Self {
        Self {
            messages,
            n: 1,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            max_tokens: None,
            seed: None,
            logprobs: None,
            response_format: ResponseFormat::Text,
            user: None,
            deadline: None,
            draw: 0,
        }
    }

    /// Whether every field holds a value that it may hold. Clients call it through
    /// [`Capabilities::admit`](crate::Capabilities::admit).
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.messages.is_empty() {
            return Err(RequestError::NoMessages);
        }
        if self.n == 0 || self.n > MAX_N {
            return Err(RequestError::N { got: self.n });
        }
        match self.temperature {
            Some(got) if !got.is_finite() || got < 0.0 => return Err(RequestError::Temperature { got }),
            _ => {}
        }
        match self.top_p {
            Some(got) if !(got > 0.0 && got <= 1.0) => return Err(RequestError::TopP { got }),
            _ => {}
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(RequestError::EmptyStop);
        }
        if self.max_tokens == Some(0) {
            return Err(RequestError::NoTokens);
        }
        if self.deadline == Some(Duration::ZERO) {
            return Err(RequestError::NoTime);
        }
        Ok(())
    }
}

/// A request that no model could be asked.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Nothing was said.
    #[error("a request has no messages: give at least one")]
    NoMessages,
    /// No answers, or more than any server gives.
    #[error("a request asks for {got} answers: ask for 1 to {MAX_N}")]
    N {
        /// What was asked for.
        got: u32,
    },
    /// Below zero, or not a number.
    #[error("the temperature is {got}: give a finite number that is at least 0")]
    Temperature {
        /// What was given.
        got: f32,
    },
    /// Outside (0, 1].
    #[error("top-p is {got}: give a number above 0 and at most 1")]
    TopP {
        /// What was given.
        got: f32,
    },
    /// Every answer begins with the empty string.
    #[error("a stop string is empty: leave it out")]
    EmptyStop,
    /// An answer of no tokens.
    #[error("an answer may have 0 tokens: allow at least 1, or leave the limit out")]
    NoTokens,
    /// No time to answer in.
    #[error("the deadline is 0: give some time, or leave the deadline out")]
    NoTime,
}

const MAX_N: u32 = 1024;
