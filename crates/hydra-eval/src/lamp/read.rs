//! The benchmark's files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use hydra_types::{Record, RecordId, Time};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{LampQuestion, LampTask};
use crate::dates::midnight_millis;

/// Reads the questions of a task (`{split}_questions.json`) and, where given, the right answers
/// (`{split}_outputs.json`).
///
/// Contents keep their blanks. Records are put in the order of their dates, those of one day in the order of the file;
/// a history in which some record has no date stays in the order of the file.
///
/// # Errors
/// [`LampError`], which names the question or record and never quotes it.
pub fn load(task: LampTask, questions: &Path, outputs: Option<&Path>) -> Result<Vec<LampQuestion>, LampError> {
    let mut golds = outputs.map(|path| read_golds(task, path)).transpose()?;
    let raw: Vec<RawQuestion> = read_json(questions)?;
    let mut all = Vec::with_capacity(raw.len());
    for RawQuestion { id, input, profile } in raw {
        let gold = match &mut golds {
            None => None,
            Some(golds) => Some(golds.remove(&id).ok_or_else(|| LampError::NoGold { question: id.clone() })?),
        };
        let history = history(task, &id, &profile)?;
        let query = query(task, &input).unwrap_or(&input).trim().to_owned();
        all.push(LampQuestion { id, input, query, history, gold });
    }
    match golds.and_then(|mut golds| golds.pop_first()) {
        Some((question, _)) => Err(LampError::NoQuestion { question }),
        None => Ok(all),
    }
}

/// Why a file of the benchmark could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LampError {
    /// The file cannot be opened.
    #[error("cannot open a file of the benchmark: {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is longer than any of the benchmark's.
    #[error("more than 8 GiB, which no file of the benchmark has: {}", path.display())]
    Long {
        /// Which.
        path: PathBuf,
    },
    /// The file is not of the shape that the benchmark's have.
    #[error("not a file of the benchmark, see the crate's documentation for the shape: {}", path.display())]
    Shape {
        /// Which.
        path: PathBuf,
        /// Where it departs from the shape.
        source: serde_json::Error,
    },
    /// Answers to another task.
    #[error("the outputs are those of {found}, expected {}", expected.name())]
    OtherTask {
        /// The task that was asked for.
        expected: LampTask,
        /// What the file says.
        found: String,
    },
    /// An answer that no answer to this task can be.
    #[error("the gold answer of question {question} is none of the answers of {}", task.name())]
    NotAnAnswer {
        /// The task.
        task: LampTask,
        /// Which question.
        question: String,
    },
    /// A question without an answer.
    #[error("question {question} has no gold answer: give the outputs of the same split")]
    NoGold {
        /// Which question.
        question: String,
    },
    /// An answer without a question.
    #[error("gold answer {question} has no question, or is there twice: give the questions of the same split")]
    NoQuestion {
        /// Which question.
        question: String,
    },
    /// A record lacks what the records of this task have.
    #[error("record {record} of question {question} has no field `{field}`, which records of {} have", task.name())]
    NoField {
        /// The task.
        task: LampTask,
        /// Which question.
        question: String,
        /// Position of the record in the file.
        record: usize,
        /// What is missing.
        field: &'static str,
    },
    /// A date that is none.
    #[error("record {record} of question {question} has a date that is not of the form YYYY-MM-DD")]
    Date {
        /// Which question.
        question: String,
        /// Position of the record in the file.
        record: usize,
    },
}

