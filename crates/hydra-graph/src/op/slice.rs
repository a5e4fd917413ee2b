//! Operators that cut axes and join them.

use super::call::{Call, Fact, Number, axis, equal_dims};
use super::{ANY, INDICES, OpError};
use crate::dim::Dim;

pub(super) fn concat(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.same_type(ANY)?;
    let first = call.input(0);
    let at = axis(call.required_int("axis")?, first.rank())?;
    let mut dims = first.shape().to_vec();
    let mut numbers = first.numbers.clone();
    for input in 1..call.inputs.len() {
        let fact = call.optional(input).ok_or(OpError::MissingInput { input })?;
        if fact.rank() != dims.len() {
            return Err(OpError::Rank { input, expected: "the axes of input 0", shape: fact.shape().to_vec() });
        }
        for (other, dim) in fact.shape().iter().enumerate() {
            if other == at {
                dims[at] = dims[at].sum(dim);
            } else {
                equal_dims("axes that are not joined", &dims[other], dim)?;
            }
        }
        numbers = numbers.zip(fact.numbers.clone()).map(|(joined, more)| [joined, more].concat());
    }
    Ok(vec![Fact::new(data_type, dims).with_numbers(numbers)])
}

pub(super) fn split(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.one_of(0, ANY)?;
    let data = call.input(0);
    let at = axis(call.int("axis", 0), data.rank())?;
    let dim = &data.shape()[at];
    let parts = match call.optional(1) {
        Some(_) => named_parts(dim, &call.ints(1)?)?,
        None => equal_parts(call, dim)?,
    };
    if parts.len() != call.node.outputs.len() {
        return Err(OpError::OutputCount { expected: parts.len(), got: call.node.outputs.len() });
    }
    let part = |size: Dim| {
        let mut dims = data.shape().to_vec();
        dims[at] = size;
        Fact::new(data_type, dims)
    };
    Ok(parts.into_iter().map(part).collect())
}

pub(super) fn slice(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let data_type = call.one_of(0, ANY)?;
    let data = call.input(0);
    for input in 1..call.inputs.len() {
        if call.optional(input).is_some() {
            call.one_of(input, INDICES)?;
        }
    }
    let count = match call.input(1).shape() {
        [Dim::Fixed(count)] => *count,
        shape => return Err(OpError::Rank { input: 1, expected: "one axis of known size", shape: shape.to_vec() }),
    };
    let named = match call.optional(3) {
        Some(_) => call.ints(3)?,
        None => (0_i64..).take(count).collect(),
    };
    let steps = match call.optional(4) {
        Some(_) => call.ints(4)?,
        None => vec![1; count],
    };
    if named.len() != count || steps.len() != count || call.input(2).shape() != call.input(1).shape() {
        return Err(OpError::Axes { axes: named });
    }
    let mut dims = data.shape().to_vec();
    let mut numbers = data.numbers.clone();
    for (entry, (named, step)) in named.iter().zip(steps).enumerate() {
        let at = axis(*named, data.rank())?;
        if step == 0 {
            return Err(OpError::Value { input: 4, value: step });
        }
        let bound = |input: usize| match call.input(input).numbers.as_deref().and_then(|known| known.get(entry)) {
            Some(Number::Int(value)) => Some(*value),
            _ => None,
        };
        let (start, end) = (bound(1), bound(2));
        let indices =
            dims[at].fixed().zip(start.zip(end)).map(|(size, (start, end))| Indices::new(size, start, end, step));
        dims[at] = match (&indices, start, end) {
            (Some(indices), ..) => Dim::Fixed(indices.count),
            (None, Some(0), Some(END)) if step == 1 => dims[at].clone(),
            _ => call.unknown(at),
        };
        numbers = numbers.zip(indices).map(|(known, indices)| indices.pick(&known));
    }
    Ok(vec![Fact::new(data_type, dims).with_numbers(numbers)])
}

/// Parts of sizes that are given.
fn named_parts(dim: &Dim, parts: &[i64]) -> Result<Vec<Dim>, OpError> {
    let error = || OpError::Split { dim: dim.clone(), parts: parts.to_vec() };
    let sizes = parts.iter().map(|part| usize::try_from(*part)).collect::<Result<Vec<_>, _>>().map_err(|_| error())?;
    let total = sizes.iter().try_fold(0_usize, |total, size| total.checked_add(*size));
    if dim.fixed() == total && total.is_some() { Ok(sizes.into_iter().map(Dim::Fixed).collect()) } else { Err(error()) }
}

/// As many equal parts as there are outputs; from opset 18 the number is an attribute and the last part may be smaller.
fn equal_parts(call: &Call<'_>, dim: &Dim) -> Result<Vec<Dim>, OpError> {
    let error = || OpError::Split { dim: dim.clone(), parts: Vec::new() };
    let count = match (call.node.attributes.contains_key("num_outputs"), call.opset) {
        (true, 18..) => usize::try_from(call.int("num_outputs", 0)).map_err(|_| error())?,
        (false, ..18) => call.node.outputs.len(),
        _ => return Err(call.attribute_error("num_outputs")),
    };
    if count == 0 {
        return Err(error());
    }
    let Dim::Fixed(size) = dim else {
        // One factor of a product may be known to divide.
        let part = Dim::quotient(std::slice::from_ref(dim), &[Dim::Fixed(count)]).ok_or_else(error)?;
        return Ok(vec![part; count]);
    };
    if call.opset < 18 && !size.is_multiple_of(count) {
        return Err(error());
    }
    let part = size.div_ceil(count);
    let last = size.checked_sub(part * (count - 1)).ok_or_else(error)?;
    Ok((0..count).map(|at| Dim::Fixed(if at + 1 == count { last } else { part })).collect())
}

/// The indices of `start..end` by `step` of an axis, with the clamping that `Slice` does.
#[derive(Clone, Copy)]
struct Indices {
    start: i64,
    step: i64,
    count: usize,
}

impl Indices {
    fn new(size: usize, start: i64, end: i64, step: i64) -> Self {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let (least, most) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let clamp = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound }.clamp(least, most);
        let (start, end) = (clamp(start), clamp(end));
        let distance = if step > 0 { end - start } else { start - end };
        let count = usize::try_from(distance).unwrap_or(0).div_ceil(usize::try_from(step.unsigned_abs()).unwrap_or(1));
        Self { start, step, count }
    }

    fn pick(self, from: &[Number]) -> Vec<Number> {
        let indices = std::iter::successors(Some(self.start), |at| at.checked_add(self.step)).take(self.count);
        indices.map(|at| from[usize::try_from(at).expect("clamped to the axis")].clone()).collect()
    }
}

/// The bound that means "to the end of the axis".
const END: i64 = i64::MAX;
