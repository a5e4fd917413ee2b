//! Operators that pick by index.

use super::call::{Call, Fact, Number, axis, equal_dims};
use super::{ANY, INDICES, OpError};

pub(super) fn gather(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.one_of(0, ANY)?;
    call.one_of(1, INDICES)?;
    let (data, indices) = (call.input(0), call.input(1));
    let at = axis(call.int("axis", 0), data.rank())?;
    let shape = [&data.shape()[..at], indices.shape(), &data.shape()[at + 1..]].concat();
    Ok(vec![Fact::new(data_type, shape).with_numbers(pick(data, indices)?)])
}

pub(super) fn gather_elements(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.one_of(0, ANY)?;
    call.one_of(1, INDICES)?;
    let (data, indices) = (call.input(0), call.input(1));
    let at = axis(call.int("axis", 0), data.rank())?;
    if indices.rank() != data.rank() {
        return Err(OpError::Rank { input: 1, expected: "the axes of input 0", shape: indices.shape().to_vec() });
    }
    for (other, (left, right)) in data.shape().iter().zip(indices.shape()).enumerate() {
        if other != at {
            equal_dims("the axes of data and indices", left, right)?;
        }
    }
    Ok(vec![Fact::new(data_type, indices.shape().to_vec())])
}

/// The numbers that are picked from a known list by known indices.
fn pick(data: &Fact, indices: &Fact) -> Result<Option<Vec<Number>>, OpError> {
    let (Some(numbers), Some(indices)) = (&data.numbers, &indices.numbers) else { return Ok(None) };
    indices
        .iter()
        .map(|index| match index {
            Number::Int(index) => axis(*index, numbers.len())
                .map(|at| Some(numbers[at].clone()))
                .map_err(|_| OpError::Value { input: 1, value: *index }),
            Number::Size(_) => Ok(None),
        })
        .collect()
}
