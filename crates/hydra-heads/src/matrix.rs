//! Rows of numbers in one of the precisions: what every head is made of.

use half::f16;

use crate::kernel::{self, Picked, Rows};
use crate::precision::{Precision, TINY};

/// `n_rows` rows of `cols` numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    n_rows: usize,
    cols: usize,
    numbers: Numbers,
}

/// The numbers, row after row. The second part, where there is one, holds one factor a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>, Vec<f32>),
    Int8(Vec<i8>, Vec<f32>),
}

impl Matrix {
    /// # Panics
    /// If there are not `n_rows * cols` numbers, or not one factor a row.
    pub(crate) fn new(n_rows: usize, cols: usize, numbers: Numbers) -> Self {
        let (len, n_scales) = match &numbers {
            Numbers::F32(numbers) => (numbers.len(), n_rows),
            Numbers::F16(numbers, scales) => (numbers.len(), scales.len()),
            Numbers::Int8(numbers, scales) => (numbers.len(), scales.len()),
        };
        assert!(len == n_rows * cols && n_scales == n_rows, "numbers fill the matrix");
        Self { n_rows, cols, numbers }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// How many numbers there are, whatever they are stored in.
    pub(crate) fn len(&self) -> usize {
        self.n_rows * self.cols
    }

    /// Bytes of the numbers and their factors.
    pub(crate) fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(numbers) => size_of_val(&numbers[..]),
            Numbers::F16(numbers, scales) => size_of_val(&numbers[..]) + size_of_val(&scales[..]),
            Numbers::Int8(numbers, scales) => size_of_val(&numbers[..]) + size_of_val(&scales[..]),
        }
    }

    pub(crate) fn precision(&self) -> Precision {
        match self.numbers {
            Numbers::F32(_) => Precision::F32,
            Numbers::F16(..) => Precision::F16,
            Numbers::Int8(..) => Precision::Int8,
        }
    }

    /// The same matrix in another precision, within [`Precision::bound`].
    pub(crate) fn to_precision(&self, precision: Precision) -> Self {
        if precision == self.precision() {
            return self.clone();
        }
        let exact = self.to_f32();
        let rows = exact.chunks(self.cols.max(1));
        let numbers = match precision {
            Precision::F32 => Numbers::F32(exact),
            Precision::F16 => {
                let scales: Vec<f32> = rows.clone().map(|row| power_of_two_below(max_size(row))).collect();
                let halves = rows.zip(&scales).flat_map(|(row, &scale)| {
                    row.iter().map(move |&number| f16::from_f32(if scale > 0.0 { number / scale } else { 0.0 }))
                });
                Numbers::F16(halves.collect(), scales)
            }
            Precision::Int8 => {
                let scales: Vec<f32> = rows.clone().map(|row| step_of(max_size(row))).collect();
                let codes =
                    rows.zip(&scales).flat_map(|(row, &scale)| row.iter().map(move |&number| code(number, scale)));
                Numbers::Int8(codes.collect(), scales)
            }
        };
        Self::new(self.n_rows, self.cols, numbers)
    }

    /// All numbers, row after row.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        let mut numbers = Vec::with_capacity(self.len());
        self.extend_f32(&mut numbers);
        numbers
    }

    /// Appends all numbers, row after row.
    pub(crate) fn extend_f32(&self, to: &mut Vec<f32>) {
        let cols = self.cols.max(1);
        match &self.numbers {
            Numbers::F32(numbers) => to.extend_from_slice(numbers),
            Numbers::F16(numbers, scales) => {
                to.extend(numbers.iter().enumerate().map(|(i, n)| n.to_f32() * scales[i / cols]));
            }
            Numbers::Int8(numbers, scales) => {
                to.extend(numbers.iter().enumerate().map(|(i, &n)| f32::from(n) * scales[i / cols]));
            }
        }
    }

    /// The numbers of a matrix that is in `f32`: biases and what is being fitted.
    ///
    /// # Panics
    /// If it is in another precision.
    pub(crate) fn as_f32(&self) -> &[f32] {
        match &self.numbers {
            Numbers::F32(numbers) => numbers,
            _ => unreachable!("biases and what is being fitted stay in f32"),
        }
    }

    /// As [`as_f32`](Self::as_f32), to be changed.
    pub(crate) fn as_f32_mut(&mut self) -> &mut [f32] {
        match &mut self.numbers {
            Numbers::F32(numbers) => numbers,
            _ => unreachable!("biases and what is being fitted stay in f32"),
        }
    }

    /// `out[i * stride + j] = self[j] · picked[i]`.
    pub(crate) fn products(&self, picked: Picked<'_>, stride: usize, out: &mut [f32]) {
        debug_assert_eq!(self.cols, picked.cols, "widths were checked at the edge");
        kernel::products(self.rows(), picked, stride, out);
    }

    /// `out += factor * self[row]`.
    pub(crate) fn add_scaled_row(&self, row: usize, factor: f32, out: &mut [f32]) {
        let range = row * self.cols..(row + 1) * self.cols;
        let row = match &self.numbers {
            Numbers::F32(numbers) => Rows::F32(&numbers[range]),
            Numbers::F16(numbers, scales) => Rows::F16(&numbers[range], &scales[row..=row]),
            Numbers::Int8(numbers, scales) => Rows::Int8(&numbers[range], &scales[row..=row]),
        };
        kernel::add_scaled(row, factor, out);
    }

    /// Whether every number is finite.
    pub(crate) fn is_finite(&self) -> bool {
        match &self.numbers {
            Numbers::F32(numbers) => numbers.iter().all(|n| n.is_finite()),
            Numbers::F16(numbers, scales) => {
                numbers.iter().all(|n| n.is_finite()) && scales.iter().all(|s| s.is_finite())
            }
            Numbers::Int8(_, scales) => scales.iter().all(|s| s.is_finite()),
        }
    }

    fn rows(&self) -> Rows<'_> {
        match &self.numbers {
            Numbers::F32(numbers) => Rows::F32(numbers),
            Numbers::F16(numbers, scales) => Rows::F16(numbers, scales),
            Numbers::Int8(numbers, scales) => Rows::Int8(numbers, scales),
        }
    }
}