#[derive(Deserialize)]
struct RawQuestion {
    #[serde(deserialize_with = "crate::text_or_number::text")]
    id: String,
    input: String,
    profile: Vec<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct RawOutputs {
    task: String,
    golds: Vec<RawGold>,
}

#[derive(Deserialize)]
struct RawGold {
    #[serde(deserialize_with = "crate::text_or_number::text")]
    id: String,
    #[serde(deserialize_with = "crate::text_or_number::text")]
    output: String,
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, LampError> {
    let open = |source| LampError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(open)?;
    if file.metadata().map_err(open)?.len() > MOST_BYTES {
        return Err(LampError::Long { path: path.to_owned() });
    }
    serde_json::from_reader(BufReader::new(file)).map_err(|source| LampError::Shape { path: path.to_owned(), source })
}

fn read_golds(task: LampTask, path: &Path) -> Result<BTreeMap<String, String>, LampError> {
    let RawOutputs { task: found, golds } = read_json(path)?;
    if found != task.name_in_files() {
        return Err(LampError::OtherTask { expected: task, found });
    }
    let answers = task.answers();
    let mut by_id = BTreeMap::new();
    for RawGold { id, output } in golds {
        if !answers.has(&output) {
            return Err(LampError::NotAnAnswer { task, question: id });
        }
        if by_id.insert(id.clone(), output).is_some() {
            return Err(LampError::NoQuestion { question: id });
        }
    }
    Ok(by_id)
}

impl LampTask {
    /// The name in the field `task` of the outputs. Both tasks numbered 2 have the same.
    fn name_in_files(self) -> &'static str {
        match self {
            Self::Citation => "LaMP_1",
            Self::NewsCategory | Self::MovieTag => "LaMP_2",
            Self::ProductRating => "LaMP_3",
            Self::Headline => "LaMP_4",
            Self::PaperTitle => "LaMP_5",
            Self::MailSubject => "LaMP_6",
            Self::Tweet => "LaMP_7",
        }
    }

    /// Which fields of a record are its input and its output; a tweet answers nothing.
    fn fields(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Citation | Self::PaperTitle => (Some("abstract"), "title"),
            Self::NewsCategory => (Some("text"), "category"),
            Self::MovieTag => (Some("description"), "tag"),
            Self::ProductRating => (Some("text"), "score"),
            Self::Headline | Self::MailSubject => (Some("text"), "title"),
            Self::Tweet => (None, "text"),
        }
    }
}

fn history(
    task: LampTask,
    question: &str,
    profile: &[BTreeMap<String, serde_json::Value>],
) -> Result<Vec<Record>, LampError> {
    let days = profile.iter().enumerate().map(|(index, fields)| midnight(question, index, fields));
    let days: Vec<Option<i64>> = days.collect::<Result<_, _>>()?;
    let all_dated = days.iter().all(Option::is_some);
    let (input, output) = task.fields();
    let mut records = Vec::with_capacity(profile.len());
    for ((index, fields), day) in profile.iter().enumerate().zip(days) {
        let field = |name: &'static str| match fields.get(name) {
            Some(serde_json::Value::String(text)) => Ok(text.clone()),
            Some(serde_json::Value::Number(number)) => Ok(number.to_string()),
            _ => Err(LampError::NoField { task, question: question.to_owned(), record: index, field: name }),
        };
        // The place in the file, as milliseconds, keeps the order of records of one day.
        let place = i64::try_from(index).expect("fewer records than milliseconds");
        let midnight = day.filter(|_| all_dated).unwrap_or_default();
        let input = input.map(field).transpose()?.unwrap_or_default();
        let time = Time::from_unix_millis(midnight + place);
        records.push(Record::new(RecordId::new(index as u64), time, input, field(output)?));
    }
    records.sort_by_key(Record::time);
    Ok(records)
}

/// Midnight of the record's day, if it has one.
fn midnight(
    question: &str,
    record: usize,
    fields: &BTreeMap<String, serde_json::Value>,
) -> Result<Option<i64>, LampError> {
    let Some(date) = fields.get("date") else { return Ok(None) };
    let midnight = date.as_str().and_then(midnight_millis);
    midnight.map(Some).ok_or_else(|| LampError::Date { question: question.to_owned(), record })
}

/// The part of the input that is about something.
fn query(task: LampTask, input: &str) -> Option<&str> {
    let marker = match task {
        // Both candidate references stand in quotation marks: the whole input is what it is about.
        LampTask::Citation => return None,
        LampTask::NewsCategory | LampTask::Headline => "article:",
        LampTask::MovieTag => "description:",
        LampTask::ProductRating => "review:",
        LampTask::PaperTitle => "paper:",
        LampTask::MailSubject | LampTask::Tweet => ":",
    };
    input.split_once(marker).map(|(_, query)| query)
}

/// Several times the longest of the benchmark's, which is read whole.
const MOST_BYTES: u64 = 8 << 30;
