//! The pieces of a streamed answer.

use hydra_llm::{AnswerFault, Assembler, Delta, End, LlmError, Response, StreamEvent, TokenEstimate, Usage};
use serde_json::{Map, Value};

use crate::sse::{Decoder, Event};
use crate::{fault, json, read};

/// Takes the bytes of a streamed answer and gives its events.
///
/// An answer ends with `[DONE]`, or where the stream ends after a reason was given why the answer does. A stream that
/// ends without either was cut off.
pub(crate) struct ChatStream {
    shape: Shape,
    most: usize,
    received: usize,
    prompt: u64,
    estimate: TokenEstimate,
    text_bytes: usize,
    any_piece: bool,
    any_finish: bool,
    done: bool,
    usage: Option<Usage>,
    model: Option<String>,
    extra: Map<String, Value>,
}

/// What the stream turns out to be.
enum Shape {
    /// Only blanks so far.
    Unknown,
    /// Events, as it should.
    Events(Decoder),
    /// A whole answer, or pieces without the framing of events: read when all is there.
    Json(Vec<u8>),
    /// A web page.
    WebPage,
}

impl ChatStream {
    /// For a prompt of about `prompt` tokens and an answer of at most `most` bytes.
    pub(crate) fn new(prompt: u64, estimate: TokenEstimate, most: usize) -> Self {
        Self {
            shape: Shape::Unknown,
            most,
            received: 0,
            prompt,
            estimate,
            text_bytes: 0,
            any_piece: false,
            any_finish: false,
            done: false,
            usage: None,
            model: None,
            extra: Map::new(),
        }
    }

    /// Whether the end was given.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<StreamEvent>, LlmError> {
        self.received += bytes.len();
        if self.received > self.most {
            return Err(AnswerFault::TooLarge.into());
        }
        if let Shape::Unknown = self.shape {
            let seen = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
            self.shape = match seen.first() {
                None => return Ok(Vec::new()),
                Some(b'{' | b'[') => Shape::Json(Vec::new()),
                Some(b'<') => Shape::WebPage,
                Some(_) => Shape::Events(Decoder::new(self.most)),
            };
        }
        let mut received = Vec::new();
        match &mut self.shape {
            Shape::Unknown => {}
            Shape::Json(whole) => whole.extend_from_slice(bytes),
            Shape::WebPage => return Err(AnswerFault::WebPage.into()),
            Shape::Events(decoder) => {
                decoder.push(bytes, &mut received).map_err(|_| AnswerFault::TooLarge)?;
            }
        }
        let mut events = Vec::new();
        for event in received {
            self.take(&event, &mut events)?;
        }
        Ok(events)
    }

    /// What is left when the stream is over.
    pub(crate) fn finish(&mut self) -> Result<Vec<StreamEvent>, LlmError> {
        let mut events = Vec::new();
        match std::mem::replace(&mut self.shape, Shape::Unknown) {
            Shape::Unknown | Shape::WebPage => {}
            Shape::Events(decoder) => {
                if let Some(event) = decoder.finish() {
                    self.take(&event, &mut events)?;
                }
            }
            Shape::Json(whole) => {
                for value in json::parse_all(&whole)? {
                    self.take_value(value, &mut events)?;
                }
            }
        }
        if !self.done && !self.any_finish {
            return Err(AnswerFault::CutShort.into());
        }
        self.end(&mut events)?;
        Ok(events)
    }

    /// Reads a stream that is there as a whole.
    pub(crate) fn read_all(mut self, bytes: &[u8]) -> Result<Response, LlmError> {
        let mut events = self.push(bytes)?;
        if !self.done {
            events.extend(self.finish()?);
        }
        let mut assembler = Assembler::default();
        events.into_iter().try_for_each(|event| assembler.push(event))?;
        assembler.finish()
    }

    fn take(&mut self, event: &Event, events: &mut Vec<StreamEvent>) -> Result<(), LlmError> {
        let data = event.data.trim();
        if event.name == "error" {
            return Err(fault::from_error_event(data));
        }
        // A keep-alive that was wrapped into an event by a proxy begins with the colon of a comment.
        if self.done || data.is_empty() || data.starts_with(':') {
            return Ok(());
        }
        if data == "[DONE]" {
            return self.end(events);
        }
        self.take_value(json::parse(data.as_bytes())?, events)
    }

    fn take_value(&mut self, value: Value, events: &mut Vec<StreamEvent>) -> Result<(), LlmError> {
        let chunk = read::chunk(value)?;
        self.usage = chunk.usage.or(self.usage);
        self.model = chunk.model.or(self.model.take());
        self.extra.extend(chunk.extra);
        for delta in chunk.deltas {
            self.any_piece = true;
            self.any_finish |= delta.finish.is_some();
            self.text_bytes += delta.text_bytes();
            if delta != (Delta { choice: delta.choice, ..Delta::default() }) {
                events.push(StreamEvent::Delta(delta));
            }
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), LlmError> {
        if self.done {
            return Ok(());
        }
        if !self.any_piece {
            return Err(AnswerFault::Empty.into());
        }
        self.done = true;
        let estimated = Usage::estimated(self.prompt, self.estimate.text(self.text_bytes));
        events.push(StreamEvent::End(End {
            usage: self.usage.unwrap_or(estimated),
            model: self.model.take(),
            extra: std::mem::take(&mut self.extra),
        }));
        Ok(())
    }
}
