//! An index of many vectors that belong to nobody in particular.

mod build;
mod disk;
mod edit;
mod file;
mod graph;
mod layers;
mod save;

use std::ops::ControlFlow;
use std::path::Path;

use hydra_types::{Generation, RecordId, Scored};

pub(crate) use build::build;
pub use file::FormatError;
pub(crate) use graph::{Found, Graph, NONE};
pub use save::{LoadError, SaveError};

use crate::filter::Filter;
use crate::query::{Query, SearchError};
use crate::retriever::Retriever;
use crate::scratch::Scratch;
use crate::space::Space;
use crate::table::{AddError, Item, Table};
use crate::vector::{Metric, VectorError};

/// The records nearest to a vector by cosine, out of a corpus that everybody may search.
///
/// `hnsw_rs` links a sample of the vectors, with all layers; its graph is laid out flat, and the others join it there in
/// parallel batches. What is searched has its rows in the order in which a walk meets them, codes of one byte a number,
/// flat lists of links, and exact scores at the end. The same items in the same order give the same index to the byte, on
/// any number of threads.
///
/// Records can be added and removed at any time: a new one is found by the next search, a removed one is gone from memory
/// and from the graph.
///
/// A user's own records belong in a [`History`](crate::History), which takes a scope.
///
/// ```
/// use hydra_retrieval::{Filter, HnswIndex, HnswParams, Item, Scratch};
/// use hydra_types::RecordId;
///
/// let vectors = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
/// let items: Vec<Item> = (0..).zip(&vectors).map(|(id, vector)| Item::new(RecordId::new(id), vector)).collect();
/// let index = HnswIndex::build(2, &items, HnswParams::default())?;
/// let best = index.search(&[2.0, 0.1], 2, &Filter::all(), &mut Scratch::new())?;
/// assert_eq!(best.iter().map(|scored| scored.id.get()).collect::<Vec<_>>(), [0, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HnswIndex {
    space: Space,
}

/// How a graph is made and searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HnswParams {
    pub(crate) links: usize,
    pub(crate) ef_construction: usize,
    pub(crate) ef_search: usize,
}

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records that are linked.
    pub done: usize,
    /// All records.
    pub all: usize,
}

/// An index that cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A parameter is out of range.
    #[error("{name} must be from {low} to {high}, got {got}")]
    Parameter {
        /// Which one.
        name: &'static str,
        /// The smallest value.
        low: usize,
        /// The largest value.
        high: usize,
        /// What was asked for.
        got: usize,
    },
    /// An item cannot be added.
    #[error("the items cannot be indexed")]
    Item(#[from] AddError),
    /// The progress function said to stop.
    #[error("the build was stopped after {done} of {all} records")]
    Stopped {
        /// Records that were linked.
        done: usize,
        /// All records.
        all: usize,
    },
    /// The linking library gave up. That is a bug: every vector was checked before.
    #[error("linking the graph failed: please report it with the number of records and dimensions")]
    Linking,
}

impl Default for HnswParams {
    /// 16 links and 200 candidates while building, as is usual for the algorithm; 128 candidates while searching, which
    /// gave a recall of .984 at ten among 100,000 vectors of low intrinsic dimension (`benches/retrieval.rs`).
    fn default() -> Self {
        Self { links: 16, ef_construction: 200, ef_search: 128 }
    }
}

impl HnswParams {
    /// Links of a record in the upper layers, from 4 to 64; twice as many in the lowest. More need more memory.
    ///
    /// # Errors
    /// [`BuildError::Parameter`].
    pub fn links(self, links: usize) -> Result<Self, BuildError> {
        Ok(Self { links: in_range("links", links, 4, 64)?, ..self })
    }

    /// Candidates from which a record's links are chosen, from 8 to 4,096. More build slower and search better.
    ///
    /// # Errors
    /// [`BuildError::Parameter`].
    pub fn ef_construction(self, candidates: usize) -> Result<Self, BuildError> {
        Ok(Self { ef_construction: in_range("ef_construction", candidates, 8, 4096)?, ..self })
    }

    /// Candidates that a search keeps, from 1 to 65,536: the one knob between speed and recall.
    ///
    /// # Errors
    /// [`BuildError::Parameter`].
    pub fn ef_search(self, candidates: usize) -> Result<Self, BuildError> {
        Ok(Self { ef_search: in_range("ef_search", candidates, 1, 65_536)?, ..self })
    }
}

