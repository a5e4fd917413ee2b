//! Changing a graph in place: rows join and leave, and it stays one.

use std::ops::{ControlFlow, Range};

use rayon::prelude::*;

use super::graph::{Graph, NONE};
use crate::scratch::Scratch;
use crate::vector::Rows;

impl Graph {
    /// Links the rows from `len()` up to `end`, which `rows` holds already. They join layer 0 only.
    ///
    /// Rows join in batches: all of a batch look for their links in the graph as it was before, at the same time, and
    /// then the graph is changed. So the threads of the pool share the work and their number changes nothing.
    ///
    /// # Source
    /// Dobson Manohar et al., *ParlayANN: Scalable and Deterministic Parallel Graph-Based Approximate Nearest Neighbor
    /// Search Algorithms*, PPoPP 2024, section 3. **Differs:** batches are a share of the graph and never double it.
    pub(crate) fn join(
        &mut self,
        rows: &Rows,
        end: usize,
        ef_construction: usize,
        joined: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        while self.len() < end {
            let start = self.len();
            let batch = (start / ROWS_PER_JOINING_ROW).clamp(1, LARGEST_BATCH).min(end - start);
            self.join_batch(rows, start..start + batch, ef_construction);
            joined(self.len())?;
        }
        ControlFlow::Continue(())
    }

    fn join_batch(&mut self, rows: &Rows, batch: Range<usize>, ef_construction: usize) {
        let number = |row: usize| u32::try_from(row).expect("at most MAX_ROWS");
        let width = self.links_per_row;
        let links_of = |scratch: &mut Scratch, row: usize| {
            if self.len() > 0 {
                self.walk(rows, &rows.query(row), ef_construction, scratch);
            }
            // What the nearest are linked to, too: links to other clusters are found in no other way, and those who leave
            // take theirs with them.
            let near = || scratch.pool.iter().map(|found| found.row());
            let beyond = near().take(EXTENDED_FROM).flat_map(|near| self.links(near).iter().copied());
            select(rows, number(row), near().chain(beyond).collect(), width)
        };
        let chosen: Vec<Vec<u32>> = batch.clone().into_par_iter().map_init(Scratch::new, links_of).collect();
        self.links.resize(batch.end * width, NONE);
        let mut back = Vec::new();
        for (row, links) in batch.clone().zip(&chosen) {
            self.set_links(number(row), links);
            back.extend(links.iter().map(|&to| (to, number(row))));
        }
        back.sort_unstable();
        let groups: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
        let with_back = |group: &&[(u32, u32)]| {
            let to = group[0].0;
            let links: Vec<u32> = self.links(to).iter().copied().chain(group.iter().map(|&(_, from)| from)).collect();
            (to, if links.len() > width { select(rows, to, links, width) } else { links })
        };
        let changed: Vec<(u32, Vec<u32>)> = groups.par_iter().map(with_back).collect();
        for (row, links) in changed {
            self.set_links(row, &links);
        }
        // Full lists may have refused a newcomer everywhere: its nearest row takes it instead of the last link.
        for (row, links) in batch.zip(&chosen) {
            let row = number(row);
            if let Some(&nearest) = links.first()
                && !links.iter().any(|&to| self.links(to).contains(&row))
            {
                let mut links = self.links(nearest).to_vec();
                links.truncate(width - 1);
                links.push(row);
                self.set_links(nearest, &links);
            }
        }
    }

    /// Takes the rows out of the graph, which `rows` still holds. Who linked to them is linked to their neighbours.
    ///
    /// # Shapes
    /// - `gone`: `[n_rows]`
    pub(crate) fn leave(&mut self, rows: &Rows, gone: &[bool], ef_construction: usize) {
        let n = u32::try_from(self.len()).expect("at most MAX_ROWS");
        let is_gone = |row: &u32| gone[*row as usize];
        for row in (0..n).filter(|row| !is_gone(row)) {
            if self.links(row).iter().any(is_gone) {
                let links = bridged(self.links(row), &is_gone, |link| self.links(link));
                self.set_links(row, &select(rows, row, links, self.links_per_row));
            }
        }
        let heirs = self.heirs(gone);
        let mut towers = self.towers.clone();
        towers.retain(|row, _| !is_gone(row));
        for (&row, tower) in &mut towers {
            for (layer, list) in tower.iter_mut().enumerate() {
                if list.iter().any(is_gone) {
                    let links = bridged(list, &is_gone, |link| &self.towers[&link][layer]);
                    *list = select(rows, row, links, self.links_per_row / 2);
                }
            }
        }
        self.towers = towers;
        for row in (0..n).filter(is_gone) {
            self.set_links(row, &[]);
        }
        if gone.iter().any(|gone| !gone) {
            self.entry = match self.highest() {
                0 if gone[0] => (0..n).find(|row| !is_gone(row)).expect("one is left"),
                highest => highest,
            };
            self.reconnect_but(rows, gone, ef_construction);
            for (row, height) in heirs {
                self.raise(rows, row, height, ef_construction);
            }
        } else {
            self.entry = 0;
        }
    }

