//! The bytes of an index: little-endian numbers, each count checked against the length before anything is reserved.
//!
//! Magic, version, dimensions, records, parameters, entry; ids, times, tags; floats; links; towers. Codes are made anew
//! on reading, so a file cannot hold codes that do not fit its floats.

use std::collections::BTreeMap;

use hydra_types::{RecordId, Time};

use super::HnswParams;
use super::graph::{Graph, NONE};
use crate::filter::Tags;
use crate::space::Space;
use crate::table::{MAX_ROWS, Table};
use crate::vector::{MAX_DIMENSIONS, Metric, Vector};

/// Bytes that are not an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// They begin differently.
    #[error("the file is not an index: check the folder")]
    NotAnIndex,
    /// A later version of this crate wrote them.
    #[error("the index has format {got} and this version reads up to {known}: update hydra-retrieval")]
    Newer {
        /// The file's format.
        got: u32,
        /// The newest format that is read here.
        known: u32,
    },
    /// They end too early or too late.
    #[error("the index does not have the length that its header says: restore it from a backup or build it again")]
    Length,
    /// A part holds what no index holds.
    #[error("the index has impossible {part}: restore it from a backup or build it again")]
    Invalid {
        /// Which part.
        part: &'static str,
    },
}

pub(super) fn encode(space: &Space) -> Vec<u8> {
    let (table, params) = (&space.table, &space.params);
    let graph = space.graph.as_ref().expect("an HnswIndex has a graph");
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, number: usize| {
        bytes.extend(u32::try_from(number).expect("counts are bounded").to_le_bytes());
    };
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    let header = [table.rows.dimensions(), table.len(), params.links, params.ef_construction, params.ef_search];
    header.into_iter().for_each(|number| put(&mut bytes, number));
    put(&mut bytes, graph.entry as usize);
    put(&mut bytes, graph.towers.len());
    bytes.extend(table.ids.iter().flat_map(|id| id.get().to_le_bytes()));
    bytes.extend(table.times.iter().flat_map(|time| time.unix_millis().to_le_bytes()));
    bytes.extend(table.tags.iter().flat_map(|tags| tags.bits().to_le_bytes()));
    for row in 0..table.len() {
        bytes.extend(table.rows.numbers(row).flat_map(f32::to_le_bytes));
    }
    bytes.extend(graph.links.iter().flat_map(|link| link.to_le_bytes()));
    for (row, tower) in &graph.towers {
        bytes.extend(row.to_le_bytes());
        put(&mut bytes, tower.len());
        for list in tower {
            put(&mut bytes, list.len());
            bytes.extend(list.iter().flat_map(|link| link.to_le_bytes()));
        }
    }
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Space, FormatError> {
    let mut reader = Reader(bytes.strip_prefix(&MAGIC).ok_or(FormatError::NotAnIndex)?);
    let version = reader.count()?;
    if version != VERSION {
        let newer = FormatError::Newer { got: version, known: VERSION };
        return Err(if version > VERSION { newer } else { FormatError::Invalid { part: "version" } });
    }
    let [dimensions, n, links, ef_construction, ef_search] = reader.counts()?.map(|count| count as usize);
    let params = HnswParams::default()
        .links(links)
        .and_then(|params| params.ef_construction(ef_construction))
        .and_then(|params| params.ef_search(ef_search))
        .map_err(|_| FormatError::Invalid { part: "parameters" })?;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) || n > MAX_ROWS {
        return Err(FormatError::Invalid { part: "counts" });
    }
    let [entry, n_towers] = reader.counts()?;

    let table = decode_table(&mut reader, dimensions, n)?;
    let links_per_row = 2 * links;
    let links: Vec<u32> = reader.numbers(n * links_per_row, u32::from_le_bytes)?;
    let towers = decode_towers(&mut reader, n_towers, params.links)?;
    if !reader.0.is_empty() {
        return Err(FormatError::Length);
    }
    let graph = Graph { links_per_row, links, towers, entry };
    if !is_sound(&graph, n) {
        return Err(FormatError::Invalid { part: "links" });
    }
    Ok(Space { table, graph: Some(graph), params })
}

