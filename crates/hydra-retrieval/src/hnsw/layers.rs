//! The layers above the lowest, while rows come and go: they are the way into every region of a graph.

use std::collections::BTreeSet;

use hydra_types::RecordId;

use super::edit::select;
use super::graph::Graph;
use crate::scratch::Scratch;
use crate::vector::Rows;

impl Graph {
    /// Puts some of the rows from `first` on, which are in layer 0 only, into layers above it.
    ///
    /// # Shapes
    /// - `ids`: `[n_rows]`
    pub(crate) fn raise_some(&mut self, rows: &Rows, ids: &[RecordId], first: usize, ef_construction: usize) {
        for (row, &id) in (0..).zip(ids).skip(first) {
            let height = height(id, self.links_per_row / 2);
            if height > 0 {
                self.raise(rows, row, height, ef_construction);
            }
        }
    }

    /// Puts a row of layer 0 into `height` layers above it too.
    ///
    /// # Source
    /// Malkov and Yashunin, arXiv:1603.09320, algorithm 1.
    pub(super) fn raise(&mut self, rows: &Rows, row: u32, height: usize, ef_construction: usize) {
        let width = self.links_per_row / 2;
        let query = rows.query(row as usize);
        let layers = self.height(self.entry);
        let mut tower = vec![Vec::new(); height];
        if layers > 0 {
            let mut scratch = Scratch::new();
            let mut here = self.descend(rows, &query, height.min(layers));
            for layer in (0..height.min(layers)).rev() {
                let links_of = |row: u32| self.towers[&row][layer].as_slice();
                self.explore(rows, &query, &[here], ef_construction, links_of, &mut scratch);
                here = scratch.pool[0].row();
                tower[layer] = select(rows, row, scratch.pool.iter().map(|found| found.row()).collect(), width);
            }
        }
        for (layer, links) in tower.iter().enumerate() {
            for &to in links {
                let back = &mut self.towers.get_mut(&to).expect("links of a layer stay in it")[layer];
                back.push(row);
                if back.len() > width {
                    *back = select(rows, to, std::mem::take(back), width);
                }
            }
        }
        self.towers.insert(row, tower);
        if height > layers {
            self.entry = row;
        }
    }

    /// Who takes the places in the upper layers of those who leave, and in how many: near ones, so that every region of
    /// the graph keeps its way in. None where there are enough without them.
    pub(super) fn heirs(&self, gone: &[bool]) -> Vec<(u32, usize)> {
        let is_gone = |row: &u32| gone[*row as usize];
        let left = gone.iter().filter(|gone| !**gone).count();
        let mut towers = self.towers.keys().filter(|row| !is_gone(row)).count();
        let mut taken = BTreeSet::new();
        let mut heirs = Vec::new();
        for (row, tower) in self.towers.iter().filter(|(row, _)| is_gone(row)) {
            let free = |near: &&u32| !is_gone(near) && !self.towers.contains_key(near) && !taken.contains(*near);
            if towers * ROWS_PER_TOWER < left
                && let Some(&heir) = self.links(*row).iter().find(free)
            {
                taken.insert(heir);
                heirs.push((heir, tower.len()));
                towers += 1;
            }
        }
        heirs
    }
}

/// In how many layers above layer 0 a record is that is added: one in [`ROWS_PER_TOWER`] is in one, and one in `links` of
/// those in each further one.
///
/// Drawn from the id, so that neither the order of additions decides it nor any state.
fn height(id: RecordId, links: usize) -> usize {
    // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): neighbouring ids have nothing in common.
    let mut drawn = id.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    drawn ^= drawn >> 31;
    let (mut height, mut one_in) = (0, ROWS_PER_TOWER as u64);
    while height < MAX_HEIGHT && drawn.is_multiple_of(one_in) {
        drawn /= one_in;
        one_in = links as u64;
        height += 1;
    }
    height
}

/// Of the rows that are added, one in so many is above layer 0 too. A build raises fewer, but evenly among all rows.
const ROWS_PER_TOWER: usize = 16;

/// Enough for more records than an index can hold.
const MAX_HEIGHT: usize = 8;
