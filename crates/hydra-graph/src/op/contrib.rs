//! Operators of ONNX Runtime's own domain, `com.microsoft`, for decoders.
//!
//! # Source
//! `docs/ContribOperators.md` of ONNX Runtime 1.24 and later.

use super::OpError;
use super::call::{Call, Fact, equal_dims};
use super::elementwise::rank;
use crate::dim::Dim;
use crate::element::DataType::{F32, I32, I64, U8};

/// `MatMulNBits`: a product with a matrix of 4-bit or 8-bit blocks.
pub(super) fn mat_mul_n_bits(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(0, &[F32])?;
    call.one_of(1, &[U8])?;
    call.one_of(2, &[F32])?;
    let size = |name: &str, allowed: fn(usize) -> bool| {
        let value = usize::try_from(call.required_int(name)?).ok().filter(|value| allowed(*value));
        value.ok_or_else(|| call.attribute_error(name))
    };
    let (inner, columns) = (size("K", |k| k > 0)?, size("N", |n| n > 0)?);
    let bits = size("bits", |bits| matches!(bits, 4 | 8))?;
    let block = size("block_size", |block| (16..=256).contains(&block) && block.is_power_of_two())?;
    let blocks = inner.div_ceil(block);
    same(call, 1, &[columns, blocks, block * bits / 8])?;
    same(call, 2, &[columns, blocks])?;
    if call.optional(3).is_some() {
        call.one_of(3, &[U8])?;
        same(call, 3, &[columns, (blocks * bits).div_ceil(8)])?;
    }
    let mut shape = call.input(0).shape().to_vec();
    let last = shape.last_mut().ok_or(OpError::Rank { input: 0, expected: "an axis or more", shape: Vec::new() })?;
    equal_dims("the inner axes of the two matrices", last, &Dim::Fixed(inner))?;
    *last = Dim::Fixed(columns);
    Ok(vec![Fact::new(F32, shape)])
}

/// `GroupQueryAttention` with queries, keys and values in one input, rotated inside, and explicit positions and bias.
pub(super) fn group_query_attention(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    for input in [0, 3, 4, 7, 8, 10] {
        call.one_of(input, &[F32])?;
    }
    call.one_of(5, &[I32])?;
    call.one_of(6, &[I32])?;
    call.one_of(9, &[I64])?;
    rank(call.input(0), 0, 3, "[batch, seq, (heads + 2 x shared) x size]")?;
    for input in [3, 4] {
        rank(call.input(input), input, 4, "[batch, shared, cache, size]")?;
    }
    rank(call.input(5), 5, 1, "[batch]")?;
    if call.input(6).rank() > 1 {
        return Err(OpError::Rank { input: 6, expected: "one number", shape: call.input(6).shape().to_vec() });
    }
    for input in [7, 8] {
        rank(call.input(input), input, 2, "[positions, size / 2]")?;
    }
    rank(call.input(9), 9, 2, "[batch, seq]")?;
    rank(call.input(10), 10, 4, "[batch or 1, heads or 1, seq, total]")?;
    let positive = |name: &str| {
        let value = usize::try_from(call.required_int(name)?).ok().filter(|value| *value > 0);
        value.ok_or_else(|| call.attribute_error(name))
    };
    let (heads, shared) = (positive("num_heads")?, positive("kv_num_heads")?);
    if !heads.is_multiple_of(shared) {
        return Err(call.attribute_error("kv_num_heads"));
    }
    let all = heads.checked_add(2 * shared).ok_or_else(|| call.attribute_error("num_heads"))?;
    let (packed, past) = (call.input(0).shape(), call.input(3).shape());
    for (keys, values) in past.iter().zip(call.input(4).shape()) {
        equal_dims("cached keys and values", keys, values)?;
    }
    equal_dims("the heads of the cache", &past[1], &Dim::Fixed(shared))?;
    let size = past[3].clone();
    equal_dims("queries, keys and values", &packed[2], &Dim::Fixed(all).product(&size))?;
    equal_dims("rows of the tokens and of the cache", &packed[0], &past[0])?;
    equal_dims("rows and lengths", &packed[0], &call.input(5).shape()[0])?;
    for (cosines, sines) in call.input(7).shape().iter().zip(call.input(8).shape()) {
        equal_dims("cosines and sines", cosines, sines)?;
    }
    equal_dims("rows and positions", &packed[0], &call.input(9).shape()[0])?;
    equal_dims("positions and tokens", &packed[1], &call.input(9).shape()[1])?;
    equal_dims("the mask and the tokens", &packed[1], &call.input(10).shape()[2])?;
    let attended = Fact::new(F32, vec![packed[0].clone(), packed[1].clone(), Dim::Fixed(heads).product(&size)]);
    // As long as the cache that came in, or as the tokens seen so far need, whichever is longer.
    let present = vec![past[0].clone(), past[1].clone(), call.unknown(2), past[3].clone()];
    Ok(vec![attended, Fact::new(F32, present.clone()), Fact::new(F32, present)])
}

fn same(call: &Call<'_>, input: usize, expected: &[usize]) -> Result<(), OpError> {
    rank(call.input(input), input, expected.len(), "the axes of the block layout")?;
    for (dim, size) in call.input(input).shape().iter().zip(expected) {
        equal_dims("the block layout", dim, &Dim::Fixed(*size))?;
    }
    Ok(())
}