impl HnswIndex {
    /// An index of `items`.
    ///
    /// # Shapes
    /// - `items`: each vector `[dimensions]`
    ///
    /// # Errors
    /// [`BuildError::Item`] for a vector that cannot be compared by angle or an id that is there twice.
    pub fn build(dimensions: usize, items: &[Item<'_>], params: HnswParams) -> Result<Self, BuildError> {
        Self::build_with_progress(dimensions, items, params, &mut |_| ControlFlow::Continue(()))
    }

    /// The same, telling `progress` every few thousand records how far it has come and stopping when that says so.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`BuildError::Stopped`].
    pub fn build_with_progress(
        dimensions: usize,
        items: &[Item<'_>],
        params: HnswParams,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Self, BuildError> {
        let mut table = Table::new(dimensions, Metric::Cosine)?;
        table.append(items)?;
        let mut space = Space { table, graph: None, params };
        space.link(progress)?;
        Ok(Self { space })
    }

    /// Adds `items`, all or none. The next search finds them.
    ///
    /// Recall stays what a new build would have, also after everything was replaced several times over. What building again
    /// improves, after the index has grown to several times its size, is speed: a build lays rows out in the order in
    /// which a walk meets them, and records that are added lie behind.
    ///
    /// # Errors
    /// [`AddError`]; nothing has changed then.
    pub fn add(&mut self, items: &[Item<'_>]) -> Result<(), AddError> {
        self.space.append(items)
    }

    /// Removes the records, and returns how many of them were there. Costs one pass over the links, however many go.
    pub fn remove(&mut self, ids: &[RecordId]) -> usize {
        self.space.remove(ids)
    }

    /// The `k` records nearest to `query` that `filter` admits, best first, ties by id; all of them if there are fewer.
    ///
    /// Scores are cosines from -1 to 1, exact for the records returned; another record may have been missed, how often
    /// is what [`ef_search`](HnswParams::ef_search) decides. Where a filter leaves so few records that scanning them is
    /// cheaper, or a walk finds too few, they are scanned and nothing is missed.
    ///
    /// # Errors
    /// [`VectorError`].
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, VectorError> {
        Ok(self.space.search(&self.space.table.vector(query)?, k, filter, scratch))
    }

    /// The same without the graph: nothing is missed.
    ///
    /// # Errors
    /// [`VectorError`].
    pub fn search_exactly(
        &self,
        query: &[f32],
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, VectorError> {
        Ok(self.space.table.exact(&self.space.table.vector(query)?, k, filter, scratch))
    }

    /// Searches keep this many candidates from now on.
    ///
    /// # Errors
    /// [`BuildError::Parameter`].
    pub fn set_ef_search(&mut self, candidates: usize) -> Result<(), BuildError> {
        self.space.params = self.space.params.ef_search(candidates)?;
        Ok(())
    }

    /// Records in the index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.space.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.space.table.rows.dimensions()
    }

    /// Writes the index into `folder`, which is created if need be, and returns its generation there.
    ///
    /// A crash or an error at any point leaves the older index or the new one, whole. One process at a time may save.
    ///
    /// # Errors
    /// [`SaveError`].
    pub fn save(&self, folder: &Path) -> Result<Generation, SaveError> {
        save::save(&disk::Real, folder, &self.space)
    }

    /// Reads the newest index that was saved to `folder`. Nothing in the folder is changed.
    ///
    /// # Errors
    /// [`LoadError`] for a folder without an index, for files that are not what the manifest says, and for files that
    /// hold something else than a sound index. Reading takes memory in proportion to the files, whatever they claim.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        Ok(Self { space: save::load(folder)? })
    }
}

impl Retriever for HnswIndex {
    fn search(
        &self,
        query: &Query<'_>,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError> {
        Ok(self.search(query.needed_vector()?, k, filter, scratch)?)
    }
}

impl std::fmt::Debug for HnswIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HnswIndex")
            .field("len", &self.len())
            .field("dimensions", &self.dimensions())
            .field("params", &self.space.params)
            .finish()
    }
}

fn in_range(name: &'static str, got: usize, low: usize, high: usize) -> Result<usize, BuildError> {
    if (low..=high).contains(&got) { Ok(got) } else { Err(BuildError::Parameter { name, low, high, got }) }
}

#[cfg(test)]
mod tests;
