//! Right or wrong.

use crate::error::{EvalError, check_lengths};

/// The share of predictions that equal the gold label: in `[0, 1]`, higher is better.
///
/// # Errors
/// [`EvalError`] if the lengths differ or there is no case.
pub fn accuracy<L: PartialEq>(gold: &[L], predicted: &[L]) -> Result<f64, EvalError> {
    check_lengths(gold.len(), predicted.len())?;
    let right = gold.iter().zip(predicted).filter(|(gold, predicted)| gold == predicted).count();
    Ok(right as f64 / gold.len() as f64)
}

/// The mean over a fixed list of labels of each label's F1: in `[0, 1]`, higher is better.
///
/// A label that is neither gold nor predicted anywhere counts as 0, as in scikit-learn's `f1_score(labels=.., average
/// ="macro", zero_division=0)`: a list is fixed so that tables of different samples can be compared. A prediction that
/// is not in the list is wrong for its gold label and held against no other.
///
/// # Errors
/// [`EvalError`] if the lengths differ, or there is no case or no label.
pub fn macro_f1<L: PartialEq>(labels: &[L], gold: &[L], predicted: &[L]) -> Result<f64, EvalError> {
    check_lengths(gold.len(), predicted.len())?;
    if labels.is_empty() {
        return Err(EvalError::Empty);
    }
    let f1 = |label: &L| {
        let both = gold.iter().zip(predicted).filter(|(gold, predicted)| *gold == label && *predicted == label).count();
        let either = count(gold, label) + count(predicted, label);
        if either == 0 { 0.0 } else { 2.0 * both as f64 / either as f64 }
    };
    Ok(labels.iter().map(f1).sum::<f64>() / labels.len() as f64)
}

fn count<L: PartialEq>(all: &[L], label: &L) -> usize {
    all.iter().filter(|one| *one == label).count()
}
