//! Words in common, weighed by how rare they are.

mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hydra_types::{RecordId, Score, Scored, Time};

pub use tokens::Tokenisation;

use crate::filter::{Filter, Tags};
use crate::query::{Query, SearchError};
use crate::retriever::Retriever;
use crate::scratch::Scratch;
use crate::table::AddError;
use crate::top::Top;

/// Ranks texts by the words that they share with the query.
///
/// Scores are at least zero with [`Idf::Positive`], have no upper end, and are comparable within one answer only. Texts
/// without a word in common score zero and come last.
///
/// # Source
/// Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond*, 2009, equation 3.15, with the factor
/// `k1 + 1` of Robertson et al., *Okapi at TREC-3*: for each word `w` of the query, as often as it is there,
/// `idf(w) · tf · (k1 + 1) / (tf + k1 · (1 - b + b · length / mean length))`.
///
/// ```
/// use hydra_retrieval::{Bm25, Bm25Params, Filter, Query, Retriever, Scratch, Tags};
/// use hydra_types::{RecordId, Time};
///
/// let mut index = Bm25::new(Bm25Params::default());
/// for (id, text) in (0..).zip(["a quiet drama", "a loud comedy", "drama and comedy"]) {
///     index.add(RecordId::new(id), Time::from_unix_millis(0), Tags::NONE, text)?;
/// }
/// let best = index.search(&Query::new().text("Drama, comedy?"), 1, &Filter::all(), &mut Scratch::new())?;
/// assert_eq!(best[0].id.get(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Bm25 {
    params: Bm25Params,
    docs: Vec<Doc>,
    places: HashMap<RecordId, u32>,
    postings: HashMap<Arc<str>, Vec<Posting>>,
    /// How many words are in this many texts: all that an average over the vocabulary needs.
    words_in: BTreeMap<usize, u32>,
    total_length: u64,
}

/// How BM25 weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25Params {
    k1: f64,
    b: f64,
    idf: Idf,
    tokenisation: Tokenisation,
}

/// How much a word's rarity counts. `N` texts, `n` of them with the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Idf {
    /// `ln(1 + (N - n + 0.5) / (n + 0.5))`: above zero for every word, so that one more word in common never lowers a
    /// score. On a history of ten records most words are in half of them, and there the classic weight is zero or
    /// negative.
    ///
    /// # Source
    /// Lucene's `BM25Similarity`, since 2012.
    Positive,
    /// `ln(N - n + 0.5) - ln(n + 0.5)`, and where that is negative a quarter of the vocabulary's mean: what the Python
    /// package `rank_bm25` computes as `BM25Okapi`, for repeating published results. On tiny histories it can rank a text
    /// with both words of the query below a text with one.
    Okapi,
}

/// A parameter of BM25 out of range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{name} must be a number from {low} to {high}, got {got}")]
pub struct Bm25ParamError {
    /// Which one.
    pub name: &'static str,
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
    /// What was asked for.
    pub got: f64,
}

#[derive(Clone)]
struct Doc {
    id: RecordId,
    time: Time,
    tags: Tags,
    length: u32,
    words: Vec<Arc<str>>,
}

#[derive(Clone, Copy)]
struct Posting {
    doc: u32,
    count: u32,
}

impl Default for Bm25Params {
    /// `k1` = 1.5, `b` = 0.75 as in `rank_bm25`, on which the published results of the method stand; positive weights.
    fn default() -> Self {
        Self { k1: 1.5, b: 0.75, idf: Idf::Positive, tokenisation: Tokenisation::Words }
    }
}

impl Bm25Params {
    /// What `rank_bm25.BM25Okapi` computes on texts that were lower-cased and split at white space.
    #[must_use]
    pub fn okapi() -> Self {
        Self { idf: Idf::Okapi, tokenisation: Tokenisation::WhiteSpace, ..Self::default() }
    }

    /// How fast a repeated word stops counting, from 0 to 100; 0 counts a word once.
    ///
    /// # Errors
    /// [`Bm25ParamError`].
    pub fn k1(self, k1: f64) -> Result<Self, Bm25ParamError> {
        Ok(Self { k1: in_range("k1", k1, 100.0)?, ..self })
    }

    /// How much a long text is marked down, from 0 to 1.
    ///
    /// # Errors
    /// [`Bm25ParamError`].
    pub fn b(self, b: f64) -> Result<Self, Bm25ParamError> {
        Ok(Self { b: in_range("b", b, 1.0)?, ..self })
    }

    /// How rarity counts.
    #[must_use]
    pub const fn idf(self, idf: Idf) -> Self {
        Self { idf, ..self }
    }

    /// What a word is.
    #[must_use]
    pub const fn tokenisation(self, tokenisation: Tokenisation) -> Self {
        Self { tokenisation, ..self }
    }
}

impl Bm25 {
    /// An index of no texts.
    #[must_use]
    pub fn new(params: Bm25Params) -> Self {
        Self {
            params,
            docs: Vec::new(),
            places: HashMap::new(),
            postings: HashMap::new(),
            words_in: BTreeMap::new(),
            total_length: 0,
        }
    }

