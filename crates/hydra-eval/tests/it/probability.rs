//! scikit-learn: scores and probabilities of two classes.

use hydra_eval::{EvalError, auroc, average_precision, brier, expected_calibration_error, log_loss};
use serde::Deserialize;

use crate::{assert_equal, cases};

#[derive(Deserialize)]
struct Case {
    labels: Vec<bool>,
    p: Vec<f64>,
    auroc: Option<f64>,
    ap: Option<f64>,
    brier: f64,
    log_loss: f64,
    ece8: f64,
}

#[test]
fn all_are_those_of_scikit_learn_and_numpy() {
    for (index, Case { labels, p, auroc: area, ap, brier: square, log_loss: loss, ece8 }) in
        cases("probability").into_iter().enumerate()
    {
        assert_equal(brier(&labels, &p).unwrap(), square, index);
        assert_equal(log_loss(&labels, &p).unwrap(), loss, index);
        assert_equal(expected_calibration_error(&labels, &p, 8).unwrap(), ece8, index);
        for (got, expected) in [(auroc(&labels, &p), area), (average_precision(&labels, &p), ap)] {
            match expected {
                Some(expected) => assert_equal(got.unwrap(), expected, index),
                None => assert_eq!(got, Err(EvalError::OneClass), "case {index}"),
            }
        }
    }
}

#[test]
fn a_probability_of_one_is_in_the_last_bin() {
    assert_eq!(expected_calibration_error(&[true, false], &[1.0, 1.0], 10), Ok(0.5));
}

#[test]
fn what_is_no_probability_is_refused() {
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(brier(&[true, true], &[0.5, bad]), Err(EvalError::Number { index: 1, .. })));
    }
    assert!(matches!(auroc(&[true], &[f64::NAN]), Err(EvalError::Number { index: 0, .. })));
    assert_eq!(auroc(&[], &[]), Err(EvalError::Empty));
}
