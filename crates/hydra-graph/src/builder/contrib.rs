//! Operators that only ONNX Runtime has, for decoders: 4-bit and 8-bit blocks, and attention over a cache.

use super::{GraphBuilder, Value};
use crate::error::GraphError;
use crate::model::Attribute;

/// A matrix `[columns, inner]` in blocks along its rows, each with a scale and a zero point.
#[derive(Clone, Copy, Debug)]
pub struct BlockMatrix {
    /// Numbers, two a byte for 4 bits, the first in the low half: `[columns, blocks, block x bits / 8]`, u8.
    pub blocks: Value,
    /// `[columns, blocks]`, f32.
    pub scales: Value,
    /// `[columns, blocks x bits / 8 rounded up]`, u8, packed as the blocks are; without, it is the middle, 8 or 128.
    pub zero_points: Option<Value>,
    /// Rows of the product's right side.
    pub inner: usize,
    /// Columns of the product's right side.
    pub columns: usize,
    /// 4 or 8.
    pub bits: usize,
    /// Numbers of a block: a power of two from 16 to 256.
    pub block: usize,
}

/// What attention over a cache reads.
#[derive(Clone, Copy, Debug)]
pub struct CachedAttention {
    /// Queries, keys and values of the new tokens: `[batch, seq, (heads + 2 x shared) x size]`.
    pub packed: Value,
    /// Keys of the tokens before: `[batch, shared, cache, size]`.
    pub past_keys: Value,
    /// Values of the tokens before: `[batch, shared, cache, size]`.
    pub past_values: Value,
    /// For each row, how many tokens it has with the new ones, less one: `[batch]`, i32.
    pub lengths: Value,
    /// The longest row's tokens: a number, i32.
    pub total: Value,
    /// Cosines by position: `[positions, size / 2]`.
    pub cosines: Value,
    /// Sines by position: `[positions, size / 2]`.
    pub sines: Value,
    /// Positions of the new tokens: `[batch, seq]`, i64.
    pub positions: Value,
    /// Added to the scores: `[batch or 1, heads or 1, seq, total]`.
    pub bias: Value,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values, which several query heads share.
    pub shared: usize,
}

/// What attention over a cache makes.
#[derive(Clone, Copy, Debug)]
pub struct Attended {
    /// `[batch, seq, heads x size]`.
    pub output: Value,
    /// Keys, the new ones behind the old: `[batch, shared, present, size]`.
    pub keys: Value,
    /// Values, likewise.
    pub values: Value,
}

impl GraphBuilder<'_> {
    /// A product with a matrix of blocks: `com.microsoft::MatMulNBits`. Activations are rounded to 8 bits a block, so
    /// that the sums are of integers.
    ///
    /// # Shapes
    /// - `x`: `[.., inner]`
    /// - returns: `[.., columns]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn mat_mul_blocks(&mut self, x: Value, matrix: BlockMatrix) -> Result<Value, GraphError> {
        let attributes = [
            ("K", int(matrix.inner)),
            ("N", int(matrix.columns)),
            ("accuracy_level", int(INT8_SUMS)),
            ("bits", int(matrix.bits)),
            ("block_size", int(matrix.block)),
        ];
        let mut inputs = vec![x, matrix.blocks, matrix.scales];
        inputs.extend(matrix.zero_points);
        self.one("com.microsoft::MatMulNBits", &inputs, &attributes)
    }

    /// Causal attention in which several query heads share a head of keys and values, over a cache, with rotary
    /// positions: `com.microsoft::GroupQueryAttention`. If the caller binds the present keys and values to the memory
    /// of the past ones, and that is long enough, the new ones are written in place and nothing is copied.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    ///
    /// # Source
    /// Ainslie et al., *GQA*, arXiv:2305.13245, section 2.2; Su et al., *RoFormer*, arXiv:2104.09864, equation 34.
    pub fn cached_attention(&mut self, read: CachedAttention) -> Result<Attended, GraphError> {
        let inputs = [
            Some(read.packed),
            None,
            None,
            Some(read.past_keys),
            Some(read.past_values),
            Some(read.lengths),
            Some(read.total),
            Some(read.cosines),
            Some(read.sines),
            Some(read.positions),
            Some(read.bias),
        ];
        let attributes = [("do_rotary", int(1)), ("kv_num_heads", int(read.shared)), ("num_heads", int(read.heads))];
        let made = self.node("com.microsoft::GroupQueryAttention", &inputs, &attributes, 3)?;
        Ok(Attended { output: made[0], keys: made[1], values: made[2] })
    }
}

fn int(value: usize) -> Attribute {
    Attribute::Int(i64::try_from(value).expect("a size fits"))
}

/// `accuracy_level` 4: activations in 8 bits.
const INT8_SUMS: usize = 4;