fn decode_table(reader: &mut Reader<'_>, dimensions: usize, n: usize) -> Result<Table, FormatError> {
    let ids = reader.numbers(n, u64::from_le_bytes)?;
    let times = reader.numbers(n, i64::from_le_bytes)?;
    let tags = reader.numbers(n, u64::from_le_bytes)?;
    reader.expect(n * dimensions * 4)?;
    let mut table = Table::new(dimensions, Metric::Cosine).map_err(|_| FormatError::Invalid { part: "counts" })?;
    for ((id, time), tags) in ids.into_iter().zip(times).zip(tags) {
        let numbers = reader.numbers(dimensions, f32::from_le_bytes)?;
        let length: f64 = numbers.iter().map(|&number| f64::from(number).powi(2)).sum();
        if length.is_nan() || (length - 1.0).abs() > 1e-4 {
            return Err(FormatError::Invalid { part: "vectors" });
        }
        if table.place(RecordId::new(id)).is_some() {
            return Err(FormatError::Invalid { part: "ids" });
        }
        let vector = Vector::quantise(&numbers);
        table.push(RecordId::new(id), Time::from_unix_millis(time), Tags::from_bits(tags), &vector);
    }
    Ok(table)
}

fn decode_towers(
    reader: &mut Reader<'_>,
    n_towers: u32,
    links: usize,
) -> Result<BTreeMap<u32, Vec<Vec<u32>>>, FormatError> {
    let mut towers = BTreeMap::new();
    for _ in 0..n_towers {
        let [row, height] = reader.counts()?;
        let mut tower = Vec::new();
        for _ in 0..height {
            let length = reader.count()? as usize;
            if length > links + 1 {
                return Err(FormatError::Invalid { part: "links" });
            }
            tower.push(reader.numbers(length, u32::from_le_bytes)?);
        }
        if tower.is_empty() || tower.len() > 32 || towers.insert(row, tower).is_some() {
            return Err(FormatError::Invalid { part: "links" });
        }
    }
    Ok(towers)
}

/// Whether every search ends and stays inside.
fn is_sound(graph: &Graph, n: usize) -> bool {
    let exists = |row: u32| (row as usize) < n;
    let bottom = graph.links.chunks(graph.links_per_row).all(|list| {
        let used = list.iter().position(|&link| link == NONE).unwrap_or(list.len());
        list[..used].iter().all(|&link| exists(link)) && list[used..].iter().all(|&link| link == NONE)
    });
    let above = graph.towers.iter().all(|(&row, tower)| {
        exists(row)
            && (0..).zip(tower).all(|(layer, list)| {
                list.iter().all(|link| graph.towers.get(link).is_some_and(|other| other.len() > layer))
            })
    });
    bottom && above && (exists(graph.entry) || n == 0)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn count(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(*self.array::<4>()?))
    }

    fn counts<const N: usize>(&mut self) -> Result<[u32; N], FormatError> {
        let mut counts = [0; N];
        for count in &mut counts {
            *count = self.count()?;
        }
        Ok(counts)
    }

    fn array<const N: usize>(&mut self) -> Result<&[u8; N], FormatError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(FormatError::Length)?;
        self.0 = rest;
        Ok(array)
    }

    fn expect(&self, bytes: usize) -> Result<(), FormatError> {
        if self.0.len() < bytes { Err(FormatError::Length) } else { Ok(()) }
    }

    fn numbers<const N: usize, T>(&mut self, count: usize, read: impl Fn([u8; N]) -> T) -> Result<Vec<T>, FormatError> {
        self.expect(count * N)?;
        let (numbers, rest) = self.0.split_at(count * N);
        self.0 = rest;
        Ok(numbers.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect())
    }
}

const MAGIC: [u8; 8] = *b"HYDRAHNS";
const VERSION: u32 = 1;
