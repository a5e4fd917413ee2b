//! Feedback, heads, and forgetting.

use std::error::Error;
use std::sync::{Arc, Mutex, mpsc};

use hydra_ml::heads::{HeadChoice, Outcome, Reason};
use hydra_ml::llm::block_on;
use hydra_ml::retrieval::{HistoryParams, StoredHistory, StoredHistoryError};
use hydra_ml::store::{Batch, Table};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{Fingerprint, PairFeatures, RecordId, Scope};
use hydra_ml::{Answer, Ask, Feedback, FitReport, PersonalizeError, Personalizer, Retrieval, TextEncoder};

use crate::toy::{Place, WORDS, Watched, Words, answering, day, record, scope};

/// Three records that match the query equally well, one for each word.
fn learn(hydra: &Personalizer, scope: &Scope) {
    let records = (1..).zip(WORDS).map(|(id, word)| record(id, &format!("weather: {word}"))).collect();
    block_on(hydra.learn(scope, records)).unwrap();
}

/// Says often that this word helps and the others do not, of records and of candidates.
fn like(hydra: &Personalizer, scope: &Scope, liked: usize) {
    for round in 0..12 {
        for (index, word) in WORDS.iter().enumerate() {
            let query = format!("weather {round}");
            let id = RecordId::new(u64::try_from(index).unwrap() + 1);
            block_on(hydra.feedback(scope, Feedback::record(&query, id, index == liked))).unwrap();
            block_on(hydra.feedback(scope, Feedback::candidate(&query, &[id], *word, index == liked))).unwrap();
        }
    }
}

fn ask(hydra: &Personalizer, scope: &Scope) -> Answer {
    block_on(hydra.answer(Ask::new(scope, "weather", day(9)))).unwrap()
}

#[test]
fn a_fitted_user_gets_their_own_order_and_pick_and_nobody_else_does() {
    let place = Place::new();
    let hydra = place.personal(answering(20, &WORDS)).show(1).build().unwrap();
    let (ada, bob, carl) = (scope(1), scope(2), scope(3));
    for user in [&ada, &bob, &carl] {
        learn(&hydra, user);
    }
    let stranger = ask(&hydra, &carl);
    assert_eq!(stranger.trace.heads.reranker.unwrap().choice, HeadChoice::Prior);

    like(&hydra, &ada, 2);
    like(&hydra, &bob, 1);
    for user in [&ada, &bob] {
        let report = block_on(hydra.fit(user)).unwrap();
        assert_eq!((report.reranker.unwrap().rows, report.adapter.unwrap().rows), (36, 36));
    }
    for (user, word) in [(&ada, 2usize), (&bob, 1)] {
        let answer = ask(&hydra, user);
        assert_eq!(answer.trace.heads.reranker.unwrap().choice, HeadChoice::Own);
        assert_eq!(answer.trace.shown, [RecordId::new(u64::try_from(word).unwrap() + 1)]);
        assert_eq!(answer.text, WORDS[word]);
    }
    let still = ask(&hydra, &carl);
    assert_eq!((still.text, still.trace.reranked), (stranger.text, stranger.trace.reranked));

    // A taste that changes is learned anew, also where the old head is in memory.
    for _ in 0..4 {
        like(&hydra, &ada, 0);
    }
    block_on(hydra.fit(&ada)).unwrap();
    assert_eq!(ask(&hydra, &ada).text, WORDS[0]);
}

#[test]
fn what_was_learned_is_there_after_a_restart() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(1, &WORDS)).show(1).build().unwrap();
    learn(&hydra, &ada);
    like(&hydra, &ada, 2);
    block_on(hydra.fit(&ada)).unwrap();
    let before = ask(&hydra, &ada);
    drop(hydra);
    let again = place.personal(answering(1, &WORDS)).show(1).build().unwrap();
    let after = ask(&again, &ada);
    assert_eq!((after.text, after.trace.reranked), (before.text, before.trace.reranked));
}

