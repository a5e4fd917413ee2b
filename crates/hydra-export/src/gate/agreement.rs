//! How far two rankings and two sets of vectors agree.

use hydra_types::ndarray::ArrayView1;

/// Kendall's rank correlation with ties: 1 for the same order, -1 for the reverse, 0 where one side is all ties.
///
/// # Panics
/// When the lengths differ.
///
/// # Source
/// Kendall 1945, *The treatment of ties in ranking problems* (doi:10.1093/biomet/33.3.239): tau-b.
pub(super) fn kendall_tau(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), right.len(), "one number a pair on both sides");
    let (mut agreement, mut left_untied, mut right_untied) = (0_i64, 0_i64, 0_i64);
    for (at, (l, r)) in left.iter().zip(right).enumerate() {
        for (other_l, other_r) in left[at + 1..].iter().zip(&right[at + 1..]) {
            let [l, r] = [l.total_cmp(other_l) as i64, r.total_cmp(other_r) as i64];
            agreement += l * r;
            left_untied += l.abs();
            right_untied += r.abs();
        }
    }
    if left_untied == 0 || right_untied == 0 {
        return 0.0;
    }
    agreement as f64 / ((left_untied as f64) * (right_untied as f64)).sqrt()
}

/// The cosine of two vectors; 0 where one is all zeros.
pub(super) fn cosine(left: &ArrayView1<'_, f32>, right: &ArrayView1<'_, f32>) -> f64 {
    let dot = |a: &ArrayView1<'_, f32>, b: &ArrayView1<'_, f32>| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let lengths = (dot(left, left) * dot(right, right)).sqrt();
    if lengths > 0.0 { (dot(left, right) / lengths).clamp(-1.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_is_what_scipy_computes() {
        // scipy.stats.kendalltau of the same lists.
        for (left, right, expected) in [
            (vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 2.0, 3.0, 4.0], 1.0),
            (vec![12.0, 2.0, 1.0, 12.0, 2.0], vec![1.0, 4.0, 7.0, 1.0, 0.0], -0.471_404_520_791_031_7),
            (vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![3.0, 1.0, 2.0, 5.0, 4.0], 0.4),
            (vec![1.0, 1.0], vec![1.0, 2.0], 0.0),
        ] {
            assert!((kendall_tau(&left, &right) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn cosine_is_that_of_the_angle() {
        let cosine = |left: [f32; 2], right: [f32; 2]| cosine(&(&left).into(), &(&right).into());
        assert!((cosine([1.0, 0.0], [2.0, 2.0]) - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-12);
        assert!((cosine([1.0, 2.0], [-1.0, -2.0]) + 1.0).abs() < 1e-12);
        assert!(cosine([0.0, 0.0], [1.0, 0.0]).abs() < f64::MIN_POSITIVE);
    }
}
