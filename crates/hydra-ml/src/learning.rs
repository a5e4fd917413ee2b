//! What changes what is known about a user.

use hydra_adapter::AdaptError;
use hydra_heads::{ClassWeights, Features, Fit, FitRows, Head, Outcome, Precision, Shared, unpack};
use hydra_rerank::RerankError;
use hydra_retrieval::Entry;
use hydra_store::{Batch, Scan, StoreError, Table};
use hydra_types::{Generation, Record, RecordId, Scope};
use serde::{Deserialize, Serialize};

use crate::stages::{AdaptStage, Cpu, RerankStage};
use crate::{PersonalizeError, Stage};

/// What a user, or whoever watched, thought of what they got. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feedback {
    /// Whether a record helped with a query: what the reranker's head learns from.
    Record {
        /// What was asked.
        query: String,
        /// Which record of the user's.
        record: u64,
        /// Whether it helped.
        helped: bool,
    },
    /// Whether a candidate was right for the user: what the adapter's head learns from.
    Candidate {
        /// What was asked.
        query: String,
        /// The records that were shown with it.
        shown: Vec<u64>,
        /// The candidate.
        candidate: String,
        /// Whether the user would have chosen it.
        right: bool,
    },
}

impl Feedback {
    /// On a record.
    #[must_use]
    pub fn record(query: impl Into<String>, record: RecordId, helped: bool) -> Self {
        Self::Record { query: query.into(), record: record.get(), helped }
    }

    /// On a candidate.
    #[must_use]
    pub fn candidate(query: impl Into<String>, shown: &[RecordId], candidate: impl Into<String>, right: bool) -> Self {
        let shown = shown.iter().map(|record| record.get()).collect();
        Self::Candidate { query: query.into(), shown, candidate: candidate.into(), right }
    }
}

impl std::fmt::Debug for Feedback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record { record, helped, .. } => {
                f.debug_struct("Record").field("record", record).field("helped", helped).finish_non_exhaustive()
            }
            Self::Candidate { shown, right, .. } => {
                f.debug_struct("Candidate").field("shown", shown).field("right", right).finish_non_exhaustive()
            }
        }
    }
}

/// What fitting a user's heads came to. None where the stage has no heads, or there is no feedback for it, and the head is
/// what it was.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct FitReport {
    /// The reranker's head.
    pub reranker: Option<FittedStage>,
    /// The adapter's head.
    pub adapter: Option<FittedStage>,
}

/// One head that was fitted.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct FittedStage {
    /// How many rows of feedback it was fitted on.
    pub rows: usize,
    /// What was learned, or why it is exactly the prior head.
    pub outcome: Outcome,
}

impl Cpu {
    pub(crate) fn learn(&mut self, scope: &Scope, records: Vec<Record>) -> Result<(), PersonalizeError> {
        let vectors = match &mut self.encoder {
            Some(encoder) => {
                let texts: Vec<&str> = records.iter().map(Record::input).collect();
                let vectors = encoder.encode(&texts).map_err(PersonalizeError::Encoder)?;
                vectors.rows().into_iter().map(|row| row.to_vec()).collect()
            }
            // Without an encoder records are found by words and by time, and all vectors are alike.
            None => vec![vec![1.0]; records.len()],
        };
        let entries = records.into_iter().zip(vectors).map(|(record, vector)| Entry::new(record, vector)).collect();
        self.history(scope)?.append(scope, entries)?;
        self.memory.weigh(scope)?;
        Ok(())
    }

    pub(crate) fn feedback(&mut self, scope: &Scope, feedback: &Feedback) -> Result<(), PersonalizeError> {
        let bytes = serde_json::to_vec(feedback).expect("plain data");
        self.commit(scope, |cpu, last, batch| {
            let view = cpu.history(scope)?.view(scope)?;
            let named: &[u64] = match feedback {
                Feedback::Record { record, .. } => std::slice::from_ref(record),
                Feedback::Candidate { shown, .. } => shown,
            };
            if let Some(&record) = named.iter().find(|&&record| view.record(RecordId::new(record)).is_none()) {
                return Err(PersonalizeError::NoSuchRecord { record: RecordId::new(record) });
            }
            // Each change of a user's data has a generation of its own, which makes it a number for the row.
            Ok(((), Some(batch.put(FEEDBACK, last.get().to_be_bytes(), bytes.as_slice()))))
        })
    }

    pub(crate) fn fit(&mut self, scope: &Scope) -> Result<FitReport, PersonalizeError> {
        self.commit(
            scope,
            |cpu, last, batch| {
                if last == NO_DATA { Ok((FitReport::default(), None)) } else { cpu.fit_heads(scope, batch) }
            },
        )
    }

