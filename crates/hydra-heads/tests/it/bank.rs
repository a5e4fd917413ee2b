//! Many heads in one call, and nobody's score moved by anybody else.

use std::sync::Arc;

use hydra_heads::{
    BindError, Features, Head, HeadBank, HeadName, Kind, Precision, ScoreError, Scratch, Shared, Weights,
};
use hydra_types::ndarray::{Array2, array};
use hydra_types::{Fingerprint, UserId};
use proptest::prelude::*;

const BODY: Fingerprint = Fingerprint::new([1; 32]);
const FACETS: usize = 3;

/// Numbers that look random and are the same everywhere.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from(u16::try_from(state >> 48).unwrap()) / 32_768.0 - 1.0
        })
        .collect()
}

fn weights(kind: Kind, hidden: usize, seed: u64) -> Weights {
    Weights::from_parameters(kind, hidden, &numbers(seed, kind.parameters(hidden))).unwrap()
}

fn shared(hidden: usize, inner: usize) -> Arc<Shared> {
    let prior = weights(Kind::TwoLayer { inner }, hidden, 100);
    let facets = weights(Kind::Facets { facets: FACETS }, hidden, 101);
    Arc::new(Shared::new(BODY, prior).unwrap().with_facets(facets).unwrap())
}

/// User `n`'s head: every kind and precision comes up.
fn head(shared: &Shared, inner: usize, n: u64) -> Head {
    let kinds = [
        Kind::TwoLayer { inner: inner + 1 },
        Kind::Linear,
        Kind::LowRank { inner, rank: 2 },
        Kind::Routing { facets: FACETS },
    ];
    let kind = kinds[usize::try_from(n).unwrap() % kinds.len()];
    let precision = Precision::ALL[usize::try_from(n / 4).unwrap() % 3];
    shared.head(weights(kind, shared.hidden(), n).to_precision(precision)).unwrap()
}

fn user(n: u64) -> HeadName {
    HeadName::User(UserId::new(u128::from(n)))
}

fn bank(hidden: usize, inner: usize, users: u64) -> HeadBank {
    let shared = shared(hidden, inner);
    let mut bank = HeadBank::new(Arc::clone(&shared));
    for n in 0..users {
        bank.insert(UserId::new(u128::from(n)), head(&shared, inner, n)).unwrap();
    }
    bank
}

fn features(seed: u64, batch: usize, hidden: usize) -> Array2<f32> {
    Array2::from_shape_vec((batch, hidden), numbers(seed, batch * hidden)).unwrap()
}

fn bits(scores: &[f32]) -> Vec<u32> {
    scores.iter().map(|score| score.to_bits()).collect()
}

fn name() -> impl Strategy<Value = HeadName> {
    prop_oneof![1 => Just(HeadName::Prior), 9 => (0..24u64).prop_map(user)]
}

proptest! {
    #[test]
    fn a_batch_is_its_rows_one_by_one(
        names in prop::collection::vec(name(), 1..40), hidden in 1usize..40, inner in 1usize..20, seed: u64,
    ) {
        let bank = bank(hidden, inner, 24);
        let rows = features(seed, names.len(), hidden);
        let together = bank.log_odds(&names, &Features::new(BODY, &rows).unwrap()).unwrap();
        for (i, name) in names.iter().enumerate() {
            let row = rows.slice(hydra_types::ndarray::s![i..=i, ..]);
            let alone = bank.log_odds(&[*name], &Features::new(BODY, &row).unwrap()).unwrap();
            prop_assert_eq!(alone[0].to_bits(), together[i].to_bits());
        }
    }

    #[test]
    fn permuted_rows_get_permuted_scores(
        names in prop::collection::vec(name(), 1..30), seed: u64, turn in 0usize..30,
    ) {
        let bank = bank(9, 5, 24);
        let rows = features(seed, names.len(), 9);
        let scores = bank.scores(&names, &Features::new(BODY, &rows).unwrap()).unwrap();
        let order: Vec<usize> = (0..names.len()).map(|i| (i * 7 + turn) % names.len()).collect();
        let moved = rows.select(hydra_types::ndarray::Axis(0), &order);
        let names: Vec<_> = order.iter().map(|&i| names[i]).collect();
        let got = bank.scores(&names, &Features::new(BODY, &moved).unwrap()).unwrap();
        let expected: Vec<f32> = order.iter().map(|&i| scores[i]).collect();
        prop_assert_eq!(bits(&got), bits(&expected));
    }

    #[test]
    fn whatever_happens_to_one_user_moves_no_other(a in 0..24u64, seed: u64) {
        let mut bank = bank(9, 5, 24);
        let others: Vec<HeadName> = (0..24).filter(|&n| n != a).map(user).chain([HeadName::Prior]).collect();
        let rows = features(seed, others.len(), 9);
        let rows = Features::new(BODY, &rows).unwrap();
        let before = bits(&bank.scores(&others, &rows).unwrap());
        let refitted = head(&bank.shared().clone(), 5, a + 1000);
        bank.insert(UserId::new(u128::from(a)), refitted).unwrap();
        prop_assert_eq!(&before, &bits(&bank.scores(&others, &rows).unwrap()));
        prop_assert!(bank.remove(UserId::new(u128::from(a))));
        prop_assert_eq!(&before, &bits(&bank.scores(&others, &rows).unwrap()));
        let added = head(&bank.shared().clone(), 5, a + 2000);
        bank.insert(UserId::new(77_777), added).unwrap();
        prop_assert_eq!(&before, &bits(&bank.scores(&others, &rows).unwrap()));
    }
}

