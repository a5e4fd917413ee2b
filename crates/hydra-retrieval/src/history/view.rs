//! A history as its user sees it.

use hydra_types::{Record, RecordId, Scored, Time};

use super::History;
use crate::bm25::Bm25;
use crate::diversity::{BalanceError, Diverse};
use crate::filter::{Filter, Tags};
use crate::query::{Query, SearchError};
use crate::recency::Recency;
use crate::retriever::Retriever;
use crate::scratch::Scratch;
use crate::table::Table;

/// A history that was opened with its user's scope: its records, and the ways to find them.
#[derive(Clone, Copy)]
pub struct View<'a> {
    history: &'a History,
}

/// A user's records nearest to the query's vector.
///
/// Scores are cosines from -1 to 1, or dot products, as the history's metric says, and exact for the records returned.
#[derive(Clone, Copy, Debug)]
pub struct Nearest<'a> {
    view: View<'a>,
}

impl<'a> View<'a> {
    pub(super) const fn new(history: &'a History) -> Self {
        Self { history }
    }

    /// Records in the history.
    #[must_use]
    pub fn len(&self) -> usize {
        self.history.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record with this id.
    #[must_use]
    pub fn record(&self, id: RecordId) -> Option<&'a Record> {
        self.history.records.get(&id)
    }

    /// All records, the newest first, those of one time by id.
    pub fn records(&self) -> impl Iterator<Item = &'a Record> + use<'a> {
        let history = self.history;
        history.newest_first.iter().map(move |(_, id)| &history.records[id])
    }

    /// By vector.
    #[must_use]
    pub const fn nearest(self) -> Nearest<'a> {
        Nearest { view: self }
    }

    /// By the words of the records' inputs.
    #[must_use]
    pub const fn lexical(self) -> &'a Bm25 {
        &self.history.words
    }

    /// By time.
    #[must_use]
    pub const fn recent(self) -> Recency<'a> {
        Recency::new(self)
    }

    /// By vector, and unlike each other: see [`Diverse`].
    ///
    /// # Errors
    /// [`BalanceError`].
    pub fn diverse(self, balance: f32, pool: usize) -> Result<Diverse<'a>, BalanceError> {
        Diverse::new(self, balance, pool)
    }

    pub(crate) fn table(self) -> &'a Table {
        &self.history.space.table
    }

    /// Newest first, those of one time by id.
    pub(crate) fn newest(self) -> impl Iterator<Item = (RecordId, Time, Tags)> + use<'a> {
        let table = self.table();
        self.history.newest_first.iter().map(move |&(time, id)| {
            let row = table.place(id).expect("every record has a row");
            (id, time.0, table.tags[row])
        })
    }
}

impl Retriever for Nearest<'_> {
    fn search(
        &self,
        query: &Query<'_>,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError> {
        let space = &self.view.history.space;
        let vector = space.table.vector(query.needed_vector()?)?;
        Ok(space.search(&vector, k, filter, scratch))
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.history.fmt(f)
    }
}
