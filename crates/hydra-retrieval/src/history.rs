//! One user's records with their vectors.

#[cfg(feature = "store")]
mod stored;
mod view;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use hydra_types::{Fingerprint, Record, RecordId, Scope, Time, UserId};

#[cfg(feature = "store")]
pub use stored::{StoredHistory, StoredHistoryError};
pub use view::{Nearest, View};

use crate::bm25::{Bm25, Bm25Params};
use crate::filter::Tags;
use crate::hnsw::{BuildError, HnswParams};
use crate::space::Space;
use crate::table::{AddError, Item, Table};
use crate::vector::Metric;

/// One user's records with their vectors, in time order, in memory.
///
/// Every read and write takes the user's [`Scope`]; another user's is refused. What is deleted is gone: the record, its
/// vector, its codes, its links, its words.
///
/// ```
/// use hydra_retrieval::{Entry, Filter, History, HistoryParams, Query, Retriever, Scratch};
/// use hydra_types::{Record, RecordId, Scope, Time, UserId};
///
/// let scope = Scope::acting_for(UserId::new(7));
/// let mut history = History::new(&scope, 2, HistoryParams::default())?;
/// let record = |id, input| Record::new(RecordId::new(id), Time::from_unix_millis(0), input, "");
/// history.append(&scope, vec![
///     Entry::new(record(1, "a quiet drama"), vec![1.0, 0.0]),
///     Entry::new(record(2, "a loud comedy"), vec![0.0, 1.0]),
/// ])?;
///
/// let mine = history.view(&scope)?;
/// let best = mine.nearest().search(&Query::new().vector(&[0.9, 0.1]), 1, &Filter::all(), &mut Scratch::new())?;
/// assert_eq!(mine.record(best[0].id).map(Record::input), Some("a quiet drama"));
///
/// let stranger = Scope::acting_for(UserId::new(8));
/// assert!(history.view(&stranger).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct History {
    user: UserId,
    params: HistoryParams,
    space: Space,
    words: Bm25,
    records: HashMap<RecordId, Record>,
    newest_first: BTreeSet<(Reverse<Time>, RecordId)>,
    /// Records when the graph was linked last.
    linked: usize,
}

/// A record on its way into a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    record: Record,
    vector: Vector,
    tags: Tags,
}

/// How a history compares and searches.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub struct HistoryParams {
    /// How vectors are compared.
    pub metric: Metric,
    /// How vectors are searched.
    pub search: SearchMode,
    /// How words are weighed.
    pub bm25: Bm25Params,
    /// How the graph is made, where there is one.
    pub hnsw: HnswParams,
    /// Which encoder the vectors are of. A history that is stored keeps it, and does not open for another one: vectors of
    /// two encoders mean nothing to each other, also where they have one width. With none, the width alone is compared.
    pub encoder: Option<Fingerprint>,
}

/// How a history's vectors are searched. The number of results is the same in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SearchMode {
    /// Exactly, up to [`EXACT_UNTIL`] records; by a graph above, once [`History::maintain`] has linked one.
    #[default]
    Automatic,
    /// Exactly, however many there are.
    Exact,
    /// By a graph from the first [`History::maintain`] on, however few there are.
    Graph,
}

/// A change to a history, or a look at it, that is refused. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The scope is another user's.
    #[error("the scope is another user's: open that user's own history")]
    ForeignScope,
    /// A record cannot be stored.
    #[error("the history cannot be changed so")]
    Add(#[from] AddError),
    /// The graph cannot be linked.
    #[error("the history's graph cannot be linked")]
    Build(#[from] BuildError),
    /// Inner products have no graph.
    #[error("a graph needs a metric and the dot product is none: use cosine, or exact search")]
    NoGraphForDot,
}

impl Entry {
    /// `record` with the vector that stands for it, and no tags.
    #[must_use]
    pub fn new(record: Record, vector: Vec<f32>) -> Self {
        Self { record, vector: Vector(vector), tags: Tags::NONE }
    }

    /// The same with these tags instead of its own.
    #[must_use]
    pub fn tagged(self, tags: Tags) -> Self {
        Self { tags, ..self }
    }

    fn item(&self) -> Item<'_> {
        Item::new(self.record.id(), &self.vector.0).at(self.record.time()).tagged(self.tags)
    }
}