#[test]
fn a_forgotten_user_is_a_stranger() {
    let (place, ada, bob) = (Place::new(), scope(1), scope(2));
    let hydra = place.personal(answering(5, &WORDS)).show(1).build().unwrap();
    for user in [&ada, &bob] {
        learn(&hydra, user);
        like(&hydra, user, 2);
        block_on(hydra.fit(user)).unwrap();
    }
    let bobs = ask(&hydra, &bob);
    assert_eq!(ask(&hydra, &ada).text, WORDS[2]);

    block_on(hydra.forget(&ada)).unwrap();
    let answer = ask(&hydra, &ada);
    assert!(answer.trace.shown.is_empty());
    assert_eq!(answer.trace.heads.adapter.unwrap().choice, HeadChoice::Prior);
    assert_eq!(answer.text, WORDS[0]);
    assert_eq!(block_on(hydra.fit(&ada)).unwrap(), hydra_ml::FitReport::default());
    let still = ask(&hydra, &bob);
    assert_eq!((still.text, still.trace.reranked), (bobs.text, bobs.trace.reranked));
}

#[test]
fn feedback_on_what_is_not_there_is_refused() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(0, &[])).build().unwrap();
    learn(&hydra, &ada);
    let foreign = Feedback::record("weather", RecordId::new(77), true);
    let refused = block_on(hydra.feedback(&ada, foreign.clone())).unwrap_err();
    assert!(matches!(refused, PersonalizeError::NoSuchRecord { record } if record == RecordId::new(77)));
    assert!(!format!("{foreign:?}").contains("weather"));
    // Bob has no records at all, so Ada's are no records of his.
    assert!(block_on(hydra.feedback(&scope(2), Feedback::record("weather", RecordId::new(1), true))).is_err());
}

#[test]
fn a_fit_that_fails_half_way_changes_neither_head() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(2, &WORDS)).show(1).build().unwrap();
    learn(&hydra, &ada);
    like(&hydra, &ada, 2);
    block_on(hydra.fit(&ada)).unwrap();
    let before = ask(&hydra, &ada);

    for _ in 0..4 {
        like(&hydra, &ada, 0);
    }
    block_on(hydra.feedback(&ada, Feedback::candidate("break", &[], "rain", true))).unwrap();
    assert!(matches!(block_on(hydra.fit(&ada)), Err(PersonalizeError::Adapt(_))));
    let after = ask(&hydra, &ada);
    assert_eq!((after.text, after.trace.reranked), (before.text, before.trace.reranked));
}

#[test]
fn a_fit_that_another_personalizer_overtakes_begins_again() {
    let (place, ada) = (Place::new(), scope(1));
    let (entered, is_in) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let mut first = true;
    let body = Watched(move |_: &[(String, String)], _: &mut PairFeatures| {
        if std::mem::take(&mut first) {
            entered.send(()).unwrap();
            goes_on.recv().unwrap();
        }
    });
    let slow = place.personal_on(answering(1, &WORDS), body, Words).show(1).build().unwrap();
    let other = place.personal(answering(2, &WORDS)).show(1).build().unwrap();
    learn(&other, &ada);
    like(&other, &ada, 2);
    let report = std::thread::scope(|threads| {
        let fit = threads.spawn(|| block_on(slow.fit(&ada)).unwrap());
        is_in.recv().unwrap();
        // What the slow one does not know of yet, and a head of it that is in memory when the slow one goes on.
        for _ in 0..4 {
            like(&other, &ada, 0);
        }
        block_on(other.fit(&ada)).unwrap();
        assert_eq!(ask(&other, &ada).text, WORDS[0]);
        go_on.send(()).unwrap();
        fit.join().unwrap()
    });
    assert_eq!((report.reranker.unwrap().rows, report.adapter.unwrap().rows), (180, 180));
    let (one, two) = (ask(&slow, &ada), ask(&other, &ada));
    assert_eq!(one.text, WORDS[0]);
    assert_eq!(
        (one.text, one.trace.reranked, one.trace.candidates),
        (two.text, two.trace.reranked, two.trace.candidates)
    );
}

#[test]
fn feedback_on_nothing_but_deleted_records_gives_the_prior_head_again() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(3, &WORDS)).show(4).build().unwrap();
    learn(&hydra, &ada);
    block_on(hydra.learn(&ada, vec![record(4, "weather: snow")])).unwrap();
    let stranger = ask(&hydra, &ada);
    like(&hydra, &ada, 2);
    assert_eq!(block_on(hydra.fit(&ada)).unwrap().reranker.unwrap().outcome, Outcome::Fitted);
    assert_ne!(ask(&hydra, &ada).trace.reranked, stranger.trace.reranked);

    let gone = [1, 2, 3].map(RecordId::new);
    let mut history = StoredHistory::open(Arc::clone(&place.store), &ada, 1, HistoryParams::default()).unwrap();
    history.delete(&ada, &gone).unwrap();
    let report = block_on(hydra.fit(&ada)).unwrap();
    let fitted = report.reranker.unwrap();
    assert_eq!((fitted.rows, fitted.outcome), (0, Outcome::Prior(Reason::NoRows)));
    let mut kept = stranger.trace.reranked.unwrap();
    kept.retain(|scored| !gone.contains(&scored.id));
    assert_eq!(kept.len(), 1);
    assert_eq!(ask(&hydra, &ada).trace.reranked.unwrap(), kept);
}