fn max_size(row: &[f32]) -> f32 {
    row.iter().fold(0.0, |max, number| max.max(number.abs()))
}

/// The largest power of two that is not above `size`; 0 for what is too small to have a normal one.
fn power_of_two_below(size: f32) -> f32 {
    if size <= TINY {
        return 0.0;
    }
    // The exponent bits alone.
    f32::from_bits(size.to_bits() & 0x7f80_0000)
}

/// The value of one step of an `int8` row.
fn step_of(size: f32) -> f32 {
    if size <= TINY { 0.0 } else { size / 127.0 }
}

#[allow(clippy::cast_possible_truncation, reason = "clamped to the range of i8 first")]
fn code(number: f32, scale: f32) -> i8 {
    if scale > 0.0 { (number / scale).round_ties_even().clamp(-127.0, 127.0) as i8 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_precision_keeps_its_bound(
            row in prop::collection::vec(-1.0f32..1.0, 1..40),
            exponent in -37i32..37,
        ) {
            let row: Vec<f32> = row.iter().map(|x| x * 10f32.powi(exponent)).collect();
            let exact = Matrix::new(1, row.len(), Numbers::F32(row.clone()));
            for precision in Precision::ALL {
                let back = exact.to_precision(precision).to_f32();
                let bound = precision.bound(max_size(&row));
                for (a, b) in row.iter().zip(&back) {
                    prop_assert!((a - b).abs() <= bound, "{precision:?}: {a} became {b}, bound {bound}");
                }
            }
        }
    }

    #[test]
    fn zeros_stay_zeros() {
        let zeros = Matrix::new(2, 3, Numbers::F32(vec![0.0; 6]));
        for precision in Precision::ALL {
            assert_eq!(zeros.to_precision(precision).to_f32(), [0.0; 6]);
        }
    }
}
