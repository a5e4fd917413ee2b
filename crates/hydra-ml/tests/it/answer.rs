//! What comes back, and what happens on the way.

use std::sync::Arc;
use std::time::Duration;

use hydra_ml::adapter::MajorityVote;
use hydra_ml::heads::HeadChoice;
use hydra_ml::llm::{Capabilities, LengthLimits, PromptError, ScriptedClient, block_on};
use hydra_ml::rerank::{CutRecord, Ranking, RerankError, RerankRequest, Reranker, Retrieved};
use hydra_ml::types::{Body, Fingerprint, Generation, PairFeatures, RecordId, Score, Scored};
use hydra_ml::{Ask, BuildError, Feedback, OnFailure, PersonalizeError, Retrieval, Stage};

use crate::toy::{Broken, Place, Words, answering, day, prompt, record, scope};

#[test]
fn the_best_records_stand_in_the_prompt_and_the_trace_says_so() {
    let (place, client) = (Place::new(), answering(1, &["wet"]));
    let hydra = place.plain(client.clone()).show(2).build().unwrap();
    let ada = scope(1);
    let records = vec![record(1, "rain in may"), record(2, "a dry day"), record(3, "rain again and rain")];
    block_on(hydra.learn(&ada, records)).unwrap();

    let answer = block_on(hydra.answer(Ask::new(&ada, "more rain?", day(9)))).unwrap();
    assert_eq!(answer.text, "wet");
    assert_eq!(answer.trace.shown.len(), 2);
    assert_eq!(answer.trace.retrieved.len(), 3);
    assert!(!answer.trace.shown.contains(&RecordId::new(2)));
    assert_eq!((answer.trace.usage.prompt_tokens, answer.trace.model.as_str()), (7, "scripted"));
    let asked = prompt(&client.asked()[0]);
    assert!(asked.contains("rain in may") && asked.contains("rain again") && !asked.contains("a dry day"));
}

#[test]
fn what_came_later_than_the_query_is_never_shown() {
    let (place, client) = (Place::new(), answering(1, &["wet"]));
    let hydra = place.plain(client.clone()).build().unwrap();
    let ada = scope(1);
    block_on(hydra.learn(&ada, vec![record(1, "rain then"), record(5, "rain now"), record(6, "rain later")])).unwrap();
    let answer = block_on(hydra.answer(Ask::new(&ada, "rain", day(5)))).unwrap();
    assert_eq!(answer.trace.shown, [RecordId::new(1)]);
    assert!(!prompt(&client.asked()[0]).contains("later"));
}

#[test]
fn many_queries_are_answered_in_their_order_and_one_failure_is_one_failure() {
    let (place, client) = (Place::new(), answering(2, &["wet"]));
    let hydra = place.plain(client).build().unwrap();
    let late = Ask::new(&scope(2), "late", day(9)).within(Duration::from_nanos(1));
    let asks = vec![Ask::new(&scope(1), "one", day(9)), late, Ask::new(&scope(3), "three", day(9))];
    let answers = block_on(hydra.answer_many(asks));
    assert!(matches!(answers[1], Err(PersonalizeError::Deadline)));
    assert!(answers[0].is_ok() && answers[2].is_ok());
    assert!(block_on(hydra.answer_many(Vec::new())).is_empty());
}

#[test]
fn an_adapter_picks_among_all_candidates() {
    let (place, client) = (Place::new(), answering(1, &["dry", "wet", "wet"]));
    let hydra = place.plain(client).candidates(3, 1.0).adapter(MajorityVote).build();
    let refused = block_on(hydra.unwrap().answer(Ask::new(&scope(1), "rain", day(9))));
    // The script's model gives one answer a request, and says so before anything is sent.
    assert!(matches!(refused, Err(PersonalizeError::Llm(_))));

    let client = answering(1, &["dry", "wet", "wet"]);
    let hydra = place.plain(client).adapter(MajorityVote).build().unwrap();
    let answer = block_on(hydra.answer(Ask::new(&scope(1), "rain", day(9)))).unwrap();
    assert_eq!(answer.text, "wet");
    let candidates: Vec<_> = answer.trace.candidates.iter().map(|seen| (seen.index, seen.count)).collect();
    assert_eq!(candidates, [(0, 1), (1, 2)]);
}