    /// Fits the heads that there is feedback for, and puts them into the batch; none if there are none.
    fn fit_heads(&mut self, scope: &Scope, mut batch: Batch) -> Result<(FitReport, Option<Batch>), PersonalizeError> {
        let rows = self.store.scan(Scan::new(scope, FEEDBACK))?;
        // What serde says would quote the text.
        let read = |(_, value): &(_, Vec<u8>)| serde_json::from_slice(value).map_err(|_| PersonalizeError::Feedback);
        let feedback: Vec<Feedback> = rows.iter().map(read).collect::<Result<_, _>>()?;
        self.history(scope)?;
        let view = self.memory.view(scope)?;
        let of = |id: &u64| view.record(RecordId::new(*id));

        let mut report = FitReport::default();
        if let RerankStage::Personal(personal) = &mut self.reranker {
            let is_asked = feedback.iter().any(|feedback| matches!(feedback, Feedback::Record { .. }));
            // Records that were deleted since teach nothing any more.
            let (pairs, labels): (Vec<_>, Vec<_>) = feedback
                .iter()
                .filter_map(|feedback| match feedback {
                    Feedback::Record { query, record, helped } => {
                        Some((personal.template().pair(query, of(record)?), *helped))
                    }
                    Feedback::Candidate { .. } => None,
                })
                .unzip();
            // A head that was fitted on nothing but those is the prior head again.
            if !labels.is_empty() || (is_asked && personal.heads_mut().source().generation_of(scope)?.is_some()) {
                let features = personal.features(&pairs)?;
                let heads = personal.heads_mut();
                let features = Features::new(heads.shared().body(), &features).map_err(RerankError::Features)?;
                let (head, fitted) = fit_head(heads.shared(), features, &labels)?;
                batch = heads.source().put(batch, scope, &head)?;
                report.reranker = Some(fitted);
            }
        }
        if let AdaptStage::Personal(personal) = &mut self.adapter {
            let (pairs, labels): (Vec<_>, Vec<_>) = feedback
                .iter()
                .filter_map(|feedback| match feedback {
                    Feedback::Candidate { query, shown, candidate, right } => {
                        let shown: Vec<&Record> = shown.iter().filter_map(of).collect();
                        Some((personal.template().pair(query, &shown, candidate), *right))
                    }
                    Feedback::Record { .. } => None,
                })
                .unzip();
            if !labels.is_empty() {
                let features = personal.features(&pairs)?;
                let heads = personal.heads_mut();
                let features = Features::new(heads.shared().body(), &features).map_err(AdaptError::Features)?;
                let (head, fitted) = fit_head(heads.shared(), features, &labels)?;
                batch = heads.source().put(batch, scope, &head)?;
                report.adapter = Some(fitted);
            }
        }
        let is_any = report.reranker.is_some() || report.adapter.is_some();
        Ok((report, is_any.then_some(batch)))
    }

    pub(crate) fn install(&mut self, scope: &Scope, stage: Stage, packed: &[u8]) -> Result<(), PersonalizeError> {
        let (stamp, head) = unpack(packed)?;
        if stamp.user != scope.user() {
            return Err(PersonalizeError::ForeignHead { expected: scope.user(), got: stamp.user });
        }
        self.commit(scope, |cpu, last, batch| {
            let heads = match (stage, &mut cpu.reranker, &mut cpu.adapter) {
                (Stage::Rerank, RerankStage::Personal(personal), _) => personal.heads_mut(),
                (Stage::Adapt, _, AdaptStage::Personal(personal)) => personal.heads_mut(),
                _ => return Err(PersonalizeError::NoHeads { stage }),
            };
            heads.shared().check(&head)?;
            // The same once more for width and kind, which bytes may say otherwise than their checksums do.
            heads.shared().head(head.weights().clone())?;
            // Generations begin again after forgetting, so this head was fitted on what is forgotten.
            if stamp.generation > last {
                return Err(PersonalizeError::StaleHead { expected: last, got: stamp.generation });
            }
            Ok(((), Some(heads.source().put(batch, scope, &head)?)))
        })
    }

    /// Commits what `make` puts into a batch on top of what is stored now, if anything. It is given the generation of that,
    /// and asked again if another handle on the store changed the user's data meanwhile.
    fn commit<T>(
        &mut self,
        scope: &Scope,
        mut make: impl FnMut(&mut Self, Generation, Batch) -> Result<(T, Option<Batch>), PersonalizeError>,
    ) -> Result<T, PersonalizeError> {
        loop {
            // In this order: whatever happens after the generation was read, the commit is refused.
            let (batch, last) = match self.store.vault(scope) {
                Some(vault) => (Batch::new(scope).within(vault), self.store.generation(scope)?.unwrap_or(NO_DATA)),
                None => (Batch::new(scope), NO_DATA),
            };
            let (made, batch) = make(self, last, batch.expecting(last))?;
            let Some(batch) = batch else { return Ok(made) };
            match self.store.commit(&batch) {
                Err(StoreError::Conflict { .. }) => {}
                committed => return Ok(committed.map(|_| made)?),
            }
        }
    }

    pub(crate) fn forget(&mut self, scope: &Scope) -> Result<(), PersonalizeError> {
        // Also where the store fails after the key is gone.
        let forgotten = self.store.forget(scope);
        self.drop_from_memory(scope.user());
        for (_, call) in self.calls.iter().filter(|(user, _)| *user == scope.user()) {
            if let Some(call) = call.upgrade() {
                call.end();
            }
        }
        Ok(forgotten?)
    }
}

/// Fits one head, as it is stored.
fn fit_head(shared: &Shared, features: Features<'_>, labels: &[bool]) -> Result<(Head, FittedStage), PersonalizeError> {
    let rows = FitRows::new(features, labels, ClassWeights::Equal)?;
    let fitted = Fit::linear().run(shared, &rows)?;
    let stage = FittedStage { rows: labels.len(), outcome: fitted.outcome };
    Ok((fitted.head.to_precision(Precision::Int8), stage))
}

const FEEDBACK: Table = Table::new("feedback");
/// Of a user about whom nothing is stored.
const NO_DATA: Generation = Generation::new(0);