#[test]
fn a_call_on_many_threads_is_the_call_on_one() {
    let bank = bank(384, 384, 12);
    let names: Vec<HeadName> = (0..64).map(|i| user(i * 5 % 12)).collect();
    let rows = features(3, names.len(), 384);
    let rows = Features::new(BODY, &rows).unwrap();
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        bits(&pool.install(|| bank.log_odds(&names, &rows).unwrap()))
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(5));
}

#[test]
fn a_head_of_zeros_is_the_prior_head_to_the_bit() {
    let (hidden, inner) = (33, 17);
    let shared = shared(hidden, inner);
    let mut bank = HeadBank::new(Arc::clone(&shared));
    let kinds = [Kind::Linear, Kind::LowRank { inner, rank: 3 }, Kind::Routing { facets: FACETS }];
    let rows = features(5, 20, hidden);
    let rows = Features::new(BODY, &rows).unwrap();
    let prior = bank.log_odds(&[HeadName::Prior; 20], &rows).unwrap();
    for (n, kind) in (0..).zip(kinds) {
        let zeros = shared.head(Weights::zeros(kind, hidden).unwrap()).unwrap();
        bank.insert(UserId::new(n), zeros).unwrap();
        let got = bank.log_odds(&[HeadName::User(UserId::new(n)); 20], &rows).unwrap();
        assert_eq!(bits(&got), bits(&prior), "{kind:?}");
    }
}

#[test]
fn a_reused_scratch_gives_the_same_bits() {
    let bank = bank(20, 10, 24);
    let mut scratch = Scratch::new();
    for (seed, batch) in [(1, 30), (2, 3), (3, 50), (4, 1), (5, 0)] {
        let names: Vec<HeadName> = (0..batch).map(|i| user((i * seed) % 24)).collect();
        let rows = features(seed, names.len(), 20);
        let rows = Features::new(BODY, &rows).unwrap();
        let mut out = vec![0.0; names.len()];
        bank.scores_into(&names, &rows, &mut scratch, &mut out).unwrap();
        assert_eq!(bits(&out), bits(&bank.scores(&names, &rows).unwrap()));
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_never_the_prior_score() {
    let bank = bank(4, 3, 2);
    let rows = array![[1.0, 2.0, 3.0, 4.0]];
    let rows_of = |body| Features::new(body, &rows).unwrap();
    assert_eq!(bank.scores(&[user(9)], &rows_of(BODY)), Err(ScoreError::UnknownHead { row: 0, user: UserId::new(9) }));
    let other = Fingerprint::new([2; 32]);
    assert_eq!(bank.scores(&[user(0)], &rows_of(other)), Err(ScoreError::Body { expected: BODY, got: other }));
    assert!(matches!(
        bank.scores(&[user(0), user(1)], &rows_of(BODY)),
        Err(ScoreError::Count { what: "names", expected: 1, got: 2 })
    ));
    let narrow = array![[1.0, 2.0]];
    assert!(matches!(
        bank.scores(&[user(0)], &Features::new(BODY, &narrow).unwrap()),
        Err(ScoreError::Count { expected: 4, got: 2, .. })
    ));
    let huge = array![[f32::MAX, f32::MAX, f32::MAX, f32::MAX]];
    assert_eq!(bank.scores(&[user(1)], &Features::new(BODY, &huge).unwrap()), Err(ScoreError::Overflow { row: 0 }));
}

#[test]
fn a_head_of_another_body_or_prior_head_is_refused() {
    let mut bank = bank(4, 3, 0);
    let linear = || Weights::linear(&[1.0; 4], 0.0).unwrap();
    let prior = bank.shared().prior().clone();
    let foreign_body = Shared::new(Fingerprint::new([2; 32]), prior).unwrap();
    let foreign = foreign_body.head(linear()).unwrap();
    assert!(matches!(bank.insert(UserId::new(1), foreign), Err(BindError::Body { .. })));
    let foreign_prior = Shared::new(BODY, weights(Kind::TwoLayer { inner: 3 }, 4, 5)).unwrap();
    let foreign = foreign_prior.head(linear()).unwrap();
    assert_eq!(bank.insert(UserId::new(1), foreign), Err(BindError::Base));
    let shared = Arc::clone(bank.shared());
    assert_eq!(shared.head(Weights::linear(&[1.0; 5], 0.0).unwrap()), Err(BindError::Width { expected: 4, got: 5 }));
    assert!(shared.head(Weights::routing(4, &[1.0, 0.0]).unwrap()).is_err());
    assert!(shared.head(weights(Kind::LowRank { inner: 2, rank: 1 }, 4, 1)).is_err());
    assert!(bank.is_empty() && bank.bytes() == 0);
}
