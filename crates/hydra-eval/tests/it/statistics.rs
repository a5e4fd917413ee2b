//! SciPy: tests of difference. And what holds for every sample.

use hydra_eval::{EvalError, Paired, sign_test};
use proptest::prelude::*;
use serde::Deserialize;

use crate::{assert_equal, cases};

#[derive(Deserialize)]
struct Case {
    deltas: Vec<f64>,
    permutation: f64,
    wins: u32,
    losses: u32,
    sign: f64,
}

fn paired(deltas: &[f64]) -> Paired {
    let users: Vec<Vec<f64>> = deltas.iter().map(|&delta| vec![delta]).collect();
    let zeros = vec![vec![0.0]; deltas.len()];
    Paired::by_user(&users, &zeros).unwrap()
}

#[test]
fn exact_p_values_are_those_of_scipy() {
    for (index, case) in cases::<Case>("statistics").iter().enumerate() {
        assert_equal(paired(&case.deltas).permutation_test(1, 0), case.permutation, index);
        assert_equal(sign_test(case.wins, case.losses), case.sign, index);
    }
}

#[test]
fn random_flips_come_near_the_exact_value() {
    let few: Vec<f64> = (0..16).map(|i| f64::from(i % 5) - 1.5).collect();
    let exact = paired(&few).permutation_test(1, 0);
    // A user whose difference is zero changes no sum: the same test, too many users to be exact.
    let many: Vec<f64> = few.into_iter().chain([0.0]).collect();
    let random = paired(&many).permutation_test(20_000, 3);
    assert!((exact - random).abs() < 0.01, "{exact} {random}");
}

#[test]
fn users_and_not_queries_are_the_unit_of_chance() {
    // Two users with many queries each are still two users.
    let system = vec![vec![1.0; 500]; 2];
    let baseline = vec![vec![0.0; 500]; 2];
    assert_eq!(Paired::by_user(&system, &baseline).unwrap().permutation_test(100, 0), 0.5);
}

#[test]
fn every_user_has_a_difference_of_their_own() {
    let system = vec![vec![1.0, 3.0], vec![0.5], vec![2.0, 2.0, 2.0]];
    let baseline = vec![vec![0.0, 1.0], vec![1.0], vec![2.0, 2.0, 2.0]];
    let paired = Paired::by_user(&system, &baseline).unwrap();
    assert_eq!(paired.user_means(), [1.5, -0.5, 0.0]);
    assert_eq!(paired.mean(), 2.5 / 6.0);
}

#[test]
fn systems_on_different_queries_cannot_be_compared() {
    let one = vec![vec![1.0]];
    assert_eq!(Paired::by_user(&one, &[]), Err(EvalError::Lengths { expected: 0, got: 1 }));
    assert_eq!(Paired::by_user(&one, &[vec![1.0, 2.0]]), Err(EvalError::Lengths { expected: 2, got: 1 }));
    assert_eq!(Paired::by_user(&[vec![]], &[vec![]]), Err(EvalError::Empty));
    assert!(matches!(Paired::by_user(&one, &[vec![f64::NAN]]), Err(EvalError::Number { index: 0, .. })));
}

proptest! {
    #[test]
    fn the_interval_holds_the_mean_and_repeats(deltas in prop::collection::vec(-5.0f64..5.0, 2..30), seed: u64) {
        let paired = paired(&deltas);
        let interval = paired.bootstrap(0.9, 200, seed);
        prop_assert!(interval.low <= interval.high);
        // A mean of equal numbers is that number only up to its rounding.
        let (below, above) = (interval.low + 1e-12, interval.high - 1e-12);
        prop_assert!(deltas.iter().any(|&d| d <= below) && deltas.iter().any(|&d| d >= above));
        prop_assert_eq!(interval, paired.bootstrap(0.9, 200, seed));
        prop_assert!((interval.mean - deltas.iter().sum::<f64>() / deltas.len() as f64).abs() < 1e-12);
    }
}
