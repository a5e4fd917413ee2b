//! Scores and probabilities of two classes.

use crate::error::{EvalError, check_lengths, check_numbers};

/// The area under the receiver operating characteristic: the chance that a positive case scores higher than a negative
/// one, ties counting half. In `[0, 1]`, higher is better, 0.5 is chance.
///
/// # Errors
/// [`EvalError`] if the lengths differ, a score is not finite, or only one class occurs.
///
/// # Source
/// The Mann-Whitney statistic by mid-ranks: Hanley and McNeil (1982).
pub fn auroc(labels: &[bool], scores: &[f64]) -> Result<f64, EvalError> {
    let ties = tied_groups(labels, scores)?;
    let (positives, negatives) = totals(&ties);
    if positives == 0.0 || negatives == 0.0 {
        return Err(EvalError::OneClass);
    }
    // From the best score down: each positive beats the negatives that are still to come, and half of its tie.
    let (mut wins, mut below) = (0.0, negatives);
    for (hits, misses) in ties {
        below -= misses;
        wins += hits * (below + misses / 2.0);
    }
    Ok(wins / (positives * negatives))
}

/// The average precision, `sum_n (R_n - R_(n-1)) P_n` over the distinct scores: in `[0, 1]`, higher is better.
///
/// # Errors
/// [`EvalError`] if the lengths differ, a score is not finite, or no case is positive.
///
/// # Source
/// scikit-learn, `average_precision_score`: without interpolation, tied scores as one threshold.
pub fn average_precision(labels: &[bool], scores: &[f64]) -> Result<f64, EvalError> {
    let ties = tied_groups(labels, scores)?;
    let (positives, _) = totals(&ties);
    if positives == 0.0 {
        return Err(EvalError::OneClass);
    }
    let (mut sum, mut hits_so_far, mut cases_so_far) = (0.0, 0.0, 0.0);
    for (hits, misses) in ties {
        hits_so_far += hits;
        cases_so_far += hits + misses;
        sum += hits / positives * (hits_so_far / cases_so_far);
    }
    Ok(sum)
}

/// The mean squared difference of probability and outcome: in `[0, 1]`, lower is better.
///
/// # Errors
/// [`EvalError`] if the lengths differ, there is no case, or a number is no probability.
///
/// # Source
/// Brier (1950), for two classes, as `brier_score_loss` of scikit-learn.
pub fn brier(labels: &[bool], probabilities: &[f64]) -> Result<f64, EvalError> {
    check_probabilities(labels, probabilities)?;
    let square = |(&label, p): (&bool, &f64)| (p - f64::from(u8::from(label))).powi(2);
    Ok(labels.iter().zip(probabilities).map(square).sum::<f64>() / labels.len() as f64)
}

/// The mean negative logarithm of the probability of what happened: at least zero, lower is better.
///
/// Probabilities are clipped to `[eps, 1 - eps]` with the machine epsilon of `f64`, as `log_loss` of scikit-learn does,
/// so that one wrong certainty costs 36 and not everything.
///
/// # Errors
/// [`EvalError`] if the lengths differ, there is no case, or a number is no probability.
pub fn log_loss(labels: &[bool], probabilities: &[f64]) -> Result<f64, EvalError> {
    check_probabilities(labels, probabilities)?;
    let loss = |(&label, &p): (&bool, &f64)| {
        let p = p.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
        -(if label { p } else { 1.0 - p }).ln()
    };
    Ok(labels.iter().zip(probabilities).map(loss).sum::<f64>() / labels.len() as f64)
}

/// The expected calibration error over `bins` bins of equal width: in `[0, 1]`, lower is better.
///
/// Bins are closed below and open above, but for the last, which is closed: a probability of exactly 1 is in it.
///
/// # Errors
/// [`EvalError`] if the lengths differ, there is no case, or a number is no probability.
///
/// # Panics
/// If `bins` is zero.
///
/// # Source
/// Guo et al. 2017, arXiv:1706.04599, equation 3. **Differs:** theirs are open below and closed above.
pub fn expected_calibration_error(labels: &[bool], probabilities: &[f64], bins: usize) -> Result<f64, EvalError> {
    assert!(bins > 0, "at least one bin");
    check_probabilities(labels, probabilities)?;
    let mut gaps = vec![0.0_f64; bins];
    for (&label, &p) in labels.iter().zip(probabilities) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability is in [0, 1]")]
        let bin = (p * bins as f64) as usize;
        gaps[bin.min(bins - 1)] += f64::from(u8::from(label)) - p;
    }
    // A bin's |accuracy - confidence|, weighted by its cases, is the absolute sum of its cases' differences.
    Ok(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / labels.len() as f64)
}

/// `(positive, negative)` cases of each distinct score, best score first.
fn tied_groups(labels: &[bool], scores: &[f64]) -> Result<Vec<(f64, f64)>, EvalError> {
    check_lengths(labels.len(), scores.len())?;
    check_numbers(scores, "a finite score", f64::is_finite)?;
    let mut cases: Vec<(f64, bool)> = scores.iter().copied().zip(labels.iter().copied()).collect();
    cases.sort_by(|a, b| b.0.total_cmp(&a.0));
    let count = |group: &[(f64, bool)], class| group.iter().filter(|case| case.1 == class).count() as f64;
    Ok(cases.chunk_by(|a, b| a.0 == b.0).map(|group| (count(group, true), count(group, false))).collect())
}

fn totals(ties: &[(f64, f64)]) -> (f64, f64) {
    ties.iter().fold((0.0, 0.0), |sum, tie| (sum.0 + tie.0, sum.1 + tie.1))
}

fn check_probabilities(labels: &[bool], probabilities: &[f64]) -> Result<(), EvalError> {
    check_lengths(labels.len(), probabilities.len())?;
    check_numbers(probabilities, "a probability in [0, 1]", |p| (0.0..=1.0).contains(&p))
}
