//! Random interleavings over many users, a canary in each: no user ever sees another's.

use std::collections::BTreeMap;

use hydra_store::{Batch, Read, Scan, Store};
use hydra_types::{Generation, UserId};
use proptest::prelude::*;

use super::{HEADS, RECORDS, key, open_or_create, place, scope};

const USERS: u8 = 5;

#[derive(Clone, Debug)]
enum Step {
    Put { user: u8, slot: u8, bytes: u16 },
    PutMany { users: Vec<u8>, slot: u8 },
    Delete { user: u8, slot: u8 },
    Forget { user: u8 },
    Read { reads: Vec<(u8, u8)> },
    Stale { user: u8, behind: u64 },
    Reopen,
    Compact,
    SnapshotAndRestore,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, slot) = (0..USERS, 0u8..4);
    prop_oneof![
        6 => (user.clone(), slot.clone(), 0u16..3000).prop_map(|(user, slot, bytes)| Step::Put { user, slot, bytes }),
        3 => (prop::collection::vec(user.clone(), 1..6), slot.clone()).prop_map(|(users, slot)| Step::PutMany { users, slot }),
        2 => (user.clone(), slot.clone()).prop_map(|(user, slot)| Step::Delete { user, slot }),
        3 => user.clone().prop_map(|user| Step::Forget { user }),
        4 => prop::collection::vec((user.clone(), slot), 0..12).prop_map(|reads| Step::Read { reads }),
        1 => (user, 1u64..3).prop_map(|(user, behind)| Step::Stale { user, behind }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
        1 => Just(Step::SnapshotAndRestore),
    ]
}

/// What the store should hold: per user the slots, and how often the user's data changed.
#[derive(Default)]
struct Model {
    slots: BTreeMap<(u8, u8), Vec<u8>>,
    generations: BTreeMap<u8, u64>,
}

impl Model {
    fn put(&mut self, user: u8, slot: u8, value: Vec<u8>) {
        self.slots.insert((user, slot), value);
        *self.generations.entry(user).or_default() += 1;
    }

    fn agrees(&self, store: &Store) {
        for user in 0..USERS {
            let own = scope(user);
            let rows = store.scan(Scan::new(&own, RECORDS)).unwrap();
            let expected = self.slots.range((user, 0)..=(user, u8::MAX));
            let expected: Vec<_> = expected.map(|(&(_, slot), value)| (vec![slot], value.clone())).collect();
            assert!(rows == expected, "user {user}");
            assert!(store.scan(Scan::new(&own, HEADS)).unwrap().is_empty());
            assert_no_foreign_canary(user, rows.iter().map(|(_, value)| value));
            let generation = self.generations.get(&user).map(|&number| Generation::new(number));
            assert_eq!(store.generation(&own).unwrap(), generation, "user {user}");
        }
        let users: Vec<_> = self.generations.keys().map(|&user| UserId::new(u128::from(user))).collect();
        assert_eq!(store.users().unwrap(), users);
    }
}

fn canary(user: u8) -> Vec<u8> {
    format!("<canary of user {user}>").into_bytes()
}

fn value(user: u8, step: usize, bytes: u16) -> Vec<u8> {
    let mut value = canary(user);
    value.extend_from_slice(&step.to_le_bytes());
    value.resize(value.len() + usize::from(bytes), user);
    value
}

fn assert_no_foreign_canary<'a>(user: u8, values: impl Iterator<Item = &'a Vec<u8>>) {
    for value in values {
        for other in (0..USERS).filter(|&other| other != user) {
            let canary = canary(other);
            assert!(!value.windows(canary.len()).any(|part| part == canary), "user {user} sees user {other}");
        }
    }
}

fn run(steps: &[Step]) {
    let (guard, mut folder) = place();
    let mut store = open_or_create(&folder);
    let mut model = Model::default();
    for (at, step) in steps.iter().enumerate() {
        match step {
            &Step::Put { user, slot, bytes } => {
                let value = value(user, at, bytes);
                model.put(user, slot, value.clone());
                let generation = store.commit(&Batch::new(&scope(user)).put(RECORDS, [slot], value)).unwrap();
                assert_eq!(generation.get(), model.generations[&user]);
            }
            Step::PutMany { users, slot } => {
                let batches: Vec<_> = users
                    .iter()
                    .enumerate()
                    .map(|(nth, &user)| {
                        let value = value(user, at, u16::try_from(nth).unwrap());
                        model.put(user, *slot, value.clone());
                        Batch::new(&scope(user)).put(RECORDS, [*slot], value)
                    })
                    .collect();
                store.commit_many(&batches).unwrap();
            }
            &Step::Delete { user, slot } => {
                model.slots.remove(&(user, slot));
                *model.generations.entry(user).or_default() += 1;
                store.commit(&Batch::new(&scope(user)).delete(RECORDS, [slot])).unwrap();
            }
            &Step::Forget { user } => {
                model.slots.retain(|&(owner, _), _| owner != user);
                model.generations.remove(&user);
                store.forget(&scope(user)).unwrap();
            }
            Step::Read { reads } => {
                let scopes: Vec<_> = reads.iter().map(|&(user, slot)| (scope(user), [slot])).collect();
                let asked: Vec<_> = scopes.iter().map(|(scope, slot)| Read { scope, table: RECORDS, slot }).collect();
                let found = store.get_many(&asked).unwrap();
                for (&(user, slot), found) in reads.iter().zip(&found) {
                    assert!(found.as_ref() == model.slots.get(&(user, slot)), "user {user}");
                    assert_no_foreign_canary(user, found.iter());
                }
            }
            &Step::Stale { user, behind } => {
                let now = model.generations.get(&user).copied().unwrap_or(0);
                let batch = Batch::new(&scope(user)).put(RECORDS, [0], b"lost update");
                let refused = store.commit(&batch.expecting(Generation::new(now + behind)));
                assert!(matches!(refused, Err(hydra_store::StoreError::Conflict { .. })));
            }
            Step::Reopen => {
                drop(store);
                store = open_or_create(&folder);
            }
            Step::Compact => store.compact().unwrap(),
            Step::SnapshotAndRestore => {
                let snapshot = guard.path().join(format!("snapshot-{at}"));
                store.snapshot(&snapshot).unwrap();
                folder = guard.path().join(format!("store-{at}"));
                store = Store::restore(&snapshot, &folder, &key()).unwrap();
            }
        }
        model.agrees(&store);
    }
    let report = store.check().unwrap();
    assert!(report.is_whole() && report.unreadable_rows == 0, "{report:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn nobody_ever_sees_anothers_canary(steps in prop::collection::vec(step(), 1..30)) {
        run(&steps);
    }
}
