//! From a query to a request that is ready for the language model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use hydra_heads::HeadChoice;
use hydra_llm::UserTag;
use hydra_rerank::{Ranking, RerankRequest, Reranker, Retrieved, check_rankings};
use hydra_retrieval::{Filter, Fused, Fusion, Query, Retriever, Scratch, View};
use hydra_store::Vault;
use hydra_types::{Generation, Record, RecordId, Scored, UserId};

use super::{Cpu, Prepared, RerankStage, together_or_alone};
use crate::ask::{Stage, Times};
use crate::builder::{Retrieval, Settings};
use crate::call::Call;
use crate::heads_in_store::choose;
use crate::worker::Awaited;
use crate::{Ask, HeadTrace, OnFailure, PersonalizeError, Trace};

/// A query, and what retrieval found for it.
struct Found {
    ask: Ask,
    records: Vec<(Record, Scored<RecordId>)>,
    vault: Option<Vault>,
}

/// What the reranker made of it.
struct Reranked {
    ranking: Option<Ranking>,
    head: Option<HeadTrace>,
    skipped: bool,
}

impl Cpu {
    /// Finds, orders and writes down the records of every request, in the order of the requests; nothing once nobody waits
    /// for them any more.
    pub(crate) fn prepare(
        &mut self,
        asks: Vec<Ask>,
        started: Instant,
        awaited: Awaited<'_>,
    ) -> Vec<Result<Prepared, PersonalizeError>> {
        let begin = Instant::now();
        let vectors = self.query_vectors(&asks, started, awaited);
        let mut found = Vec::with_capacity(asks.len());
        for (ask, vector) in asks.into_iter().zip(vectors) {
            if !awaited() {
                return Vec::new();
            }
            found.push(vector.and_then(|vector| self.retrieve(ask, started, vector.as_deref())));
        }
        let retrieve = begin.elapsed();
        let begin = Instant::now();
        let in_time = |found: Found| found.ask.left(started).map(|_| found);
        let found: Vec<Result<Found, PersonalizeError>> =
            found.into_iter().map(|found| found.and_then(in_time)).collect();
        if !awaited() {
            return Vec::new();
        }
        let mut reranked = self.rerank(found.iter().flatten()).into_iter();
        let mut rows: Vec<Result<Prepared, PersonalizeError>> = found
            .into_iter()
            .map(|found| {
                let found = found?;
                let reranked = reranked.next().expect("one for each that was found")?;
                self.write(found, started, reranked)
            })
            .collect();
        let rerank = begin.elapsed();
        for row in rows.iter_mut().flatten() {
            row.trace.times = Times { retrieve, rerank, ..Times::default() };
        }
        rows
    }

    /// The vector of each query, where retrieval compares vectors. Where rows of the encoder interact, each user's queries
    /// are encoded by themselves.
    fn query_vectors(
        &mut self,
        asks: &[Ask],
        started: Instant,
        awaited: Awaited<'_>,
    ) -> Vec<Result<Option<Vec<f32>>, PersonalizeError>> {
        let mut vectors: Vec<_> = asks.iter().map(|ask| ask.left(started).map(|_| None)).collect();
        let compares_vectors = self.settings.shown > 0 && self.settings.retrieval.compares_vectors();
        let Some(encoder) = self.encoder.as_mut().filter(|_| compares_vectors) else {
            return vectors;
        };
        let rows_interact = encoder.rows_interact();
        let mut groups: BTreeMap<Option<UserId>, Vec<usize>> = BTreeMap::new();
        for (place, ask) in asks.iter().enumerate().filter(|&(place, _)| vectors[place].is_ok()) {
            groups.entry(rows_interact.then(|| ask.scope.user())).or_default().push(place);
        }
        for places in groups.into_values() {
            if !awaited() {
                break;
            }
            let queries: Vec<&str> = places.iter().map(|&place| asks[place].query.as_str()).collect();
            let made = together_or_alone(&queries, &mut |queries| {
                let vectors = encoder.encode(queries).map_err(PersonalizeError::Encoder)?;
                Ok(vectors.rows().into_iter().map(|row| Some(row.to_vec())).collect())
            });
            for (place, made) in places.into_iter().zip(made) {
                vectors[place] = made;
            }
        }
        vectors
    }

