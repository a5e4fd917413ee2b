//! What a request does on the worker's thread, before and after the language model.

use std::sync::Arc;
use std::time::Instant;

use hydra_adapter::{AdaptRequest, Adapted, Adapter, FirstCandidate, PersonalAdapter};
use hydra_heads::{HeadChoice, ResidentHeads};
use hydra_llm::{FenceKey, LengthLimits, Message, Response, Template, UserTag};
use hydra_rerank::{PersonalReranker, Ranking, RerankRequest, Reranker, Retrieved};
use hydra_retrieval::{Filter, Fused, Fusion, HistoryParams, Query, Retriever, Scratch, StoredHistory, View};
use hydra_store::Store;
use hydra_types::ndarray::Array2;
use hydra_types::{Fingerprint, Generation, Record, RecordId, Scope, Scored};

use crate::ask::{CandidateTrace, Stage, Times};
use crate::builder::{Retrieval, Settings};
use crate::heads_in_store::{HeadsInStore, choose};
use crate::models::{AnyBody, AnyEncoder};
use crate::{Answer, Ask, OnFailure, PersonalizeError, Trace};

/// A stage whose heads are in the store.
pub(crate) type PersonalRerank = PersonalReranker<AnyBody, ResidentHeads<HeadsInStore>>;
pub(crate) type PersonalAdapt = PersonalAdapter<AnyBody, ResidentHeads<HeadsInStore>>;

/// Who orders records.
pub(crate) enum RerankStage {
    None,
    Personal(Box<PersonalRerank>),
    Other(Box<dyn Reranker + Send>),
}

/// Who picks candidates.
pub(crate) enum AdaptStage {
    None,
    Personal(Box<PersonalAdapt>),
    Other(Box<dyn Adapter + Send>),
}

/// What the worker's thread owns.
pub(crate) struct Cpu {
    pub(crate) store: Arc<Store>,
    pub(crate) encoder: Option<AnyEncoder>,
    pub(crate) reranker: RerankStage,
    pub(crate) adapter: AdaptStage,
    pub(crate) template: Template,
    pub(crate) fence: FenceKey,
    pub(crate) limits: LengthLimits,
    pub(crate) settings: Settings,
    pub(crate) scratch: Scratch,
}

/// A request that is ready for the language model.
pub(crate) struct Prepared {
    pub(crate) ask: Ask,
    pub(crate) started: Instant,
    pub(crate) messages: Vec<Message>,
    pub(crate) tag: UserTag,
    pub(crate) shown: Vec<Record>,
    pub(crate) trace: Trace,
}

/// Which head serves somebody, and what it stands on.
type ServedBy = Option<(Fingerprint, HeadChoice)>;

/// What the reranker made of a call's requests.
struct Reranked {
    rankings: Vec<Option<Ranking>>,
    heads: Vec<ServedBy>,
    skipped: bool,
}

/// What the adapter made of a call's candidates.
struct Picked {
    adapted: Vec<Adapted>,
    heads: Vec<ServedBy>,
    skipped: bool,
}

/// Records, and how retrieval rated them.
type Found = Vec<(Record, Scored<RecordId>)>;

impl Cpu {
    /// Finds, orders and writes down the records of every request, in the order of the requests.
    pub(crate) fn prepare(&mut self, asks: Vec<Ask>, started: Instant) -> Vec<Result<Prepared, PersonalizeError>> {
        let begin = Instant::now();
        let found: Vec<Result<Found, PersonalizeError>> = match self.query_vectors(&asks) {
            Ok(vectors) => asks
                .iter()
                .enumerate()
                .map(|(row, ask)| {
                    ask.left(started)?;
                    self.retrieve(ask, vectors.as_ref().map(|vectors| vectors.row(row).to_vec()).as_deref())
                })
                .collect(),
            Err(error) => return failed(asks.len(), error),
        };
        let retrieve = begin.elapsed();
        let begin = Instant::now();
        let Reranked { rankings, heads, skipped } = match self.rerank(&asks, &found) {
            Ok(reranked) => reranked,
            Err(error) => return failed(asks.len(), error),
        };
        let mut rows = Vec::with_capacity(asks.len());
        for (((ask, found), ranking), head) in asks.into_iter().zip(found).zip(rankings).zip(heads) {
            let mut trace = Trace::default();
            trace.heads.reranker = head;
            trace.skipped.extend(skipped.then_some(Stage::Rerank));
            rows.push(found.and_then(|found| self.write(ask, started, found, ranking, trace)));
        }
        let rerank = begin.elapsed();
        for row in rows.iter_mut().flatten() {
            row.trace.times = Times { retrieve, rerank, ..Times::default() };
        }
        rows
    }

