//! Clean splits are clean, and every kind of leak that is planted is found.

use hydra_types::{Generation, Scope, Time};
use proptest::prelude::*;

use super::*;
use crate::{History, Splitter};

fn record(id: u64, time: i64, text: &str) -> Record {
    Record::new(RecordId::new(id), Time::from_unix_millis(time), text, "out")
}

const USER: UserId = UserId::new(7);

/// A clean audit: one trained user, and user 7 with records 1 to 3 learned and 4 asked.
fn clean() -> (Vec<Record>, Vec<Record>) {
    (
        (1..=3_u32).map(|id| record(id.into(), i64::from(10 * id), &format!("text {id}"))).collect(),
        vec![record(4, 40, "text 4")],
    )
}

#[test]
fn planted_leaks_are_found_and_nothing_else() {
    let (fit, targets) = clean();
    let id = RecordId::new;
    let check = |extra_fit: Vec<Record>, trained: bool, shown: &[(u64, u64)], expected: &[Leak]| {
        let mut audit = Audit::new();
        if trained {
            audit.train(USER, &fit[..1]);
        }
        let fit: Vec<Record> = fit.iter().cloned().chain(extra_fit).collect();
        audit.fit(USER, &fit);
        audit.targets(USER, &targets);
        audit.shown(shown.iter().map(|&(query, record)| Shown { user: USER, query: id(query), record: id(record) }));
        assert_eq!(audit.leaks(), expected);
    };
    check(vec![], false, &[(3, 1), (2, 1)], &[]);
    check(vec![], true, &[], &[Leak::UserInBoth { user: USER }]);
    check(vec![record(4, 4, "else")], false, &[], &[Leak::TargetInFit { user: USER, target: id(4) }]);
    check(vec![record(9, 4, "text 4")], false, &[], &[Leak::CopyOfTarget { user: USER, target: id(4), record: id(9) }]);
    check(vec![record(9, 40, "new")], false, &[], &[Leak::NotOlder { user: USER, record: id(9) }]);
    check(vec![], false, &[(2, 2)], &[Leak::ShownItself { user: USER, query: id(2) }]);
    check(vec![], false, &[(2, 3)], &[Leak::ShownLater { user: USER, query: id(2), record: id(3) }]);
    check(
        vec![record(9, 20, "same moment")],
        false,
        &[(2, 9)],
        &[Leak::ShownLater { user: USER, query: id(2), record: id(9) }],
    );
    check(
        vec![],
        false,
        &[(4, 1), (2, 8)],
        &[Leak::ShownUnknown { user: USER, record: id(4) }, Leak::ShownUnknown { user: USER, record: id(8) }],
    );
}

proptest! {
    #[test]
    fn what_the_splitter_makes_is_clean_and_its_pseudo_queries_are(
        all in prop::collection::vec(prop::collection::vec(0_i64..9, 2..10), 3..9), targets in 1_usize..3, seed: u64,
    ) {
        let history = |(times, user): (&Vec<i64>, u128)| {
            let records = times.iter().zip(0..).map(|(&time, id)| record(id, time, &format!("text {user} {id}"))).collect();
            History::new(Scope::acting_for(UserId::new(user)), Generation::FIRST, records).unwrap()
        };
        let histories = all.iter().zip(1..).map(history).collect();
        let Ok(split) = Splitter::new(2, targets, seed).split(histories) else {
            return Ok(());
        };
        let mut audit = Audit::of(&split);
        for view in split.train.iter().chain(split.test.iter().map(|user| &user.fit)) {
            for query in view.pseudo_queries(usize::MAX) {
                let shown = |record: &Record| Shown { user: view.user(), query: query.record().id(), record: record.id() };
                audit.shown(query.earlier().iter().map(shown));
            }
        }
        prop_assert_eq!(audit.leaks(), []);
    }
}
