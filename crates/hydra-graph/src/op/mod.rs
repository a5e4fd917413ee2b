//! What every operator takes and makes: one table and one inference function each, used while building and while
//! checking.
//!
//! # Source
//! ONNX operator specification, `docs/Operators.md` of onnx 1.23.2, opsets 17 to 21.
//! **Differs:** two different symbols are two sizes, where ONNX leaves the result open.

mod call;
mod contrib;
mod elementwise;
mod error;
mod gather;
mod linear;
mod reduce;
mod reshape;
mod slice;

pub use error::OpError;

pub(crate) use call::Fact;
use call::{Call, Kind};
pub(crate) use reduce::axes_are_an_input;

use crate::element::DataType::{self, Bool, F16, F32, I8, I32, I64, U8};
use crate::model::Node;

/// Types and known values of the outputs of `node`, or `None` for an operator that this crate does not know.
pub(crate) fn infer(node: &Node, opset: u32, inputs: &[Option<&Fact>]) -> Option<Result<Vec<Fact>, OpError>> {
    let spec = spec(&node.op)?;
    let call = Call { node, opset, inputs };
    Some(spec.admit(&call).and_then(|()| (spec.infer)(&call)).and_then(|facts| {
        let (expected, got) = (facts.len(), node.outputs.len());
        if (spec.outputs.min(expected)..=expected).contains(&got) {
            Ok(facts.into_iter().take(got).collect())
        } else {
            Err(OpError::OutputCount { expected, got })
        }
    }))
}

/// What is the same for every use of an operator.
struct Spec {
    since: u32,
    least_inputs: usize,
    most_inputs: usize,
    /// Inputs before the last that are never given.
    left_out: &'static [usize],
    /// Fewest outputs; the inference function says the most.
    outputs: usize,
    attributes: &'static [(&'static str, Kind)],
    infer: fn(&Call<'_>) -> Result<Vec<Fact>, OpError>,
}

impl Spec {
    fn admit(&self, call: &Call<'_>) -> Result<(), OpError> {
        if call.opset < self.since {
            return Err(OpError::TooNew { since: self.since, opset: call.opset });
        }
        let (least, most, got) = (self.least_inputs, self.most_inputs, call.inputs.len());
        if !(least..=most).contains(&got) {
            return Err(OpError::InputCount { least, most, got });
        }
        let left_out = |input: &usize| call.inputs[*input].is_none() && !self.left_out.contains(input);
        if let Some(input) = (0..least).find(left_out) {
            return Err(OpError::MissingInput { input });
        }
        if let Some(input) = self.left_out.iter().copied().find(|input| call.optional(*input).is_some()) {
            return Err(OpError::UnexpectedInput { input });
        }
        for (name, value) in &call.node.attributes {
            if !self.attributes.iter().any(|(known, kind)| known == name && kind.holds(value)) {
                return Err(call.attribute_error(name));
            }
        }
        Ok(())
    }
}

