//! The laws of a split.

use proptest::prelude::*;

use super::*;

fn history(user: u128, times: &[i64]) -> History {
    let record = |(id, &time): (usize, &i64)| {
        Record::new(RecordId::new(id as u64), Time::from_unix_millis(time), format!("in {id}"), format!("out {id}"))
    };
    let records = times.iter().enumerate().map(record).collect();
    History::new(Scope::acting_for(UserId::new(user)), Generation::FIRST, records).unwrap()
}

fn times(records: &[Record]) -> Vec<i64> {
    records.iter().map(|record| record.time().unix_millis()).collect()
}

#[test]
fn the_newest_are_asked_and_what_happened_at_the_same_moment_is_left_out() {
    let split = Splitter::new(1, 2, 0).split(vec![history(1, &[5, 1, 3, 3, 4, 3])]).unwrap();
    let TestUser { fit, eval } = &split.test[0];
    assert_eq!(times(fit.records()), [1, 3, 3, 3]);
    assert_eq!(eval.targets().iter().map(|target| target.time().unix_millis()).collect::<Vec<_>>(), [4, 5]);
    let split = Splitter::new(1, 3, 0).split(vec![history(1, &[5, 1, 3, 3, 4, 3])]).unwrap();
    let TestUser { fit, eval } = &split.test[0];
    assert_eq!((times(fit.records()), eval.left_out()), (vec![1], 2));
    assert_eq!(eval.history(), fit.records());
}

#[test]
fn what_cannot_be_split_is_refused() {
    let able = || history(1, &[1, 2]);
    let error = |splitter: Splitter, histories| splitter.split(histories).unwrap_err();
    assert_eq!(error(Splitter::new(0, 0, 0), vec![]), SplitError::NoTargets);
    assert_eq!(error(Splitter::new(0, 1, 0), vec![able(), able()]), SplitError::UserTwice { user: UserId::new(1) });
    let short = [history(2, &[7, 7]), history(3, &[]), history(4, &[1])];
    let all = [vec![able()], short.to_vec()].concat();
    assert_eq!(error(Splitter::new(2, 1, 0), all.clone()), SplitError::TooFewUsers { wanted: 2, able: 1 });
    assert_eq!(Splitter::new(1, 1, 0).split(all).unwrap().train.len(), 3);
    let twice = vec![Record::new(RecordId::new(1), Time::from_unix_millis(0), "", ""); 2];
    let error = History::new(Scope::acting_for(UserId::new(1)), Generation::FIRST, twice).unwrap_err();
    assert_eq!(error, SplitError::RecordTwice { user: UserId::new(1), record: RecordId::new(1) });
}

#[test]
fn a_target_shows_no_text() {
    let split = Splitter::new(1, 1, 0).split(vec![history(1, &[1, 2])]).unwrap();
    assert!(!format!("{split:?}").contains("out 1"));
}

proptest! {
    #[test]
    fn nobody_is_on_both_sides_and_the_past_is_strictly_older(
        all in prop::collection::vec(prop::collection::vec(0_i64..9, 0..12), 1..12), wanted in 0_usize..5, targets in 1_usize..4, seed: u64,
    ) {
        let histories: Vec<_> = all.iter().zip(1_u128..).map(|(times, user)| history(user, times)).collect();
        let Ok(split) = Splitter::new(wanted, targets, seed).split(histories.clone()) else {
            return Ok(());
        };
        prop_assert_eq!(split.test.len(), wanted);
        let mut users: Vec<_> = split.train.iter().map(FitView::user).chain(split.test.iter().map(|user| user.fit.user())).collect();
        users.sort_unstable();
        prop_assert_eq!(users, histories.iter().map(History::user).collect::<Vec<_>>());
        for TestUser { fit, eval } in &split.test {
            prop_assert_eq!(eval.targets().len(), targets);
            let first = eval.targets().iter().map(Target::time).min().unwrap();
            prop_assert!(!fit.records().is_empty() && fit.records().iter().all(|record| record.time() < first));
            let whole = &histories[usize::try_from(fit.user().get() - 1).unwrap()];
            prop_assert_eq!(fit.records().len() + eval.left_out() + targets, whole.records().len());
        }
        // The order of the users decides nothing.
        let backward = histories.into_iter().rev().collect();
        prop_assert_eq!(Splitter::new(wanted, targets, seed).split(backward).unwrap(), split);
    }

    #[test]
    fn a_pseudo_query_sees_all_that_is_older_and_nothing_else(times in prop::collection::vec(0_i64..6, 0..12), most in 0_usize..14) {
        let view = FitView::of_all(history(1, &times));
        let queries = view.pseudo_queries(most);
        let with_a_past = times.iter().filter(|&&time| times.iter().any(|&other| other < time)).count();
        prop_assert_eq!(queries.len(), most.min(with_a_past));
        for query in &queries {
            let expected = times.iter().filter(|&&time| time < query.time().unix_millis()).count();
            prop_assert_eq!(query.earlier().len(), expected);
            prop_assert!(query.earlier().iter().all(|record| record.time() < query.time()));
        }
        prop_assert!(queries.is_sorted_by_key(|query| (query.time(), query.record().id())));
    }
}
