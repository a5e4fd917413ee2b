//! Vectors at the door: checked, normalised, and quantised with a bound on what that costs.

use crate::kernel::{CodeRow, Codes, Floats, OFFSET, code_dot, dot};

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Metric {
    /// The cosine of the angle between them, from -1 to 1. Lengths do not matter.
    #[default]
    Cosine,
    /// The sum of products. Lengths matter, so scores are comparable only among vectors of one kind.
    Dot,
}

/// A vector that cannot be searched with or stored.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VectorError {
    /// It has another number of dimensions than the index.
    #[error("the vector has {got} dimensions and the index {expected}: use one encoder for both")]
    Dimension {
        /// Dimensions of the index.
        expected: usize,
        /// Dimensions of the vector.
        got: usize,
    },
    /// A number is NaN or infinite.
    #[error("the vector's number {index} is not finite: check the encoder's output")]
    NonFinite {
        /// Which number.
        index: usize,
    },
    /// All numbers are zero: it points nowhere.
    #[error("the vector is zero and has no direction: leave such a record out of vector search")]
    Zero,
    /// The length is so extreme that a dot product would not be finite or would vanish.
    #[error("the vector's length {length:e} is outside 1e-18 to 1e18: scale the vectors")]
    Length {
        /// Its length.
        length: f64,
    },
}

/// A checked vector: its floats, its codes, and what the codes leave out.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) floats: Vec<Floats>,
    pub(crate) codes: Vec<Codes>,
    pub(crate) quantised: Quantised,
}

/// What is known about a row beside its codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantised {
    /// A code's number times this is nearly the float.
    pub(crate) scale: f32,
    /// The sum of the codes' numbers.
    pub(crate) sum: i32,
    /// At least the length of what the codes leave out.
    pub(crate) error: f32,
    /// At least the length of the row.
    pub(crate) length: f32,
}

impl Vector {
    /// # Errors
    /// [`VectorError`] for what no score can be computed of.
    pub(crate) fn new(numbers: &[f32], dimensions: usize, metric: Metric) -> Result<Self, VectorError> {
        if numbers.len() != dimensions {
            return Err(VectorError::Dimension { expected: dimensions, got: numbers.len() });
        }
        if let Some(index) = numbers.iter().position(|n| !n.is_finite()) {
            return Err(VectorError::NonFinite { index });
        }
        let length = numbers.iter().map(|&n| f64::from(n) * f64::from(n)).sum::<f64>().sqrt();
        if length == 0.0 {
            return Err(VectorError::Zero);
        }
        match metric {
            Metric::Cosine => {
                let unit: Vec<f32> = numbers.iter().map(|&n| narrow(f64::from(n) / length)).collect();
                Ok(Self::quantise(&unit))
            }
            Metric::Dot if (1e-18..=1e18).contains(&length) => Ok(Self::quantise(numbers)),
            Metric::Dot => Err(VectorError::Length { length }),
        }
    }

    /// A vector whose numbers are already as they are stored.
    pub(crate) fn quantise(numbers: &[f32]) -> Self {
        let largest = numbers.iter().fold(0.0f32, |largest, n| largest.max(n.abs()));
        let scale = (largest / 127.0).max(f32::MIN_POSITIVE);
        let (mut sum, mut left_out, mut squares) = (0, 0.0f64, 0.0f64);
        let mut codes = vec![Codes([OFFSET; 64]); numbers.len().div_ceil(64)];
        for (place, &number) in numbers.iter().enumerate() {
            let code = nearest_code(number / scale);
            codes[place / 64].0[place % 64] = code;
            let code = i32::from(code) - i32::from(OFFSET);
            sum += code;
            left_out += (f64::from(number) - f64::from(code) * f64::from(scale)).powi(2);
            squares += f64::from(number).powi(2);
        }
        let floats = numbers
            .chunks(16)
            .map(|chunk| Floats(std::array::from_fn(|i| chunk.get(i).copied().unwrap_or(0.0))))
            .collect();
        let quantised = Quantised { scale, sum, error: at_least(left_out.sqrt()), length: at_least(squares.sqrt()) };
        Self { floats, codes, quantised }
    }

