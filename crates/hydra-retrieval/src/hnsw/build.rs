//! From vectors to a graph: `hnsw_rs` links them, then its graph is read once and laid out flat.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::edit::select;
use super::graph::{Graph, NONE};
use super::{BuildError, HnswParams, Progress};
use crate::table::Table;
use crate::vector::Rows;

/// Links all rows of `table`, and puts the rows into the order in which a walk meets them.
///
/// `hnsw_rs` links a sample and makes the layers; all other rows join its graph.
pub(crate) fn build(
    table: &mut Table,
    params: &HnswParams,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Graph, BuildError> {
    let all = table.len();
    let sample = (all / ROWS_PER_SAMPLED_ROW).max(SMALLEST_SAMPLE.min(all));
    table.reorder(&sample_first(all, sample));
    let graph = catch_unwind(AssertUnwindSafe(|| link(&table.rows, sample, params)));
    let mut graph = graph.map_err(|_panic| BuildError::Linking)?;
    let mut done = sample;
    let mut report = |joined| {
        done = joined;
        progress(Progress { done, all })
    };
    if report(sample).is_break() || graph.join(&table.rows, all, params.ef_construction, &mut report).is_break() {
        return Err(BuildError::Stopped { done, all });
    }
    let order = graph.order_of_walks();
    graph.renumber(&order);
    table.reorder(&order);
    graph.reconnect(&table.rows, params.ef_construction);
    Ok(graph)
}

/// All rows, those at equal steps through them first: items that come sorted by topic must not make a sample of one.
fn sample_first(all: usize, sample: usize) -> Vec<u32> {
    let number = |row: usize| u32::try_from(row).expect("at most MAX_ROWS");
    let mut order: Vec<u32> = (0..sample).map(|i| number(i * all / sample)).collect();
    let mut sampled = vec![false; all];
    order.iter().for_each(|&row| sampled[row as usize] = true);
    order.extend((0..all).filter(|&row| !sampled[row]).map(number));
    order
}

/// The graph of the first `n` rows, as `hnsw_rs` makes it in one thread.
fn link(rows: &Rows, n: usize, params: &HnswParams) -> Graph {
    let numbers: Vec<u32> = (0..).take(n).collect();
    // Points are row numbers, so that `hnsw_rs` copies no vector and measures with our kernel.
    let hnsw =
        Hnsw::<u32, RowDistance<'_>>::new(params.links, n, MAX_LAYERS, params.ef_construction, RowDistance(rows));
    for number in &numbers {
        hnsw.insert_slice((std::slice::from_ref(number), *number as usize));
    }
    let mut graph = read(&hnsw, n, params.links);
    graph.improve(rows);
    graph
}

fn read(hnsw: &Hnsw<'_, u32, RowDistance<'_>>, n: usize, links_per_layer: usize) -> Graph {
    let row = |origin: usize| u32::try_from(origin).expect("row numbers went in");
    let mut graph = Graph {
        links_per_row: 2 * links_per_layer,
        links: vec![NONE; n * 2 * links_per_layer],
        towers: BTreeMap::new(),
        entry: 0,
    };
    let points = hnsw.get_point_indexation();
    let mut layers = BTreeMap::new();
    let mut lists = Vec::with_capacity(n);
    for layer in 0..=usize::from(points.get_max_level_observed()) {
        for point in points.get_layer_iterator(layer) {
            layers.insert(row(point.get_origin_id()), layer);
            lists.push((row(point.get_origin_id()), point.get_neighborhood_id()));
        }
    }
    for (from, neighbours) in lists {
        // Lists above a point's own layer are leftovers of its insertion and lead nowhere.
        let mut in_layers = neighbours.into_iter().take(layers[&from] + 1).enumerate().map(|(layer, list)| {
            let mut list: Vec<u32> = list.iter().map(|neighbour| row(neighbour.d_id)).collect();
            list.retain(|to| *to != from && layers[to] >= layer);
            list
        });
        let mut bottom = in_layers.next().unwrap_or_default();
        bottom.truncate(graph.links_per_row);
        graph.set_links(from, &bottom);
        let tower: Vec<Vec<u32>> = in_layers.collect();
        if !tower.is_empty() {
            graph.towers.insert(from, tower);
        }
    }
    graph.entry = graph.highest();
    graph
}

impl Graph {
    /// Chooses every row's links anew among its own and those that lead to it.
    ///
    /// `hnsw_rs` drops the farthest link when a list is full, and with it the bridges between clusters; choosing by
    /// diversity keeps them.
    fn improve(&mut self, rows: &Rows) {
        let n = u32::try_from(self.len()).expect("at most MAX_ROWS");
        let mut near = vec![Vec::new(); self.len()];
        for from in 0..n {
            for &to in self.links(from) {
                near[from as usize].push(to);
                near[to as usize].push(from);
            }
        }
        let width = self.links_per_row;
        let chosen: Vec<Vec<u32>> =
            near.into_par_iter().zip(0..n).map(|(near, row)| select(rows, row, near, width)).collect();
        for (row, links) in (0..n).zip(chosen) {
            self.set_links(row, &links);
        }
    }

    /// All rows, breadth first from the entry: neighbours lie near each other.
    fn order_of_walks(&self) -> Vec<u32> {
        let n = u32::try_from(self.len()).expect("at most MAX_ROWS");
        let mut seen = vec![false; self.len()];
        let mut order = Vec::with_capacity(self.len());
        let mut queue = VecDeque::new();
        for root in std::iter::once(self.entry).filter(|_| n > 0).chain(0..n) {
            if !std::mem::replace(&mut seen[root as usize], true) {
                queue.push_back(root);
            }
            while let Some(row) = queue.pop_front() {
                order.push(row);
                for &link in self.links(row) {
                    if !std::mem::replace(&mut seen[link as usize], true) {
                        queue.push_back(link);
                    }
                }
            }
        }
        order
    }

    /// Row `order[i]` becomes row `i`.
    fn renumber(&mut self, order: &[u32]) {
        let mut new = vec![NONE; order.len()];
        for (place, &row) in (0..).zip(order) {
            new[row as usize] = place;
        }
        let links = order.iter().flat_map(|&row| {
            let list = &self.links[row as usize * self.links_per_row..][..self.links_per_row];
            list.iter().map(|&link| if link == NONE { NONE } else { new[link as usize] })
        });
        self.links = links.collect();
        let towers = std::mem::take(&mut self.towers).into_iter().map(|(row, tower)| {
            let tower =
                tower.into_iter().map(|list| list.into_iter().map(|link| new[link as usize]).collect()).collect();
            (new[row as usize], tower)
        });
        self.towers = towers.collect();
        self.entry = new.get(self.entry as usize).copied().unwrap_or(0);
    }
}

/// What `hnsw_rs` asks: the distance of two points, each given as a list of one row number.
struct RowDistance<'a>(&'a Rows);

impl Distance<u32> for RowDistance<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        // Never negative and never NaN: `hnsw_rs` panics on either.
        (1.0 - self.0.near_dot(a[0] as usize, b[0] as usize)).max(0.0)
    }
}

/// More than any index needs: with 16 links, a layer has a sixteenth of the rows of the one below.
const MAX_LAYERS: usize = 16;

/// A sixteenth of all rows is linked by `hnsw_rs`: enough for layers as high as the whole would have, less one.
const ROWS_PER_SAMPLED_ROW: usize = 16;

const SMALLEST_SAMPLE: usize = 1024;
