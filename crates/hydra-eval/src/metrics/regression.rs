//! How far off.

use crate::error::{EvalError, check_lengths, check_numbers};

/// The mean absolute error: at least zero, in the unit of the numbers, lower is better.
///
/// # Errors
/// [`EvalError`] if the lengths differ, there is no case, or a number is not finite.
pub fn mae(gold: &[f64], predicted: &[f64]) -> Result<f64, EvalError> {
    mean_error(gold, predicted, f64::abs)
}

/// The root of the mean squared error: at least zero, in the unit of the numbers, lower is better.
///
/// # Errors
/// [`EvalError`] if the lengths differ, there is no case, or a number is not finite.
pub fn rmse(gold: &[f64], predicted: &[f64]) -> Result<f64, EvalError> {
    mean_error(gold, predicted, |error| error * error).map(f64::sqrt)
}

fn mean_error(gold: &[f64], predicted: &[f64], size: impl Fn(f64) -> f64) -> Result<f64, EvalError> {
    check_lengths(gold.len(), predicted.len())?;
    for numbers in [gold, predicted] {
        check_numbers(numbers, "a finite number", f64::is_finite)?;
    }
    let sum: f64 = gold.iter().zip(predicted).map(|(gold, predicted)| size(gold - predicted)).sum();
    Ok(sum / gold.len() as f64)
}
