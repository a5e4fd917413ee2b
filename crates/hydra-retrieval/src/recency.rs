//! The newest first.

use hydra_types::{RecordId, Score, Scored};

use crate::filter::Filter;
use crate::history::View;
use crate::query::{Query, SearchError};
use crate::retriever::Retriever;
use crate::scratch::Scratch;

/// A user's newest records, whatever the query.
///
/// The newest admitted record scores 1, the next 1/2, then 1/3: a score says how new a record is among those admitted.
/// Records of one time are ranked by id.
#[derive(Clone, Copy, Debug)]
pub struct Recency<'a> {
    view: View<'a>,
}

impl<'a> Recency<'a> {
    pub(crate) const fn new(view: View<'a>) -> Self {
        Self { view }
    }
}

impl Retriever for Recency<'_> {
    fn search(
        &self,
        _: &Query<'_>,
        k: usize,
        filter: &Filter,
        _: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError> {
        let newest = self.view.newest().filter(|(id, time, tags)| filter.admits(*id, *time, *tags)).take(k);
        Ok((1u32..).zip(newest).map(|(rank, (id, ..))| Scored::new(id, reciprocal(rank))).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "reciprocals differ up to 2^23 records, and a user has fewer")]
fn reciprocal(rank: u32) -> Score {
    Score::new(1.0 / rank as f32).expect("a rank is at least one")
}
