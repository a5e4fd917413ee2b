//! Rows that belong to records, and the exact search over them.

use std::collections::HashMap;

use hydra_types::{RecordId, Score, Scored, Time};

use crate::filter::{Filter, Tags};
use crate::kernel::code_dots;
use crate::scratch::Scratch;
use crate::top::Top;
use crate::vector::{ErrorBound, MAX_DIMENSIONS, Metric, Rows, Vector, VectorError, near};

/// A vector with the record that it stands for, on its way into an index.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    pub(crate) id: RecordId,
    pub(crate) time: Time,
    pub(crate) tags: Tags,
    pub(crate) vector: &'a [f32],
}

impl<'a> Item<'a> {
    /// `vector` stands for the record `id`, which has no tags and the earliest of all times.
    #[must_use]
    pub const fn new(id: RecordId, vector: &'a [f32]) -> Self {
        Self { id, time: Time::from_unix_millis(i64::MIN), tags: Tags::NONE, vector }
    }

    /// The same at `time`.
    #[must_use]
    pub const fn at(self, time: Time) -> Self {
        Self { time, ..self }
    }

    /// The same with these tags instead of its own.
    #[must_use]
    pub const fn tagged(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }
}

impl std::fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item")
            .field("id", &self.id)
            .field("time", &self.time)
            .field("tags", &self.tags)
            .field("dimensions", &self.vector.len())
            .finish()
    }
}

/// A change that an index refuses. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The vector of one record cannot be stored.
    #[error("record {id} cannot be added")]
    Vector {
        /// Which record.
        id: RecordId,
        /// Why.
        source: VectorError,
    },
    /// The record is there already, or twice in one batch.
    #[error("record {id} is there already: update it, or give each record an id of its own")]
    Duplicate {
        /// Which record.
        id: RecordId,
    },
    /// There is no such record to change.
    #[error("there is no record {id}: append it first")]
    Missing {
        /// Which record.
        id: RecordId,
    },
    /// An index must have between 1 and 16,384 dimensions.
    #[error("an index has between 1 and 16384 dimensions, got {got}")]
    Dimensions {
        /// What was asked for.
        got: usize,
    },
    /// More than 2^31 - 2 records.
    #[error("an index holds at most 2147483646 records: split it")]
    Full,
}

/// Vectors, the records that they stand for, and the exact search over them.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) metric: Metric,
    pub(crate) rows: Rows,
    pub(crate) ids: Vec<RecordId>,
    pub(crate) times: Vec<Time>,
    pub(crate) tags: Vec<Tags>,
    places: HashMap<RecordId, u32>,
}

