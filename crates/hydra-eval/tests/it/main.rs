//! Values equal those of the reference implementations, on the cases of `fixtures/eval`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod classification;
mod comparison;
mod json_lines;
mod lamp;
mod movielens;
mod probability;
mod ranking;
mod statistics;
mod text;

use hydra_testkit::Tolerance;
use serde::de::DeserializeOwned;

/// The cases of a golden file. Other programs made them: `xtask/python/make_metric_goldens.py`.
fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let text = std::fs::read_to_string(hydra_testkit::fixture(&format!("eval/{name}.json"))).unwrap();
    let cases: Vec<T> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= 60, "{name} has {} cases", cases.len());
    cases
}

/// Equal within what two orders of summation may differ by.
#[track_caller]
fn assert_equal(got: f64, expected: f64, case: usize) {
    if let Err(difference) = Tolerance::absolute(1e-9).compare(&[got], &[expected]) {
        panic!("case {case}: {difference}");
    }
}
