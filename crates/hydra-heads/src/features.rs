//! What the body made of texts, checked once.

use hydra_types::Fingerprint;
use hydra_types::ndarray::ArrayRef2;

use crate::kernel::Picked;

/// Features of one body: rows that are known to be finite, of one width and in one piece of memory.
///
/// The body's fingerprint travels with them, so that features of one body cannot meet heads of another.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    body: Fingerprint,
    batch: usize,
    hidden: usize,
    numbers: &'a [f32],
}

impl<'a> Features<'a> {
    /// Checks what a body made. Nothing is copied.
    ///
    /// # Shapes
    /// - `rows`: `[batch, hidden]`
    ///
    /// # Errors
    /// [`FeaturesError`] if the array is not in row-major order, has no columns, or holds a number that is not finite.
    pub fn new(body: Fingerprint, rows: &'a ArrayRef2<f32>) -> Result<Self, FeaturesError> {
        let (batch, hidden) = rows.dim();
        if hidden == 0 {
            return Err(FeaturesError::NoColumns);
        }
        let numbers = rows.as_slice().ok_or(FeaturesError::Layout)?;
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(at) => Err(FeaturesError::NonFinite { row: at / hidden }),
            None => Ok(Self { body, batch, hidden, numbers }),
        }
    }

    /// Whose features these are.
    #[must_use]
    pub fn body(&self) -> Fingerprint {
        self.body
    }

    /// How many rows.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// How many numbers a row.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// One row.
    ///
    /// # Panics
    /// If there are not more than `row` rows.
    #[must_use]
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.numbers[row * self.hidden..][..self.hidden]
    }

    /// The rows that `picks` names, for the kernels.
    pub(crate) fn picked(&self, picks: &'a [u32]) -> Picked<'a> {
        Picked { features: self.numbers, picks, cols: self.hidden }
    }
}

/// An array that cannot be [`Features`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeaturesError {
    /// Rows without numbers.
    #[error("features have no columns: give an array of shape [batch, hidden]")]
    NoColumns,
    /// Strided or transposed.
    #[error("features are not in row-major order: copy them with `as_standard_layout`")]
    Layout,
    /// NaN or infinity.
    #[error("features of row {row} are not finite: check the body's output")]
    NonFinite {
        /// The first such row.
        row: usize,
    },
}

#[cfg(test)]
mod tests {
    use hydra_types::ndarray::{Array2, array};

    use super::*;

    #[test]
    fn only_finite_rows_in_order_are_features() {
        let body = Fingerprint::new([1; 32]);
        let rows = array![[1.0, 2.0], [3.0, f32::NAN]];
        assert_eq!(Features::new(body, &rows).unwrap_err(), FeaturesError::NonFinite { row: 1 });
        let rows = array![[1.0, 2.0], [3.0, 4.0]];
        assert_eq!(Features::new(body, &rows.t()).unwrap_err(), FeaturesError::Layout);
        assert_eq!(Features::new(body, &Array2::zeros((3, 0))).unwrap_err(), FeaturesError::NoColumns);
        assert_eq!(Features::new(body, &rows).unwrap().row(1), [3.0, 4.0]);
        assert_eq!(Features::new(body, &Array2::zeros((0, 2))).unwrap().batch(), 0);
    }
}
