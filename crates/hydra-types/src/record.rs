//! One past interaction of a user.

use std::fmt;

use crate::{RecordId, Time};

/// One past interaction of a user: an input, the output that went with it, a time.
///
/// `Debug` shows lengths and never the texts, so that a record in a log line gives nothing away.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    id: RecordId,
    time: Time,
    input: String,
    output: String,
}

impl Record {
    /// A record of `input` answered by `output` at `time`. The texts are kept as they are, blanks included.
    #[must_use]
    pub fn new(id: RecordId, time: Time, input: impl Into<String>, output: impl Into<String>) -> Self {
        Self { id, time, input: input.into(), output: output.into() }
    }

    /// Which record of its history it is.
    #[must_use]
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// When it happened.
    #[must_use]
    pub fn time(&self) -> Time {
        self.time
    }

    /// What the user asked, read or rated.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.input
    }

    /// What went with it: the answer, the tag, the rating.
    #[must_use]
    pub fn output(&self) -> &str {
        &self.output
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("time", &self.time)
            .field("input_bytes", &self.input.len())
            .field("output_bytes", &self.output.len())
            .finish()
    }
}
