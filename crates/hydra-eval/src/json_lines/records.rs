//! The file with the records.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use hydra_types::{Record, RecordId, Time, UserId};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{JsonLinesError, UserRecords};
use crate::answer::AnswerSpace;
use crate::dates::midnight_millis;

#[derive(Deserialize)]
struct Line {
    user: User,
    time: When,
    input: String,
    #[serde(deserialize_with = "crate::text_or_number::text")]
    output: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum User {
    Number(u64),
    Name(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum When {
    Millis(i64),
    Day(String),
}

pub(super) fn read(path: &Path, answers: &AnswerSpace) -> Result<Vec<UserRecords>, JsonLinesError> {
    let unreadable = |source| JsonLinesError::Read { path: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut users: BTreeMap<UserId, Vec<Record>> = BTreeMap::new();
    let mut bytes = 0;
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let read = file.by_ref().take(MOST_LINE_BYTES + 1).read_until(b'\n', &mut text).map_err(unreadable)? as u64;
        bytes += read;
        if read == 0 {
            break;
        }
        if read > MOST_LINE_BYTES {
            return Err(JsonLinesError::LongLine { line: number, path: path.to_owned() });
        }
        if bytes > MOST_FILE_BYTES {
            return Err(JsonLinesError::LongFile { path: path.to_owned() });
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let (user, record) = record(path, number, &text, answers)?;
        users.entry(user).or_default().push(record);
    }
    if users.is_empty() {
        return Err(JsonLinesError::NoRecords { path: path.to_owned() });
    }
    let in_order = |(user, mut records): (UserId, Vec<Record>)| {
        records.sort_by_key(|record| (record.time(), record.id()));
        UserRecords { user, records }
    };
    Ok(users.into_iter().map(in_order).collect())
}

fn record(path: &Path, line: u64, text: &[u8], answers: &AnswerSpace) -> Result<(UserId, Record), JsonLinesError> {
    let own = || path.to_owned();
    let Line { user, time, input, output } =
        serde_json::from_slice(text).map_err(|at| JsonLinesError::Line { line, column: at.column(), path: own() })?;
    let user = match user {
        User::Number(number) => UserId::new(number.into()),
        User::Name(name) if name.trim().is_empty() => {
            return Err(JsonLinesError::Blank { line, field: "user", path: own() });
        }
        User::Name(name) => named(&name),
    };
    let millis = match time {
        When::Millis(millis) => millis,
        // All of a day is one moment: nothing of it is earlier than the rest.
        When::Day(day) => midnight_millis(&day).ok_or_else(|| JsonLinesError::Time { line, path: own() })?,
    };
    for (field, text) in [("input", &input), ("output", &output)] {
        if text.trim().is_empty() {
            return Err(JsonLinesError::Blank { line, field, path: own() });
        }
        if text.len() > MOST_FIELD_BYTES {
            return Err(JsonLinesError::LongField { line, field, path: own() });
        }
    }
    if !answers.has(&output) {
        return Err(JsonLinesError::NotAnAnswer { line, path: own() });
    }
    Ok((user, Record::new(RecordId::new(line), Time::from_unix_millis(millis), input, output)))
}

/// The same for the same name in every file, so that answers recorded for somebody are found again.
fn named(name: &str) -> UserId {
    let digest: [u8; 32] = Sha256::new_with_prefix(b"hydra user name").chain_update(name).finalize().into();
    let number = u128::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
    UserId::new(number | 1 << 127)
}

pub(super) const MOST_FILE_BYTES: u64 = 1 << 30;
pub(super) const MOST_LINE_BYTES: u64 = 1 << 18;
/// As much as a prompt takes by default: see `hydra_llm::LengthLimits`.
pub(super) const MOST_FIELD_BYTES: usize = 16 << 10;
