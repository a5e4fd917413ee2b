//! Which texts the body gets to see, as data.
//!
//! A head that was fitted on pairs of one template means nothing on pairs of another, so that training and serving must
//! agree to the letter: both take the template from here, and [`RecordTemplate::features_of`] makes it a part of the
//! fingerprint that heads are bound to.

use sha2::{Digest, Sha256};

use crate::{Fingerprint, Record};

/// How a query and one record of a history become a pair of texts.
///
/// Placeholders: `{{query}}`, and of the record `{{input}}` and `{{output}}`. The tokenizer's own pair encoding joins the
/// two texts; no separator is written out.
///
/// ```
/// use hydra_types::{Record, RecordId, RecordTemplate, Time};
///
/// let template = RecordTemplate::new("{{query}}", "{{output}}: {{input}}")?;
/// let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), "a man and his shark", "thriller");
/// assert_eq!(template.pair("a quiet film?", &record), ("a quiet film?".into(), "thriller: a man and his shark".into()));
/// # Ok::<(), hydra_types::PairTemplateError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "PairParts", into = "PairParts"))]
pub struct RecordTemplate {
    first: Pieces,
    second: Pieces,
}

impl RecordTemplate {
    /// A template of these two texts.
    ///
    /// # Errors
    /// [`PairTemplateError`] if a placeholder is unknown or not closed, the query is missing, or nothing of the record is
    /// there.
    pub fn new(first: &str, second: &str) -> Result<Self, PairTemplateError> {
        let template = Self { first: split(first, &RECORD_PLACES)?, second: split(second, &RECORD_PLACES)? };
        let has = |place| template.first.has(place) || template.second.has(place);
        require(has(Place::Query), "{{query}}")?;
        require(has(Place::Input) || has(Place::Output), "{{input}}")?;
        Ok(template)
    }

    /// The query beside the record's input, as the HYDRA paper has it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn input_only() -> Self {
        Self::new("{{query}}", "{{input}}").expect("a template that is tested")
    }

    /// The query beside the record's input and its output: what the user made of it is seen, too.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn with_output() -> Self {
        Self::new("{{query}}", "{{input}}\n{{output}}").expect("a template that is tested")
    }

    /// The two texts of `query` and `record`.
    #[must_use]
    pub fn pair(&self, query: &str, record: &Record) -> (String, String) {
        let text = |place| match place {
            Place::Input => record.input().to_owned(),
            Place::Output => record.output().to_owned(),
            _ => query.to_owned(),
        };
        (self.first.fill(text), self.second.fill(text))
    }

    /// The fingerprint of features that `body` makes of this template's pairs: what heads for them are bound to.
    #[must_use]
    pub fn features_of(&self, body: Fingerprint) -> Fingerprint {
        features_of(body, "record", &[&self.first, &self.second])
    }
}

/// How a query, records of a history and one candidate become a pair of texts.
///
/// Placeholders: `{{query}}`, `{{candidate}}` and `{{history}}`; the last stands for the records that went into the
/// prompt, each as the record text says, a line each.
///
/// ```
/// use hydra_types::{CandidateTemplate, Record, RecordId, Time};
///
/// let template = CandidateTemplate::with_history();
/// let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), "a man and his shark", "thriller");
/// assert_eq!(template.pair("a quiet film", &[&record], "drama").1, "drama");
/// assert_eq!(template.pair("a quiet film", &[&record], "drama").0, "a quiet film\na man and his shark thriller");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "CandidateParts", into = "CandidateParts"))]
pub struct CandidateTemplate {
    first: Pieces,
    second: Pieces,
    record: Pieces,
}

impl CandidateTemplate {
    /// A template of these two texts; `record` is what one record of `{{history}}` looks like, with `{{input}}` and
    /// `{{output}}`.
    ///
    /// # Errors
    /// [`PairTemplateError`] if a placeholder is unknown or not closed, or the query or the candidate is missing.
    pub fn new(first: &str, second: &str, record: &str) -> Result<Self, PairTemplateError> {
        let (first, second) = (split(first, &CANDIDATE_PLACES)?, split(second, &CANDIDATE_PLACES)?);
        let template = Self { first, second, record: split(record, &HISTORY_PLACES)? };
        let has = |place| template.first.has(place) || template.second.has(place);
        require(has(Place::Query), "{{query}}")?;
        require(has(Place::Candidate), "{{candidate}}")?;
        Ok(template)
    }

