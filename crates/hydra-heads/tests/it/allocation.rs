//! The twins that write into the caller's memory allocate nothing.
#![allow(unsafe_code, reason = "an allocator that counts has to be one; it hands every call on as it came")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use hydra_heads::{Features, HeadBank, HeadName, Kind, Scratch, Shared, Weights};
use hydra_types::UserId;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::population::{BODY, normal};

/// The system's allocator, counting the calls of each thread.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn scoring_into_the_callers_memory_allocates_nothing() {
    let (hidden, inner) = (32, 16);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut weights = |kind: Kind| {
        let parameters = normal(&mut rng, (1, kind.parameters(hidden)));
        Weights::from_parameters(kind, hidden, parameters.as_slice().unwrap()).unwrap()
    };
    let shared = Shared::new(BODY, weights(Kind::TwoLayer { inner })).unwrap();
    let shared = Arc::new(shared.with_facets(weights(Kind::Facets { facets: 3 })).unwrap());
    let mut bank = HeadBank::new(Arc::clone(&shared));
    let kinds = [Kind::TwoLayer { inner }, Kind::Linear, Kind::LowRank { inner, rank: 2 }, Kind::Routing { facets: 3 }];
    for (n, kind) in (0..).zip(kinds) {
        bank.insert(UserId::new(n), shared.head(weights(kind)).unwrap()).unwrap();
    }
    let names: Vec<HeadName> = (0..40).map(|i| HeadName::User(UserId::new(i % 4))).collect();
    let rows = normal(&mut rng, (names.len(), hidden));
    let features = Features::new(BODY, &rows).unwrap();
    let (mut scratch, mut out) = (Scratch::new(), vec![0.0; names.len()]);
    let mut score = || bank.scores_into(&names, &features, &mut scratch, &mut out).unwrap();
    score();
    let before = CALLS.get();
    score();
    assert_eq!(CALLS.get(), before);
    assert!(before > 0, "the counter counts");
}
