//! Parts that the application brings: what they say about themselves is kept to.

use std::convert::Infallible;

use hydra_ml::adapter::{AdaptError, AdaptRequest, Adapted, Adapter, MajorityVote};
use hydra_ml::llm::block_on;
use hydra_ml::rerank::{FirstStage, Ranking, RerankError, RerankRequest, Reranker};
use hydra_ml::types::ndarray::{Array2, s};
use hydra_ml::types::{Body, Fingerprint, PairFeatures, RecordId};
use hydra_ml::{Answer, Ask, Builder, OnFailure, PersonalizeError, Retrieval, Stage, TextEncoder};

use crate::toy::{Broken, Place, Words, answering, day, record, scope};

/// Vectors that say how many bytes all texts of the call have, as an encoder with one scale a batch leaks it.
struct Leaky;

impl TextEncoder for Leaky {
    type Error = Infallible;

    fn dimensions(&self) -> usize {
        2
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Infallible> {
        let all: usize = texts.iter().map(|text| text.len()).sum();
        Ok(Array2::from_shape_fn((texts.len(), 2), |(row, column)| [texts[row].len(), all][column] as f32))
    }
}

#[test]
fn where_rows_of_the_encoder_interact_nobody_changes_what_is_found_for_anybody_else() {
    let place = Place::new();
    let hydra = place.plain(answering(4, &["wet"])).encoder(Leaky).retrieve(Retrieval::Meaning, 10).build().unwrap();
    for user in [1, 2] {
        block_on(hydra.learn(&scope(user), vec![record(1, "rain"), record(2, "rain and sun")])).unwrap();
    }
    let ask = |user, words: &str| Ask::new(&scope(user), words, day(9));
    let found = |answer: Answer| answer.trace.retrieved;
    let alone = found(block_on(hydra.answer(ask(1, "rain"))).unwrap());
    assert_eq!(alone.len(), 2);
    // The other user stands on both sides, so that no order hides them.
    let asks = vec![ask(2, "a long question about rain"), ask(1, "rain"), ask(2, "sun")];
    let beside = block_on(hydra.answer_many(asks)).swap_remove(1);
    assert_eq!(found(beside.unwrap()), alone);
}

/// Makes one row too few, or rows of another width, where a text says so.
struct Misshapen;

impl TextEncoder for Misshapen {
    type Error = Infallible;

    fn dimensions(&self) -> usize {
        2
    }

    fn rows_interact(&self) -> bool {
        false
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Infallible> {
        let says = |word: &str| usize::from(texts.iter().any(|text| text.contains(word)));
        Ok(Array2::ones((texts.len() - says("lost"), 2 + says("wide"))))
    }
}

#[test]
fn vectors_of_another_shape_are_an_error_of_those_concerned() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.plain(answering(9, &["wet"])).encoder(Misshapen).retrieve(Retrieval::Meaning, 10);
    let hydra = hydra.build().unwrap();
    for wrong in ["lost", "wide"] {
        let records = vec![record(1, "rain"), record(2, wrong)];
        let error = block_on(hydra.learn(&ada, records)).unwrap_err();
        assert!(matches!(error, PersonalizeError::Encoder(_)), "{error}");
    }
    block_on(hydra.learn(&ada, vec![record(3, "rain")])).unwrap();
    let asks = ["rain", "lost", "wide", "sun"].map(|query| Ask::new(&ada, query, day(9)));
    let answers = block_on(hydra.answer_many(asks.to_vec()));
    for (answer, is_fine) in answers.iter().zip([true, false, false, true]) {
        match answer {
            Ok(answer) => assert_eq!((answer.trace.shown.as_slice(), is_fine), (&[RecordId::new(3)][..], true)),
            Err(error) => assert!(matches!(error, PersonalizeError::Encoder(_)) && !is_fine, "{error}"),
        }
    }
}

/// As [`Words`], and it loses a row where a query says so.
#[derive(Clone)]
struct Lossy;

impl Body for Lossy {
    type Error = Broken;

    fn fingerprint(&self) -> Fingerprint {
        Body::fingerprint(&Words)
    }