    pub(crate) fn code_row(&self) -> CodeRow<'_> {
        CodeRow { lines: &self.codes, sum: self.quantised.sum }
    }
}

/// Many vectors of one dimension, row after row.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    dimensions: usize,
    floats: Vec<Floats>,
    codes: Vec<Codes>,
    quantised: Vec<Quantised>,
}

impl Rows {
    pub(crate) fn new(dimensions: usize) -> Self {
        Self { dimensions, floats: Vec::new(), codes: Vec::new(), quantised: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.quantised.len()
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(crate) fn push(&mut self, vector: &Vector) {
        self.floats.extend_from_slice(&vector.floats);
        self.codes.extend_from_slice(&vector.codes);
        self.quantised.push(vector.quantised);
    }

    pub(crate) fn replace(&mut self, row: usize, vector: &Vector) {
        let (floats, codes) = (self.float_lines(), self.code_lines());
        self.floats[row * floats..][..floats].copy_from_slice(&vector.floats);
        self.codes[row * codes..][..codes].copy_from_slice(&vector.codes);
        self.quantised[row] = vector.quantised;
    }

    /// The last row takes the place of `row`. What was there is gone from memory too.
    pub(crate) fn swap_remove(&mut self, row: usize) {
        let last = self.len() - 1;
        let (floats, codes) = (self.float_lines(), self.code_lines());
        self.floats.copy_within(last * floats.., row * floats);
        self.codes.copy_within(last * codes.., row * codes);
        self.floats[last * floats..].fill(Floats([0.0; 16]));
        self.codes[last * codes..].fill(Codes([OFFSET; 64]));
        self.floats.truncate(last * floats);
        self.codes.truncate(last * codes);
        self.quantised.swap_remove(row);
    }

    /// The rows in another order: row `order[i]` becomes row `i`.
    pub(crate) fn reordered(&self, order: &[u32]) -> Self {
        let mut rows = Self::new(self.dimensions);
        rows.floats.reserve_exact(self.floats.len());
        rows.codes.reserve_exact(self.codes.len());
        rows.quantised.reserve_exact(self.len());
        for &row in order {
            rows.floats.extend_from_slice(self.floats(row as usize));
            rows.codes.extend_from_slice(self.codes(row as usize));
            rows.quantised.push(self.quantised[row as usize]);
        }
        rows
    }

    pub(crate) fn floats(&self, row: usize) -> &[Floats] {
        &self.floats[row * self.float_lines()..][..self.float_lines()]
    }

    pub(crate) fn numbers(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        self.floats(row).iter().flat_map(|line| line.0).take(self.dimensions)
    }

    pub(crate) fn codes(&self, row: usize) -> &[Codes] {
        &self.codes[row * self.code_lines()..][..self.code_lines()]
    }

    pub(crate) fn all_codes(&self) -> &[Codes] {
        &self.codes
    }

    pub(crate) fn quantised(&self, row: usize) -> &Quantised {
        &self.quantised[row]
    }

    pub(crate) fn code_row(&self, row: usize) -> CodeRow<'_> {
        CodeRow { lines: self.codes(row), sum: self.quantised[row].sum }
    }

    /// The dot product of `query` and a row, to the bit the same on every machine.
    pub(crate) fn dot(&self, query: &[Floats], row: usize) -> f32 {
        dot(query, self.floats(row))
    }

    /// The row as a query.
    pub(crate) fn query(&self, row: usize) -> Vector {
        Vector { floats: self.floats(row).to_vec(), codes: self.codes(row).to_vec(), quantised: self.quantised[row] }
    }

    /// Nearly the dot product of two rows, by their codes.
    pub(crate) fn near_dot(&self, a: usize, b: usize) -> f32 {
        near(code_dot(&self.code_row(a), self.codes(b)), self.quantised[a].scale, self.quantised[b].scale)
    }

    fn float_lines(&self) -> usize {
        self.dimensions.div_ceil(16)
    }

    fn code_lines(&self) -> usize {
        self.dimensions.div_ceil(64)
    }
}

/// How far a dot product by codes can be from the one by floats, for one query and any row.
///
/// # Source
/// Cauchy-Schwarz on `x·q - x̂·q̂ = (x - x̂)·q + x̂·(q - q̂)`, where `x̂` and `q̂` are what the codes stand for, plus
/// rounding: a sum in 64 lanes of `d` products is off by at most `(d / 64 + 7) u` of `|x||q|` to first order (Higham,
/// *Accuracy and Stability of Numerical Algorithms*, 2nd edition, section 4.2), with twice that and more allowed here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ErrorBound {
    per_error: f32,
    per_length: f32,
}

