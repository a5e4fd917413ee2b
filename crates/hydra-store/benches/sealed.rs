//! One operation at a time, for comparing a change with what was before: `cargo bench -p hydra-store --bench sealed`.
//!
//! What is promised is measured by `store.rs`, on a store of the size that is meant.
#![allow(missing_docs)] // What the macro generates.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hydra_store::{Batch, Read, Scan, Store, StoreKey, Table};
use hydra_types::{Scope, UserId};

const RECORDS: Table = Table::new("records");
const USERS: u32 = 1000;
const RECORDS_PER_USER: u64 = 20;
/// A short text and 384 floats.
const VALUE: [u8; 200 + 384 * 4] = [7; 200 + 384 * 4];

fn scope(user: u32) -> Scope {
    Scope::acting_for(UserId::new(u128::from(user)))
}

fn put(user: u32, record: u64) -> Batch {
    Batch::new(&scope(user)).put(RECORDS, record.to_be_bytes(), VALUE)
}

fn sealed(criterion: &mut Criterion) {
    let place = tempfile::tempdir_in(".").unwrap();
    let store = Store::create(&place.path().join("store"), &StoreKey::from_bytes([5; 32])).unwrap();
    for record in 0..RECORDS_PER_USER {
        store.commit_many(&(0..USERS).map(|user| put(user, record)).collect::<Vec<_>>()).unwrap();
    }
    let scopes: Vec<Scope> = (0..USERS).map(scope).collect();
    let mut next = (0..scopes.len()).cycle();
    let mut user = move || next.next().unwrap();

    let mut group = criterion.benchmark_group("read");
    group.bench_function("get", |bencher| {
        bencher.iter(|| store.get(black_box(&scopes[user()]), RECORDS, &3u64.to_be_bytes()).unwrap());
    });
    group.bench_function(BenchmarkId::new("scan", RECORDS_PER_USER), |bencher| {
        bencher.iter(|| store.scan(Scan::new(black_box(&scopes[user()]), RECORDS)).unwrap());
    });
    let slot = 3u64.to_be_bytes();
    let reads: Vec<Read<'_>> =
        scopes.iter().take(32).map(|scope| Read { scope, table: RECORDS, slot: &slot }).collect();
    group.bench_function(BenchmarkId::new("get of many users", reads.len()), |bencher| {
        bencher.iter(|| store.get_many(black_box(&reads)).unwrap());
    });
    group.bench_function("vault", |bencher| bencher.iter(|| store.vault(black_box(&scopes[user()]))));
    group.finish();

    let mut group = criterion.benchmark_group("write");
    group.sample_size(20);
    group.bench_function("commit", |bencher| bencher.iter(|| store.commit(&put(1, 3)).unwrap()));
    let batches: Vec<Batch> = (0..100).map(|user| put(user, 3)).collect();
    group.bench_function(BenchmarkId::new("commit of many users", batches.len()), |bencher| {
        bencher.iter(|| store.commit_many(black_box(&batches)).unwrap());
    });
    group.bench_function("first commit, then forget", |bencher| {
        bencher.iter(|| {
            store.commit(&put(USERS, 1)).unwrap();
            store.forget(&scope(USERS)).unwrap();
        });
    });
}

criterion_group!(benches, sealed);
criterion_main!(benches);
