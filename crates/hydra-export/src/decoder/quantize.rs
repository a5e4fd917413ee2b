//! Weights in blocks of 4 or 8 bits, in the layout of `MatMulNBits`.

use rayon::prelude::*;

/// A matrix `[columns, inner]` in blocks of [`BLOCK`] along its rows.
pub(super) struct Blocks {
    /// `[columns, blocks, BLOCK x bits / 8]`.
    pub(super) numbers: Vec<u8>,
    /// `[columns, blocks]`.
    pub(super) scales: Vec<f32>,
    /// `[columns, blocks x bits / 8 rounded up]`; none where every zero point is the middle.
    pub(super) zero_points: Option<Vec<u8>>,
}

/// Numbers that share a scale: as many as in the files that the weights come from.
pub(super) const BLOCK: usize = 32;

/// 8 bits, symmetric: what came from 8-bit blocks of the same length comes back exactly.
pub(super) fn to_8_bits(weights: &[f32], inner: usize) -> Blocks {
    let rows = weights.par_chunks_exact(inner).map(|row| {
        let (mut numbers, mut scales) = (Vec::new(), Vec::new());
        for block in row.chunks(BLOCK) {
            let scale = block.iter().fold(0.0_f32, |most, w| most.max(w.abs())) / 127.0;
            scales.push(scale);
            numbers.extend(block.iter().map(|w| rounded(*w, scale, 128, 255)));
            numbers.resize(numbers.len() + BLOCK - block.len(), 128);
        }
        (numbers, scales)
    });
    let rows: Vec<_> = rows.collect();
    let (numbers, scales): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Blocks { numbers: numbers.concat(), scales: scales.concat(), zero_points: None }
}

/// 4 bits with a zero point, scale and zero point chosen for the least squared error.
pub(super) fn to_4_bits(weights: &[f32], inner: usize) -> Blocks {
    let rows = weights.par_chunks_exact(inner).map(|row| {
        let (mut numbers, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        for block in row.chunks(BLOCK) {
            let (scale, zero) = best_4_bits(block);
            let mut quantized: Vec<u8> = block.iter().map(|w| rounded(*w, scale, zero, 15)).collect();
            quantized.resize(BLOCK, zero);
            numbers.extend(quantized.chunks_exact(2).map(|pair| pair[0] | pair[1] << 4));
            scales.push(scale);
            zeros.push(zero);
        }
        let zeros: Vec<u8> = zeros.chunks(2).map(|pair| pair[0] | pair.get(1).map_or(0, |high| high << 4)).collect();
        (numbers, (scales, zeros))
    });
    let rows: Vec<_> = rows.collect();
    let (numbers, rest): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let (scales, zeros): (Vec<_>, Vec<_>) = rest.into_iter().unzip();
    Blocks { numbers: numbers.concat(), scales: scales.concat(), zero_points: Some(zeros.concat()) }
}

/// Scale and zero point: from the range, then refined by alternating least squares around it.
fn best_4_bits(block: &[f32]) -> (f32, u8) {
    let (low, high) = block.iter().fold((0.0_f32, 0.0_f32), |(low, high), w| (low.min(*w), high.max(*w)));
    let start = (high - low) / 15.0;
    if start == 0.0 {
        return (0.0, 8);
    }
    let middle = rounded(-low, start, 0, 15);
    let mut best = (f32::INFINITY, start, middle);
    for zero in middle.saturating_sub(1)..=(middle + 1).min(15) {
        for shrink in SHRINKS {
            let mut scale = start * shrink;
            // The scale that is best for the numbers that the last one gave.
            for _ in 0..2 {
                let (mut along, mut square) = (0.0, 0.0);
                for w in block {
                    let step = f32::from(rounded(*w, scale, zero, 15)) - f32::from(zero);
                    along += w * step;
                    square += step * step;
                }
                if square > 0.0 && along > 0.0 {
                    scale = along / square;
                }
            }
            let error = |w: &f32| {
                let step = f32::from(rounded(*w, scale, zero, 15)) - f32::from(zero);
                (w - step * scale).powi(2)
            };
            let error: f32 = block.iter().map(error).sum();
            if error < best.0 {
                best = (error, scale, zero);
            }
        }
    }
    (best.1, best.2)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn rounded(weight: f32, scale: f32, zero: u8, most: u8) -> u8 {
    if scale == 0.0 {
        return zero;
    }
    ((weight / scale).round_ties_even() + f32::from(zero)).clamp(0.0, f32::from(most)) as u8
}

/// Clipping the largest weights of a block may pay for the rest.
const SHRINKS: [f32; 4] = [1.0, 0.94, 0.88, 0.8];
