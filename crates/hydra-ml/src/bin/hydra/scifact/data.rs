//! SciFact as its CSV files hold it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hydra_types::RecordId;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::numpy::{self, ListError};

/// Abstracts, and claims that cite some of them.
///
/// # Source
/// Wadden et al. 2020, *Fact or Fiction: Verifying Scientific Claims* (arXiv:2004.14974).
pub(super) struct SciFact {
    pub(super) abstracts: BTreeMap<RecordId, Abstract>,
    /// The training claims that are learned from, in order of their numbers.
    pub(super) learned: Vec<Claim>,
    /// The training claims that are chosen by, in order of their numbers: none cites what a claim that is learned from cites.
    pub(super) held_out: Vec<Claim>,
    /// The claims that are judged on, in order of their numbers.
    pub(super) development: Vec<Claim>,
}

pub(super) struct Abstract {
    pub(super) title: String,
    pub(super) sentences: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) id: u64,
    pub(super) text: String,
    /// What is relevant to it: never empty, all of it in the corpus.
    pub(super) cited: BTreeSet<RecordId>,
}

/// Why the files cannot be read. Shows numbers and places, and no text of theirs.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error("not the CSV that was expected: give the folder with the files of SciFact, {}", path.display())]
    Csv { path: PathBuf, source: csv::Error },
    #[error("the abstract with the number {abstract_id} is no list of quoted sentences")]
    Sentences { abstract_id: u64, source: ListError },
    #[error("two abstracts have the number {abstract_id}: leave one out")]
    Twice { abstract_id: u64 },
    #[error("the citations of claim {claim} are no list of numbers")]
    Citations { claim: u64, source: ListError },
    #[error("claim {claim} cites nothing: leave it out, there is nothing to find")]
    CitesNothing { claim: u64 },
    #[error("claim {claim} cites {abstract_id}, which is not in the corpus: give the whole corpus")]
    NotInCorpus { claim: u64, abstract_id: u64 },
    #[error("the rows of claim {claim} differ in its text or its citations: one of them is broken")]
    Differs { claim: u64 },
    #[error("{} holds nothing", path.display())]
    Empty { path: PathBuf },
}

impl SciFact {
    /// Training claims that are development claims word for word, of which SciFact has two, are left out.
    pub(super) fn load(folder: &Path) -> Result<Self, DataError> {
        let abstracts = abstracts(&folder.join("corpus_train.csv"))?;
        let mut train = claims(&folder.join("claims_train.csv"), &abstracts)?;
        let development = claims(&folder.join("claims_validation.csv"), &abstracts)?;
        let judged_on: BTreeSet<&str> = development.iter().map(|claim| claim.text.as_str()).collect();
        train.retain(|claim| !judged_on.contains(claim.text.as_str()));
        let (learned, held_out) = split(train);
        Ok(Self { abstracts, learned, held_out, development })
    }

    /// With the first claims of each kind alone, and of the abstracts with those that they cite and the first few besides.
    pub(super) fn trial(mut self, claims: usize) -> Self {
        let kinds = [&mut self.learned, &mut self.held_out, &mut self.development];
        let mut kept: BTreeSet<RecordId> = self.abstracts.keys().copied().take(claims * ABSTRACTS_BESIDES).collect();
        for kind in kinds {
            kind.truncate(claims);
            kept.extend(kind.iter().flat_map(|claim| &claim.cited));
        }
        self.abstracts.retain(|id, _| kept.contains(id));
        self
    }

    /// Every abstract that a training claim cites.
    pub(super) fn cited_in_training(&self) -> BTreeSet<RecordId> {
        self.learned.iter().chain(&self.held_out).flat_map(|claim| &claim.cited).copied().collect()
    }
}

impl Abstract {
    /// What is searched, scored and learned from.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.title, self.sentences.join(" "))
    }
}

#[derive(Deserialize)]
struct AbstractRow {
    doc_id: u64,
    title: String,
    r#abstract: String,
}

/// One row a piece of evidence: a claim may have several.
#[derive(Deserialize)]
struct ClaimRow {
    id: u64,
    claim: String,
    cited_doc_ids: String,
}

