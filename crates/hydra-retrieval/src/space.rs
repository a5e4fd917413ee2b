//! A table and, where there is one, the graph over it: kept in step, searched by whichever is faster.

use std::ops::ControlFlow;

use hydra_types::{RecordId, Scored};

use crate::filter::Filter;
use crate::hnsw::{BuildError, Graph, HnswParams, NONE, Progress, build};
use crate::scratch::Scratch;
use crate::table::{AddError, Item, Table};
use crate::vector::Vector;

/// Vectors with an optional graph over them.
#[derive(Clone)]
pub(crate) struct Space {
    pub(crate) table: Table,
    pub(crate) graph: Option<Graph>,
    pub(crate) params: HnswParams,
}

impl Space {
    /// All items or none.
    pub(crate) fn append(&mut self, items: &[Item<'_>]) -> Result<(), AddError> {
        self.table.append(items)?;
        if let Some(graph) = &mut self.graph {
            let first = graph.len();
            let go_on = &mut |_| ControlFlow::Continue(());
            let _ = graph.join(&self.table.rows, self.table.len(), self.params.ef_construction, go_on);
            graph.raise_some(&self.table.rows, &self.table.ids, first, self.params.ef_construction);
        }
        Ok(())
    }

    /// Puts `item` in the place of the record of the same id.
    pub(crate) fn update(&mut self, item: Item<'_>) -> Result<(), AddError> {
        let (row, vector) = self.check_update(&item)?;
        if self.graph.is_some() {
            self.remove(&[item.id]);
            return self.append(&[item]);
        }
        self.table.rows.replace(row, &vector);
        self.table.times[row] = item.time;
        self.table.tags[row] = item.tags;
        Ok(())
    }

    /// The row that `item` would take, and its vector.
    pub(crate) fn check_update(&self, item: &Item<'_>) -> Result<(usize, Vector), AddError> {
        let vector = self.table.vector(item.vector).map_err(|source| AddError::Vector { id: item.id, source })?;
        let row = self.table.place(item.id).ok_or(AddError::Missing { id: item.id })?;
        Ok((row, vector))
    }

    /// How many of `ids` were there, and now are not.
    pub(crate) fn remove(&mut self, ids: &[RecordId]) -> usize {
        let mut gone = vec![false; self.table.len()];
        for row in ids.iter().filter_map(|&id| self.table.place(id)) {
            gone[row] = true;
        }
        let count = gone.iter().filter(|gone| **gone).count();
        if count == 0 {
            return 0;
        }
        if let Some(graph) = &mut self.graph {
            graph.leave(&self.table.rows, &gone, self.params.ef_construction);
        }
        // Which old row lies at each place, while the holes are filled from the end.
        let mut lies_at: Vec<u32> = (0..).take(gone.len()).collect();
        for row in (0..gone.len()).rev().filter(|&row| gone[row]) {
            self.table.swap_remove(row);
            lies_at.swap_remove(row);
        }
        if let Some(graph) = &mut self.graph {
            let mut new = vec![NONE; gone.len()];
            for (place, &old) in (0..).zip(&lies_at) {
                new[old as usize] = place;
            }
            graph.renumber_kept(&new, lies_at.len());
        }
        count
    }

    /// Links everything anew.
    pub(crate) fn link(&mut self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<(), BuildError> {
        self.graph = Some(build(&mut self.table, &self.params, progress)?);
        Ok(())
    }

    /// The best `k` of what `filter` admits, or all of it where that is less.
    pub(crate) fn search(
        &self,
        query: &Vector,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Vec<Scored<RecordId>> {
        let Some(graph) = &self.graph else {
            return self.table.exact(query, k, filter, scratch);
        };
        let n = self.table.len();
        let admitted = if filter.is_all() { n } else { (0..n).filter(|&row| self.table.admits(filter, row)).count() };
        let k = k.min(admitted);
        // The more a filter keeps out, the wider the walk must be for the same number of admitted rows in it.
        let width = self.params.ef_search.max(k).saturating_mul(n).div_ceil(admitted.max(1));
        if admitted <= width.saturating_mul(ROWS_SCANNED_PER_ROW_FOUND) {
            return self.table.exact(query, k, filter, scratch);
        }
        graph.walk(&self.table.rows, query, width, scratch);
        let mut found = std::mem::take(&mut scratch.pool);
        if !filter.is_all() {
            found.retain(|found| self.table.admits(filter, found.row() as usize));
        }
        let best = if found.len() < k {
            self.table.exact(query, k, filter, scratch)
        } else {
            self.table.exact_among(query, k, found.len(), |i| found[i].row() as usize, scratch)
        };
        scratch.pool = found;
        best
    }
}

/// A walk costs about as much as scanning this many rows for each place in its pool: measured by `benches/retrieval.rs`
/// with 384 dimensions, where a place costs 15 to 25 rows that are read out of order.
const ROWS_SCANNED_PER_ROW_FOUND: usize = 32;
