//! A process that saves an index is killed at a random moment, again and again: the old index is there or the new one.
//!
//! `HYDRA_TORTURE_ROUNDS` says how often; `HYDRA_TORTURE_SEED` repeats a run.

use std::path::Path;
use std::time::Duration;

use hydra_retrieval::{Filter, HnswIndex, HnswParams, Item, LoadError, Scratch};
use hydra_testkit::{acknowledge, kill_after};
use hydra_types::RecordId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIMENSIONS: usize = 8;
const FOLDER: &str = "HYDRA_RETRIEVAL_CRASH_FOLDER";
const FROM: &str = "HYDRA_RETRIEVAL_CRASH_FROM";
const SEED: &str = "HYDRA_TORTURE_SEED";

/// The index that is saved as this generation: no two generations have a record in common.
fn index(generation: u64) -> HnswIndex {
    let mut rng = ChaCha8Rng::seed_from_u64(generation);
    let vectors: Vec<[f32; DIMENSIONS]> =
        (0..rng.random_range(1..150)).map(|_| std::array::from_fn(|_| rng.random_range(0.1..1.0))).collect();
    let items: Vec<Item<'_>> =
        (generation * 1000..).zip(&vectors).map(|(id, vector)| Item::new(RecordId::new(id), vector)).collect();
    HnswIndex::build(DIMENSIONS, &items, HnswParams::default()).unwrap()
}

/// Every record with its score, by the graph and without it.
fn contents(index: &HnswIndex) -> impl PartialEq + std::fmt::Debug + use<> {
    let (query, all) = ([1.0; DIMENSIONS], Filter::all());
    let mut scratch = Scratch::new();
    let by_graph = index.search(&query, 5, &all, &mut scratch).unwrap();
    (by_graph, index.search_exactly(&query, usize::MAX, &all, &mut scratch).unwrap())
}

/// Not a test by itself: the process that `a_killed_save_leaves…` starts and kills.
#[test]
fn a_child_saves_until_it_is_killed() {
    let (Ok(folder), Ok(from)) = (std::env::var(FOLDER), std::env::var(FROM)) else { return };
    for generation in from.parse::<u64>().unwrap().. {
        let saved = index(generation).save(Path::new(&folder)).unwrap();
        assert_eq!(saved.get(), generation);
        acknowledge(generation);
    }
}

/// Starts the child, kills it, and returns the last generation that it acknowledged.
fn one_round(folder: &Path, last: u64, rng: &mut ChaCha8Rng) -> u64 {
    let folder = folder.to_str().unwrap().to_owned();
    let variables = [(FOLDER, folder), (FROM, (last + 1).to_string())];
    // Also before the first save.
    let (lines, moment) = (rng.random_range(0..12), Duration::from_micros(rng.random_range(0..6_000)));
    kill_after("crash::a_child_saves_until_it_is_killed", &variables, lines, moment).unwrap_or(last)
}

#[test]
fn a_killed_save_leaves_the_old_index_or_the_new_one() {
    if std::env::var(FOLDER).is_ok() {
        return;
    }
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (rounds, seed) = (number("HYDRA_TORTURE_ROUNDS", 15), number(SEED, 1));
    let place = tempfile::tempdir().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut last, mut left_over, mut round) = (0, 0, 0);
    // On a slow machine most kills come before a save or after it: more rounds, until one came in the middle.
    let most = if rounds < 10 { rounds } else { 20 * rounds };
    while round < rounds || (left_over == 0 && round < most) {
        round += 1;
        let acknowledged = one_round(place.path(), last, &mut rng);
        let case = format!("seed {seed}, round {round}, generation {acknowledged} acknowledged");
        let found = match HnswIndex::load(place.path()) {
            Ok(found) => contents(&found),
            Err(LoadError::Missing { .. }) if acknowledged == 0 => continue,
            Err(error) => panic!("{case}: {error}"),
        };
        last = [acknowledged, acknowledged + 1]
            .into_iter()
            .find(|&generation| generation > 0 && contents(&index(generation)) == found)
            .unwrap_or_else(|| panic!("{case}: neither old nor new"));
        // One data file and the manifest, unless a save was cut short.
        left_over += u64::from(place.path().read_dir().unwrap().count() > 2);
    }
    assert!(last > rounds, "seed {seed}: {last} saves in {rounds} rounds test little");
    assert!(left_over > 0 || rounds < 10, "seed {seed}: no save was cut short in {round} rounds");
    index(last + 1).save(place.path()).unwrap();
    assert_eq!(place.path().read_dir().unwrap().count(), 2, "what crashes left over is cleared away");
}