fn rows<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>, DataError> {
    let failed = |source| DataError::Csv { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let rows = reader.deserialize().collect::<Result<Vec<R>, _>>().map_err(failed)?;
    if rows.is_empty() { Err(DataError::Empty { path: path.to_owned() }) } else { Ok(rows) }
}

fn abstracts(path: &Path) -> Result<BTreeMap<RecordId, Abstract>, DataError> {
    let mut abstracts = BTreeMap::new();
    for row in rows::<AbstractRow>(path)? {
        let abstract_id = row.doc_id;
        let sentences = numpy::texts(&row.r#abstract).map_err(|source| DataError::Sentences { abstract_id, source })?;
        let sentences = sentences.iter().map(|sentence| sentence.trim().to_owned()).collect();
        let read = Abstract { title: row.title.trim().to_owned(), sentences };
        if abstracts.insert(RecordId::new(abstract_id), read).is_some() {
            return Err(DataError::Twice { abstract_id });
        }
    }
    Ok(abstracts)
}

fn claims(path: &Path, abstracts: &BTreeMap<RecordId, Abstract>) -> Result<Vec<Claim>, DataError> {
    let mut claims = BTreeMap::new();
    for row in rows::<ClaimRow>(path)? {
        let id = row.id;
        let cited = numpy::numbers(&row.cited_doc_ids).map_err(|source| DataError::Citations { claim: id, source })?;
        let missing = cited.iter().find(|&&cited| !abstracts.contains_key(&RecordId::new(cited)));
        if let Some(&abstract_id) = missing {
            return Err(DataError::NotInCorpus { claim: id, abstract_id });
        }
        let cited: BTreeSet<_> = cited.into_iter().map(RecordId::new).collect();
        if cited.is_empty() {
            return Err(DataError::CitesNothing { claim: id });
        }
        let claim = Claim { id, text: row.claim.trim().to_owned(), cited };
        match claims.entry(id) {
            Entry::Vacant(place) => drop(place.insert(claim)),
            Entry::Occupied(known) if *known.get() == claim => {}
            Entry::Occupied(_) => return Err(DataError::Differs { claim: id }),
        }
    }
    Ok(claims.into_values().collect())
}

/// One group in [`HELD_OUT`] goes into the second part. Claims that cite a common abstract, directly or through others, are
/// one group, so that no abstract is on both sides.
fn split(train: Vec<Claim>) -> (Vec<Claim>, Vec<Claim>) {
    let group_of = groups(&train);
    let firsts: Vec<usize> = (0..train.len()).filter(|&at| group_of[at] == at).collect();
    let (mut learned, mut held_out) = (Vec::new(), Vec::new());
    for (at, claim) in train.into_iter().enumerate() {
        let number = firsts.binary_search(&group_of[at]).expect("every group has a first claim");
        if number % HELD_OUT == HELD_OUT - 1 { held_out.push(claim) } else { learned.push(claim) }
    }
    (learned, held_out)
}

/// For each claim the place of the first claim of its group.
fn groups(claims: &[Claim]) -> Vec<usize> {
    let mut first_of: Vec<usize> = (0..claims.len()).collect();
    let mut cited_by: BTreeMap<RecordId, usize> = BTreeMap::new();
    for (at, claim) in claims.iter().enumerate() {
        for &cited in &claim.cited {
            let other = *cited_by.entry(cited).or_insert(at);
            let (one, other) = (root(&first_of, at), root(&first_of, other));
            first_of[one.max(other)] = one.min(other);
        }
    }
    (0..claims.len()).map(|at| root(&first_of, at)).collect()
}

fn root(first_of: &[usize], mut at: usize) -> usize {
    while first_of[at] != at {
        at = first_of[at];
    }
    at
}

/// For each claim of a trial.
const ABSTRACTS_BESIDES: usize = 10;

/// Leaves 721 of SciFact's training claims to learn from.
const HELD_OUT: usize = 10;

#[cfg(test)]
mod tests;
