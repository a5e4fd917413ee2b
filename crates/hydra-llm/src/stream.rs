//! An answer in pieces, and the pieces made whole again.

use std::fmt;

use serde_json::{Map, Value};

use crate::{AnswerFault, Choice, FinishReason, LlmError, Response, TokenLogprob, Usage};

/// One event of a streamed answer.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Something was added to one choice.
    Delta(Delta),
    /// The answer is whole: the last event.
    End(End),
}

/// What is added to one choice. `Debug` shows lengths and never the texts.
#[derive(Clone, PartialEq, Default)]
pub struct Delta {
    /// Which choice, from 0.
    pub choice: usize,
    /// Added to its text.
    pub text: String,
    /// Added to its reasoning.
    pub reasoning: Option<String>,
    /// Why it ends, once it does.
    pub finish: Option<FinishReason>,
    /// Added to its tokens.
    pub logprobs: Option<Vec<TokenLogprob>>,
    /// Fields of the server's piece that have no place here; a later one replaces an earlier one of the same name.
    pub extra: Map<String, Value>,
}

impl Delta {
    /// How many bytes of text it adds, reasoning included.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text.len() + self.reasoning.as_ref().map_or(0, String::len)
    }
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta")
            .field("choice", &self.choice)
            .field("text_bytes", &self.text.len())
            .field("reasoning_bytes", &self.reasoning.as_ref().map(String::len))
            .field("finish", &self.finish)
            .field("logprobs", &self.logprobs.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// What is known at the end of an answer.
#[derive(Clone, PartialEq, Default)]
pub struct End {
    /// What all choices cost.
    pub usage: Usage,
    /// The model that the server says has answered.
    pub model: Option<String>,
    /// Fields of the server's answer that have no place here.
    pub extra: Map<String, Value>,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("usage", &self.usage).field("model", &self.model).finish_non_exhaustive()
    }
}

/// Puts the events of a stream together to the response that they are pieces of.
///
/// ```
/// use hydra_llm::{Assembler, Choice, Response, Usage};
///
/// let response = Response::new(vec![Choice::new("drama")], Usage::reported(12, 1));
/// let mut assembler = Assembler::default();
/// for event in response.clone().into_events() {
///     assembler.push(event)?;
/// }
/// assert_eq!(assembler.finish()?, response);
/// # Ok::<(), hydra_llm::LlmError>(())
/// ```
#[derive(Debug, Default)]
pub struct Assembler {
    choices: Vec<Option<Choice>>,
    end: Option<End>,
}

impl Assembler {
    /// Takes the next event.
    ///
    /// # Errors
    /// [`LlmError::BadAnswer`] if a choice has a number above 1023, or something comes after the end.
    pub fn push(&mut self, event: StreamEvent) -> Result<(), LlmError> {
        if self.end.is_some() {
            return Err(AnswerFault::AfterTheEnd.into());
        }
        match event {
            StreamEvent::End(end) => self.end = Some(end),
            StreamEvent::Delta(delta) => {
                if delta.choice >= MAX_CHOICES {
                    return Err(AnswerFault::TooLarge.into());
                }
                if self.choices.len() <= delta.choice {
                    self.choices.resize(delta.choice + 1, None);
                }
                let choice = self.choices[delta.choice]
                    .get_or_insert_with(|| Choice { finish: FinishReason::Unknown, ..Choice::new("") });
                choice.text.push_str(&delta.text);
                if let Some(reasoning) = delta.reasoning {
                    choice.reasoning.get_or_insert_default().push_str(&reasoning);
                }
                if let Some(finish) = delta.finish {
                    choice.finish = finish;
                }
                if let Some(logprobs) = delta.logprobs {
                    choice.logprobs.get_or_insert_default().extend(logprobs);
                }
                choice.extra.extend(delta.extra);
            }
        }
        Ok(())
    }

    /// How many bytes of text came so far, reasoning included.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.choices.iter().flatten().map(Choice::text_bytes).sum()
    }

    /// The whole response. Choices of which nothing came are left out.
    ///
    /// # Errors
    /// [`LlmError::BadAnswer`] if the end did not come.
    pub fn finish(self) -> Result<Response, LlmError> {
        let end = self.end.ok_or(AnswerFault::CutShort)?;
        Ok(Response {
            choices: self.choices.into_iter().flatten().collect(),
            usage: end.usage,
            model: end.model,
            extra: end.extra,
        })
    }
}

/// As many as a request may ask for.
const MAX_CHOICES: usize = 1024;
