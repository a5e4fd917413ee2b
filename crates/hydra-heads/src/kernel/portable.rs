//! The kernels for any processor: the compiler vectorises them where it can.

use half::f16;

use super::{LANES, Picked};

/// Widening of one stored number.
pub(super) trait Load: Copy {
    fn widen(self) -> f32;
}

impl Load for f32 {
    fn widen(self) -> f32 {
        self
    }
}

impl Load for f16 {
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Load for i8 {
    fn widen(self) -> f32 {
        f32::from(self)
    }
}

pub(super) fn block<N: Load>(numbers: &[N], picked: Picked<'_>, n_rows: usize, stride: usize, out: &mut [f32]) {
    for (j, row) in numbers.chunks_exact(picked.cols).enumerate().take(n_rows) {
        for i in 0..picked.len() {
            out[i * stride + j] = dot(row, picked.row(i));
        }
    }
}

pub(super) fn axpy<N: Load>(row: &[N], factor: f32, out: &mut [f32]) {
    for (sum, number) in out.iter_mut().zip(row) {
        *sum += factor * number.widen();
    }
}

pub(super) fn tanh(numbers: &mut [f32]) {
    for number in numbers {
        *number = number.tanh();
    }
}

fn dot<N: Load>(row: &[N], features: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (row, features) in row.chunks(LANES).zip(features.chunks(LANES)) {
        for ((sum, weight), feature) in sums.iter_mut().zip(row).zip(features) {
            *sum += weight.widen() * feature;
        }
    }
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
    }
    sums[0]
}