    /// The query beside the candidate, as the HYDRA paper has it.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn query_only() -> Self {
        Self::new("{{query}}", "{{candidate}}", "").expect("a template that is tested")
    }

    /// The query and the records of the prompt beside the candidate.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn with_history() -> Self {
        Self::new("{{query}}\n{{history}}", "{{candidate}}", "{{input}} {{output}}").expect("a template that is tested")
    }

    /// The two texts of `query`, the records of its prompt and one candidate, without the blanks at its ends: language
    /// models often begin with one, and candidates that differ in no more are one candidate.
    #[must_use]
    pub fn pair(&self, query: &str, history: &[&Record], candidate: &str) -> (String, String) {
        let line = |record: &&Record| {
            self.record.fill(|place| match place {
                Place::Input => record.input().to_owned(),
                _ => record.output().to_owned(),
            })
        };
        let text = |place| match place {
            Place::History => history.iter().map(line).collect::<Vec<_>>().join("\n"),
            Place::Candidate => candidate.trim().to_owned(),
            _ => query.to_owned(),
        };
        (self.first.fill(text), self.second.fill(text))
    }

    /// The fingerprint of features that `body` makes of this template's pairs: what heads for them are bound to.
    #[must_use]
    pub fn features_of(&self, body: Fingerprint) -> Fingerprint {
        features_of(body, "candidate", &[&self.first, &self.second, &self.record])
    }
}

/// A pair template that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairTemplateError {
    /// Something else stands between the braces, or they are not closed.
    #[error("byte {at} of a pair template begins no placeholder that is known here: {known} are")]
    Unknown {
        /// Where the braces open.
        at: usize,
        /// What may stand there.
        known: String,
    },
    /// The pair would not show what is to be scored.
    #[error("a pair template has no place for {missing}: write it into one of the two texts")]
    Missing {
        /// What is not there.
        missing: &'static str,
    },
}

/// A text with places in it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Pieces {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Query,
    Input,
    Output,
    Candidate,
    History,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Query => "{{query}}",
            Self::Input => "{{input}}",
            Self::Output => "{{output}}",
            Self::Candidate => "{{candidate}}",
            Self::History => "{{history}}",
        }
    }
}

impl Pieces {
    fn has(&self, place: Place) -> bool {
        self.pieces.contains(&Piece::Place(place))
    }

    fn fill(&self, text: impl Fn(Place) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Place(place) => text(*place),
        };
        self.pieces.iter().map(piece).collect()
    }
}

fn split(source: &str, known: &[Place]) -> Result<Pieces, PairTemplateError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(open) = source[at..].find("{{").map(|open| at + open) {
        let place = known.iter().copied().find(|place| source[open..].starts_with(place.name()));
        let Some(place) = place else {
            let known = known.iter().map(|place| place.name()).collect::<Vec<_>>().join(", ");
            return Err(PairTemplateError::Unknown { at: open, known });
        };
        if open > at {
            pieces.push(Piece::Text(source[at..open].to_owned()));
        }
        pieces.push(Piece::Place(place));
        at = open + place.name().len();
    }
    if at < source.len() {
        pieces.push(Piece::Text(source[at..].to_owned()));
    }
    Ok(Pieces { source: source.to_owned(), pieces })
}

fn require(is_there: bool, missing: &'static str) -> Result<(), PairTemplateError> {
    if is_there { Ok(()) } else { Err(PairTemplateError::Missing { missing }) }
}

