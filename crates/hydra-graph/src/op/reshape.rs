//! Operators that rename, add, drop or compute axes.

use super::call::{Call, Fact, Number, axes, axis, broadcast};
use super::elementwise::rank;
use super::{ANY, OpError};
use crate::dim::Dim;
use crate::element::DataType;
use crate::model::Attribute;

pub(super) fn shape(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let dims = call.input(0).shape();
    let rank = i64::try_from(dims.len()).expect("few axes");
    let clamp = |value: i64| {
        let from_start = if value < 0 { value.saturating_add(rank) } else { value };
        usize::try_from(from_start.clamp(0, rank)).expect("clamped to the axes")
    };
    let (start, end) = (clamp(call.int("start", 0)), clamp(call.int("end", rank)));
    let kept = &dims[start..end.max(start)];
    let numbers = kept.iter().map(Number::from).collect();
    Ok(vec![Fact::new(DataType::I64, vec![Dim::Fixed(kept.len())]).with_numbers(Some(numbers))])
}

pub(super) fn reshape(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(1, &[DataType::I64])?;
    let from = call.input(0).shape();
    let target = call.numbers(1)?;
    let error = || OpError::Reshape {
        from: from.to_vec(),
        target: format!("[{}]", target.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let keep_zero = call.int("allowzero", 0) == 0;
    let mut open = None;
    let mut dims = Vec::new();
    for (at, number) in target.iter().enumerate() {
        dims.push(match number {
            Number::Int(0) if keep_zero => from.get(at).cloned().ok_or_else(error)?,
            Number::Int(-1) if open.is_none() => {
                open = Some(at);
                Dim::Fixed(1)
            }
            Number::Int(size) => Dim::Fixed(usize::try_from(*size).map_err(|_| error())?),
            Number::Size(name) => Dim::Symbolic(name.clone()),
        });
    }
    // An empty tensor has no quotient to look for.
    let quotient = if open.is_none() && dims.contains(&Dim::Fixed(0)) && from.contains(&Dim::Fixed(0)) {
        Dim::Fixed(1)
    } else {
        Dim::quotient(from, &dims).ok_or_else(error)?
    };
    match open {
        Some(at) => dims[at] = quotient,
        None if quotient == Dim::Fixed(1) => {}
        None => return Err(error()),
    }
    let numbers = call.input(0).numbers.clone();
    Ok(vec![Fact::new(call.one_of(0, ANY)?, dims).with_numbers(numbers)])
}

pub(super) fn transpose(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let from = call.input(0).shape();
    let order: Vec<usize> = match call.node.attributes.get("perm") {
        Some(Attribute::Ints(order)) => {
            if order.len() != from.len() || axes(order, from.len())?.len() != from.len() {
                return Err(OpError::Axes { axes: order.clone() });
            }
            order.iter().map(|named| axis(*named, from.len())).collect::<Result<_, _>>()?
        }
        _ => (0..from.len()).rev().collect(),
    };
    Ok(vec![Fact::new(call.one_of(0, ANY)?, order.into_iter().map(|at| from[at].clone()).collect())])
}

pub(super) fn unsqueeze(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let named = call.ints(1)?;
    let from = call.input(0);
    let mut dims = from.shape().to_vec();
    for at in axes(&named, from.rank() + named.len())? {
        dims.insert(at, Dim::Fixed(1));
    }
    Ok(vec![Fact::new(call.one_of(0, ANY)?, dims).with_numbers(from.numbers.clone())])
}

pub(super) fn squeeze(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let from = call.input(0);
    let dropped = match call.optional(1) {
        Some(_) => axes(&call.ints(1)?, from.rank())?,
        // Which symbolic axes have size 1 is not known, so they would have to be named.
        None => (0..from.rank()).filter(|at| from.shape()[*at] == Dim::Fixed(1)).collect(),
    };
    for at in &dropped {
        if from.shape()[*at] != Dim::Fixed(1) {
            return Err(OpError::Squeeze { axis: *at, dim: from.shape()[*at].clone() });
        }
    }
    let kept = (0..from.rank()).filter(|at| !dropped.contains(at)).map(|at| from.shape()[at].clone());
    Ok(vec![Fact::new(call.one_of(0, ANY)?, kept.collect()).with_numbers(from.numbers.clone())])
}

pub(super) fn expand(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(1, &[DataType::I64])?;
    let target = sizes(call, 1)?;
    Ok(vec![Fact::new(call.one_of(0, ANY)?, broadcast(call.input(0).shape(), &target)?)])
}

pub(super) fn constant(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    match call.node.attributes.get("value") {
        Some(Attribute::Tensor(tensor)) => Ok(vec![Fact::of_tensor(tensor)]),
        _ => Err(call.attribute_error("value")),
    }
}

pub(super) fn constant_of_shape(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    call.one_of(0, &[DataType::I64])?;
    let data_type = match call.node.attributes.get("value") {
        Some(Attribute::Tensor(tensor)) if tensor.shape().iter().product::<usize>() == 1 => tensor.data_type(),
        Some(_) => return Err(call.attribute_error("value")),
        None => DataType::F32,
    };
    Ok(vec![Fact::new(data_type, sizes(call, 0)?)])
}

pub(super) fn range(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(&[DataType::F32, DataType::I64, DataType::I32])?;
    for input in 0..3 {
        rank(call.input(input), input, 0, "no axes")?;
    }
    let known = |input: usize| call.input(input).numbers.as_deref().and_then(<[Number]>::first);
    let dim = match (known(0), known(1), known(2)) {
        (.., Some(Number::Int(0))) => return Err(OpError::Value { input: 2, value: 0 }),
        (Some(Number::Int(start)), Some(Number::Int(limit)), Some(Number::Int(delta))) => {
            let distance = (i128::from(*limit) - i128::from(*start)) * i128::from(delta.signum());
            let step = i128::from(delta.unsigned_abs());
            let count = (distance + step - 1).div_euclid(step);
            Dim::Fixed(usize::try_from(count.max(0)).unwrap_or(usize::MAX))
        }
        (Some(Number::Int(0)), Some(Number::Size(name)), Some(Number::Int(1))) => Dim::Symbolic(name.clone()),
        _ => call.unknown(0),
    };
    Ok(vec![Fact::new(data_type, vec![dim])])
}

/// The elements of an input, as sizes.
fn sizes(call: &Call<'_>, input: usize) -> Result<Vec<Dim>, OpError> {
    let size = |number: &Number| match number {
        Number::Int(value) => {
            usize::try_from(*value).map(Dim::Fixed).map_err(|_| OpError::Value { input, value: *value })
        }
        Number::Size(name) => Ok(Dim::Symbolic(name.clone())),
    };
    call.numbers(input)?.iter().map(size).collect()
}
