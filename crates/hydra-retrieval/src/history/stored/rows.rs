//! What a history looks like in a store.
//!
//! Texts are JSON, so that an export can be read by whom it is about; vectors are plain little-endian floats. Slots are
//! record ids, big-endian. What is read is bounded by the length of what is stored, and checked as if anybody had put it
//! there.

use hydra_store::{Batch, Row, Table};
use hydra_types::{Fingerprint, Record, RecordId, Time};
use serde::{Deserialize, Serialize};

use super::StoredHistoryError;
use crate::filter::Tags;
use crate::history::Entry;

/// What is said about the whole history, in one slot.
pub(super) const HISTORY: Table = Table::new("history");
/// The texts, times and tags of the records.
pub(super) const RECORDS: Table = Table::new("history-records");
/// Their vectors.
pub(super) const VECTORS: Table = Table::new("history-vectors");
/// The one slot of [`HISTORY`].
pub(super) const HEADER_SLOT: &[u8] = b"header";

/// What is said about the whole history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) dimensions: usize,
    /// Which encoder the vectors are of, if that was ever said.
    pub(super) encoder: Option<Fingerprint>,
    /// How often the history was changed.
    pub(super) changes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHeader {
    format: u32,
    dimensions: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoder: Option<Fingerprint>,
    changes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRecord<'a> {
    unix_millis: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<u8>,
    #[serde(borrow)]
    input: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    output: std::borrow::Cow<'a, str>,
}

impl Header {
    pub(super) fn write(self) -> Vec<u8> {
        let Self { dimensions, encoder, changes } = self;
        json(&StoredHeader { format: format_of(encoder), dimensions, encoder, changes })
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, StoredHistoryError> {
        // Only the format is looked at first: a newer header may have fields that are not known here.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_slice(bytes).map_err(|_| damaged("header"))?;
        if format > FORMAT {
            return Err(StoredHistoryError::Newer { got: format, known: FORMAT });
        }
        let StoredHeader { dimensions, encoder, changes, .. } =
            serde_json::from_slice(bytes).map_err(|_| damaged("header"))?;
        // The one after it must exist, or the history could never be changed again.
        if format == format_of(encoder) && changes < u64::MAX {
            Ok(Self { dimensions, encoder, changes })
        } else {
            Err(damaged("header"))
        }
    }
}

/// The batch, and in it the record and its vector.
pub(super) fn put(batch: Batch, entry: &Entry) -> Batch {
    let Entry { record, vector, tags } = entry;
    let stored = StoredRecord {
        unix_millis: record.time().unix_millis(),
        tags: (0..64).filter(|tag| tags.bits() >> tag & 1 == 1).collect(),
        input: record.input().into(),
        output: record.output().into(),
    };
    let vector: Vec<u8> = vector.0.iter().flat_map(|number| number.to_le_bytes()).collect();
    let slot = slot(record.id());
    batch.put(RECORDS, slot, json(&stored)).put(VECTORS, slot, vector)
}

/// The batch, and in it that the record and its vector go.
pub(super) fn delete(batch: Batch, id: RecordId) -> Batch {
    batch.delete(RECORDS, slot(id)).delete(VECTORS, slot(id))
}

/// The history in the rows of its three tables, in their order; none if there is no row. Encoders are compared where both
/// are known and there is a vector.
pub(super) fn read(
    tables: Vec<Vec<Row>>,
    dimensions: usize,
    encoder: Option<Fingerprint>,
) -> Result<Option<(Header, Vec<Entry>)>, StoredHistoryError> {
    let [header, records, vectors] = <[Vec<Row>; 3]>::try_from(tables).expect("three scans have three answers");
    let header = match header.as_slice() {
        [] if records.is_empty() && vectors.is_empty() => return Ok(None),
        [(slot, header)] if slot == HEADER_SLOT => Header::read(header)?,
        _ => return Err(damaged("header")),
    };
    if header.dimensions != dimensions {
        return Err(StoredHistoryError::Dimensions { stored: header.dimensions, asked: dimensions });
    }
    if let (Some(stored), Some(asked)) = (header.encoder, encoder)
        && stored != asked
        && !vectors.is_empty()
    {
        return Err(StoredHistoryError::Encoder { stored, asked });
    }
    if records.len() != vectors.len() {
        return Err(damaged("number of vectors"));
    }
    // Both are in the order of their slots.
    let entries = records.iter().zip(&vectors).map(|((slot, record), (vector_slot, vector))| {
        if slot != vector_slot {
            return Err(damaged("number of vectors"));
        }
        Ok(Entry { vector: super::super::Vector(numbers(vector, dimensions)?), ..entry(slot, record)? })
    });
    Ok(Some((header, entries.collect::<Result<_, _>>()?)))
}

/// A record, without its vector.
fn entry(slot: &[u8], record: &[u8]) -> Result<Entry, StoredHistoryError> {
    let id = slot.try_into().map(u64::from_be_bytes).map_err(|_| damaged("slot"))?;
    let StoredRecord { unix_millis, tags, input, output } =
        serde_json::from_slice(record).map_err(|_| damaged("record"))?;
    if tags.iter().any(|&tag| tag > 63) {
        return Err(damaged("record"));
    }
    let tags = tags.into_iter().fold(Tags::NONE, Tags::with);
    let record = Record::new(RecordId::new(id), Time::from_unix_millis(unix_millis), input, output);
    Ok(Entry::new(record, Vec::new()).tagged(tags))
}

fn numbers(bytes: &[u8], dimensions: usize) -> Result<Vec<f32>, StoredHistoryError> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if numbers.len() != dimensions || !rest.is_empty() {
        return Err(damaged("vector"));
    }
    Ok(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

fn slot(id: RecordId) -> [u8; 8] {
    id.get().to_be_bytes()
}

fn json(stored: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(stored).expect("plain data")
}

fn damaged(part: &'static str) -> StoredHistoryError {
    StoredHistoryError::Damaged { part }
}

/// The format of a header that names its encoder, and of one that does not, as all did once.
fn format_of(encoder: Option<Fingerprint>) -> u32 {
    if encoder.is_some() { FORMAT } else { 1 }
}

const FORMAT: u32 = 2;

#[cfg(test)]
mod tests;
