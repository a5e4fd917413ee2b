//! Types and shapes of every operator, judged by `onnx.shape_inference`.

use std::collections::BTreeMap;

use hydra_graph::{
    Attribute, DataType, Dim, GraphError, Initializer, Model, Node, OpError, Tensor, TensorType, ValueInfo,
};
use hydra_testkit::fixture;
use serde_json::Value as Json;

#[test]
fn types_and_shapes_are_what_onnx_infers() {
    let mut stricter = Vec::new();
    for case in cases() {
        let (model, names) = model(&case);
        let inferred = model.with_outputs(&names);
        match (case["outputs"].as_array(), inferred) {
            (None, Err(GraphError::Op { .. })) => {}
            (None, other) => panic!("onnx refuses {case}, we say {other:?}"),
            (Some(expected), Ok(model)) => {
                for (expected, got) in expected.iter().zip(&model.outputs[1..]) {
                    assert!(agrees(expected, &got.tensor_type), "{case}: we say {}", got.tensor_type);
                }
            }
            (Some(_), Err(GraphError::Op { op, source, .. })) => stricter.push((op, *source, case)),
            (Some(_), Err(other)) => panic!("{case}: {other}"),
        }
    }
    // We refuse what ONNX leaves to the run: everything else that is refused here is a fault.
    let faults: Vec<String> = stricter
        .iter()
        .filter(|(op, source, _)| {
            let open = match source {
                OpError::Reshape { from, .. } => from.iter().any(|dim| dim.fixed().is_none()),
                OpError::DimsDiffer { left, right, .. } => left.fixed().is_none() || right.fixed().is_none(),
                _ => false,
            };
            !open && !REFUSED_AT_RUN_TIME.contains(&op.as_str())
        })
        .map(|(_, source, case)| format!("onnx accepts {case}, we say {source}"))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_operator_has_a_case() {
    let covered: std::collections::BTreeSet<String> =
        cases().iter().map(|case| case["op"].as_str().expect("an operator").to_owned()).collect();
    for op in OPERATORS {
        assert!(covered.contains(op), "no case for {op}");
    }
}

fn cases() -> Vec<Json> {
    let text = std::fs::read_to_string(fixture("graph/inference.json")).expect("the fixture is committed");
    serde_json::from_str(&text).expect("the fixture is a list")
}

/// The case as a model, with an output that is sure to have a type: the node's own are asked for.
fn model(case: &Json) -> (Model<'static>, Vec<String>) {
    let (mut inputs, mut initializers, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for (index, given) in case["inputs"].as_array().expect("inputs").iter().enumerate() {
        let name = format!("x{index}");
        names.push(name.clone());
        let tensor_type = tensor_type(given);
        match given.get("numbers") {
            Some(numbers) => initializers.push(Initializer { name, tensor: tensor(&tensor_type, numbers) }),
            None => inputs.push(ValueInfo { name, tensor_type }),
        }
    }
    let anchor = TensorType::new(DataType::F32, [1_usize]);
    inputs.push(ValueInfo { name: "anchor".to_owned(), tensor_type: anchor.clone() });
    let made = case["outputs"].as_array().map_or(1, Vec::len);
    let outputs: Vec<String> = (0..made).map(|output| format!("y{output}")).collect();
    let opset = u32::try_from(case["opset"].as_u64().expect("an opset")).expect("a small number");
    let node = Node {
        name: "node".to_owned(),
        op: case["op"].as_str().expect("an operator").to_owned(),
        inputs: names,
        outputs: outputs.clone(),
        attributes: case["attributes"].as_object().expect("attributes").iter().map(attribute).collect(),
    };
    let model = Model {
        ir_version: 8,
        opset,
        producer: (String::new(), String::new()),
        metadata: BTreeMap::new(),
        name: "case".to_owned(),
        inputs,
        outputs: vec![ValueInfo { name: "anchor".to_owned(), tensor_type: anchor }],
        initializers,
        nodes: vec![node],
    };
    (model, outputs)
}

fn attribute((name, value): (&String, &Json)) -> (String, Attribute) {
    let value = match value {
        Json::Array(numbers) => Attribute::Ints(numbers.iter().map(|number| number.as_i64().expect("i64")).collect()),
        number if number.is_i64() => Attribute::Int(number.as_i64().expect("i64")),
        #[allow(clippy::cast_possible_truncation, reason = "attributes are f32")]
        number => Attribute::Float(number.as_f64().expect("a number") as f32),
    };
    (name.clone(), value)
}

fn tensor_type(described: &Json) -> TensorType {
    let dim = |dim: &Json| match dim.as_str() {
        Some(name) => Dim::symbolic(name),
        None => Dim::Fixed(usize::try_from(dim.as_u64().expect("a size")).expect("a small size")),
    };
    let shape = described["shape"].as_array().expect("a shape").iter().map(dim).collect();
    TensorType { data_type: data_type(described), shape }
}

fn data_type(described: &Json) -> DataType {
    match described["type"].as_str().expect("a type") {
        "f32" => DataType::F32,
        "f16" => DataType::F16,
        "i64" => DataType::I64,
        "i32" => DataType::I32,
        "i8" => DataType::I8,
        "u8" => DataType::U8,
        "bool" => DataType::Bool,
        other => panic!("unknown type {other}"),
    }
}

fn tensor(tensor_type: &TensorType, numbers: &Json) -> Tensor<'static> {
    let shape: Vec<usize> = tensor_type.shape.iter().map(|dim| dim.fixed().expect("a constant")).collect();
    let numbers = numbers.as_array().expect("numbers");
    let made = match tensor_type.data_type {
        DataType::I64 => {
            Tensor::new(&shape, numbers.iter().map(|number| number.as_i64().expect("i64")).collect::<Vec<_>>())
        }
        #[allow(clippy::cast_possible_truncation, reason = "the fixture holds f32")]
        DataType::F32 => {
            Tensor::new(&shape, numbers.iter().map(|number| number.as_f64().expect("f32") as f32).collect::<Vec<_>>())
        }
        other => panic!("no constants of {other}"),
    };
    made.expect("one number a place")
}

/// Same type, same rank, same size wherever ONNX knows one.
fn agrees(expected: &Json, got: &TensorType) -> bool {
    let dims = expected["shape"].as_array().expect("a known rank");
    let dim_agrees = |(expected, got): (&Json, &Dim)| match expected {
        Json::Null => true,
        Json::String(name) => *got == Dim::symbolic(name.as_str()),
        size => size.as_u64() == got.fixed().map(|size| size as u64),
    };
    data_type(expected) == got.data_type && dims.len() == got.shape.len() && dims.iter().zip(&got.shape).all(dim_agrees)
}

/// Operators for which ONNX leaves a fault in fixed shapes to the run.
const REFUSED_AT_RUN_TIME: [&str; 2] = ["GatherElements", "Transpose"];

const OPERATORS: [&str; 59] = [
    "Abs",
    "Add",
    "And",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "Cos",
    "CumSum",
    "Div",
    "DynamicQuantizeLinear",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Floor",
    "Gather",
    "GatherElements",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "LayerNormalization",
    "Less",
    "LessOrEqual",
    "Log",
    "MatMul",
    "MatMulInteger",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Round",
    "Shape",
    "Sigmoid",
    "Sin",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Trilu",
    "Unsqueeze",
];
