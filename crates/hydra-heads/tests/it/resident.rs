//! More heads than memory: the same scores, never a stale head, never above the budget.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use hydra_heads::{
    Features, HeadBank, HeadName, HeadSource, Kind, ResidentError, ResidentHeads, ScoreError, Shared, Stamp, Weights,
    pack,
};
use hydra_types::ndarray::Array2;
use hydra_types::{Fingerprint, Generation, UserId};
use proptest::prelude::*;

const BODY: Fingerprint = Fingerprint::new([4; 32]);
const HIDDEN: usize = 6;
const USERS: u16 = 20;

/// A map as a source; the generation beside the bytes is that of the data.
#[derive(Clone, Default)]
struct Map(Rc<RefCell<HashMap<UserId, Stored>>>);

type Stored = (Generation, Vec<u8>);

impl HeadSource for Map {
    type Error = Infallible;

    fn generation(&self, user: UserId) -> Result<Option<Generation>, Infallible> {
        Ok(self.0.borrow().get(&user).map(|(generation, _)| *generation))
    }

    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> Result<(), Infallible> {
        bytes.extend(&self.0.borrow()[&user].1);
        Ok(())
    }
}

fn user(n: u16) -> UserId {
    UserId::new(n.into())
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared::new(BODY, Weights::linear(&[0.5; HIDDEN], 0.1).unwrap()).unwrap())
}

fn weights(n: u16, generation: u64) -> Weights {
    let number = |i: usize| {
        (f32::from(n) + f32::from(u16::try_from(i).unwrap())).sin() * f32::from(u16::try_from(generation).unwrap())
    };
    Weights::linear(&(0..HIDDEN).map(number).collect::<Vec<_>>(), 0.0).unwrap()
}

fn put(map: &Map, shared: &Shared, n: u16, generation: u64) {
    let head = shared.head(weights(n, generation)).unwrap();
    let generation = Generation::new(generation);
    let bytes = pack(&head, Stamp { user: user(n), generation });
    map.0.borrow_mut().insert(user(n), (generation, bytes));
}

fn all_in_memory(map: &Map, shared: &Arc<Shared>) -> HeadBank {
    let mut bank = HeadBank::new(Arc::clone(shared));
    for (user, (_, bytes)) in map.0.borrow().iter() {
        bank.insert(*user, hydra_heads::unpack(bytes).unwrap().1).unwrap();
    }
    bank
}

/// What one head counts: measured, not known.
fn bytes_of_one() -> usize {
    let (map, shared) = (Map::default(), shared());
    put(&map, &shared, 0, 1);
    let mut resident = ResidentHeads::new(shared, map, usize::MAX);
    resident.pin(user(0)).unwrap();
    resident.bytes()
}

fn rows(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, HIDDEN), |(i, j)| f32::from(u16::try_from(7 * i + 10 * j).unwrap()).cos())
}

proptest! {
    #[test]
    fn scores_are_those_of_a_bank_that_holds_everything(
        calls in prop::collection::vec(prop::collection::vec((0..USERS, any::<bool>()), 0..30), 1..6),
        fits in 1usize..8,
        pinned in prop::option::of(0..USERS),
        replaced in 0..USERS,
    ) {
        let (map, shared) = (Map::default(), shared());
        for n in 0..USERS {
            put(&map, &shared, n, 1);
        }
        let budget = (fits + 1) * bytes_of_one();
        let mut resident = ResidentHeads::new(Arc::clone(&shared), map.clone(), budget);
        if let Some(pinned) = pinned {
            resident.pin(user(pinned)).unwrap();
        }
        for (generation, call) in (2..).zip(&calls) {
            let names: Vec<HeadName> =
                call.iter().map(|&(n, prior)| if prior { HeadName::Prior } else { HeadName::User(user(n)) }).collect();
            let rows = rows(names.len());
            let features = Features::new(BODY, &rows).unwrap();
            let expected = all_in_memory(&map, &shared).scores(&names, &features).unwrap();
            let got = resident.scores(&names, &features).unwrap();
            prop_assert_eq!(expected, got);
            prop_assert!(resident.bytes() <= budget);
            prop_assert_eq!(resident.residents().iter().map(|r| r.bytes).sum::<usize>(), resident.bytes());
            if let Some(pinned) = pinned {
                prop_assert!(resident.residents().iter().any(|r| r.user == user(pinned) && r.pinned));
            }
            put(&map, &shared, replaced, generation);
        }
    }
}