    /// Every row's new number is `new[row]`, or it is gone and that is [`NONE`]; the first `len` numbers are used.
    pub(crate) fn renumber_kept(&mut self, new: &[u32], len: usize) {
        let mut links = vec![NONE; len * self.links_per_row];
        for (old, &place) in new.iter().enumerate().filter(|&(_, &place)| place != NONE) {
            let from = &self.links[old * self.links_per_row..][..self.links_per_row];
            let to = &mut links[place as usize * self.links_per_row..][..self.links_per_row];
            for (to, &from) in to.iter_mut().zip(from.iter().filter(|&&link| link != NONE)) {
                *to = new[from as usize];
            }
        }
        self.links = links;
        self.towers = std::mem::take(&mut self.towers)
            .into_iter()
            .map(|(row, tower)| {
                let tower = tower.into_iter().map(|list| list.into_iter().map(|link| new[link as usize]).collect());
                (new[row as usize], tower.collect())
            })
            .collect();
        self.entry = new.get(self.entry as usize).copied().filter(|&entry| entry != NONE).unwrap_or(0);
    }

    /// Links rows that no walk can reach to their nearest ones that a walk can.
    pub(crate) fn reconnect(&mut self, rows: &Rows, ef_construction: usize) {
        self.reconnect_but(rows, &vec![false; self.len()], ef_construction);
    }

    /// The lowest row of the highest layer.
    pub(crate) fn highest(&self) -> u32 {
        let height = self.towers.values().map(Vec::len).max().unwrap_or(0);
        self.towers.iter().find(|(_, tower)| tower.len() == height).map_or(0, |(&row, _)| row)
    }

    fn reconnect_but(&mut self, rows: &Rows, gone: &[bool], ef_construction: usize) {
        let mut scratch = Scratch::new();
        // Taking a link from a full list may cut something else off, so this is done again, but not for ever: a search
        // that finds too little falls back to the exact scan.
        for _ in 0..8 {
            let mut reached = self.reached(gone);
            let cut_off: Vec<u32> = (0..).zip(&reached).filter(|(_, reached)| !**reached).map(|(row, _)| row).collect();
            if cut_off.is_empty() {
                break;
            }
            for row in cut_off {
                // One of a group that hangs together brings in the others.
                if reached[row as usize] {
                    continue;
                }
                self.walk(rows, &rows.query(row as usize), ef_construction, &mut scratch);
                // The upper layers may have led the walk into the very part that is cut off.
                // What the nearest are linked to, too: links to other clusters are found in no other way, and those who leave
                // take theirs with them.
                let near = || scratch.pool.iter().map(|found| found.row()).filter(|&near| reached[near as usize]);
                let free = near().find(|&near| self.links(near).len() < self.links_per_row);
                let to = free.or_else(|| near().next()).unwrap_or(self.entry);
                let mut links = self.links(to).to_vec();
                links.truncate(self.links_per_row - 1);
                links.push(row);
                self.set_links(to, &links);
                self.flood(row, &mut reached);
            }
        }
    }

    /// For each row, whether it can be reached from the entry in layer 0, or is gone.
    pub(super) fn reached(&self, gone: &[bool]) -> Vec<bool> {
        let mut reached = gone.to_vec();
        if self.len() > 0 {
            self.flood(self.entry, &mut reached);
        }
        reached
    }

    fn flood(&self, from: u32, reached: &mut [bool]) {
        reached[from as usize] = true;
        let mut stack = vec![from];
        while let Some(row) = stack.pop() {
            for &link in self.links(row) {
                if !std::mem::replace(&mut reached[link as usize], true) {
                    stack.push(link);
                }
            }
        }
    }
}

/// The most similar of `near` to `row` that are not better reached through another one that was chosen, at most `width`.
///
/// # Source
/// Malkov and Yashunin, arXiv:1603.09320, algorithm 4; who joins extends the candidates, as it says. **Differs:** places that are
/// left are given to the most similar of those passed over, up to half of the list.
pub(crate) fn select(rows: &Rows, row: u32, mut near: Vec<u32>, width: usize) -> Vec<u32> {
    near.sort_unstable();
    near.dedup();
    let mut ranked: Vec<(f32, u32)> = near
        .into_iter()
        .filter(|&other| other != row)
        .map(|other| (rows.near_dot(row as usize, other as usize), other))
        .collect();
    ranked.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<u32> = Vec::with_capacity(width);
    let mut passed_over = Vec::new();
    for (similarity, other) in ranked {
        if chosen.len() == width {
            break;
        }
        if chosen.iter().all(|&nearer| rows.near_dot(nearer as usize, other as usize) < similarity) {
            chosen.push(other);
        } else {
            passed_over.push(other);
        }
    }
    let room = (width / 2).saturating_sub(chosen.len());
    chosen.extend(passed_over.into_iter().take(room));
    chosen
}

/// The links that stay, and those of the ones that go.
fn bridged<'a>(links: &[u32], is_gone: &impl Fn(&u32) -> bool, links_of: impl Fn(u32) -> &'a [u32]) -> Vec<u32> {
    let behind = links.iter().filter(|link| is_gone(link)).flat_map(|&link| links_of(link).iter().copied());
    links.iter().copied().chain(behind).filter(|link| !is_gone(link)).collect()
}

/// The links of this many of the nearest rows are candidates for one who joins, beside what its walk found.
const EXTENDED_FROM: usize = 8;

/// The rows of a batch do not see each other, so a batch is a small share of the graph that they join.
const ROWS_PER_JOINING_ROW: usize = 64;

const LARGEST_BATCH: usize = 1024;