    fn retrieve(&mut self, ask: Ask, started: Instant, vector: Option<&[f32]>) -> Result<Found, PersonalizeError> {
        ask.left(started)?;
        let Settings { retrieval, retrieved, shown, .. } = self.settings;
        if shown == 0 {
            self.meet(&ask.scope);
            let vault = self.store.vault(&ask.scope);
            return Ok(Found { ask, records: Vec::new(), vault });
        }
        self.history(&ask.scope)?;
        // After the history was read and before it is looked at: a view that shows anything shows this vault.
        let vault = self.store.vault(&ask.scope);
        let view = self.memory.view(&ask.scope)?;
        let mut query = Query::new().text(&ask.query);
        if let Some(vector) = vector {
            query = query.vector(vector);
        }
        let found = search(view, retrieval, &query, retrieved, &Filter::all().before(ask.at), &mut self.scratch)?;
        let records = found.into_iter().filter_map(|scored| Some((view.record(scored.id)?.clone(), scored))).collect();
        Ok(Found { ask, records, vault })
    }

    /// The rankings of all that was found.
    fn rerank<'a>(&mut self, found: impl Iterator<Item = &'a Found>) -> Vec<Result<Reranked, PersonalizeError>> {
        let found: Vec<&Found> = found.collect();
        if let RerankStage::None = self.reranker {
            let none = |_| Ok(Reranked { ranking: None, head: None, skipped: false });
            return found.into_iter().map(none).collect();
        }
        let reranked = together_or_alone(&found, &mut |found| self.rerank_together(found));
        let may_skip = self.settings.on_failure == OnFailure::Skip;
        let skip = |error: PersonalizeError| {
            if !may_skip {
                return Err(error);
            }
            tracing::warn!(error = &error as &dyn std::error::Error, "reranking is skipped");
            Ok(Reranked { ranking: None, head: None, skipped: true })
        };
        reranked.into_iter().map(|reranked| reranked.or_else(skip)).collect()
    }

    fn rerank_together(&mut self, found: &[&Found]) -> Result<Vec<Reranked>, PersonalizeError> {
        let mut heads = vec![None; found.len()];
        if let RerankStage::Personal(personal) = &mut self.reranker {
            for (head, found) in heads.iter_mut().zip(found) {
                *head = Some(choose(personal.heads_mut(), &found.ask.scope)?);
            }
        }
        let retrieved: Vec<Vec<Retrieved<'_>>> = found
            .iter()
            .map(|found| {
                let records = found.records.iter();
                records.map(|(record, scored)| Retrieved { record, score: scored.score }).collect()
            })
            .collect();
        let requests: Vec<RerankRequest<'_>> = (found.iter().zip(&retrieved).zip(&heads))
            .map(|((found, records), head)| RerankRequest {
                scope: &found.ask.scope,
                head: head.map_or(HeadChoice::Prior, |head| head.choice),
                query: &found.ask.query,
                records,
                keep: self.settings.shown,
            })
            .collect();
        let rankings = match &mut self.reranker {
            RerankStage::None => return Ok(Vec::new()),
            RerankStage::Personal(personal) => personal.rerank(&requests),
            RerankStage::Other(other) => other.rerank(&requests),
        }?;
        check_rankings(&requests, &rankings)?;
        let reranked = |(ranking, head)| Reranked { ranking: Some(ranking), head, skipped: false };
        Ok(rankings.into_iter().zip(heads).map(reranked).collect())
    }

    /// The prompt of one request.
    fn write(&mut self, found: Found, started: Instant, reranked: Reranked) -> Result<Prepared, PersonalizeError> {
        let Found { ask, mut records, vault } = found;
        ask.left(started)?;
        let mut trace = Trace { retrieved: records.iter().map(|(_, scored)| *scored).collect(), ..Trace::default() };
        trace.heads.reranker = reranked.head;
        trace.skipped.extend(reranked.skipped.then_some(Stage::Rerank));
        if let Some(ranking) = reranked.ranking {
            let place = |record: &Record| ranking.ranked.iter().position(|scored| scored.id == record.id());
            records.retain(|(record, _)| place(record).is_some());
            records.sort_by_key(|(record, _)| place(record));
            trace.reranked = Some(ranking.ranked);
            trace.unread = ranking.cut;
        }
        records.truncate(self.settings.shown);
        let quoted: Vec<&Record> = records.iter().map(|(record, _)| record).collect();
        let rendered = self.template.render(&quoted, &ask.query, &self.fence, &self.limits)?;
        trace.cut = rendered.cuts.iter().map(|cut| cut.record).chain(rendered.dropped.iter().copied()).collect();
        records.retain(|(record, _)| rendered.kept.contains(&record.id()));
        trace.shown = rendered.kept;
        let generation = self.store.generation(&ask.scope)?.unwrap_or(Generation::FIRST);
        let tag = UserTag { user: ask.scope.user(), generation };
        let shown = records.into_iter().map(|(record, _)| record).collect();
        let call = Arc::new(Call::default());
        self.calls.retain(|(_, call)| call.strong_count() > 0);
        self.calls.push((tag.user, Arc::downgrade(&call)));
        Ok(Prepared { ask, started, messages: rendered.messages, tag, shown, vault, call, trace })
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
