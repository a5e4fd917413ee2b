//! Feedback, heads, and forgetting.

use hydra_ml::heads::HeadChoice;
use hydra_ml::llm::block_on;
use hydra_ml::types::{RecordId, Scope};
use hydra_ml::{Answer, Ask, Feedback, PersonalizeError, Personalizer};

use crate::toy::{Place, WORDS, answering, day, record, scope};

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
