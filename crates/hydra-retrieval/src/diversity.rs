//! Records that are near the query and not near each other.

use hydra_types::{RecordId, Score, Scored};

use crate::filter::Filter;
use crate::history::View;
use crate::query::{Query, SearchError};
use crate::retriever::Retriever;
use crate::scratch::Scratch;

/// A user's records nearest to the query, passing over what repeats those already chosen.
///
/// The `pool` nearest records (or `k`, if that is more) are candidates. A score is
/// `balance · similarity to the query - (1 - balance) · highest similarity to one chosen before`; it falls along the
/// answer.
///
/// # Source
/// Carbonell and Goldstein, *The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries*,
/// SIGIR 1998, equation 1. **Differs:** a similarity below zero counts as zero, so that being unlike the others is
/// never worth more than being alone.
#[derive(Clone, Copy, Debug)]
pub struct Diverse<'a> {
    view: View<'a>,
    balance: f32,
    pool: usize,
}

/// A balance that is no share.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("the balance between relevance and diversity is a number from 0 to 1, got {got}")]
pub struct BalanceError {
    /// What was given.
    pub got: f32,
}

impl<'a> Diverse<'a> {
    pub(crate) fn new(view: View<'a>, balance: f32, pool: usize) -> Result<Self, BalanceError> {
        if (0.0..=1.0).contains(&balance) {
            Ok(Self { view, balance, pool })
        } else {
            Err(BalanceError { got: balance })
        }
    }
}

impl Retriever for Diverse<'_> {
    fn search(
        &self,
        query: &Query<'_>,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError> {
        let table = self.view.table();
        let candidates = self.view.nearest().search(query, k.max(self.pool), filter, scratch)?;
        let row = |id| table.place(id).expect("a search returns records that are there");
        // What is left: with its row and the highest similarity to one that was chosen.
        let mut left: Vec<(Scored<RecordId>, usize, f32)> =
            candidates.into_iter().map(|scored| (scored, row(scored.id), 0.0)).collect();
        let value = |&(scored, _, nearest): &(Scored<RecordId>, usize, f32)| {
            let value = self.balance * scored.score.get() - (1.0 - self.balance) * nearest;
            Scored::new(scored.id, Score::new(value).expect("similarities are finite and their lengths bounded"))
        };
        let mut chosen = Vec::new();
        while chosen.len() < k
            && let Some((place, best)) = left.iter().map(value).enumerate().min_by_key(|&(_, value)| value)
        {
            let (_, row, _) = left.swap_remove(place);
            for (_, other, nearest) in &mut left {
                *nearest = nearest.max(table.score_of_rows(row, *other).get());
            }
            chosen.push(best);
        }
        Ok(chosen)
    }
}
