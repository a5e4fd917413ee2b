//! A constant matrix as signed bytes with a scale for each output channel.

use super::quantize::WeightRange;
use crate::tensor::Tensor;

/// The right matrix of a product: `[inputs, outputs]`, or transposed.
pub(super) struct Matrix {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    numbers: Vec<f32>,
    transposed: bool,
}

/// `number · scale` of its column is about the weight.
pub(super) struct Bytes {
    pub(super) numbers: Vec<i8>,
    pub(super) scale: Vec<f32>,
}

impl Matrix {
    /// The matrix in a constant of `f32`; `None` when it is something else.
    pub(super) fn new(tensor: &Tensor<'_>, transposed: bool) -> Option<Self> {
        let [rows, columns] = *tensor.shape() else { return None };
        let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
        Some(Self { inputs, outputs, numbers: tensor.to_f32()?, transposed })
    }

    pub(super) fn is_finite(&self) -> bool {
        self.numbers.iter().all(|number| number.is_finite())
    }

    /// The greatest absolute weight of each input channel.
    pub(super) fn input_range(&self) -> Vec<f32> {
        let of = |input| (0..self.outputs).map(|output| self.at(input, output).abs()).fold(0.0, f32::max);
        (0..self.inputs).map(of).collect()
    }

    /// The matrix with row `c` multiplied by `factors[c]`, as `[inputs, outputs]` bytes.
    pub(super) fn quantize(&self, factors: Option<&[f32]>, range: WeightRange) -> Bytes {
        let limit: i8 = match range {
            WeightRange::Full => 127,
            WeightRange::Reduced => 63,
        };
        let at = |input: usize, output: usize| factors.map_or(1.0, |factors| factors[input]) * self.at(input, output);
        let mut scale = vec![0.0_f32; self.outputs];
        for input in 0..self.inputs {
            for (output, greatest) in scale.iter_mut().enumerate() {
                *greatest = greatest.max(at(input, output).abs());
            }
        }
        for greatest in &mut scale {
            *greatest = (*greatest / f32::from(limit)).max(LEAST_SCALE);
        }
        let mut numbers = Vec::with_capacity(self.inputs * self.outputs);
        for input in 0..self.inputs {
            numbers.extend((0..self.outputs).map(|output| round(at(input, output) / scale[output], limit)));
        }
        Bytes { numbers, scale }
    }

    fn at(&self, input: usize, output: usize) -> f32 {
        self.numbers[if self.transposed { output * self.inputs + input } else { input * self.outputs + output }]
    }
}

/// The nearest integer, halves to the even one, within `-limit..=limit`.
#[allow(clippy::cast_possible_truncation, reason = "the number was rounded and clamped to the range of i8")]
pub(super) fn round(number: f32, limit: i8) -> i8 {
    number.round_ties_even().clamp(f32::from(-limit), f32::from(limit)) as i8
}

/// Keeps the scale of a row or a column of zeros from being a divisor of zero.
pub(super) const LEAST_SCALE: f32 = 1e-30;
