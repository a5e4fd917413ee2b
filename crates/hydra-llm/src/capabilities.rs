//! What a client can do, as data.

use std::fmt;

use crate::{LlmError, Request, ResponseFormat};

/// Which model answers, and what it can do.
///
/// Plain data: a caller can look before it asks, a wrapper can change what it makes up for (as
/// [`Repeat`](crate::Repeat) does for [`max_n`](Self::max_n)).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Capabilities {
    /// The model's name: part of every cache and cassette key.
    pub model: String,
    /// The most answers that one request may ask for.
    pub max_n: u32,
    /// Log-probabilities of the answer's tokens.
    pub logprobs: bool,
    /// Same seed, same answer.
    pub seed: bool,
    /// Answers that are JSON objects.
    pub json_object: bool,
    /// Answers that follow a JSON schema.
    pub json_schema: bool,
    /// Pieces arrive while the model still writes.
    pub streaming: bool,
    /// A beginning that requests share is paid for once.
    pub prefix_cache: bool,
    /// How many tokens prompt and answer may have together, where it is known.
    pub context_tokens: Option<u32>,
}

impl Capabilities {
    /// A model of this name that can do nothing special: one answer of text at a time.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            max_n: 1,
            logprobs: false,
            seed: false,
            json_object: false,
            json_schema: false,
            streaming: false,
            prefix_cache: false,
            context_tokens: None,
        }
    }

    /// Whether `request` is valid and asks for nothing that is lacking.
    ///
    /// # Errors
    /// [`LlmError::InvalidRequest`] or [`LlmError::Unsupported`].
    pub fn admit(&self, request: &Request) -> Result<(), LlmError> {
        request.check()?;
        let lacks = if request.n > self.max_n {
            Feature::SeveralAnswers { most: self.max_n }
        } else if request.logprobs.is_some() && !self.logprobs {
            Feature::Logprobs
        } else if request.seed.is_some() && !self.seed {
            Feature::Seed
        } else {
            match request.response_format {
                ResponseFormat::JsonObject if !self.json_object => Feature::JsonObject,
                ResponseFormat::JsonSchema { .. } if !self.json_schema => Feature::JsonSchema,
                _ => return Ok(()),
            }
        };
        Err(LlmError::Unsupported { feature: lacks, model: self.model.clone() })
    }
}

/// Something that a request may ask for and a client may lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Feature {
    /// More than one answer to a request.
    SeveralAnswers {
        /// The most that it gives.
        most: u32,
    },
    /// Log-probabilities.
    Logprobs,
    /// Answers that a seed repeats.
    Seed,
    /// JSON objects.
    JsonObject,
    /// JSON by a schema.
    JsonSchema,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralAnswers { most } => {
                write!(f, "more than {most} answers a request: ask for fewer, or wrap the client in `Repeat`")
            }
            Self::Logprobs => f.write_str("log-probabilities: leave `logprobs` out"),
            Self::Seed => f.write_str("seeds: leave `seed` out"),
            Self::JsonObject => f.write_str("json answers: leave `response_format` out"),
            Self::JsonSchema => f.write_str("json schemas: ask for a json object, or leave `response_format` out"),
        }
    }
}