impl History {
    /// An empty history of the user whose scope it is.
    ///
    /// # Errors
    /// [`HistoryError::Add`] for zero or too many dimensions, [`HistoryError::NoGraphForDot`] for parameters that
    /// contradict each other.
    pub fn new(scope: &Scope, dimensions: usize, params: HistoryParams) -> Result<Self, HistoryError> {
        if params.metric == Metric::Dot && params.search == SearchMode::Graph {
            return Err(HistoryError::NoGraphForDot);
        }
        let table = Table::new(dimensions, params.metric)?;
        Ok(Self {
            user: scope.user(),
            params,
            space: Space { table, graph: None, params: params.hnsw },
            words: Bm25::new(params.bm25),
            records: HashMap::new(),
            newest_first: BTreeSet::new(),
            linked: 0,
        })
    }

    /// Appends the entries, all or none. They may come in any order of time.
    ///
    /// # Errors
    /// [`HistoryError::Add`], [`HistoryError::ForeignScope`]; nothing has changed then.
    pub fn append(&mut self, scope: &Scope, entries: Vec<Entry>) -> Result<(), HistoryError> {
        self.check(scope)?;
        let items: Vec<Item<'_>> = entries.iter().map(Entry::item).collect();
        self.space.append(&items)?;
        for entry in entries {
            self.remember(entry)?;
        }
        Ok(())
    }

    /// Puts the entry in the place of the record of the same id.
    ///
    /// # Errors
    /// [`HistoryError::Add`] for a record that is not there or a vector that has no scores,
    /// [`HistoryError::ForeignScope`]; nothing has changed then.
    pub fn update(&mut self, scope: &Scope, entry: Entry) -> Result<(), HistoryError> {
        self.check(scope)?;
        self.space.update(entry.item())?;
        self.forget_text(entry.record.id());
        self.remember(entry)
    }

    /// Deletes the records, and returns how many of them were there.
    ///
    /// # Errors
    /// [`HistoryError::ForeignScope`].
    pub fn delete(&mut self, scope: &Scope, ids: &[RecordId]) -> Result<usize, HistoryError> {
        self.check(scope)?;
        for &id in ids {
            self.forget_text(id);
        }
        Ok(self.space.remove(ids))
    }

    /// The history, to be read and searched.
    ///
    /// # Errors
    /// [`HistoryError::ForeignScope`].
    pub fn view(&self, scope: &Scope) -> Result<View<'_>, HistoryError> {
        self.check(scope)?;
        Ok(View::new(self))
    }

    /// Links the graph where the search mode calls for one and there is none yet, or the history has since doubled.
    /// Whether it did.
    ///
    /// Linking takes seconds for tens of thousands of records, so it happens when the caller has the time and never
    /// inside an append; until then searches are exact, which is slower and misses nothing. Between two calls the graph is
    /// kept in step with every change.
    ///
    /// # Errors
    /// [`HistoryError::Build`], [`HistoryError::ForeignScope`].
    pub fn maintain(&mut self, scope: &Scope) -> Result<bool, HistoryError> {
        self.check(scope)?;
        let len = self.space.table.len();
        let wanted = match self.params.search {
            SearchMode::Exact => false,
            SearchMode::Automatic => self.params.metric == Metric::Cosine && len > EXACT_UNTIL,
            SearchMode::Graph => true,
        };
        if !wanted {
            self.space.graph = None;
            self.linked = 0;
            return Ok(false);
        }
        if self.space.graph.is_some() && len < 2 * self.linked.max(1) {
            return Ok(false);
        }
        self.space.link(&mut |_| ControlFlow::Continue(()))?;
        self.linked = len;
        Ok(true)
    }

    fn check(&self, scope: &Scope) -> Result<(), HistoryError> {
        if scope.user() == self.user { Ok(()) } else { Err(HistoryError::ForeignScope) }
    }

    fn remember(&mut self, entry: Entry) -> Result<(), HistoryError> {
        let Entry { record, tags, .. } = entry;
        self.words.add(record.id(), record.time(), tags, record.input())?;
        self.newest_first.insert((Reverse(record.time()), record.id()));
        self.records.insert(record.id(), record);
        Ok(())
    }

    fn forget_text(&mut self, id: RecordId) {
        if let Some(record) = self.records.remove(&id) {
            self.newest_first.remove(&(Reverse(record.time()), id));
            self.words.remove(id);
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("user", &self.user).field("len", &self.records.len()).finish_non_exhaustive()
    }
}

/// Numbers that `Debug` does not show.
#[derive(Clone, PartialEq)]
struct Vector(Vec<f32>);

impl std::fmt::Debug for Vector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} numbers]", self.0.len())
    }
}

/// Up to this many records an exact scan takes no longer than a search by the graph, measured with 384 dimensions by
/// `benches/retrieval.rs`; below, there is nothing to gain from a graph.
pub const EXACT_UNTIL: usize = 7_000;
