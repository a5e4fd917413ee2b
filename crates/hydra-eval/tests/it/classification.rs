//! scikit-learn: labels and numbers.

use hydra_eval::{EvalError, accuracy, macro_f1, mae, rmse};
use serde::Deserialize;

use crate::{assert_equal, cases};

#[derive(Deserialize)]
struct Labelled {
    labels: Vec<u8>,
    gold: Vec<u8>,
    predicted: Vec<u8>,
    accuracy: f64,
    macro_f1: f64,
}

#[test]
fn accuracy_and_macro_f1_are_those_of_scikit_learn() {
    for (index, case) in cases::<Labelled>("classification").iter().enumerate() {
        assert_equal(accuracy(&case.gold, &case.predicted).unwrap(), case.accuracy, index);
        assert_equal(macro_f1(&case.labels, &case.gold, &case.predicted).unwrap(), case.macro_f1, index);
    }
}

#[derive(Deserialize)]
struct Numbers {
    gold: Vec<f64>,
    predicted: Vec<f64>,
    mae: f64,
    rmse: f64,
}

#[test]
fn mae_and_rmse_are_those_of_scikit_learn() {
    for (index, case) in cases::<Numbers>("regression").iter().enumerate() {
        assert_equal(mae(&case.gold, &case.predicted).unwrap(), case.mae, index);
        assert_equal(rmse(&case.gold, &case.predicted).unwrap(), case.rmse, index);
    }
}

#[test]
fn questions_without_an_answer_are_errors() {
    assert_eq!(accuracy::<u8>(&[], &[]), Err(EvalError::Empty));
    assert_eq!(accuracy(&[1, 2], &[1]), Err(EvalError::Lengths { expected: 2, got: 1 }));
    assert_eq!(macro_f1(&[], &[1], &[1]), Err(EvalError::Empty));
    assert!(matches!(mae(&[1.0, f64::NAN], &[1.0, 1.0]), Err(EvalError::Number { index: 1, .. })));
    assert!(matches!(rmse(&[1.0], &[f64::INFINITY]), Err(EvalError::Number { index: 0, .. })));
}
