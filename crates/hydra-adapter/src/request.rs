//! What is asked of an adapter, and what it answers.

use std::collections::BTreeMap;
use std::fmt;

use hydra_heads::HeadChoice;
use hydra_types::{Record, Scope, Score};

use crate::AdaptError;

/// One query of one user, and what the language model proposed for it.
///
/// `Debug` shows lengths and never the texts.
#[derive(Clone, Copy)]
pub struct AdaptRequest<'a> {
    /// In whose name it is asked: the records are that user's, and so is the head that picks.
    pub scope: &'a Scope,
    /// Whether that user has a head of their own. Nothing is guessed: who has none is served by saying
    /// [`HeadChoice::Prior`].
    pub head: HeadChoice,
    /// What the user asks.
    pub query: &'a str,
    /// The records that stood in the prompt, as they stood there; empty if none did.
    pub history: &'a [&'a Record],
    /// What the language model proposed, in the order of arrival; at least one.
    pub candidates: &'a [String],
}

impl fmt::Debug for AdaptRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptRequest")
            .field("scope", self.scope)
            .field("head", &self.head)
            .field("query_bytes", &self.query.len())
            .field("history", &self.history)
            .field("candidates", &self.candidates.len())
            .finish()
    }
}

/// The candidates of one request, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapted {
    standings: Vec<Standing>,
    confidence: Score,
}

/// How one candidate did. Candidates that are the same text, blanks at both ends aside, are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it first stands among the candidates of the request.
    pub candidate: usize,
    /// How often it stands there.
    pub count: usize,
    /// How good it is; what that means, and what it may be compared with, is said by the adapter that made it.
    pub score: Score,
    /// How many tokens of it and of the query beside it were not read because they did not fit.
    pub cut: usize,
}

impl Adapted {
    /// The candidate to answer with: its place among those of the request.
    #[must_use]
    pub fn best(&self) -> usize {
        self.standings[0].candidate
    }

    /// Every distinct candidate, best first; of equal ones the one that came first. Never empty.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// How sure the adapter is of the best one, from 0 to 1, before any calibration; see the adapter for what it stands
    /// for, and [`Judge`](crate::Judge) for what to do with it.
    #[must_use]
    pub fn confidence(&self) -> Score {
        self.confidence
    }

    /// # Panics
    /// If there are no standings, which a checked request never has.
    pub(crate) fn new(mut standings: Vec<Standing>, confidence: impl Fn(&Standing) -> f32) -> Self {
        standings.sort_by(|a, b| b.score.cmp(&a.score).then(a.candidate.cmp(&b.candidate)));
        let sure = confidence(&standings[0]).clamp(0.0, 1.0);
        Self { standings, confidence: Score::new(sure).expect("clamped, and never NaN") }
    }
}

/// Whether an adapter did what it must: one answer a request, of that request's candidates. For those who call an adapter
/// that somebody else wrote.
///
/// # Errors
/// [`AdaptError::Answers`] and [`AdaptError::NoSuchCandidate`].
pub fn check_adapted(requests: &[AdaptRequest<'_>], adapted: &[Adapted]) -> Result<(), AdaptError> {
    if requests.len() != adapted.len() {
        return Err(AdaptError::Answers { expected: requests.len(), got: adapted.len() });
    }
    for (number, (request, adapted)) in requests.iter().zip(adapted).enumerate() {
        let mut places = adapted.standings().iter().map(|standing| standing.candidate);
        if let Some(candidate) = places.find(|&place| place >= request.candidates.len()) {
            return Err(AdaptError::NoSuchCandidate { request: number, candidate });
        }
    }
    Ok(())
}

/// A candidate's text seen for the first time, and how often it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Distinct {
    pub(crate) candidate: usize,
    pub(crate) count: usize,
}

/// The distinct candidates of each request, in the order of arrival.
pub(crate) fn distinct(requests: &[AdaptRequest<'_>]) -> Result<Vec<Vec<Distinct>>, AdaptError> {
    let of_one = |(number, request): (usize, &AdaptRequest<'_>)| {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut all: Vec<Distinct> = Vec::new();
        for (candidate, text) in request.candidates.iter().enumerate() {
            let place = *places.entry(text.trim()).or_insert(all.len());
            match all.get_mut(place) {
                Some(seen) => seen.count += 1,
                None => all.push(Distinct { candidate, count: 1 }),
            }
        }
        if all.is_empty() { Err(AdaptError::NoCandidates { request: number }) } else { Ok(all) }
    };
    requests.iter().enumerate().map(of_one).collect()
}
