//! How far probabilities are from frequencies.

use super::{CalibrationError, Outcomes};

/// The usual number of bins.
pub const ECE_BINS: usize = 15;

/// The expected calibration error over `bins` bins of equal width: the mean distance, weighted by rows, between a
/// bin's mean score and the share of its rows that were right. 0 is perfect, 1 the worst.
///
/// Bins are closed below and open above, but for the last, which holds a score of exactly 1.
///
/// # Errors
/// [`CalibrationError::Empty`] if there are no rows.
///
/// # Panics
/// If `bins` is zero.
///
/// # Source
/// Naeini et al. (2015); Guo et al. (2017), equation 3. **Differs:** theirs are open below and closed above.
pub fn expected_calibration_error(rows: Outcomes<'_>, bins: usize) -> Result<f64, CalibrationError> {
    assert!(bins > 0, "at least one bin");
    if rows.is_empty() {
        return Err(CalibrationError::Empty);
    }
    let mut gaps = vec![0.0; bins];
    for (score, label) in rows.rows() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a score is in [0, 1]")]
        let bin = (score * bins as f64) as usize;
        gaps[bin.min(bins - 1)] += f64::from(u8::from(label)) - score;
    }
    // |share right - mean score| weighted by rows is the absolute sum of the rows' differences.
    Ok(gaps.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / rows.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ece(scores: &[f32], labels: &[bool], bins: usize) -> f64 {
        expected_calibration_error(Outcomes::new(scores, labels).unwrap(), bins).unwrap()
    }

    #[test]
    fn by_hand() {
        // Bin [0, 0.5): mean score 0.25, one of two right. Bin [0.5, 1]: mean score 0.75, both right.
        let expected = 0.5 * 0.25 + 0.5 * 0.25;
        assert!((ece(&[0.125, 0.375, 0.5, 1.0], &[false, true, true, true], 2) - expected).abs() < 1e-12);
    }

    #[test]
    fn certain_and_right_is_perfect_certain_and_wrong_the_worst() {
        assert_eq!(ece(&[0.0, 1.0], &[false, true], ECE_BINS), 0.0);
        assert_eq!(ece(&[0.0, 1.0], &[true, false], ECE_BINS), 1.0);
    }

    #[test]
    fn without_rows_there_is_no_error_to_speak_of() {
        let rows = Outcomes::new(&[], &[]).unwrap();
        assert_eq!(expected_calibration_error(rows, ECE_BINS), Err(CalibrationError::Empty));
    }
}
