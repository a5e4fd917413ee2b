//! MPNet's relative positions.

use hydra_graph::{Tensor, Value};

use super::{BuildError, Encoder};
use crate::folder::{Module, Part};

impl Encoder<'_> {
    /// What is added to the scores for the distance of two tokens: `[1, n_heads, seq, seq]`.
    ///
    /// Buckets are resolved here: the graph looks distances up in a table of one row a distance.
    pub(super) fn relative_positions(&mut self) -> Result<Value, BuildError> {
        let n_heads = self.config.n_heads;
        let buckets = self.folder.read(Module::RelativePositions, Part::Weight)?;
        let by_distance: Vec<f32> = (-FARTHEST..=FARTHEST)
            .flat_map(|distance| &buckets[bucket(distance) * n_heads..][..n_heads])
            .copied()
            .collect();
        let table = Tensor::new(&[by_distance.len() / n_heads, n_heads], by_distance)?;
        let name = self.folder.name(Module::RelativePositions);
        let places = self.places()?;
        self.graph.scope(&name, |graph| {
            let table = graph.initializer("by_distance", table)?;
            let to = graph.unsqueeze(places, &[0])?;
            let from = graph.unsqueeze(places, &[1])?;
            let distance = graph.sub(to, from)?;
            let [least, most] = [-FARTHEST, FARTHEST].map(|distance| graph.scalar(distance));
            let distance = graph.clip(distance, least, most)?;
            let row = graph.add(distance, most)?;
            let biases = graph.gather(table, row, 0)?;
            let biases = graph.transpose(biases, &[2, 0, 1])?;
            Ok(graph.unsqueeze(biases, &[0])?)
        })
    }
}

/// The bucket of a distance, positive towards the end of the text.
///
/// # Source
/// Raffel et al. 2020 (arXiv:1910.10683), section 2.1, with 32 buckets of which the last begins at 128. **Differs:** in
/// integers. The logarithm puts `distance` in bucket `8 + floor(2 log2(distance / 8))`, and `2 log2(distance / 8) ≥ k`
/// is `distance² ≥ 64 · 2^k`.
fn bucket(distance: i64) -> usize {
    let direction = if distance > 0 { 16 } else { 0 };
    let size = distance.unsigned_abs();
    direction
        + match usize::try_from(size) {
            Ok(size @ 0..8) => size,
            _ => 8 + (1..8).filter(|k| size * size >= 64 << k).count(),
        }
}

/// Greater distances have the same bucket.
const FARTHEST: i64 = 128;
