//! Operators that fold axes away.

use super::call::{Call, Fact, axes};
use super::{NUMBERS, OpError, WIDE};
use crate::dim::Dim;
use crate::model::Attribute;

pub(super) fn reduce(call: &Call<'_>) -> Result<Vec<Fact>, OpError> {
    let ordered = matches!(call.node.op.as_str(), "ReduceMax" | "ReduceMin");
    let data_type = call.one_of(0, if ordered { NUMBERS } else { WIDE })?;
    let data = call.input(0);
    let folded = match named_axes(call)? {
        Some(named) if !named.is_empty() => axes(&named, data.rank())?,
        _ if call.int("noop_with_empty_axes", 0) != 0 => Vec::new(),
        _ => (0..data.rank()).collect(),
    };
    let keep = call.int("keepdims", 1) != 0;
    let shape = data.shape().iter().enumerate().filter_map(|(at, dim)| match (folded.contains(&at), keep) {
        (false, _) => Some(dim.clone()),
        (true, true) => Some(Dim::Fixed(1)),
        (true, false) => None,
    });
    Ok(vec![Fact::new(data_type, shape.collect())])
}

/// Axes are an input from the opset that [`axes_are_an_input`] says, and an attribute before.
fn named_axes(call: &Call<'_>) -> Result<Option<Vec<i64>>, OpError> {
    let as_input = axes_are_an_input(&call.node.op, call.opset);
    match call.node.attributes.get("axes") {
        Some(Attribute::Ints(_)) if as_input => Err(call.attribute_error("axes")),
        Some(Attribute::Ints(axes)) => Ok(Some(axes.clone())),
        _ if call.node.attributes.contains_key("noop_with_empty_axes") && !as_input => {
            Err(call.attribute_error("noop_with_empty_axes"))
        }
        _ if call.optional(1).is_none() => Ok(None),
        _ if as_input => call.ints(1).map(Some),
        _ => Err(OpError::InputCount { least: 1, most: 1, got: 2 }),
    }
}

/// Whether a reduction takes its axes as an input in this opset.
pub(crate) fn axes_are_an_input(op: &str, opset: u32) -> bool {
    op == "ReduceSum" || opset >= 18
}
