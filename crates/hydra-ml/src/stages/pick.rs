//! From the language model's candidates to an answer.

use std::time::Instant;

use hydra_adapter::{AdaptRequest, Adapted, Adapter, FirstCandidate, Standing, check_adapted};
use hydra_heads::HeadChoice;
use hydra_llm::Response;
use hydra_store::Vault;
use hydra_types::{Record, Scope};

use super::{AdaptStage, Cpu, Done, Prepared, together_or_alone};
use crate::ask::{CandidateTrace, Stage};
use crate::heads_in_store::choose;
use crate::worker::Awaited;
use crate::{Answer, HeadTrace, OnFailure, PersonalizeError};

/// A request, and what the language model proposed for it: at least one candidate.
struct Answered {
    prepared: Prepared,
    candidates: Vec<String>,
}

/// What the adapter made of it.
struct Picked {
    adapted: Adapted,
    head: Option<HeadTrace>,
    skipped: bool,
}

impl Cpu {
    /// Picks a candidate for every request that the language model answered; nothing once nobody waits any more.
    pub(crate) fn pick(
        &mut self,
        answered: Vec<(Prepared, Response)>,
        awaited: Awaited<'_>,
    ) -> Vec<Result<Done, PersonalizeError>> {
        let begin = Instant::now();
        let answered: Vec<Result<Answered, PersonalizeError>> = answered
            .into_iter()
            .map(|(mut prepared, response)| {
                prepared.ask.left(prepared.started)?;
                self.meet(&prepared.ask.scope);
                // Who had no data when they asked may have some by now, and a head that was fitted on it.
                prepared.vault = prepared.vault.or_else(|| self.store.vault(&prepared.ask.scope));
                let candidates: Vec<String> = response.choices.into_iter().map(|choice| choice.text).collect();
                if candidates.is_empty() {
                    Err(PersonalizeError::NoCandidate)
                } else {
                    Ok(Answered { prepared, candidates })
                }
            })
            .collect();
        if !awaited() {
            return Vec::new();
        }
        let mut picked = self.adapt(answered.iter().flatten()).into_iter();
        let mut done: Vec<Result<Done, PersonalizeError>> = answered
            .into_iter()
            .map(|answered| {
                let answered = answered?;
                let picked = picked.next().expect("one for each that was answered")?;
                self.finish(answered, picked)
            })
            .collect();
        let adapt = begin.elapsed();
        for done in done.iter_mut().flatten() {
            done.answer.trace.times.adapt = adapt;
        }
        done
    }

    /// The candidates of all requests, weighed; with the first one best where the stage failed and may.
    fn adapt<'a>(&mut self, answered: impl Iterator<Item = &'a Answered>) -> Vec<Result<Picked, PersonalizeError>> {
        let answered: Vec<&Answered> = answered.collect();
        let picked = together_or_alone(&answered, &mut |answered| self.adapt_together(answered));
        let may_skip = self.settings.on_failure == OnFailure::Skip;
        let skip = |(picked, answered): (Result<Picked, PersonalizeError>, &Answered)| match picked {
            Err(error) if may_skip => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the adapter is skipped");
                let first = with_requests(&[answered], &[None], |requests| Ok(FirstCandidate.adapt(requests)?))?;
                let adapted = first.into_iter().next().ok_or(PersonalizeError::NoCandidate)?;
                Ok(Picked { adapted, head: None, skipped: true })
            }
            picked => picked,
        };
        picked.into_iter().zip(answered).map(skip).collect()
    }

    fn adapt_together(&mut self, answered: &[&Answered]) -> Result<Vec<Picked>, PersonalizeError> {
        let mut heads = vec![None; answered.len()];
        if let AdaptStage::Personal(personal) = &mut self.adapter {
            for (head, answered) in heads.iter_mut().zip(answered) {
                *head = Some(choose(personal.heads_mut(), &answered.prepared.ask.scope)?);
            }
        }
        let adapted = with_requests(answered, &heads, |requests| {
            let adapted = match &mut self.adapter {
                AdaptStage::None => FirstCandidate.adapt(requests),
                AdaptStage::Personal(personal) => personal.adapt(requests),
                AdaptStage::Other(other) => other.adapt(requests),
            }?;
            check_adapted(requests, &adapted)?;
            Ok(adapted)
        })?;
        Ok(adapted.into_iter().zip(heads).map(|(adapted, head)| Picked { adapted, head, skipped: false }).collect())
    }

    /// Whether data that lay in this vault when something was made from it is gone.
    pub(crate) fn is_forgotten(&self, scope: &Scope, vault: Option<Vault>) -> bool {
        vault.is_some() && self.store.vault(scope) != vault
    }

    fn finish(&self, answered: Answered, picked: Picked) -> Result<Done, PersonalizeError> {
        let Answered { prepared: Prepared { ask, started, vault, call, mut trace, .. }, mut candidates } = answered;
        let Picked { adapted, head, skipped } = picked;
        ask.left(started)?;
        // At the very end, on the thread that forgets: nothing that was made from forgotten data leaves.
        if self.is_forgotten(&ask.scope, vault) {
            return Err(PersonalizeError::Forgotten);
        }
        let has_scores = !skipped && !matches!(self.adapter, AdaptStage::None);
        let standing = |standing: &Standing| CandidateTrace {
            index: standing.candidate,
            count: standing.count,
            score: has_scores.then_some(standing.score),
            unread: standing.cut,
        };
        trace.candidates = adapted.standings().iter().map(standing).collect();
        trace.candidates.sort_by_key(|candidate| candidate.index);
        trace.heads.adapter = head;
        trace.skipped.extend(skipped.then_some(Stage::Adapt));
        let answer = Answer { text: candidates.swap_remove(adapted.best()), trace };
        Ok(Done { answer, scope: ask.scope, vault, call })
    }
}

/// `work` with the adapter's requests.
fn with_requests<T>(
    answered: &[&Answered],
    heads: &[Option<HeadTrace>],
    work: impl FnOnce(&[AdaptRequest<'_>]) -> Result<T, PersonalizeError>,
) -> Result<T, PersonalizeError> {
    let histories: Vec<Vec<&Record>> =
        answered.iter().map(|answered| answered.prepared.shown.iter().collect()).collect();
    let requests: Vec<AdaptRequest<'_>> = (answered.iter().zip(&histories).zip(heads))
        .map(|((answered, history), head)| AdaptRequest {
            scope: &answered.prepared.ask.scope,
            head: head.map_or(HeadChoice::Prior, |head| head.choice),
            query: &answered.prepared.ask.query,
            history,
            candidates: &answered.candidates,
        })
        .collect();
    work(&requests)
}