    /// Vectors of all queries, where retrieval compares vectors.
    fn query_vectors(&mut self, asks: &[Ask]) -> Result<Option<Array2<f32>>, PersonalizeError> {
        match &mut self.encoder {
            Some(encoder) if self.settings.shown > 0 && self.settings.retrieval.compares_vectors() => {
                let queries: Vec<&str> = asks.iter().map(|ask| ask.query.as_str()).collect();
                encoder.encode(&queries).map(Some).map_err(PersonalizeError::Encoder)
            }
            _ => Ok(None),
        }
    }

    fn retrieve(&mut self, ask: &Ask, vector: Option<&[f32]>) -> Result<Found, PersonalizeError> {
        let Settings { retrieval, retrieved, shown, .. } = self.settings;
        if shown == 0 {
            return Ok(Vec::new());
        }
        let history = self.history(&ask.scope)?;
        let view = history.view(&ask.scope)?;
        let mut query = Query::new().text(&ask.query);
        if let Some(vector) = vector {
            query = query.vector(vector);
        }
        let found = search(view, retrieval, &query, retrieved, &Filter::all().before(ask.at), &mut self.scratch)?;
        Ok(found.into_iter().filter_map(|scored| Some((view.record(scored.id)?.clone(), scored))).collect())
    }

    pub(crate) fn history(&self, scope: &Scope) -> Result<StoredHistory, PersonalizeError> {
        let dimensions = self.encoder.as_ref().map_or(1, |encoder| encoder.dimensions());
        Ok(StoredHistory::open(Arc::clone(&self.store), scope, dimensions, HistoryParams::default())?)
    }

