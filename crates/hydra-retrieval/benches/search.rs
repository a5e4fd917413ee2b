//! One operation at a time, for comparing a change with what was before: `cargo bench -p hydra-retrieval --bench search`.
//!
//! What is promised, and how it compares with others, is measured by `retrieval.rs`.
#![allow(missing_docs)] // What the macro generates.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use hydra_retrieval::{Entry, Filter, History, HistoryParams, HnswIndex, HnswParams, Item, Query, Retriever, Scratch};
use hydra_types::{Record, RecordId, Scope, Time, UserId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIMENSIONS: usize = 384;
const K: usize = 10;

fn vectors(n: usize) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // A latent of 8 numbers, repeated with noise: near vectors are near.
    let mut vector = || {
        let latent: [f32; 8] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
        (0..DIMENSIONS).map(|place| latent[place % 8] + rng.random_range(-0.3..0.3)).collect()
    };
    (0..n).map(|_| vector()).collect()
}

fn entries(n: usize) -> Vec<Entry> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut text = || (0..40).map(|_| format!("w{} ", rng.random_range(0..60) * rng.random_range(0..60))).collect();
    let mut entry = |(id, vector)| {
        let text: String = text();
        Entry::new(Record::new(RecordId::new(id), Time::from_unix_millis(0), text, ""), vector)
    };
    (0..).zip(vectors(n)).map(&mut entry).collect()
}

fn history(scope: &Scope, n: usize) -> History {
    let mut history = History::new(scope, DIMENSIONS, HistoryParams::default()).unwrap();
    history.append(scope, entries(n)).unwrap();
    history
}

fn in_a_history(criterion: &mut Criterion) {
    let scope = Scope::acting_for(UserId::new(1));
    let query_vector = vectors(1).remove(0);
    let query = Query::new().vector(&query_vector).text("w0 w35 w120 w900 w1600 w2000");
    let mut scratch = Scratch::new();
    for n in [100, 1000] {
        let history = history(&scope, n);
        let view = history.view(&scope).unwrap();
        let ways: [(&str, &dyn Retriever); 3] =
            [("nearest", &view.nearest()), ("words", view.lexical()), ("diverse", &view.diverse(0.5, 40).unwrap())];
        for (name, retriever) in ways {
            criterion.benchmark_group(name).bench_function(BenchmarkId::from_parameter(n), |bencher| {
                bencher.iter(|| retriever.search(black_box(&query), K, &Filter::all(), &mut scratch).unwrap());
            });
        }
    }
    let entry = entries(101).pop().unwrap();
    criterion.benchmark_group("append").bench_function(BenchmarkId::from_parameter(100), |bencher| {
        let before = history(&scope, 100);
        let setup = || (before.clone(), vec![entry.clone()]);
        bencher.iter_batched(
            setup,
            |(mut history, entry)| {
                history.append(&scope, entry).unwrap();
                history
            },
            BatchSize::SmallInput,
        );
    });
}

fn in_an_index(criterion: &mut Criterion) {
    let vectors = vectors(5001);
    let (query, vectors) = vectors.split_last().unwrap();
    let items: Vec<Item<'_>> = (0..).zip(vectors).map(|(id, vector)| Item::new(RecordId::new(id), vector)).collect();
    let index = HnswIndex::build(DIMENSIONS, &items, HnswParams::default().ef_construction(60).unwrap()).unwrap();
    let mut scratch = Scratch::new();
    let mut group = criterion.benchmark_group("index");
    for width in [32, 128] {
        let mut index = index.clone();
        index.set_ef_search(width).unwrap();
        group.bench_function(BenchmarkId::new("search", width), |bencher| {
            bencher.iter(|| index.search(black_box(query), K, &Filter::all(), &mut scratch).unwrap());
        });
    }
    group.bench_function("search exactly", |bencher| {
        bencher.iter(|| index.search_exactly(black_box(query), K, &Filter::all(), &mut scratch).unwrap());
    });
    let new = [Item::new(RecordId::new(1_000_000), query)];
    group.bench_function("add and remove", |bencher| {
        let mut index = index.clone();
        bencher.iter(|| {
            index.add(&new).unwrap();
            assert_eq!(index.remove(&[new_id()]), 1);
        });
    });
}

const fn new_id() -> RecordId {
    RecordId::new(1_000_000)
}

criterion_group!(benches, in_a_history, in_an_index);
criterion_main!(benches);