impl Table {
    pub(crate) fn new(dimensions: usize, metric: Metric) -> Result<Self, AddError> {
        if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
            return Err(AddError::Dimensions { got: dimensions });
        }
        Ok(Self {
            metric,
            rows: Rows::new(dimensions),
            ids: Vec::new(),
            times: Vec::new(),
            tags: Vec::new(),
            places: HashMap::new(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn place(&self, id: RecordId) -> Option<usize> {
        self.places.get(&id).map(|&row| row as usize)
    }

    /// A query or a row, checked.
    pub(crate) fn vector(&self, numbers: &[f32]) -> Result<Vector, VectorError> {
        Vector::new(numbers, self.rows.dimensions(), self.metric)
    }

    /// All items or none.
    pub(crate) fn append(&mut self, items: &[Item<'_>]) -> Result<(), AddError> {
        let vectors = self.check(items)?;
        for (item, vector) in items.iter().zip(&vectors) {
            self.push(item.id, item.time, item.tags, vector);
        }
        Ok(())
    }

    /// The vectors of items that can be appended.
    pub(crate) fn check(&self, items: &[Item<'_>]) -> Result<Vec<Vector>, AddError> {
        if self.len() + items.len() > MAX_ROWS {
            return Err(AddError::Full);
        }
        let mut ids: Vec<RecordId> = items.iter().map(|item| item.id).collect();
        ids.sort_unstable();
        let twice = ids.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let known = || ids.iter().copied().find(|id| self.places.contains_key(id));
        if let Some(id) = twice.or_else(known) {
            return Err(AddError::Duplicate { id });
        }
        items
            .iter()
            .map(|item| self.vector(item.vector).map_err(|source| AddError::Vector { id: item.id, source }))
            .collect()
    }

    /// A vector that was checked, of a record that is not there.
    pub(crate) fn push(&mut self, id: RecordId, time: Time, tags: Tags, vector: &Vector) {
        let row = u32::try_from(self.len()).expect("at most MAX_ROWS");
        self.places.insert(id, row);
        self.rows.push(vector);
        self.ids.push(id);
        self.times.push(time);
        self.tags.push(tags);
    }

    /// The last row takes the place of the removed one.
    pub(crate) fn swap_remove(&mut self, row: usize) {
        self.places.remove(&self.ids[row]);
        self.rows.swap_remove(row);
        self.ids.swap_remove(row);
        self.times.swap_remove(row);
        self.tags.swap_remove(row);
        if let Some(&moved) = self.ids.get(row) {
            self.places.insert(moved, u32::try_from(row).expect("at most MAX_ROWS"));
        }
    }

    /// The same records, row `order[i]` as row `i`.
    pub(crate) fn reorder(&mut self, order: &[u32]) {
        self.rows = self.rows.reordered(order);
        self.ids = order.iter().map(|&row| self.ids[row as usize]).collect();
        self.times = order.iter().map(|&row| self.times[row as usize]).collect();
        self.tags = order.iter().map(|&row| self.tags[row as usize]).collect();
        self.places = (0..).zip(&self.ids).map(|(row, &id)| (id, row)).collect();
    }

    pub(crate) fn admits(&self, filter: &Filter, row: usize) -> bool {
        filter.admits(self.ids[row], self.times[row], self.tags[row])
    }

    /// The rows that `filter` admits, into `rows`.
    pub(crate) fn admitted(&self, filter: &Filter, rows: &mut Vec<u32>) {
        rows.clear();
        rows.extend((0..).zip(&self.ids).filter(|&(row, _)| self.admits(filter, row as usize)).map(|(row, _)| row));
    }

    /// The `k` best rows of those that `filter` admits, or all of them where there are fewer: never an approximation.
    ///
    /// Codes are scanned, a quarter of the bytes; their error has a bound, and every row that the bound leaves in the
    /// running is scored again by its floats. So the answer is to the bit what a scan over the floats gives.
    pub(crate) fn exact(
        &self,
        query: &Vector,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Vec<Scored<RecordId>> {
        if filter.is_all() {
            self.exact_among(query, k, self.len(), |i| i, scratch)
        } else {
            let mut rows = std::mem::take(&mut scratch.rows);
            self.admitted(filter, &mut rows);
            let best = self.exact_among(query, k, rows.len(), |i| rows[i] as usize, scratch);
            scratch.rows = rows;
            best
        }
    }

    /// The `k` best of the `n` rows that `row_at` names.
    pub(crate) fn exact_among(
        &self,
        query: &Vector,
        k: usize,
        n: usize,
        row_at: impl Fn(usize) -> usize + Copy,
        scratch: &mut Scratch,
    ) -> Vec<Scored<RecordId>> {
        let k = k.min(n);
        let Scratch { sums, survivors, .. } = scratch;
        survivors.clear();
        let bound = ErrorBound::new(query);
        let mut floors = Top::new(k);
        for start in (0..n).step_by(BLOCK) {
            let block = start..n.min(start + BLOCK);
            code_dots(&query.code_row(), self.rows.all_codes(), block.clone().map(row_at), sums);
            for (&sum, place) in sums.iter().zip(block) {
                let row = row_at(place);
                let quantised = self.rows.quantised(row);
                let (score, error) = (near(sum, query.quantised.scale, quantised.scale), bound.of(quantised));
                let (floor, ceiling) = (self.in_range(score - error), self.in_range(score + error));
                if floors.worst().is_none_or(|lowest: &HighFirst| ceiling >= lowest.0) {
                    floors.offer(HighFirst(floor));
                    survivors.push((ceiling, u32::try_from(row).expect("at most MAX_ROWS")));
                }
            }
        }
        let floor = floors.worst().map_or(f32::NEG_INFINITY, |floor| floor.0);
        let mut best = Top::new(k);
        for &(ceiling, row) in survivors.iter() {
            if ceiling >= floor {
                best.offer(Scored::new(self.ids[row as usize], self.score(query, row as usize)));
            }
        }
        best.into_sorted()
    }

    /// The exact score of a row.
    pub(crate) fn score(&self, query: &Vector, row: usize) -> Score {
        self.scored(self.rows.dot(&query.floats, row))
    }

    /// The exact score of two rows.
    pub(crate) fn score_of_rows(&self, a: usize, b: usize) -> Score {
        self.scored(self.rows.dot(self.rows.floats(a), b))
    }

    fn scored(&self, dot: f32) -> Score {
        Score::new(self.in_range(dot)).expect("rows are finite and their lengths bounded")
    }

    /// Rounding must not make a cosine of more than one, and bounds must be cut like the scores that they bound.
    fn in_range(&self, dot: f32) -> f32 {
        match self.metric {
            Metric::Cosine => dot.clamp(-1.0, 1.0),
            Metric::Dot => dot,
        }
    }
}

/// A float that sorts downwards.
#[derive(Clone, Copy, Debug)]
struct HighFirst(f32);

impl PartialEq for HighFirst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for HighFirst {}

impl PartialOrd for HighFirst {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HighFirst {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0)
    }
}

/// Row numbers leave one bit free, and one number for "none".
pub(crate) const MAX_ROWS: usize = (1 << 31) - 2;

/// Rows that are scanned before the running bound is looked at: their sums stay in the first-level cache.
const BLOCK: usize = 256;
