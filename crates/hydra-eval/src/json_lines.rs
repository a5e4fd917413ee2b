//! A task of one's own: a short file that describes it, and beside it a file with one record a line.
//!
//! The guide is `docs/own-task.md`. Both files are from outside: what is read is bounded, and an error names file and line and
//! quotes neither.

mod description;
mod error;
mod records;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use hydra_llm::Template;
use hydra_types::{Record, UserId};

use crate::answer::AnswerSpace;

pub use error::JsonLinesError;

/// What a description says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JsonLinesTask {
    /// How it is called in messages.
    pub name: String,
    /// Which answers there are.
    pub answers: AnswerSpace,
    /// How it is asked, with a place for records.
    pub prompt: Template,
    /// The most tokens of an answer, if the description says so.
    pub max_tokens: Option<NonZeroU32>,
    /// The file with the records.
    pub histories: PathBuf,
}

/// What one user answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecords {
    /// Whose: the number in the file, or a number made from the name. Numbers of names have their highest bit set, which no
    /// number in a file reaches.
    pub user: UserId,
    /// Oldest first, those of one moment in the order of the file: the id is the number of the line.
    pub records: Vec<Record>,
}

/// Reads a description and the records that it names: all users, by number.
///
/// # Errors
/// [`JsonLinesError`], which names file and line and quotes nothing.
pub fn load(description: &Path) -> Result<(JsonLinesTask, Vec<UserRecords>), JsonLinesError> {
    let task = description::read(description)?;
    let users = records::read(&task.histories, &task.answers)?;
    Ok((task, users))
}