impl ErrorBound {
    pub(crate) fn new(query: &Vector) -> Self {
        let Quantised { error, length, .. } = query.quantised;
        let steps = u16::try_from(query.floats.len() / 4 + 32).expect("at most MAX_DIMENSIONS");
        let rounding = f32::from(steps) * f32::EPSILON;
        Self { per_error: length + error, per_length: error + rounding * length }
    }

    pub(crate) fn of(&self, row: &Quantised) -> f32 {
        (self.per_error * row.error + self.per_length * row.length) * ROUND_UP
    }
}

/// The number that codes and scales stand for.
pub(crate) fn near(code_dot: i32, a: f32, b: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "the rounding is part of the error bound")]
    let code_dot = code_dot as f32;
    code_dot * (a * b)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 255 after the clamp")]
fn nearest_code(number: f32) -> u8 {
    (number.round().clamp(-127.0, 127.0) + f32::from(OFFSET)) as u8
}

#[expect(clippy::cast_possible_truncation, reason = "to the nearest float is what is meant")]
fn narrow(number: f64) -> f32 {
    number as f32
}

fn at_least(number: f64) -> f32 {
    narrow(number) * ROUND_UP + f32::MIN_POSITIVE
}

/// Vectors of more dimensions are refused, so that sums of codes fit 32 bits with room to spare.
pub(crate) const MAX_DIMENSIONS: usize = 16_384;

/// More than the relative rounding of the few operations behind a bound.
const ROUND_UP: f32 = 1.0 + 8.0 * f32::EPSILON;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_no_score_is_refused() {
        let refused = |numbers: &[f32], metric| Vector::new(numbers, 2, metric).unwrap_err();
        assert_eq!(refused(&[1.0], Metric::Dot), VectorError::Dimension { expected: 2, got: 1 });
        assert_eq!(refused(&[1.0, f32::NAN], Metric::Cosine), VectorError::NonFinite { index: 1 });
        assert_eq!(refused(&[f32::INFINITY, 0.0], Metric::Cosine), VectorError::NonFinite { index: 0 });
        assert_eq!(refused(&[0.0, -0.0], Metric::Dot), VectorError::Zero);
        assert!(matches!(refused(&[1e30, 0.0], Metric::Dot), VectorError::Length { .. }));
        assert!(Vector::new(&[f32::MAX, f32::MAX], 2, Metric::Cosine).is_ok());
        assert!(Vector::new(&[f32::from_bits(1), 0.0], 2, Metric::Cosine).is_ok());
    }

    proptest! {
        #[test]
        fn the_bound_holds(
            pairs in prop::collection::vec((-1f32..1.0, -1f32..1.0), 1..300),
            peak in 0f32..1e3,
            length in prop::sample::select(vec![1e-15f32, 1e-3, 1.0, 1e4, 1e15]),
        ) {
            let (mut a, mut b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            a[0] += peak;
            b.iter_mut().for_each(|n| *n = *n * length + f32::MIN_POSITIVE);
            let (a, b) = (Vector::quantise(&a), Vector::quantise(&b));
            let exact = dot(&a.floats, &b.floats);
            let codes = near(code_dot(&a.code_row(), &b.codes), a.quantised.scale, b.quantised.scale);
            let bound = ErrorBound::new(&a).of(&b.quantised);
            prop_assert!((exact - codes).abs() <= bound, "{} and {} are farther apart than {}", exact, codes, bound);
            // A bound that is useless would be right as well.
            let lengths = a.quantised.length * b.quantised.length;
            prop_assert!(bound <= 0.25 * lengths + f32::MIN_POSITIVE, "{} of {}", bound, lengths);
        }
    }
}