#[test]
fn a_stage_that_breaks_fails_the_answer_or_is_skipped_out_loud() {
    let (place, ada) = (Place::new(), scope(1));
    let ask = || Ask::new(&ada, "break the rain", day(9));
    let hydra = place.personal(answering(1, &["wet", "dry"])).build().unwrap();
    block_on(hydra.learn(&ada, vec![record(1, "rain")])).unwrap();
    let failed = block_on(hydra.answer(ask())).unwrap_err();
    assert!(matches!(failed, PersonalizeError::Rerank(_)), "{failed:?}");
    assert!(!format!("{failed:?} {failed}").contains("break the rain"));

    let hydra = place.personal(answering(1, &["wet", "dry"])).on_failure(OnFailure::Skip).build().unwrap();
    let answer = block_on(hydra.answer(ask())).unwrap();
    assert_eq!((answer.text.as_str(), answer.trace.skipped), ("wet", vec![Stage::Rerank, Stage::Adapt]));
    assert_eq!((answer.trace.heads.reranker, answer.trace.reranked), (None, None));
    assert_eq!(answer.trace.shown, [RecordId::new(1)]);
}

#[test]
fn what_stays_in_memory_changes_no_answer() {
    let answers = |budget: usize| {
        let place = Place::new();
        let hydra = place.personal(answering(12, &["wet", "dry"])).keep_in_memory(budget).build().unwrap();
        let mut shown = Vec::new();
        for id in 1..=4 {
            for user in 1..=3 {
                block_on(hydra.learn(&scope(user), vec![record(id, &format!("rain {id}"))])).unwrap();
                let answer = block_on(hydra.answer(Ask::new(&scope(user), "rain", day(9)))).unwrap();
                shown.push((answer.text, answer.trace.shown, answer.trace.candidates));
            }
        }
        shown
    };
    let all = answers(1 << 30);
    assert_eq!(all.last().unwrap().1.len(), 4);
    // Nothing stays, or one user at a time.
    for budget in [0, 3_000] {
        assert_eq!(answers(budget), all);
    }
}

#[test]
fn without_records_in_the_prompt_nothing_is_read() {
    let (place, client) = (Place::new(), answering(1, &["wet"]));
    let hydra = place.personal(client.clone()).show(0).build().unwrap();
    block_on(hydra.learn(&scope(1), vec![record(1, "rain")])).unwrap();
    let answer = block_on(hydra.answer(Ask::new(&scope(1), "rain", day(9)))).unwrap();
    assert!(answer.trace.retrieved.is_empty() && answer.trace.shown.is_empty());
    assert!(!prompt(&client.asked()[0]).contains("\"weather\""));
    assert_eq!(answer.trace.heads.adapter.unwrap().choice, HeadChoice::Prior);
}

#[test]
fn parts_that_make_no_pipeline_are_refused() {
    let place = Place::new();
    let by_meaning = place.plain(answering(0, &[])).retrieve(Retrieval::Meaning, 10).build();
    assert!(matches!(by_meaning, Err(BuildError::NoEncoder)));
}

/// As [`Words`], and reads eight bytes of a pair's second text at most.
#[derive(Clone)]
struct ShortSighted;

impl Body for ShortSighted {
    type Error = Broken;

    fn fingerprint(&self) -> Fingerprint {
        Words.fingerprint()
    }

    fn hidden(&self) -> usize {
        Words.hidden()
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Broken> {
        let cut = pairs.iter().map(|(_, second)| second.len().saturating_sub(8)).collect();
        Ok(PairFeatures { cut, ..Words.pair_features(pairs)? })
    }
}

#[test]
fn the_trace_says_which_head_served_and_what_was_not_read() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra =
        place.personal_on(answering(3, &["wet", "a long candidate"]), ShortSighted, ShortSighted).build().unwrap();
    block_on(hydra.learn(&ada, vec![record(1, "rain"), record(2, "rain for days")])).unwrap();
    let ask = || block_on(hydra.answer(Ask::new(&ada, "rain", day(9)))).unwrap().trace;
    let trace = ask();
    assert_eq!(trace.unread, [CutRecord { record: RecordId::new(2), tokens: 5 }]);
    assert_eq!(trace.candidates.iter().map(|seen| seen.unread).collect::<Vec<_>>(), [0, 8]);
    let head = trace.heads.reranker.unwrap();
    assert_eq!((head.choice, head.generation), (HeadChoice::Prior, None));

