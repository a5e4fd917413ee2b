//! Operators that keep shapes or broadcast them.

use super::call::{Call, Fact, Number, axis, broadcast};
use super::{ANY, FLOATS, INDICES, NUMBERS, OpError, SIGNED, TRUTH, WIDE};
use crate::dim::Dim;
use crate::element::DataType;

pub(super) fn arithmetic(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(NUMBERS)?;
    Ok(vec![Fact::new(data_type, broadcast_all(call)?).with_numbers(fold(call))])
}

pub(super) fn pow(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.one_of(0, WIDE)?;
    call.one_of(1, NUMBERS)?;
    Ok(vec![Fact::new(data_type, broadcast_all(call)?)])
}

pub(super) fn equal(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.same_type(ANY)?;
    Ok(vec![Fact::new(DataType::Bool, broadcast_all(call)?)])
}

pub(super) fn order(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.same_type(NUMBERS)?;
    Ok(vec![Fact::new(DataType::Bool, broadcast_all(call)?)])
}

pub(super) fn logic(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.same_type(TRUTH)?;
    Ok(vec![Fact::new(DataType::Bool, broadcast_all(call)?)])
}

pub(super) fn choose(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(0, TRUTH)?;
    let data_type = call.one_of(1, ANY)?;
    let other = call.one_of(2, ANY)?;
    if data_type != other {
        return Err(OpError::ElementTypesDiffer { input: 2, expected: data_type, got: other });
    }
    Ok(vec![Fact::new(data_type, broadcast_all(call)?)])
}

pub(super) fn float(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    same_shape(call, FLOATS)
}

pub(super) fn signed(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    same_shape(call, SIGNED)
}

pub(super) fn number(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    same_shape(call, NUMBERS)
}

pub(super) fn clip(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(NUMBERS)?;
    for input in 1..call.inputs.len() {
        if let Some(bound) = call.optional(input) {
            rank(bound, input, 0, "no axes")?;
        }
    }
    Ok(vec![Fact::new(data_type, call.input(0).shape().to_vec())])
}

pub(super) fn identity(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    Ok(vec![call.input(0).clone()])
}

pub(super) fn cast(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let to = i32::try_from(call.required_int("to")?).ok().and_then(DataType::from_code);
    let to = to.ok_or_else(|| call.attribute_error("to"))?;
    let from = call.input(0);
    let keeps_numbers = matches!(to, DataType::I64 | DataType::I32);
    Ok(vec![Fact::new(to, from.shape().to_vec()).with_numbers(from.numbers.clone().filter(|_| keeps_numbers))])
}

/// An operator over one axis that keeps the shape.
pub(super) fn along_axis(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    axis(call.int("axis", -1), call.input(0).rank())?;
    same_shape(call, FLOATS)
}

pub(super) fn layer_normalization(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(FLOATS)?;
    let shape = call.input(0).shape();
    let first = axis(call.int("axis", -1), shape.len())?;
    for input in 1..call.inputs.len() {
        let Some(parameter) = call.optional(input) else { continue };
        let normalised = &shape[first..];
        if broadcast(normalised, parameter.shape())?.as_slice() != normalised {
            return Err(OpError::Rank {
                input,
                expected: "the axes that are normalised",
                shape: parameter.shape().to_vec(),
            });
        }
    }
    if call.int("stash_type", 1) != 1 {
        return Err(call.attribute_error("stash_type"));
    }
    let kept: Vec<Dim> =
        shape.iter().enumerate().map(|(at, dim)| if at < first { dim.clone() } else { Dim::Fixed(1) }).collect();
    Ok(vec![
        Fact::new(data_type, shape.to_vec()),
        Fact::new(DataType::F32, kept.clone()),
        Fact::new(DataType::F32, kept),
    ])
}

pub(super) fn cum_sum(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(1, INDICES)?;
    rank(call.input(1), 1, 0, "no axes")?;
    if let Ok(named) = call.ints(1) {
        axis(named[0], call.input(0).rank())?;
    }
    same_shape(call, WIDE)
}

pub(super) fn trilu(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    if call.input(0).rank() < 2 {
        return Err(OpError::Rank { input: 0, expected: "two axes or more", shape: call.input(0).shape().to_vec() });
    }
    if let Some(diagonal) = call.optional(1) {
        call.one_of(1, &[DataType::I64])?;
        rank(diagonal, 1, 0, "no axes")?;
    }
    same_shape(call, ANY)
}

fn same_shape(call: &Call<'_>, allowed: &[DataType]) -> Result<Vec<Fact>, OpError> {
    let data_type = call.one_of(0, allowed)?;
    Ok(vec![Fact::new(data_type, call.input(0).shape().to_vec())])
}

fn broadcast_all(call: &Call<'_>) -> Result<Vec<Dim>, OpError> {
    let mut shape = Vec::new();
    for input in 0..call.inputs.len() {
        let Some(fact) = call.optional(input) else { return Err(OpError::MissingInput { input }) };
        shape = broadcast(&shape, fact.shape())?;
    }
    Ok(shape)
}

pub(super) fn rank(fact: &Fact, input: usize, rank: usize, expected: &'static str) -> Result<(), OpError> {
    if fact.rank() == rank { Ok(()) } else { Err(OpError::Rank { input, expected, shape: fact.shape().to_vec() }) }
}

/// Sums and products of sizes, so that a shape that is computed in the graph stays known.
fn fold(call: &Call<'_>) -> Option<Vec<Number>> {
    let [Some(left), Some(right)] = call.inputs else { return None };
    if call.input(0).data_type().is_float() {
        return None;
    }
    let (left, right) = (left.numbers.as_deref()?, right.numbers.as_deref()?);
    let len = left.len().max(right.len());
    let at = |numbers: &[Number], index: usize| numbers[if numbers.len() == 1 { 0 } else { index }].clone();
    (0..len).map(|index| fold_one(&call.node.op, &at(left, index), &at(right, index))).collect()
}

fn fold_one(op: &str, left: &Number, right: &Number) -> Option<Number> {
    if let (Number::Int(left), Number::Int(right)) = (left, right) {
        return match op {
            "Add" => left.checked_add(*right),
            "Sub" => left.checked_sub(*right),
            "Mul" => left.checked_mul(*right),
            "Div" => left.checked_div(*right),
            _ => None,
        }
        .map(Number::Int);
    }
    let size = |number: &Number| match number {
        Number::Int(int) => usize::try_from(*int).ok().map(Dim::Fixed),
        Number::Size(name) => Some(Dim::Symbolic(name.clone())),
    };
    let (left, right) = (size(left)?, size(right)?);
    match op {
        "Add" => Some(Number::from(&left.sum(&right))),
        "Mul" => Some(Number::from(&left.product(&right))),
        _ => None,
    }
}