    /// The rankings of all requests, in one call.
    fn rerank(
        &mut self,
        asks: &[Ask],
        found: &[Result<Found, PersonalizeError>],
    ) -> Result<Reranked, PersonalizeError> {
        let keep = self.settings.shown;
        let mut heads = vec![None; asks.len()];
        if let RerankStage::Personal(personal) = &mut self.reranker {
            for (head, ask) in heads.iter_mut().zip(asks) {
                *head = Some(choose(personal.heads_mut(), &ask.scope)?);
            }
        }
        let none: Found = Vec::new();
        let retrieved: Vec<Vec<Retrieved<'_>>> = found
            .iter()
            .map(|found| {
                let found = found.as_ref().unwrap_or(&none);
                found.iter().map(|(record, scored)| Retrieved { record, score: scored.score }).collect()
            })
            .collect();
        let requests: Vec<RerankRequest<'_>> = (asks.iter().zip(&retrieved).zip(&heads))
            .map(|((ask, records), head)| {
                let head = head.map_or(HeadChoice::Prior, |(_, choice)| choice);
                RerankRequest { scope: &ask.scope, head, query: &ask.query, records, keep }
            })
            .collect();
        let rankings = match &mut self.reranker {
            RerankStage::None => return Ok(Reranked { rankings: vec![None; asks.len()], heads, skipped: false }),
            RerankStage::Personal(personal) => personal.rerank(&requests),
            RerankStage::Other(other) => other.rerank(&requests),
        };
        match rankings {
            Ok(rankings) => Ok(Reranked { rankings: rankings.into_iter().map(Some).collect(), heads, skipped: false }),
            Err(error) if self.settings.on_failure == OnFailure::Skip => {
                tracing::warn!(error = &error as &dyn std::error::Error, "reranking is skipped");
                Ok(Reranked { rankings: vec![None; asks.len()], heads: vec![None; asks.len()], skipped: true })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The prompt of one request.
    fn write(
        &mut self,
        ask: Ask,
        started: Instant,
        mut found: Found,
        ranking: Option<Ranking>,
        mut trace: Trace,
    ) -> Result<Prepared, PersonalizeError> {
        ask.left(started)?;
        trace.retrieved = found.iter().map(|(_, scored)| *scored).collect();
        if let Some(ranking) = ranking {
            let place = |record: &Record| ranking.ranked.iter().position(|scored| scored.id == record.id());
            found.retain(|(record, _)| place(record).is_some());
            found.sort_by_key(|(record, _)| place(record));
            trace.reranked = Some(ranking.ranked);
        }
        found.truncate(self.settings.shown);
        let records: Vec<&Record> = found.iter().map(|(record, _)| record).collect();
        let rendered = self.template.render(&records, &ask.query, &self.fence, &self.limits)?;
        trace.cut = rendered.cuts.iter().map(|cut| cut.record).chain(rendered.dropped.iter().copied()).collect();
        found.retain(|(record, _)| rendered.kept.contains(&record.id()));
        trace.shown = rendered.kept;
        let generation = self.store.generation(&ask.scope)?.unwrap_or(Generation::FIRST);
        let tag = UserTag { user: ask.scope.user(), generation };
        let shown = found.into_iter().map(|(record, _)| record).collect();
        Ok(Prepared { ask, started, messages: rendered.messages, tag, shown, trace })
    }

    /// Picks a candidate for every request that the language model answered.
    pub(crate) fn pick(
        &mut self,
        answered: Vec<Result<(Prepared, Response), PersonalizeError>>,
    ) -> Vec<Result<Answer, PersonalizeError>> {
        let begin = Instant::now();
        let mut rows = Vec::with_capacity(answered.len());
        let mut places = Vec::with_capacity(answered.len());
        for answered in answered {
            let checked = answered.and_then(|(prepared, response)| {
                prepared.ask.left(prepared.started)?;
                let candidates: Vec<String> = response.choices.into_iter().map(|choice| choice.text).collect();
                if candidates.is_empty() { Err(PersonalizeError::NoCandidate) } else { Ok((prepared, candidates)) }
            });
            places.push(checked.map(|row| {
                rows.push(row);
                rows.len() - 1
            }));
        }
        let Picked { adapted, heads, skipped } = match self.adapt(&rows) {
            Ok(picked) => picked,
            Err(error) => return failed(places.len(), error),
        };
        let has_scores = !skipped && !matches!(self.adapter, AdaptStage::None);
        let elapsed = begin.elapsed();
        let mut answers: Vec<Option<Answer>> = (rows.into_iter().zip(adapted).zip(heads))
            .map(|(((prepared, mut candidates), adapted), head)| {
                let mut trace = prepared.trace;
                let standing = |standing: &hydra_adapter::Standing| CandidateTrace {
                    index: standing.candidate,
                    count: standing.count,
                    score: has_scores.then_some(standing.score),
                };
                trace.candidates = adapted.standings().iter().map(standing).collect();
                trace.candidates.sort_by_key(|candidate| candidate.index);
                trace.heads.adapter = head;
                trace.skipped.extend(skipped.then_some(Stage::Adapt));
                trace.times.adapt = elapsed;
                Some(Answer { text: candidates.swap_remove(adapted.best()), trace })
            })
            .collect();
        places
            .into_iter()
            .map(|place| place.map(|place| answers[place].take().expect("each row is answered once")))
            .collect()
    }

    /// The candidates of all requests, weighed in one call; with the first one best where the stage failed and may.
    fn adapt(&mut self, rows: &[(Prepared, Vec<String>)]) -> Result<Picked, PersonalizeError> {
        let mut heads = vec![None; rows.len()];
        if let AdaptStage::Personal(personal) = &mut self.adapter {
            for (head, (prepared, _)) in heads.iter_mut().zip(rows) {
                *head = Some(choose(personal.heads_mut(), &prepared.ask.scope)?);
            }
        }
        let histories: Vec<Vec<&Record>> = rows.iter().map(|(prepared, _)| prepared.shown.iter().collect()).collect();
        let requests: Vec<AdaptRequest<'_>> = rows
            .iter()
            .zip(&histories)
            .zip(&heads)
            .map(|(((prepared, candidates), history), head)| AdaptRequest {
                scope: &prepared.ask.scope,
                head: head.map_or(HeadChoice::Prior, |(_, choice)| choice),
                query: &prepared.ask.query,
                history,
                candidates,
            })
            .collect();
        let adapted = match &mut self.adapter {
            AdaptStage::None => FirstCandidate.adapt(&requests),
            AdaptStage::Personal(personal) => personal.adapt(&requests),
            AdaptStage::Other(other) => other.adapt(&requests),
        };
        match adapted {
            Ok(adapted) => Ok(Picked { adapted, heads, skipped: false }),
            Err(error) if self.settings.on_failure == OnFailure::Skip => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the adapter is skipped");
                Ok(Picked { adapted: FirstCandidate.adapt(&requests)?, heads: vec![None; rows.len()], skipped: true })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Ask {
    /// How much time is left; none if there is no deadline.
    pub(crate) fn left(&self, started: Instant) -> Result<Option<std::time::Duration>, PersonalizeError> {
        let Some(deadline) = self.deadline else {
            return Ok(None);
        };
        let left = deadline.checked_sub(started.elapsed()).filter(|left| !left.is_zero());
        left.map(Some).ok_or(PersonalizeError::Deadline)
    }
}

fn search(
    view: View<'_>,
    retrieval: Retrieval,
    query: &Query<'_>,
    k: usize,
    filter: &Filter,
    scratch: &mut Scratch,
) -> Result<Vec<Scored<RecordId>>, PersonalizeError> {
    Ok(match retrieval {
        Retrieval::Words => view.lexical().search(query, k, filter, scratch),
        Retrieval::Meaning => view.nearest().search(query, k, filter, scratch),
        Retrieval::Both => {
            let (nearest, words) = (view.nearest(), view.lexical());
            let both = Fused::new(Fusion::ReciprocalRank, &nearest).and(words, 1.0).expect("one is a weight");
            both.search(query, k, filter, scratch)
        }
        Retrieval::Newest => view.recent().search(query, k, filter, scratch),
    }?)
}

/// One failure of a call that served several requests.
fn failed<T>(requests: usize, error: PersonalizeError) -> Vec<Result<T, PersonalizeError>> {
    let shared = crate::SharedError::new(error);
    (0..requests).map(|_| Err(PersonalizeError::Together(shared.clone()))).collect()
}
