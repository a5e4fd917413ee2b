//! The arithmetic at the bottom: dot products of a head's rows with feature rows, whatever the head is stored in.
//!
//! Every dot product is summed in one order: sixteen running sums, lane `l` taking the elements `l`, `l + 16`, …, then
//! one fixed tree over the lanes. How many rows are computed together changes which loads are shared and never the
//! order of one product's additions: that is why a batch equals its rows one by one, bit for bit.

mod avx2;
mod portable;

use half::f16;

/// Rows of numbers as they lie in memory. `scales` has one factor a row, except for [`Rows::F32`].
#[derive(Clone, Copy)]
pub(crate) enum Rows<'a> {
    F32(&'a [f32]),
    F16(&'a [f16], &'a [f32]),
    Int8(&'a [i8], &'a [f32]),
}

/// Feature rows of one call: `picks[i]` names a row of `features`, each `cols` numbers.
#[derive(Clone, Copy)]
pub(crate) struct Picked<'a> {
    pub(crate) features: &'a [f32],
    pub(crate) picks: &'a [u32],
    pub(crate) cols: usize,
}

impl<'a> Picked<'a> {
    /// One row alone.
    pub(crate) fn one(row: &'a [f32]) -> Self {
        Self { features: row, picks: &[0], cols: row.len() }
    }

    /// Feature row number `i` of the picked ones.
    pub(crate) fn row(self, i: usize) -> &'a [f32] {
        &self.features[self.picks[i] as usize * self.cols..][..self.cols]
    }

    /// How many rows are picked.
    pub(crate) fn len(self) -> usize {
        self.picks.len()
    }
}

/// `out[i * stride + j] = rows[j] · picked[i]` for every picked row `i` and every row `j` of the head.
///
/// # Panics
/// If a slice is shorter than that asks for.
pub(crate) fn products(rows: Rows<'_>, picked: Picked<'_>, stride: usize, out: &mut [f32]) {
    match rows {
        Rows::F32(numbers) => block(numbers, None, picked, stride, out),
        Rows::F16(numbers, scales) => block(numbers, Some(scales), picked, stride, out),
        Rows::Int8(numbers, scales) => block(numbers, Some(scales), picked, stride, out),
    }
}

/// `out += factor * row`.
pub(crate) fn add_scaled(row: Rows<'_>, factor: f32, out: &mut [f32]) {
    match row {
        Rows::F32(numbers) => axpy(numbers, factor, out),
        Rows::F16(numbers, scales) => axpy(numbers, factor * scales[0], out),
        Rows::Int8(numbers, scales) => axpy(numbers, factor * scales[0], out),
    }
}

/// The dot product of two rows of features, in the same order as everywhere.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut out = [0.0];
    products(Rows::F32(a), Picked::one(b), 1, &mut out);
    out[0]
}

/// `tanh` of every number.
pub(crate) fn tanh(numbers: &mut [f32]) {
    if avx2::available() {
        avx2::tanh(numbers);
    } else {
        portable::tanh(numbers);
    }
}

/// A number that a head can be stored in.
trait Number: avx2::Load + portable::Load + Copy {}

impl Number for f32 {}
impl Number for f16 {}
impl Number for i8 {}

fn block<N: Number>(numbers: &[N], scales: Option<&[f32]>, picked: Picked<'_>, stride: usize, out: &mut [f32]) {
    let Some(n_rows) = numbers.len().checked_div(picked.cols) else {
        return;
    };
    if picked.picks.is_empty() || n_rows == 0 {
        return;
    }
    assert!(stride >= n_rows, "an output row holds one number a row of the head");
    assert!(out.len() >= (picked.len() - 1) * stride + n_rows, "the output holds every product");
    assert!(scales.is_none_or(|scales| scales.len() == n_rows), "one scale a row of the head");
    if avx2::available() {
        avx2::block(numbers, picked, n_rows, stride, out);
    } else {
        portable::block(numbers, picked, n_rows, stride, out);
    }
    if let Some(scales) = scales {
        for row in out.chunks_mut(stride).take(picked.len()) {
            for (product, scale) in row.iter_mut().zip(scales) {
                *product *= scale;
            }
        }
    }
}

fn axpy<N: Number>(row: &[N], factor: f32, out: &mut [f32]) {
    assert_eq!(row.len(), out.len(), "a row is added to a row of its width");
    if avx2::available() {
        avx2::axpy(row, factor, out);
    } else {
        portable::axpy(row, factor, out);
    }
}

/// Running sums of one dot product.
const LANES: usize = 16;

#[cfg(test)]
mod tests;