/// SHA-256 of a name, the body and the template's texts, each with its length before it.
fn features_of(body: Fingerprint, kind: &str, texts: &[&Pieces]) -> Fingerprint {
    let mut hash = Sha256::new();
    let fields = [b"hydra features of pairs 1".as_slice(), body.as_bytes(), kind.as_bytes()];
    for field in fields.into_iter().chain(texts.iter().map(|text| text.source.as_bytes())) {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    Fingerprint::new(hash.finalize().into())
}

const RECORD_PLACES: [Place; 3] = [Place::Query, Place::Input, Place::Output];
const CANDIDATE_PLACES: [Place; 3] = [Place::Query, Place::Candidate, Place::History];
const HISTORY_PLACES: [Place; 2] = [Place::Input, Place::Output];

#[cfg(feature = "serde")]
mod as_written {
    //! Templates as they stand in a file.

    use super::{CandidateTemplate, PairTemplateError, RecordTemplate};

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct PairParts {
        first: String,
        second: String,
    }

    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct CandidateParts {
        first: String,
        second: String,
        #[serde(default)]
        record: String,
    }

    impl TryFrom<PairParts> for RecordTemplate {
        type Error = PairTemplateError;

        fn try_from(parts: PairParts) -> Result<Self, PairTemplateError> {
            Self::new(&parts.first, &parts.second)
        }
    }

    impl From<RecordTemplate> for PairParts {
        fn from(template: RecordTemplate) -> Self {
            Self { first: template.first.source, second: template.second.source }
        }
    }

    impl TryFrom<CandidateParts> for CandidateTemplate {
        type Error = PairTemplateError;

        fn try_from(parts: CandidateParts) -> Result<Self, PairTemplateError> {
            Self::new(&parts.first, &parts.second, &parts.record)
        }
    }

    impl From<CandidateTemplate> for CandidateParts {
        fn from(template: CandidateTemplate) -> Self {
            Self { first: template.first.source, second: template.second.source, record: template.record.source }
        }
    }
}
#[cfg(feature = "serde")]
use as_written::{CandidateParts, PairParts};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordId, Time};

    #[test]
    fn what_shows_too_little_or_something_unknown_is_refused() {
        let record = RecordTemplate::new;
        assert_eq!(record("{{input}}", "x"), Err(PairTemplateError::Missing { missing: "{{query}}" }));
        assert_eq!(record("{{query}}", "x"), Err(PairTemplateError::Missing { missing: "{{input}}" }));
        for bad in ["é {{candidate}}", "é {{query", "é {{ query }}"] {
            assert!(
                matches!(record(bad, "{{query}}{{input}}"), Err(PairTemplateError::Unknown { at: 3, .. })),
                "{bad}"
            );
        }
        let missing = CandidateTemplate::new("{{query}}", "x", "");
        assert_eq!(missing, Err(PairTemplateError::Missing { missing: "{{candidate}}" }));
        assert!(CandidateTemplate::new("{{query}}", "{{candidate}}", "{{query}}").is_err());
    }

    #[test]
    fn texts_that_look_like_placeholders_stay_texts() {
        let record = Record::new(RecordId::new(1), Time::from_unix_millis(0), "{{query}}", "{{output}}{{");
        assert_eq!(RecordTemplate::with_output().pair("{{input}}", &record).0, "{{input}}");
        assert_eq!(RecordTemplate::with_output().pair("q", &record).1, "{{query}}\n{{output}}{{");
    }

    #[test]
    fn blanks_around_a_candidate_are_not_seen() {
        let template = CandidateTemplate::new("{{query}}", "<{{candidate}}>", "").unwrap();
        assert_eq!(template.pair(" q ", &[], " dark comedy\n"), (" q ".into(), "<dark comedy>".into()));
    }

    #[test]
    fn every_template_and_every_body_has_features_of_its_own() {
        let (one, other) = (Fingerprint::new([1; 32]), Fingerprint::new([2; 32]));
        let split = |first, second| RecordTemplate::new(first, second).unwrap().features_of(one);
        let all = [
            RecordTemplate::input_only().features_of(one),
            RecordTemplate::input_only().features_of(other),
            RecordTemplate::with_output().features_of(one),
            CandidateTemplate::query_only().features_of(one),
            CandidateTemplate::with_history().features_of(one),
            split("{{query}} a", "{{input}}"),
            split("{{query}}", " a{{input}}"),
        ];
        for (at, fingerprint) in all.iter().enumerate() {
            assert!(!all[..at].contains(fingerprint), "{at}");
            assert!(*fingerprint != one && *fingerprint != other);
        }
        assert_eq!(all[0], RecordTemplate::new("{{query}}", "{{input}}").unwrap().features_of(one));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn templates_are_data() {
        let text = r#"{"first":"{{query}}","second":"{{input}}"}"#;
        let template: RecordTemplate = serde_json::from_str(text).unwrap();
        assert_eq!(template, RecordTemplate::input_only());
        assert_eq!(serde_json::to_string(&template).unwrap(), text);
        assert!(serde_json::from_str::<RecordTemplate>(r#"{"first":"{{query}}","second":""}"#).is_err());
        let json = serde_json::to_string(&CandidateTemplate::with_history()).unwrap();
        assert_eq!(serde_json::from_str::<CandidateTemplate>(&json).unwrap(), CandidateTemplate::with_history());
    }
}