#[test]
fn the_head_that_was_not_named_for_longest_goes() {
    let (map, shared) = (Map::default(), shared());
    for n in 0..4 {
        put(&map, &shared, n, 1);
    }
    let mut resident = ResidentHeads::new(shared, map, 3 * bytes_of_one());
    let rows = rows(1);
    let features = Features::new(BODY, &rows).unwrap();
    for n in [0, 1, 2, 0, 3] {
        resident.scores(&[HeadName::User(user(n))], &features).unwrap();
    }
    let here: Vec<UserId> = resident.residents().iter().map(|r| r.user).collect();
    assert_eq!(here, [user(0), user(2), user(3)]);
    let stats = resident.stats();
    assert_eq!((stats.hits, stats.misses, stats.evictions), (1, 4, 1));
    assert!(resident.evict(user(2)) && !resident.evict(user(2)));
}

#[test]
fn a_stale_head_is_never_used() {
    let (map, shared) = (Map::default(), shared());
    put(&map, &shared, 1, 5);
    let mut resident = ResidentHeads::new(Arc::clone(&shared), map.clone(), 1 << 20);
    let rows = rows(1);
    let features = Features::new(BODY, &rows).unwrap();
    let names = [HeadName::User(user(1))];
    let first = resident.scores(&names, &features).unwrap();
    put(&map, &shared, 1, 6);
    assert_ne!(resident.scores(&names, &features).unwrap(), first);
    // The data move on and nobody has fitted yet.
    map.0.borrow_mut().get_mut(&user(1)).unwrap().0 = Generation::new(7);
    assert!(matches!(
        resident.scores(&names, &features),
        Err(ResidentError::Stale { expected, got, .. }) if (expected.get(), got.get()) == (7, 6)
    ));
    // The user is gone.
    map.0.borrow_mut().remove(&user(1));
    assert!(matches!(
        resident.scores(&names, &features),
        Err(ResidentError::Score(ScoreError::UnknownHead { row: 0, .. }))
    ));
    assert!(resident.residents().is_empty() && resident.bytes() == 0);
}

#[test]
fn what_the_source_must_not_give_is_refused() {
    let (map, shared) = (Map::default(), shared());
    put(&map, &shared, 1, 1);
    let stolen = map.0.borrow()[&user(1)].clone();
    map.0.borrow_mut().insert(user(2), stolen);
    map.0.borrow_mut().insert(user(3), (Generation::FIRST, vec![1, 2, 3]));
    let other = Shared::new(BODY, weights(9, 1)).unwrap();
    put(&map, &other, 4, 1);
    let mut resident = ResidentHeads::new(Arc::clone(&shared), map.clone(), 1 << 20);
    assert!(matches!(resident.pin(user(2)), Err(ResidentError::Foreign { .. })));
    assert!(matches!(resident.pin(user(3)), Err(ResidentError::Unpack { .. })));
    assert!(matches!(resident.pin(user(4)), Err(ResidentError::Bind { .. })));
    let mut tiny = ResidentHeads::new(shared, map, 10);
    assert!(matches!(tiny.pin(user(1)), Err(ResidentError::Budget { budget: 10, .. })));
}

#[test]
fn bigger_heads_of_another_kind_share_the_budget() {
    let prior = Weights::from_parameters(Kind::TwoLayer { inner: 2 }, HIDDEN, &[0.1; 2 * 9 + 2]).unwrap();
    let shared = Arc::new(Shared::new(BODY, prior).unwrap());
    let map = Map::default();
    put(&map, &shared, 1, 1);
    let big = Kind::TwoLayer { inner: 50 };
    let head = shared.head(Weights::zeros(big, HIDDEN).unwrap()).unwrap();
    let bytes = pack(&head, Stamp { user: user(2), generation: Generation::FIRST });
    map.0.borrow_mut().insert(user(2), (Generation::FIRST, bytes));
    let mut resident = ResidentHeads::new(shared, map, 1 << 20);
    for n in [1, 2] {
        resident.pin(user(n)).unwrap();
    }
    let [small, large] = resident.residents()[..] else { panic!("two are resident") };
    assert_eq!(large.bytes - small.bytes, 4 * (big.parameters(HIDDEN) - Kind::Linear.parameters(HIDDEN)));
    assert!(resident.unpin(user(1)) && !resident.unpin(user(1)));
}

#[test]
fn a_call_reads_the_heads_that_it_names_however_many_there_are() {
    let shared = shared();
    for users in [10, 1000] {
        let map = Map::default();
        (0..users).for_each(|n| put(&map, &shared, n, 1));
        let mut resident = ResidentHeads::new(Arc::clone(&shared), map, usize::MAX);
        // Two rows of each of four users.
        let names: Vec<HeadName> = [3, 9, 0, 3, 7, 9, 7, 0].map(|n| HeadName::User(user(n))).to_vec();
        let rows = rows(names.len());
        resident.scores(&names, &Features::new(BODY, &rows).unwrap()).unwrap();
        assert_eq!(resident.residents().len(), 4, "of {users}");
    }
}
