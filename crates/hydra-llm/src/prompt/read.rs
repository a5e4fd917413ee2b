//! Messages back to records: what a prompt really quotes.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::template::{CUT, Template};
use crate::Message;

/// A record as it stands in a prompt. `Debug` shows lengths only.
#[derive(Clone, PartialEq, Eq)]
pub struct QuotedRecord {
    /// Its input, or the beginning of it.
    pub input: String,
    /// Its output, or the beginning of it.
    pub output: String,
    /// Whether something was cut off.
    pub cut: bool,
}

impl fmt::Debug for QuotedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotedRecord")
            .field("input_bytes", &self.input.len())
            .field("output_bytes", &self.output.len())
            .field("cut", &self.cut)
            .finish()
    }
}

/// Why the records of a prompt cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The marks do not stand in the user's message, or not in pairs on lines of their own.
    #[error("the prompt does not hold a whole block with this fence: give the fence that it was rendered with")]
    NoBlock,
    /// A line between the marks is not a record of this template.
    #[error("line {line} of the block is not a record of this template: give the template that it was rendered with")]
    NotARecord {
        /// Which line of the block, from 1.
        line: usize,
    },
}

/// Reads the records that `messages`, rendered from `template`, quote between the marks with the number `fence`.
///
/// The inverse of [`Template::render`]: what it finds is what a model that keeps to the marks is shown. A prompt without
/// records gives an empty list.
///
/// # Errors
/// [`ReadError`] if the marks or what stands between them are not as rendered.
pub fn read_history(template: &Template, messages: &[Message], fence: &str) -> Result<Vec<QuotedRecord>, ReadError> {
    let (open, close) = (format!("<data-{fence}>"), format!("</data-{fence}>"));
    let user = &messages.last().ok_or(ReadError::NoBlock)?.text;
    let mut blocks = Vec::new();
    let mut block: Option<Vec<&str>> = None;
    for line in user.split('\n') {
        if line == open {
            if block.replace(Vec::new()).is_some() {
                return Err(ReadError::NoBlock);
            }
        } else if line.starts_with(&close) {
            blocks.push(block.take().ok_or(ReadError::NoBlock)?);
        } else if let Some(lines) = &mut block {
            lines.push(line);
        }
    }
    if block.is_some() || (blocks.is_empty() && template.quotes_history()) {
        return Err(ReadError::NoBlock);
    }
    let parts = template.parts();
    let mut records = Vec::new();
    for (number, line) in blocks.into_iter().flatten().enumerate() {
        let bad = ReadError::NotARecord { line: number + 1 };
        let mut fields: BTreeMap<String, Value> = serde_json::from_str(line).map_err(|_| bad)?;
        if fields.len() == 1 && fields.contains_key("query") {
            continue;
        }
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(bad),
        };
        let (input, output) = (text(&parts.input_name)?, text(&parts.output_name)?);
        let cut = fields.remove(CUT);
        if !fields.is_empty() || !matches!(cut, None | Some(Value::Bool(true))) {
            return Err(bad);
        }
        records.push(QuotedRecord { input, output, cut: cut.is_some() });
    }
    Ok(records)
}