    fn hidden(&self) -> usize {
        Words.hidden()
    }

    fn rows_interact(&self) -> bool {
        true
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, Broken> {
        let mut made = Words.pair_features(pairs)?;
        let says = |word: &str| pairs.iter().any(|(query, _)| query.contains(word));
        if says("lost") {
            made.features = made.features.slice_move(s![1.., ..]);
        }
        if says("uncounted") {
            made.cut.clear();
        }
        Ok(made)
    }
}

/// Loses answers, mixes them up or makes them up, where the query of a request says so.
#[derive(Clone, Copy)]
struct Careless;

impl Reranker for Careless {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let mut rankings = FirstStage.rerank(requests)?;
        for (request, ranking) in requests.iter().zip(&mut rankings) {
            if request.query.contains("foreign") {
                ranking.ranked[0].id = RecordId::new(77);
            }
            if request.query.contains("short") {
                ranking.ranked.clear();
            }
        }
        let lost = requests.iter().any(|request| request.query.contains("lost"));
        rankings.truncate(requests.len() - usize::from(lost));
        Ok(rankings)
    }
}

impl Adapter for Careless {
    fn adapt(&mut self, requests: &[AdaptRequest<'_>]) -> Result<Vec<Adapted>, AdaptError> {
        let more = ["a", "b", "c"].map(str::to_owned);
        let mut requests = requests.to_vec();
        for request in requests.iter_mut().filter(|request| request.query.contains("foreign")) {
            request.candidates = &more;
        }
        let mut adapted = MajorityVote.adapt(&requests)?;
        let lost = requests.iter().any(|request| request.query.contains("lost"));
        adapted.truncate(requests.len() - usize::from(lost));
        Ok(adapted)
    }
}

/// Asks all of `queries` of one user in one call; those that are wrong must fail so, and the others be answered.
fn check(builder: impl Fn() -> Builder, wrong: &[&str], is_expected: fn(&PersonalizeError) -> bool, skipped: Stage) {
    let queries: Vec<&str> = ["rain"].iter().chain(wrong).chain(&["rain again"]).copied().collect();
    let asks = || queries.iter().map(|query| Ask::new(&scope(1), *query, day(9))).collect();
    let hydra = builder().build().unwrap();
    block_on(hydra.learn(&scope(1), vec![record(1, "rain"), record(2, "rain and sun")])).unwrap();
    for (query, answer) in queries.iter().zip(block_on(hydra.answer_many(asks()))) {
        match answer {
            Ok(_) => assert!(!wrong.contains(query), "{query}"),
            Err(error) => assert!(wrong.contains(query) && is_expected(&error), "{query}: {error}"),
        }
    }
    let hydra = builder().on_failure(OnFailure::Skip).build().unwrap();
    for (query, answer) in queries.iter().zip(block_on(hydra.answer_many(asks()))) {
        let was_skipped = answer.unwrap().trace.skipped.contains(&skipped);
        assert_eq!(was_skipped, wrong.contains(query), "{query}");
    }
}

#[test]
fn rankings_that_are_none_are_an_error_of_those_concerned() {
    let is_rerank = |error: &PersonalizeError| matches!(error, PersonalizeError::Rerank(_));
    let place = Place::new();
    let builder = || place.plain(answering(9, &["wet"])).reranker(Careless);
    check(builder, &["rain foreign", "rain short", "rain lost"], is_rerank, Stage::Rerank);
    let place = Place::new();
    let builder = || place.personal_on(answering(9, &["wet"]), Lossy, Lossy);
    check(builder, &["rain lost", "rain uncounted"], is_rerank, Stage::Rerank);
}

#[test]
fn picks_that_are_none_are_an_error_of_those_concerned() {
    let is_adapt = |error: &PersonalizeError| matches!(error, PersonalizeError::Adapt(_));
    let place = Place::new();
    let builder = || place.plain(answering(9, &["wet"])).adapter(Careless);
    check(builder, &["rain foreign", "rain lost"], is_adapt, Stage::Adapt);
}