    /// Adds a text. Only its words are kept.
    ///
    /// # Errors
    /// [`AddError::Duplicate`], [`AddError::Full`].
    pub fn add(&mut self, id: RecordId, time: Time, tags: Tags, text: &str) -> Result<(), AddError> {
        if self.places.contains_key(&id) {
            return Err(AddError::Duplicate { id });
        }
        let doc = u32::try_from(self.docs.len()).map_err(|_| AddError::Full)?;
        let words = self.params.tokenisation.words(text);
        let length = u32::try_from(words.len()).map_err(|_| AddError::Full)?;
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for word in &words {
            *counts.entry(word).or_default() += 1;
        }
        let mut kept = Vec::with_capacity(counts.len());
        for (word, count) in counts {
            let word: Arc<str> = match self.postings.get_key_value(word) {
                Some((known, _)) => Arc::clone(known),
                None => word.into(),
            };
            let list = self.postings.entry(Arc::clone(&word)).or_default();
            list.push(Posting { doc, count });
            let now_in = list.len();
            self.move_word(now_in - 1, now_in);
            kept.push(word);
        }
        self.total_length += u64::from(length);
        self.places.insert(id, doc);
        self.docs.push(Doc { id, time, tags, length, words: kept });
        Ok(())
    }

    /// Removes a text, and its words where no other text has them. Whether it was there.
    ///
    /// # Panics
    /// Never: every word of a text has postings.
    pub fn remove(&mut self, id: RecordId) -> bool {
        let Some(place) = self.places.remove(&id) else {
            return false;
        };
        let removed = self.docs.swap_remove(place as usize);
        self.total_length -= u64::from(removed.length);
        for word in &removed.words {
            let list = self.postings.get_mut(word).expect("every word of a text has postings");
            list.retain(|posting| posting.doc != place);
            let now_in = list.len();
            if now_in == 0 {
                self.postings.remove(word);
            }
            self.move_word(now_in + 1, now_in);
        }
        if let Some(moved) = self.docs.get(place as usize) {
            let old_place = u32::try_from(self.docs.len()).expect("places are u32");
            for word in &moved.words {
                let list = self.postings.get_mut(word).expect("every word of a text has postings");
                list.iter_mut().filter(|posting| posting.doc == old_place).for_each(|posting| posting.doc = place);
            }
            self.places.insert(moved.id, place);
        }
        true
    }

    /// Texts in the index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.docs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    /// A word that was in `before` texts is now in `now`.
    fn move_word(&mut self, before: usize, now: usize) {
        if let Some(words) = self.words_in.get_mut(&before) {
            *words -= 1;
            if *words == 0 {
                self.words_in.remove(&before);
            }
        }
        if now > 0 {
            *self.words_in.entry(now).or_default() += 1;
        }
    }

    fn idf(&self, n_with: usize) -> f64 {
        let (all, with) = (wide(self.docs.len()), wide(n_with));
        match self.params.idf {
            Idf::Positive => (1.0 + (all - with + 0.5) / (with + 0.5)).ln(),
            Idf::Okapi => {
                let classic = |with: f64| (all - with + 0.5).ln() - (with + 0.5).ln();
                let weight = classic(with);
                if weight >= 0.0 {
                    return weight;
                }
                let sum: f64 = self.words_in.iter().map(|(&n, &words)| f64::from(words) * classic(wide(n))).sum();
                OKAPI_EPSILON * sum / wide(self.postings.len())
            }
        }
    }
}

impl Retriever for Bm25 {
    fn search(
        &self,
        query: &Query<'_>,
        k: usize,
        filter: &Filter,
        scratch: &mut Scratch,
    ) -> Result<Vec<Scored<RecordId>>, SearchError> {
        let text = query.needed_text()?;
        let Bm25Params { k1, b, .. } = self.params;
        let mean_length = wide(self.total_length) / wide(self.docs.len());
        let weights = &mut scratch.weights;
        weights.clear();
        weights.resize(self.docs.len(), 0.0);
        for word in self.params.tokenisation.words(text) {
            let Some(list) = self.postings.get(word.as_str()) else { continue };
            let idf = self.idf(list.len());
            for posting in list {
                let (doc, count) = (posting.doc as usize, f64::from(posting.count));
                let norm = k1 * (1.0 - b + b * f64::from(self.docs[doc].length) / mean_length);
                weights[doc] += idf * (count * (k1 + 1.0) / (count + norm));
            }
        }
        let mut best = Top::new(k.min(self.docs.len()));
        for (doc, &weight) in self.docs.iter().zip(weights.iter()) {
            if filter.admits(doc.id, doc.time, doc.tags) {
                best.offer(Scored::new(doc.id, narrow(weight)));
            }
        }
        Ok(best.into_sorted())
    }
}

impl std::fmt::Debug for Bm25 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bm25").field("len", &self.len()).field("params", &self.params).finish()
    }
}

fn in_range(name: &'static str, got: f64, high: f64) -> Result<f64, Bm25ParamError> {
    if (0.0..=high).contains(&got) { Ok(got) } else { Err(Bm25ParamError { name, low: 0.0, high, got }) }
}

#[expect(clippy::cast_possible_truncation, reason = "to the nearest float is what is meant")]
fn narrow(weight: f64) -> Score {
    Score::new(weight.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32).expect("a clamped sum of finite weights")
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn wide(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// The share of the mean weight that a word in more than half of the texts gets: `epsilon` of `rank_bm25`.
const OKAPI_EPSILON: f64 = 0.25;

#[cfg(test)]
mod tests;