    for fit in 0..2 {
        for helped in [true, false] {
            block_on(hydra.feedback(&ada, Feedback::record("rain", RecordId::new(1), helped))).unwrap();
        }
        block_on(hydra.fit(&ada)).unwrap();
        let heads = ask().heads;
        let head = heads.reranker.unwrap();
        assert_eq!(
            (head.choice, head.generation),
            (HeadChoice::Own, Some(Generation::new(Generation::FIRST.get() + fit)))
        );
        assert_eq!(heads.adapter.unwrap().generation, None, "no feedback on candidates");
    }
}

#[test]
fn the_newest_records_are_found_whatever_is_asked() {
    let (place, client) = (Place::new(), answering(1, &["wet"]));
    let hydra = place.plain(client).retrieve(Retrieval::Newest, 2).build().unwrap();
    let records = ["rain", "sun", "snow", "fog"].iter().zip(1..).map(|(text, id)| record(id, text)).collect();
    block_on(hydra.learn(&scope(1), records)).unwrap();
    let trace = block_on(hydra.answer(Ask::new(&scope(1), "rain", day(4)))).unwrap().trace;
    assert_eq!(trace.shown, [3, 2].map(RecordId::new), "the fourth is from the moment of the query");
}

/// The longest record first.
struct Longest;

impl Reranker for Longest {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let ranking = |request: &RerankRequest<'_>| {
            let score = |found: &Retrieved<'_>| Score::new(found.record.input().len() as f32).unwrap();
            let scored = request.records.iter().map(|found| Scored::new(found.record.id(), score(found)));
            let mut ranked: Vec<_> = scored.collect();
            ranked.sort();
            ranked.truncate(request.keep);
            Ranking { ranked, cut: Vec::new() }
        };
        Ok(requests.iter().map(ranking).collect())
    }
}

#[test]
fn any_reranker_orders_the_prompt() {
    let (place, client) = (Place::new(), answering(1, &["wet"]));
    let hydra = place.plain(client.clone()).reranker(Longest).show(2).build().unwrap();
    let records = vec![record(1, "rain"), record(2, "rain, and a long story of it"), record(3, "rain again")];
    block_on(hydra.learn(&scope(1), records)).unwrap();
    let trace = block_on(hydra.answer(Ask::new(&scope(1), "rain", day(9)))).unwrap().trace;
    assert_eq!(trace.retrieved[0].id, RecordId::new(1), "retrieval has another order");
    assert_eq!(trace.shown, [2, 3].map(RecordId::new));
    assert_eq!(trace.reranked.unwrap().len(), 2);
    assert_eq!(trace.heads.reranker, None);
    let asked = prompt(&client.asked()[0]);
    assert!(asked.find("a long story").unwrap() < asked.find("rain again").unwrap());
}

#[test]
fn what_is_longer_than_the_limits_is_cut_or_refused() {
    let (place, client) = (Place::new(), answering(1, &["wet"]));
    let limits = LengthLimits { field_bytes: 6, query_bytes: 8, ..LengthLimits::default() };
    let hydra = place.plain(client.clone()).limits(limits).build().unwrap();
    block_on(hydra.learn(&scope(1), vec![record(1, "rain"), record(2, "rain for days")])).unwrap();
    let trace = block_on(hydra.answer(Ask::new(&scope(1), "rain", day(9)))).unwrap().trace;
    assert_eq!((trace.cut.as_slice(), trace.shown.len()), (&[RecordId::new(2)][..], 2));
    assert!(!prompt(&client.asked()[0]).contains("days"));
    let refused = block_on(hydra.answer(Ask::new(&scope(1), "more rain?", day(9)))).unwrap_err();
    assert!(matches!(refused, PersonalizeError::Prompt(PromptError::QueryTooLong { bytes: 10, most: 8 })), "{refused}");
}

#[test]
fn a_seed_reaches_a_model_that_can_repeat_and_no_other() {
    let place = Place::new();
    let ask = || Ask::new(&scope(1), "rain", day(9));
    let mut repeats = Capabilities::new("repeats");
    repeats.seed = true;
    let client = Arc::new(ScriptedClient::answering(["wet", "wet"]).with_capabilities(repeats));
    for seeded in [place.plain(Arc::clone(&client)).seed(7), place.plain(Arc::clone(&client))] {
        block_on(seeded.build().unwrap().answer(ask())).unwrap();
    }
    assert_eq!(client.asked().iter().map(|request| request.seed).collect::<Vec<_>>(), [Some(7), None]);
    let refused = block_on(place.plain(answering(1, &["wet"])).seed(7).build().unwrap().answer(ask()));
    assert!(matches!(refused, Err(PersonalizeError::Llm(_))));
}
