//! Which records a prompt shows, without a model.

use std::collections::BTreeMap;

use hydra_rerank::Retrieved;
use hydra_retrieval::{Bm25, Bm25Params, Filter, Query, Retriever, Scratch, Tags};
use hydra_types::Record;

use super::Asked;

/// How records are chosen.
#[derive(Clone, Copy)]
pub(super) enum Show {
    Nothing,
    Random(usize),
    Words(usize),
    Newest(usize),
}

/// Prompts of which nothing is learned, one answer each.
pub(super) const BASELINES: [(&str, Show); 6] = [
    ("zero-shot", Show::Nothing),
    ("random k=4", Show::Random(4)),
    ("BM25 k=1", Show::Words(1)),
    ("BM25 k=2", Show::Words(2)),
    ("BM25 k=4", Show::Words(4)),
    ("recency k=4", Show::Newest(4)),
];

impl Show {
    /// Best first. All of a test user's history is older than all their targets.
    pub(super) fn of<'s>(self, seed: u64, asked: &Asked<'s>) -> Vec<&'s Record> {
        let history = asked.view.records();
        match self {
            Self::Nothing => Vec::new(),
            Self::Words(most) => by_words(history, asked.target.query(), most),
            Self::Newest(most) => history.iter().rev().take(most).collect(),
            Self::Random(most) => {
                let mut all: Vec<&Record> = history.iter().collect();
                all.sort_by_key(|record| {
                    draw(seed, asked.view.user().get(), asked.target.id().get(), record.id().get())
                });
                all.truncate(most);
                all
            }
        }
    }
}

/// The records that share most words with a query, best first.
pub(super) fn by_words<'r>(records: &'r [Record], query: &str, most: usize) -> Vec<&'r Record> {
    found_by_words(records, query, most).into_iter().map(|found| found.record).collect()
}

/// The same with their scores, by BM25 over these records alone.
pub(super) fn found_by_words<'r>(records: &'r [Record], query: &str, most: usize) -> Vec<Retrieved<'r>> {
    let mut index = Bm25::new(Bm25Params::default());
    for record in records {
        // A record that answers nothing, such as a tweet, is found by what it says.
        let text = if record.input().is_empty() { record.output() } else { record.input() };
        index.add(record.id(), record.time(), Tags::NONE, text).expect("a history has no record twice");
    }
    let query = Query::new().text(query);
    let found = index.search(&query, most, &Filter::all(), &mut Scratch::new()).expect("the query has a text");
    let at: BTreeMap<_, _> = records.iter().map(|record| (record.id(), record)).collect();
    found.into_iter().map(|scored| Retrieved { record: at[&scored.id], score: scored.score }).collect()
}

/// What each user answered most often; of equals, what they answered last.
pub(super) fn majority(asked: &[Asked<'_>]) -> Vec<String> {
    let of = |asked: &Asked<'_>| {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (place, record) in asked.view.records().iter().enumerate() {
            let (count, last) = counts.entry(record.output()).or_default();
            *count += 1;
            *last = place;
        }
        let best = counts.into_iter().max_by_key(|(_, standing)| *standing);
        best.map(|(answer, _)| answer.to_owned()).unwrap_or_default()
    };
    asked.iter().map(of).collect()
}

/// A number that depends on all four and is alike for none.
pub(super) fn draw(seed: u64, user: u128, query: u64, record: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed in")]
    let halves = [user as u64, (user >> 64) as u64];
    // SplitMix64, Steele et al. 2014.
    [seed, halves[0], halves[1], query, record].into_iter().fold(0, |state, part| {
        let mut mixed = (state ^ part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}
