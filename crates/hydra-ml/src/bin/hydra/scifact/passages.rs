//! The part of an abstract that a claim may be about, so that a cross-encoder reads a quarter of the tokens.

use std::collections::BTreeMap;

use anyhow::Result;
use hydra_rerank::{Ranking, RerankError, RerankRequest, Reranker, Retrieved};
use hydra_retrieval::{Bm25, Filter, Query, Retriever, Scratch, SearchError, Tags};
use hydra_types::{Record, RecordId, Scored, Time};

use super::data::{Abstract, SciFact};
use super::first_stage::bm25;

/// Finds in abstracts the sentences that share most with a query, by BM25 among the sentences of all abstracts.
///
/// # Source
/// Li et al. 2021, *The Power of Selecting Key Blocks with Local Pre-ranking for Long Document Information Retrieval*
/// (arXiv:2111.09852): blocks are chosen by BM25 and read together by one cross-encoder. **Differs:** blocks are
/// sentences, the title is always read, and sentences come best first.
pub(super) struct Passages<'a> {
    index: Bm25,
    abstracts: &'a BTreeMap<RecordId, Abstract>,
    /// For each sentence of the index, by its number there.
    places: Vec<Place>,
}

/// A sentence of an abstract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) id: RecordId,
    pub(super) sentence: usize,
}

/// The sentences of each abstract that share a word with a query, best first.
pub(super) struct Shared(BTreeMap<RecordId, Vec<usize>>);

impl<'a> Passages<'a> {
    pub(super) fn new(data: &'a SciFact) -> Result<Self> {
        let mut index = bm25();
        let mut places = Vec::new();
        for (&id, written) in &data.abstracts {
            for (sentence, text) in written.sentences.iter().enumerate() {
                let number = RecordId::new(places.len() as u64);
                index.add(number, Time::from_unix_millis(0), Tags::NONE, text)?;
                places.push(Place { id, sentence });
            }
        }
        Ok(Self { index, abstracts: &data.abstracts, places })
    }

    pub(super) fn shared(&self, query: &str) -> Result<Shared, SearchError> {
        let query = Query::new().text(query);
        let mut shared: BTreeMap<RecordId, Vec<usize>> = BTreeMap::new();
        let found = self.index.search(&query, self.places.len(), &Filter::all(), &mut Scratch::new())?;
        for Scored { id, .. } in found.iter().filter(|found| found.score.get() > 0.0) {
            let place = self.places[usize::try_from(id.get()).expect("numbers were lengths")];
            shared.entry(place.id).or_default().push(place.sentence);
        }
        Ok(Shared(shared))
    }

    /// The title, and behind it as many sentences as [`WORDS`] leave room for, one at least: those that share most with the
    /// query, best first, then the others in their order. `left_out` is as if it were not there.
    pub(super) fn passage(&self, shared: &Shared, id: RecordId, left_out: Option<Place>) -> String {
        let written = &self.abstracts[&id];
        let best = shared.0.get(&id).map_or(&[][..], Vec::as_slice);
        let others = (0..written.sentences.len()).filter(|sentence| !best.contains(sentence));
        let sentences = best.iter().copied().chain(others);
        let mut passage = written.title.clone();
        let mut words = words_in(&passage);
        let others = sentences.filter(|&sentence| left_out != Some(Place { id, sentence }));
        for (taken, sentence) in others.enumerate() {
            let text = &written.sentences[sentence];
            words += words_in(text);
            if words > WORDS && taken > 0 {
                break;
            }
            passage = passage + " " + text;
        }
        passage
    }
}

/// A reranker that is shown passages.
pub(super) struct OnPassages<'a, R> {
    pub(super) inner: R,
    pub(super) passages: &'a Passages<'a>,
}

impl<R: Reranker> Reranker for OnPassages<'_, R> {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let cut_down = requests.iter().map(|request| {
            let shared = self.passages.shared(request.query).map_err(|error| RerankError::Body(Box::new(error)))?;
            let passage = |found: &Retrieved<'_>| {
                let id = found.record.id();
                Record::new(id, found.record.time(), self.passages.passage(&shared, id, None), "")
            };
            Ok(request.records.iter().map(passage).collect())
        });
        let cut_down: Vec<Vec<Record>> = cut_down.collect::<Result<_, RerankError>>()?;
        let retrieved: Vec<_> =
            requests.iter().zip(&cut_down).map(|(request, records)| with_scores(records, request)).collect();
        let requests: Vec<_> =
            requests.iter().zip(&retrieved).map(|(request, records)| RerankRequest { records, ..*request }).collect();
        self.inner.rerank(&requests)
    }
}

/// What is shown, with the scores of what was retrieved.
fn with_scores<'a>(shown: &'a [Record], request: &RerankRequest<'_>) -> Vec<Retrieved<'a>> {
    let scores = request.records.iter().map(|found| found.score);
    shown.iter().zip(scores).map(|(record, score)| Retrieved { record, score }).collect()
}

fn words_in(text: &str) -> usize {
    text.split_whitespace().count()
}

/// About 75 tokens, so that a claim of average length beside them makes 96.
const WORDS: usize = 48;