fn spec(op: &str) -> Option<Spec> {
    use Kind::{Float, Int, Ints, Tensor};
    let of = |inputs: std::ops::RangeInclusive<usize>, attributes, infer| Spec {
        since: 1,
        least_inputs: *inputs.start(),
        most_inputs: *inputs.end(),
        left_out: &[],
        outputs: usize::MAX,
        attributes,
        infer,
    };
    Some(match op {
        "Add" | "Sub" | "Mul" | "Div" => of(2..=2, &[], elementwise::arithmetic),
        "Pow" => of(2..=2, &[], elementwise::pow),
        "Min" | "Max" => of(1..=usize::MAX, &[], elementwise::arithmetic),
        "Equal" => of(2..=2, &[], elementwise::equal),
        "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => of(2..=2, &[], elementwise::order),
        "And" | "Or" => of(2..=2, &[], elementwise::logic),
        "Not" => of(1..=1, &[], elementwise::logic),
        "Where" => of(3..=3, &[], elementwise::choose),
        "Sqrt" | "Exp" | "Log" | "Reciprocal" | "Erf" | "Tanh" | "Sigmoid" | "Round" | "Floor" | "Ceil" | "Cos"
        | "Sin" => of(1..=1, &[], elementwise::float),
        "Relu" | "Neg" => of(1..=1, &[], elementwise::signed),
        "Abs" => of(1..=1, &[], elementwise::number),
        "Clip" => of(1..=3, &[], elementwise::clip),
        "Identity" => of(1..=1, &[], elementwise::identity),
        "Cast" => of(1..=1, &[("to", Int)], elementwise::cast),
        "Softmax" => of(1..=1, &[("axis", Int)], elementwise::along_axis),
        "LayerNormalization" => Spec {
            since: 17,
            outputs: 1,
            ..of(2..=3, &[("axis", Int), ("epsilon", Float), ("stash_type", Int)], elementwise::layer_normalization)
        },
        "CumSum" => of(2..=2, &[("exclusive", Int), ("reverse", Int)], elementwise::cum_sum),
        "Trilu" => of(1..=2, &[("upper", Int)], elementwise::trilu),
        "MatMul" => of(2..=2, &[], linear::mat_mul),
        "Gemm" => of(2..=3, &[("alpha", Float), ("beta", Float), ("transA", Int), ("transB", Int)], linear::gemm),
        "MatMulInteger" => of(2..=4, &[], linear::mat_mul_integer),
        "DynamicQuantizeLinear" => of(1..=1, &[], linear::dynamic_quantize),
        "Gather" => of(2..=2, &[("axis", Int)], gather::gather),
        "GatherElements" => of(2..=2, &[("axis", Int)], gather::gather_elements),
        "Concat" => of(1..=usize::MAX, &[("axis", Int)], slice::concat),
        "Split" => Spec { outputs: 1, ..of(1..=2, &[("axis", Int), ("num_outputs", Int)], slice::split) },
        "Slice" => of(3..=5, &[], slice::slice),
        "Shape" => of(1..=1, &[("start", Int), ("end", Int)], reshape::shape),
        "Reshape" => of(2..=2, &[("allowzero", Int)], reshape::reshape),
        "Transpose" => of(1..=1, &[("perm", Ints)], reshape::transpose),
        "Unsqueeze" => of(2..=2, &[], reshape::unsqueeze),
        "Squeeze" => of(1..=2, &[], reshape::squeeze),
        "Expand" => of(2..=2, &[], reshape::expand),
        "Constant" => of(0..=0, &[("value", Tensor)], reshape::constant),
        "ConstantOfShape" => of(1..=1, &[("value", Tensor)], reshape::constant_of_shape),
        "Range" => of(3..=3, &[], reshape::range),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceL2" => {
            of(1..=2, &[("axes", Ints), ("keepdims", Int), ("noop_with_empty_axes", Int)], reduce::reduce)
        }
        "com.microsoft::MatMulNBits" => of(
            3..=4,
            &[("K", Int), ("N", Int), ("accuracy_level", Int), ("bits", Int), ("block_size", Int)],
            contrib::mat_mul_n_bits,
        ),
        "com.microsoft::GroupQueryAttention" => Spec {
            // Keys and values come packed with the queries.
            left_out: &[1, 2],
            ..of(
                11..=11,
                &[("do_rotary", Int), ("kv_num_heads", Int), ("num_heads", Int)],
                contrib::group_query_attention,
            )
        },
        _ => return None,
    })
}

const ANY: &[DataType] = &[F32, F16, I64, I32, I8, U8, Bool];
const NUMBERS: &[DataType] = &[F32, F16, I64, I32, I8, U8];
const SIGNED: &[DataType] = &[F32, F16, I64, I32, I8];
const WIDE: &[DataType] = &[F32, F16, I64, I32];
const FLOATS: &[DataType] = &[F32, F16];
const INDICES: &[DataType] = &[I64, I32];
const BYTES: &[DataType] = &[I8, U8];
const TRUTH: &[DataType] = &[Bool];
