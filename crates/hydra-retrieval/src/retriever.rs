//! What all ways of finding records have in common.

use std::sync::Arc;

use hydra_types::{RecordId, Scored};

use crate::filter::Filter;
use crate::query::{Query, SearchError};
use crate::scratch::Scratch;

/// Finds records for a query.
///
/// Every implementation keeps these promises:
/// - It returns exactly `min(k, n)` records, where `n` is how many `filter` admits: a weak match is ranked last, not left
///   out.
/// - Best first, equal scores by id, no record twice, none that `filter` refuses.
/// - The same index and the same arguments give the same answer, whatever `scratch` was used for before.
/// - Scores are finite. What they mean is the implementation's to say; they are comparable within one answer only.
pub trait Retriever {
    /// The `k` best records for `query` out of those that `filter` admits.
    ///
    /// # Errors
    /// [`SearchError`] if the query lacks what this retriever compares, or has a vector that cannot be compared.
    fn search(
        &self,
        query: &Query<'_>,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError>;
}

macro_rules! through_a_pointer {
    ($($pointer:ty),+) => {$(
        impl<R: Retriever + ?Sized> Retriever for $pointer {
            fn search(
                &self,
                query: &Query<'_>,
                k: usize,
                filter: &Filter,
                scratch: &mut Scratch,
            ) -> Result<Vec<Scored<RecordId>>, SearchError> {
                (**self).search(query, k, filter, scratch)
            }
        }
    )+};
}

through_a_pointer!(&R, Box<R>, Arc<R>);
