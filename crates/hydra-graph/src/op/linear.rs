//! Matrix products, in floats and in 8-bit integers.

use super::call::{Call, Fact, broadcast, equal_dims};
use super::elementwise::rank;
use super::{BYTES, OpError, WIDE};
use crate::dim::Dim;
use crate::element::DataType;

pub(super) fn mat_mul(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(WIDE)?;
    Ok(vec![Fact::new(data_type, product(call)?)])
}

pub(super) fn gemm(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(WIDE)?;
    let matrix = |input: usize, transposed: &str| {
        rank(call.input(input), input, 2, "two axes")?;
        let [first, second] = [0, 1].map(|axis| call.input(input).shape()[axis].clone());
        Ok::<_, OpError>(if call.int(transposed, 0) == 0 { [first, second] } else { [second, first] })
    };
    let ([rows, inner], [other, columns]) = (matrix(0, "transA")?, matrix(1, "transB")?);
    equal_dims(INNER, &inner, &other)?;
    let shape = vec![rows, columns];
    if let Some(bias) = call.optional(2)
        && broadcast(&shape, bias.shape())? != shape
    {
        return Err(OpError::Rank {
            input: 2,
            expected: "at most the axes of the product",
            shape: bias.shape().to_vec(),
        });
    }
    Ok(vec![Fact::new(data_type, shape)])
}

pub(super) fn mat_mul_integer(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    for input in [0, 1] {
        let data_type = call.one_of(input, BYTES)?;
        let Some(zero) = call.optional(input + 2) else { continue };
        if zero.data_type() != data_type {
            return Err(OpError::ElementTypesDiffer { input: input + 2, expected: data_type, got: zero.data_type() });
        }
        // One zero point, or one a row of the first matrix or a column of the second.
        let from_end = if input == 0 { 2 } else { 1 };
        match (zero.shape(), call.input(input).shape()) {
            ([], _) => {}
            ([one], _) if *one == Dim::Fixed(1) => {}
            ([zeros], matrix) if matrix.len() >= from_end => {
                equal_dims("zero points and the axis that they are for", zeros, &matrix[matrix.len() - from_end])?;
            }
            _ => {
                return Err(OpError::Rank {
                    input: input + 2,
                    expected: "one axis at most",
                    shape: zero.shape().to_vec(),
                });
            }
        }
    }
    Ok(vec![Fact::new(DataType::I32, product(call)?)])
}

pub(super) fn dynamic_quantize(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(0, &[DataType::F32])?;
    Ok(vec![
        Fact::new(DataType::U8, call.input(0).shape().to_vec()),
        Fact::new(DataType::F32, Vec::new()),
        Fact::new(DataType::U8, Vec::new()),
    ])
}

/// Shape of a product with the rules of `numpy.matmul`: leading axes broadcast, a vector gains an axis and loses it.
fn product(call: &Call<'_>) -> Result<Vec<Dim>, OpError> {
    let mut shapes = [0, 1].map(|input| call.input(input).shape().to_vec());
    for (input, shape) in shapes.iter().enumerate() {
        if shape.is_empty() {
            return Err(OpError::Rank { input, expected: "an axis or more", shape: Vec::new() });
        }
    }
    let vectors = [shapes[0].len() == 1, shapes[1].len() == 1];
    if vectors[0] {
        shapes[0].insert(0, Dim::Fixed(1));
    }
    if vectors[1] {
        shapes[1].push(Dim::Fixed(1));
    }
    let [left, right] = &shapes;
    let (left_lead, left_matrix) = left.split_at(left.len() - 2);
    let (right_lead, right_matrix) = right.split_at(right.len() - 2);
    equal_dims(INNER, &left_matrix[1], &right_matrix[0])?;
    let mut shape = broadcast(left_lead, right_lead)?;
    if !vectors[0] {
        shape.push(left_matrix[0].clone());
    }
    if !vectors[1] {
        shape.push(right_matrix[1].clone());
    }
    Ok(shape)
}

const INNER: &str = "the inner axes of the two matrices";
