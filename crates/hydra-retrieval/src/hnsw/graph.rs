//! The graph as it is searched: flat lists of row numbers beside contiguous codes.

use std::collections::BTreeMap;

use crate::kernel::{code_dot, code_dots, prefetch};
use crate::scratch::Scratch;
use crate::vector::{Rows, Vector, near};

/// Links among rows, in layers: every row is in layer 0, ever fewer in those above.
///
/// A list in layer 0 has a fixed length and ends at the first [`NONE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) links_per_row: usize,
    /// `[n_rows * links_per_row]`
    pub(crate) links: Vec<u32>,
    /// For rows above layer 0: their links in layers 1, 2, and so on.
    pub(crate) towers: BTreeMap<u32, Vec<Vec<u32>>>,
    /// Where searches begin: a row of the highest layer.
    pub(crate) entry: u32,
}

/// A row that a walk has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) similarity: f32,
    /// The row; the highest bit says that its neighbours have been looked at.
    row: u32,
}

impl Found {
    pub(crate) fn row(self) -> u32 {
        self.row & !LOOKED_AT
    }
}

impl Graph {
    pub(crate) fn len(&self) -> usize {
        self.links.len() / self.links_per_row
    }

    /// The links of a row in layer 0.
    pub(crate) fn links(&self, row: u32) -> &[u32] {
        let list = &self.links[row as usize * self.links_per_row..][..self.links_per_row];
        let used = list.iter().position(|&link| link == NONE).unwrap_or(list.len());
        &list[..used]
    }

    pub(crate) fn set_links(&mut self, row: u32, links: &[u32]) {
        let list = &mut self.links[row as usize * self.links_per_row..][..self.links_per_row];
        list[..links.len()].copy_from_slice(links);
        list[links.len()..].fill(NONE);
    }

    /// Walks towards `query` until the `width` most similar rows that the walk can find are in `scratch.pool`, best
    /// first, equal ones by row.
    ///
    /// # Source
    /// Malkov and Yashunin, *Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
    /// Small World graphs*, arXiv:1603.09320, algorithms 2 and 5. **Differs:** one sorted list serves as candidates and
    /// as results, similarities come from codes, and layer 0 is entered from several rows: where vectors lie in clusters
    /// far apart, the one best row of the layer above is in the wrong one now and then.
    pub(crate) fn walk(&self, rows: &Rows, query: &Vector, width: usize, scratch: &mut Scratch) {
        let mut starts = std::mem::take(&mut scratch.starts);
        starts.clear();
        starts.push(self.descend(rows, query, 1));
        if self.height(self.entry) > 0 {
            self.explore(rows, query, &starts, WAYS_IN.min(width), |row| &self.towers[&row][0], scratch);
            starts.clear();
            starts.extend(scratch.pool.iter().map(|found| found.row()));
        }
        self.explore(rows, query, &starts, width, |row| self.links(row), scratch);
        scratch.starts = starts;
    }

    /// The same from `starts`, which differ, along the links that `links_of` names.
    #[inline]
    pub(super) fn explore<'a>(
        &self,
        rows: &Rows,
        query: &Vector,
        starts: &[u32],
        width: usize,
        links_of: impl Fn(u32) -> &'a [u32],
        scratch: &mut Scratch,
    ) {
        let Scratch { sums, pool, visited, fresh, .. } = scratch;
        let code_row = query.code_row();
        let similarity = |row: u32, sum: i32| near(sum, query.quantised.scale, rows.quantised(row as usize).scale);

        pool.clear();
        visited.clear();
        visited.resize(self.len().div_ceil(64), 0);
        for &start in starts {
            visited[start as usize / 64] |= 1 << (start % 64);
            let similarity = similarity(start, code_dot(&code_row, rows.codes(start as usize)));
            insert(pool, Found { similarity, row: start }, width);
        }

        let mut next = 0;
        while let Some(found) = pool.get_mut(next) {
            let row = found.row;
            found.row |= LOOKED_AT;
            fresh.clear();
            for &link in links_of(row) {
                let (word, bit) = (&mut visited[link as usize / 64], 1 << (link % 64));
                if *word & bit == 0 {
                    *word |= bit;
                    prefetch(rows.codes(link as usize));
                    fresh.push(link);
                }
            }
            code_dots(&code_row, rows.all_codes(), fresh.iter().map(|&link| link as usize), sums);
            next += 1;
            for (&row, &sum) in fresh.iter().zip(sums.iter()) {
                let found = Found { similarity: similarity(row, sum), row };
                if let Some(place) = insert(pool, found, width) {
                    next = next.min(place);
                }
            }
            while pool.get(next).is_some_and(|found| found.row & LOOKED_AT != 0) {
                next += 1;
            }
        }
    }

    /// The row of layer `floor` to which a walk in the layers above leads.
    pub(super) fn descend(&self, rows: &Rows, query: &Vector, floor: usize) -> u32 {
        let similarity = |row: u32| {
            let sum = code_dot(&query.code_row(), rows.codes(row as usize));
            near(sum, query.quantised.scale, rows.quantised(row as usize).scale)
        };
        let (mut here, mut best) = (self.entry, similarity(self.entry));
        // A tower's first list is that of layer 1.
        for above in (floor..self.height(self.entry)).rev() {
            while let Some(links) = self.towers.get(&here).and_then(|tower| tower.get(above)) {
                let before = here;
                for &link in links {
                    let similarity = similarity(link);
                    if similarity > best {
                        (here, best) = (link, similarity);
                    }
                }
                if here == before {
                    break;
                }
            }
        }
        here
    }

    /// In how many layers above layer 0 a row is.
    pub(super) fn height(&self, row: u32) -> usize {
        self.towers.get(&row).map_or(0, Vec::len)
    }
}

/// Puts `found` where it belongs in the sorted pool of at most `width`. Returns the place, if there is one for it.
#[inline]
fn insert(pool: &mut Vec<Found>, found: Found, width: usize) -> Option<usize> {
    if pool.len() == width {
        let worst = pool.last()?;
        if found.similarity < worst.similarity || (found.similarity == worst.similarity && found.row > worst.row()) {
            return None;
        }
        pool.pop();
    }
    let place = pool.partition_point(|other| {
        other.similarity > found.similarity || (other.similarity == found.similarity && other.row() < found.row)
    });
    pool.insert(place, found);
    Some(place)
}

/// From how many rows of the layer above a walk enters layer 0.
const WAYS_IN: usize = 8;

/// No row.
pub(crate) const NONE: u32 = u32::MAX;

const LOOKED_AT: u32 = 1 << 31;
