//! Questions without an answer.

/// Why a metric has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Nothing to average over.
    #[error("nothing to evaluate: give at least one case")]
    Empty,
    /// Predictions without gold, or the other way round.
    #[error("{got} predictions for {expected} cases: give one for each")]
    Lengths {
        /// How many cases there are.
        expected: usize,
        /// How many predictions.
        got: usize,
    },
    /// A number that is not finite, or no probability where one is asked for.
    #[error("number {index} is {value}: give {expected}")]
    Number {
        /// Where it stands.
        index: usize,
        /// What it is.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// The metric compares two classes and there is only one.
    #[error("all cases are of one class: the metric compares two")]
    OneClass,
}

/// As many of one as of the other, and at least one.
pub(crate) fn check_lengths(expected: usize, got: usize) -> Result<(), EvalError> {
    if expected != got {
        return Err(EvalError::Lengths { expected, got });
    }
    if expected == 0 { Err(EvalError::Empty) } else { Ok(()) }
}

/// Every number fulfils `holds`.
pub(crate) fn check_numbers(
    numbers: &[f64],
    expected: &'static str,
    holds: impl Fn(f64) -> bool,
) -> Result<(), EvalError> {
    match numbers.iter().position(|&number| !holds(number)) {
        Some(index) => Err(EvalError::Number { index, value: numbers[index], expected }),
        None => Ok(()),
    }
}
