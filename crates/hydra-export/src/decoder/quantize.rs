//! Weights in blocks of 4 or 8 bits, in the layout of `MatMulNBits`.

use rayon::prelude::*;

use crate::gguf::FourBitBlocks;

/// A matrix `[columns, inner]` in blocks of [`BLOCK`] along its rows.
pub(super) struct Blocks {
    /// `[columns, blocks, BLOCK x bits / 8]`.
    pub(super) numbers: Vec<u8>,
    /// `[columns, blocks]`.
    pub(super) scales: Vec<f32>,
    /// 4 or 8; numbers are counted from the middle, 8 or 128.
    pub(super) bits: usize,
    /// `[blocks, columns]`, added to every weight of a block; none where it is 0 throughout.
    pub(super) offsets: Option<Vec<f32>>,
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
            numbers.extend(block.iter().map(|w| rounded(*w, scale)));
            numbers.resize(numbers.len() + BLOCK - block.len(), 128);
        }
        (numbers, scales)
    });
    let rows: Vec<_> = rows.collect();
    let (numbers, scales): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Blocks { numbers: numbers.concat(), scales: scales.concat(), bits: 8, offsets: None }
}

/// The 4 bits that a file holds, as they are.
///
/// A weight is `number x scale + minimum`. `MatMulNBits` computes with `(number - 8) x scale`; what is left,
/// `minimum + 8 x scale`, is the same for a whole block and is multiplied by the sum of what the block meets. Zero points
/// would be whole numbers, so they would lose it; as floats they send `MatMulNBits` down a way that is 40 times slower.
pub(super) fn from_4_bits(blocks: &FourBitBlocks, inner: usize) -> Blocks {
    let count = inner / BLOCK;
    let columns = blocks.scales.len() / count;
    let left = |(scale, minimum): (&f32, &f32)| minimum + 8.0 * scale;
    let by_column: Vec<f32> = blocks.scales.iter().zip(&blocks.minima).map(left).collect();
    let offsets = by_column.iter().any(|offset| *offset != 0.0).then(|| {
        (0..count)
            .flat_map(|block| (0..columns).map(move |column| (block, column)))
            .map(|(block, column)| by_column[column * count + block])
            .collect()
    });
    let numbers = blocks.numbers.chunks_exact(2).map(|pair| pair[0] | pair[1] << 4).collect();
    Blocks { numbers, scales: blocks.scales.clone(), bits: 4, offsets }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn rounded(weight: f32, scale: f32) -> u8 {
    if scale == 0.0 {
        return 128;
    }
    ((weight / scale).round_ties_even() + 128.0).clamp(0.0, 255.0) as u8
}
