//! A writing process is killed at a random moment, again and again: no acknowledged write is lost.
//!
//! `HYDRA_TORTURE_ROUNDS` says how often; `HYDRA_TORTURE_SEED` repeats a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hydra_store::{Batch, Scan, Store, StoreError};
use hydra_testkit::{acknowledge, kill_after};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{HEADS, RECORDS, open_or_create, place, scope};

const USERS: u8 = 6;
const FOLDER: &str = "HYDRA_STORE_CRASH_FOLDER";
const FROM: &str = "HYDRA_STORE_CRASH_FROM";
const SEED: &str = "HYDRA_TORTURE_SEED";

type Model = BTreeMap<u8, BTreeMap<Vec<u8>, Vec<u8>>>;

enum Operation {
    Put(Vec<(u8, u8, Vec<u8>)>),
    Delete(u8, u8),
    Forget(u8),
    Compact,
}

/// The operation with this number: both processes know them all.
fn operation(seed: u64, number: u64) -> Operation {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let put = |rng: &mut ChaCha8Rng| {
        let value = format!("{number}:").into_bytes().repeat(rng.random_range(1..400));
        (rng.random_range(0..USERS), rng.random_range(0..8), value)
    };
    match rng.random_range(0..20) {
        0..11 => Operation::Put(vec![put(&mut rng)]),
        11..14 => Operation::Put((0..5).map(|_| put(&mut rng)).collect()),
        14..16 => Operation::Delete(rng.random_range(0..USERS), rng.random_range(0..8)),
        16..19 => Operation::Forget(rng.random_range(0..USERS)),
        _ => Operation::Compact,
    }
}

impl Operation {
    fn run(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Self::Put(puts) => {
                let batch = |(user, slot, value): &(u8, u8, Vec<u8>)| {
                    let table = if slot % 2 == 0 { RECORDS } else { HEADS };
                    Batch::new(&scope(*user)).put(table, [*slot], value.clone())
                };
                store.commit_many(&puts.iter().map(batch).collect::<Vec<_>>()).map(drop)
            }
            Self::Delete(user, slot) => {
                let table = if slot % 2 == 0 { RECORDS } else { HEADS };
                store.commit(&Batch::new(&scope(*user)).delete(table, [*slot])).map(drop)
            }
            Self::Forget(user) => store.forget(&scope(*user)),
            Self::Compact => store.compact(),
        }
    }

    fn model(&self, model: &mut Model) {
        match self {
            Self::Put(puts) => {
                for (user, slot, value) in puts {
                    model.entry(*user).or_default().insert(vec![*slot], value.clone());
                }
            }
            Self::Delete(user, slot) => {
                model.entry(*user).or_default().remove(&vec![*slot]);
            }
            Self::Forget(user) => drop(model.remove(user)),
            Self::Compact => {}
        }
        model.retain(|_, slots| !slots.is_empty());
    }
}

fn contents(store: &Store) -> Model {
    let mut model = Model::new();
    for user in 0..USERS {
        let scope = scope(user);
        let scans = [RECORDS, HEADS].map(|table| Scan::new(&scope, table));
        let rows: BTreeMap<_, _> = store.scan_many(&scans).unwrap().into_iter().flatten().collect();
        if !rows.is_empty() {
            model.insert(user, rows);
        }
    }
    model
}

/// Not a test by itself: the process that `a_killed_writer_loses_nothing…` starts and kills.
#[test]
fn a_child_writes_until_it_is_killed() {
    let (Ok(folder), Ok(from), Ok(seed)) = (std::env::var(FOLDER), std::env::var(FROM), std::env::var(SEED)) else {
        return;
    };
    let seed = seed.parse().unwrap();
    let store = open_or_create(Path::new(&folder));
    for number in from.parse().unwrap().. {
        operation(seed, number).run(&store).unwrap();
        acknowledge(number);
    }
}

/// Starts the child, kills it, and returns the number behind the last operation that it acknowledged.
fn one_round(folder: &Path, seed: u64, from: u64, rng: &mut ChaCha8Rng) -> u64 {
    let folder = folder.to_str().unwrap().to_owned();
    let variables = [(FOLDER, folder), (FROM, from.to_string()), (SEED, seed.to_string())];
    // Also while the store is being opened, before the first operation.
    let (lines, moment) = (rng.random_range(0..20), Duration::from_micros(rng.random_range(0..8_000)));
    let last = kill_after("crash::a_child_writes_until_it_is_killed", &variables, lines, moment);
    last.map_or(from, |last| last + 1)
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    if std::env::var(FOLDER).is_ok() {
        return;
    }
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("HYDRA_TORTURE_ROUNDS", 15), number(SEED, 1));
    let (_guard, folder) = place();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut model = Model::new();
    let (mut done, mut first) = (0, 0);
    for round in 0..rounds {
        let next = one_round(&folder, seed, done, &mut rng);
        for number in done..next {
            operation(seed, number).model(&mut model);
        }
        let case = format!("seed {seed}, round {round}, {next} operations acknowledged");
        if !folder.exists() {
            assert_eq!(next, 0, "{case}: no store");
            continue;
        }
        let store = open_or_create(&folder);
        let found = contents(&store);
        let mut after = model.clone();
        operation(seed, next).model(&mut after);
        assert!(found == model || found == after, "{case}: neither old nor new");
        let report = store.check().unwrap();
        assert!(report.is_whole(), "{case}: {report:?}");
        first += u64::from(next > done);
        done = next + u64::from(found != model);
        model = found;
    }
    assert!(first > 0 && done > rounds, "seed {seed}: {done} operations in {rounds} rounds test little");
}
