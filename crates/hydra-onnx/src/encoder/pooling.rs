//! From what the graph gives to features.

use hydra_types::ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1};

use super::EncoderError;

/// Puts the rows of a batch where the caller had them.
///
/// # Shapes
/// - `given`: `[batch, numbers]`
/// - `into`: `[rows, numbers]`
pub(super) fn place(given: &ArrayView2<'_, f32>, batch: &[usize], into: &mut Array2<f32>) -> Result<(), EncoderError> {
    for (given, &row) in given.rows().into_iter().zip(batch) {
        if !is_finite(given) {
            return Err(EncoderError::NotFinite { row });
        }
        into.row_mut(row).assign(&given);
    }
    Ok(())
}

/// Mean of the vectors of tokens. Padding was left out by the caller, so no mask is needed.
///
/// # Shapes
/// - `tokens`: `[seq, hidden]`, `seq` at least 1
/// - `into`: `[hidden]`
///
/// # Source
/// Reimers and Gurevych, "Sentence-BERT", arXiv:1908.10084, section 3: the MEAN strategy.
/// **Differs:** no clamp of the count at 1e-9, because there is at least one token.
pub(super) fn mean(tokens: &ArrayView2<'_, f32>, into: &mut ArrayViewMut1<'_, f32>) {
    into.fill(0.0);
    for token in tokens.rows() {
        *into += &token;
    }
    // Exact up to 2^24 tokens.
    let count = tokens.nrows() as f32;
    into.mapv_inplace(|sum| sum / count);
}

/// Divides by the Euclidean length; false if the vector is zero or not finite, so that it has no direction.
///
/// # Shapes
/// - `features`: `[hidden]`
///
/// # Source
/// `torch.nn.functional.normalize` with `p = 2`: `v / max(|v|, 1e-12)`.
/// **Differs:** a vector shorter than 1e-12 is refused.
pub(super) fn normalize(features: &mut ArrayViewMut1<'_, f32>) -> bool {
    // In f64 the squares of f32 neither overflow nor vanish.
    let norm = features.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm < MIN_NORM {
        return false;
    }
    features.mapv_inplace(|x| narrow(f64::from(x) / norm));
    true
}

/// Whether all numbers are finite.
pub(super) fn is_finite<'a>(features: impl Into<ArrayView1<'a, f32>>) -> bool {
    features.into().iter().all(|x| x.is_finite())
}

/// A quotient of at most 1 in size always fits.
#[allow(clippy::cast_possible_truncation, reason = "rounding to f32 is meant, and no quotient is above 1")]
fn narrow(quotient: f64) -> f32 {
    quotient as f32
}

const MIN_NORM: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use hydra_testkit::Tolerance;
    use hydra_types::ndarray::{Array1, array};

    use super::*;

    // By hand, and `torch.nn.functional.normalize(torch.tensor([3.0, 4.0]))`.
    #[test]
    fn mean_and_length_are_as_by_hand() {
        let tokens = array![[1.0, 2.0], [5.0, 6.0]];
        let mut into = Array1::from(vec![9.0, 9.0]);
        mean(&tokens.view(), &mut into.view_mut());
        assert_eq!(into.to_vec(), [3.0, 4.0]);
        assert!(normalize(&mut into.view_mut()));
        Tolerance::absolute(1e-7).assert_close(&into.to_vec(), &[0.6, 0.8]);
    }

    #[test]
    fn a_vector_without_direction_is_refused() {
        for bad in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 1.0]] {
            assert!(!normalize(&mut Array1::from(bad.to_vec()).view_mut()), "{bad:?}");
        }
        let mut huge = Array1::from(vec![f32::MAX, f32::MAX]);
        assert!(normalize(&mut huge.view_mut()));
        Tolerance::absolute(1e-7).assert_close(&huge.to_vec(), &[0.5_f32.sqrt(); 2]);
    }
}
