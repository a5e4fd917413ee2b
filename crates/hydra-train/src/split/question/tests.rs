//! The laws of questions.

use hydra_types::{Generation, Scope};
use proptest::prelude::*;

use super::*;
use crate::leak::Audit;

fn history(user: u128, records: &[(u64, i64, &str)]) -> History {
    let record = |&(id, time, input): &(u64, i64, &str)| {
        Record::new(RecordId::new(id), Time::from_unix_millis(time), input, "a")
    };
    let records = records.iter().map(record).collect();
    History::new(Scope::acting_for(UserId::new(user)), Generation::FIRST, records).unwrap()
}

fn question(user: u128) -> Question {
    Question::new(history(user, &[(1, 10, "one"), (7, 5, "two")]), "three", "gold").unwrap()
}

#[test]
fn a_question_is_the_newest_record_of_who_is_trained_on_and_no_record_of_who_is_judged_by() {
    let split = Split::of_questions(vec![question(2), question(1)], vec![question(3)], 1, 0).unwrap();
    assert_eq!(split.train.iter().map(|view| view.user().get()).collect::<Vec<_>>(), [1, 2]);
    let asked = split.train[0].pseudo_queries(1)[0];
    assert_eq!((asked.record().input(), asked.record().output(), asked.earlier().len()), ("three", "gold", 2));
    let TestUser { fit, eval } = &split.test[0];
    assert_eq!(fit.records().iter().map(Record::input).collect::<Vec<_>>(), ["two", "one"]);
    let target = &eval.targets()[0];
    assert_eq!((target.query(), target.gold(), target.id().get()), ("three", "gold", 8));
    assert_eq!(target.time().unix_millis(), 11);
    assert_eq!(Audit::of(&split).leaks(), []);
    assert!(!format!("{split:?} {:?}", question(1)).contains("gold"));
}

#[test]
fn what_the_history_answers_is_not_asked() {
    let question = Question::new(history(1, &[(1, 1, "one"), (2, 2, " three\n")]), "three", "gold").unwrap();
    assert_eq!(question.left_out(), 1);
    let split = Split::of_questions(vec![], vec![question], 1, 0).unwrap();
    assert_eq!(split.test[0].eval.left_out(), 1);
    assert_eq!(split.test[0].fit.records().len(), 1);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let user = UserId::new(1);
    let error = |records: &[_]| Question::new(history(1, records), "three", "gold").unwrap_err();
    assert_eq!(error(&[]), SplitError::NoHistory { user });
    assert_eq!(error(&[(1, 1, "three")]), SplitError::NoHistory { user });
    assert_eq!(error(&[(u64::MAX, 1, "one")]), SplitError::NothingLater { user });
    assert_eq!(error(&[(1, i64::MAX, "one")]), SplitError::NothingLater { user });
    let error = |train: &[u128], test: &[u128], wanted| {
        let questions = |users: &[u128]| users.iter().map(|&user| question(user)).collect();
        Split::of_questions(questions(train), questions(test), wanted, 0).unwrap_err()
    };
    assert_eq!(error(&[1], &[1], 1), SplitError::UserTwice { user });
    assert_eq!(error(&[], &[1, 1], 1), SplitError::UserTwice { user });
    assert_eq!(error(&[1], &[2], 2), SplitError::TooFewUsers { wanted: 2, able: 1 });
}

proptest! {
    #[test]
    fn whatever_the_histories_are_there_is_no_leak(
        all in prop::collection::vec(prop::collection::vec((0_i64..4, 0_usize..4), 0..8), 0..8), wanted in 0_usize..4, seed: u64,
    ) {
        const INPUTS: [&str; 4] = ["one", "two", " three ", "three"];
        let able = |(records, user): (&Vec<(i64, usize)>, u128)| {
            let records: Vec<(u64, i64, &str)> =
                records.iter().zip(0..).map(|(&(time, input), id)| (id, time, INPUTS[input])).collect();
            Question::new(history(user, &records), "three", "a").ok()
        };
        let questions: Vec<Question> = all.iter().zip(1..).filter_map(able).collect();
        let half = questions.len() / 2;
        let (train, test) = (questions[..half].to_vec(), questions[half..].to_vec());
        let Ok(split) = Split::of_questions(train.clone(), test.clone(), wanted, seed) else {
            prop_assert!(test.len() < wanted);
            return Ok(());
        };
        prop_assert_eq!(Audit::of(&split).leaks(), []);
        prop_assert_eq!((split.train.len(), split.test.len()), (half, wanted));
        for TestUser { fit, eval } in &split.test {
            prop_assert!(!fit.records().is_empty());
            prop_assert!(fit.records().iter().all(|record| record.time() < eval.targets()[0].time()));
            prop_assert!(fit.records().iter().all(|record| record.input().trim() != "three"));
        }
        // The order of the questions decides nothing.
        let backward = |questions: Vec<Question>| questions.into_iter().rev().collect();
        prop_assert_eq!(Split::of_questions(backward(train), backward(test), wanted, seed).unwrap(), split);
    }
}
