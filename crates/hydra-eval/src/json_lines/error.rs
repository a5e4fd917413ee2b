//! What is wrong with the files, and where.

use std::path::PathBuf;

use hydra_llm::TemplateError;

use super::description::{MOST_DESCRIPTION_BYTES, MOST_LABEL_BYTES, MOST_LABELS};
use super::records::{MOST_FIELD_BYTES, MOST_FILE_BYTES, MOST_LINE_BYTES};

/// Why there is no task. What a parser says about a file quotes it, and so is left out: file, line and column are kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonLinesError {
    /// A file cannot be read.
    #[error("cannot read a file of the task: {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A description that is none.
    #[error("more than {MOST_DESCRIPTION_BYTES} bytes are no description of a task: {}", path.display())]
    LongDescription {
        /// Which.
        path: PathBuf,
    },
    /// A description that says something else than it should.
    #[error(
        "line {line}, column {column}: not what a description says there, `docs/own-task.md` has the fields: {}", path.display()
    )]
    Description {
        /// Where, from 1.
        line: usize,
        /// Where in the line.
        column: usize,
        /// Which file.
        path: PathBuf,
    },
    /// A task without a name that can be shown.
    #[error("the task's name is not usable: write up to 100 bytes without line breaks: {}", path.display())]
    Name {
        /// Which file.
        path: PathBuf,
    },
    /// Labels among which nobody can choose.
    #[error(
        "the labels are not usable: give 2 to {MOST_LABELS}, none blank, none longer than {MOST_LABEL_BYTES} bytes, none twice but for case: {}", path.display()
    )]
    Labels {
        /// Which file.
        path: PathBuf,
    },
    /// A prompt that cannot be made.
    #[error("the prompt is not usable: {}", path.display())]
    Prompt {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: TemplateError,
    },
    /// A prompt that shows no records.
    #[error("the prompt has no place for records: write {{{{history}}}} in its user text: {}", path.display())]
    NoHistory {
        /// Which file.
        path: PathBuf,
    },
    /// More records than fit into memory with what is made of them.
    #[error("more than {MOST_FILE_BYTES} bytes of records: take a part of them: {}", path.display())]
    LongFile {
        /// Which file.
        path: PathBuf,
    },
    /// A line without an end.
    #[error("line {line} is longer than {MOST_LINE_BYTES} bytes: {}", path.display())]
    LongLine {
        /// Which, from 1.
        line: u64,
        /// Which file.
        path: PathBuf,
    },
    /// A line that is no record.
    #[error(
        "line {line}, column {column}: not an object with `user`, `time`, `input` and `output`: {}", path.display()
    )]
    Line {
        /// Which, from 1.
        line: u64,
        /// Where in the line.
        column: usize,
        /// Which file.
        path: PathBuf,
    },
    /// A day that is none.
    #[error("line {line}: `time` is no day, write YYYY-MM-DD or milliseconds since 1970: {}", path.display())]
    Time {
        /// Which, from 1.
        line: u64,
        /// Which file.
        path: PathBuf,
    },
    /// Nothing but blanks.
    #[error("line {line}: `{field}` is blank: {}", path.display())]
    Blank {
        /// Which, from 1.
        line: u64,
        /// What is blank.
        field: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// A text that does not fit into a prompt.
    #[error("line {line}: `{field}` is longer than {MOST_FIELD_BYTES} bytes: {}", path.display())]
    LongField {
        /// Which, from 1.
        line: u64,
        /// What is too long.
        field: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// An output that the task does not have.
    #[error(
        "line {line}: `output` is none of the task's answers, add it to the labels or leave the line out: {}", path.display()
    )]
    NotAnAnswer {
        /// Which, from 1.
        line: u64,
        /// Which file.
        path: PathBuf,
    },
    /// An empty file.
    #[error("there is no record: {}", path.display())]
    NoRecords {
        /// Which file.
        path: PathBuf,
    },
}