#[test]
fn feedback_on_nothing_but_deleted_records_makes_no_head() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(0, &[])).build().unwrap();
    learn(&hydra, &ada);
    block_on(hydra.feedback(&ada, Feedback::record("weather", RecordId::new(1), true))).unwrap();
    let mut history = StoredHistory::open(Arc::clone(&place.store), &ada, 1, HistoryParams::default()).unwrap();
    history.delete(&ada, &[RecordId::new(1)]).unwrap();
    assert_eq!(block_on(hydra.fit(&ada)).unwrap(), FitReport::default());
}

#[test]
fn a_candidate_is_learned_as_it_is_served() {
    let (place, ada) = (Place::new(), scope(1));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let body =
        Watched(move |pairs: &[(String, String)], _: &mut PairFeatures| sees.lock().unwrap().extend_from_slice(pairs));
    let hydra = place.personal_on(answering(1, &[" snow\n"]), Words, body).build().unwrap();
    learn(&hydra, &ada);
    ask(&hydra, &ada);
    block_on(hydra.feedback(&ada, Feedback::candidate("weather", &[], " snow\n", true))).unwrap();
    block_on(hydra.fit(&ada)).unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [("weather".to_owned(), "snow".to_owned()), ("weather".to_owned(), "snow".to_owned())]);
}

#[test]
fn features_that_are_not_finite_are_the_fault_of_their_stage() {
    fn infinite(_: &[(String, String)], made: &mut PairFeatures) {
        made.features.fill(f32::INFINITY);
    }
    let (place, ada) = (Place::new(), scope(1));
    let reranks = place.personal_on(answering(0, &[]), Watched(infinite), Words).build().unwrap();
    let adapts = place.personal_on(answering(0, &[]), Words, Watched(infinite)).build().unwrap();
    learn(&reranks, &ada);
    like(&reranks, &ada, 2);
    assert!(matches!(block_on(reranks.fit(&ada)), Err(PersonalizeError::Rerank(_))));
    assert!(matches!(block_on(adapts.fit(&ada)), Err(PersonalizeError::Adapt(_))));
}

/// Vectors that are all alike, of an encoder of this name.
struct Alike(u8);

impl TextEncoder for Alike {
    type Error = std::convert::Infallible;

    fn dimensions(&self) -> usize {
        2
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        Some(Fingerprint::new([self.0; 32]))
    }

    fn encode(&mut self, texts: &[&str]) -> Result<Array2<f32>, Self::Error> {
        Ok(Array2::ones((texts.len(), 2)))
    }
}

#[test]
fn a_history_is_not_searched_with_another_encoder_of_the_same_width() {
    let (place, ada) = (Place::new(), scope(1));
    let with = |encoder| {
        let client = answering(2, &WORDS);
        place.plain(client).encoder(Alike(encoder)).retrieve(Retrieval::Meaning, 3).build().unwrap()
    };
    let (own, other) = (with(1), with(2));
    learn(&own, &ada);
    let refused = block_on(other.answer(Ask::new(&ada, "weather", day(9)))).unwrap_err();
    let PersonalizeError::History(refused) = refused else { panic!("{refused}") };
    assert!(matches!(*refused, StoredHistoryError::Encoder { .. }), "{refused}");
    assert_eq!(ask(&own, &ada).trace.shown.len(), 3);
}

#[test]
fn what_is_said_of_feedback_that_does_not_read_quotes_none_of_it() {
    let (place, ada) = (Place::new(), scope(1));
    let hydra = place.personal(answering(0, &[])).build().unwrap();
    let row = r#"{"secret rain": {}}"#;
    place.store.commit(&Batch::new(&ada).put(Table::new("feedback"), [0; 8], row)).unwrap();
    let failed = block_on(hydra.fit(&ada)).unwrap_err();
    assert!(matches!(failed, PersonalizeError::Feedback));
    let chain = std::iter::successors(Some(&failed as &dyn Error), |&error| error.source());
    assert!(chain.map(|error| format!("{error} {error:?}")).all(|said| !said.contains("secret")));
}
