//! The structural check: a valid model, one thing wrong with it at a time.

use hydra_graph::{Attribute, DataType, Dim, GraphBuilder, GraphError, Model, OpError, Reduced, Tensor, TensorType};

/// `y = relu(x · weight + bias)`, `mean = mean(y)`.
fn valid() -> Model<'static> {
    let mut graph = GraphBuilder::new("dense");
    let x = graph.input("x", DataType::F32, [Dim::from("batch"), 3.into()]).unwrap();
    let weight = graph.initializer("weight", Tensor::new(&[3, 2], vec![1.0_f32; 6]).unwrap()).unwrap();
    let bias = graph.initializer("bias", Tensor::new(&[2], vec![0.5_f32; 2]).unwrap()).unwrap();
    let y = graph.linear(x, weight, bias).unwrap();
    let y = graph.relu(y).unwrap();
    let mean = graph.reduce_mean(y, &[-1], Reduced::Drop).unwrap();
    graph.output("y", y).unwrap();
    graph.output("mean", mean).unwrap();
    graph.finish().unwrap()
}

fn check(mutate: impl FnOnce(&mut Model<'static>), expected: &GraphError) {
    let mut model = valid();
    mutate(&mut model);
    assert_eq!(&model.check().unwrap_err(), expected);
}

#[test]
fn a_model_that_was_built_is_valid() {
    valid().check().unwrap();
}

#[test]
fn names_are_unique_and_defined_before_use() {
    let undefined = |input: &str| GraphError::UndefinedInput { node: "Relu".to_owned(), input: input.to_owned() };
    check(|model| model.nodes[2].inputs[0] = "nowhere".to_owned(), &undefined("nowhere"));
    check(
        |model| model.nodes.swap(1, 2),
        &GraphError::UsedBeforeMade { node: "Relu".to_owned(), input: "Add".to_owned() },
    );
    check(
        |model| model.nodes[2].inputs[0] = "y".to_owned(),
        &GraphError::UsedBeforeMade { node: "Relu".to_owned(), input: "y".to_owned() },
    );
    let twice = |name: &str| GraphError::DuplicateValue { name: name.to_owned() };
    check(|model| model.nodes[1].outputs[0] = "MatMul".to_owned(), &twice("MatMul"));
    check(|model| model.nodes[0].outputs[0] = "x".to_owned(), &twice("x"));
    check(|model| model.initializers[1].name = "weight".to_owned(), &twice("weight"));
    check(|model| model.inputs[0].name = "bias".to_owned(), &twice("bias"));
    check(|model| model.nodes[1].name = "MatMul".to_owned(), &GraphError::DuplicateNode { name: "MatMul".to_owned() });
    check(|model| model.nodes[1].name.clear(), &GraphError::EmptyName { what: "a node" });
    check(|model| model.inputs[0].name.clear(), &GraphError::EmptyName { what: "a value" });
}

#[test]
fn outputs_are_as_declared() {
    let name = || "y".to_owned();
    check(|model| model.outputs.clear(), &GraphError::NoOutputs);
    check(|model| model.outputs[1].name = name(), &GraphError::DuplicateOutput { name: name() });
    check(
        |model| model.outputs[0].name = "nowhere".to_owned(),
        &GraphError::UndefinedOutput { name: "nowhere".to_owned() },
    );
    let inferred = TensorType::new(DataType::F32, [Dim::from("batch"), 2.into()]);
    for declared in [
        TensorType::new(DataType::F16, [Dim::from("batch"), 2.into()]),
        TensorType::new(DataType::F32, [Dim::from("batch")]),
        TensorType::new(DataType::F32, [Dim::from("batch"), 3.into()]),
        TensorType::new(DataType::F32, [Dim::from("batch"), Dim::from("two")]),
        TensorType::new(DataType::F32, [4_usize, 2]),
        TensorType::new(DataType::F32, [Dim::from("seq"), 2.into()]),
    ] {
        let mismatch =
            GraphError::OutputMismatch { name: name(), declared: declared.clone(), inferred: inferred.clone() };
        check(|model| model.outputs[0].tensor_type = declared, &mismatch);
    }
}

#[test]
fn operators_are_known_and_take_their_inputs() {
    let relu = |inputs: &[TensorType], source: OpError| GraphError::Op {
        node: "Relu".to_owned(),
        op: "Relu".to_owned(),
        inputs: inputs.iter().cloned().map(Some).collect(),
        source: Box::new(source),
    };
    let given = TensorType::new(DataType::F32, [Dim::from("batch"), 2.into()]);
    check(
        |model| model.nodes[2].op = "Frobnicate".to_owned(),
        &GraphError::UnknownOperator { node: "Relu".to_owned(), op: "Frobnicate".to_owned() },
    );
    check(
        |model| model.nodes[2].inputs.push("x".to_owned()),
        &relu(
            &[given.clone(), TensorType::new(DataType::F32, [Dim::from("batch"), 3.into()])],
            OpError::InputCount { least: 1, most: 1, got: 2 },
        ),
    );
    check(
        |model| model.nodes[2].outputs.push("more".to_owned()),
        &relu(std::slice::from_ref(&given), OpError::OutputCount { expected: 1, got: 2 }),
    );
    check(
        |model| drop(model.nodes[2].attributes.insert("axis".to_owned(), Attribute::Int(0))),
        &relu(&[given], OpError::Attribute { attribute: "axis".to_owned(), opset: 17 }),
    );
    check(
        |model| model.nodes[0].inputs[1].clear(),
        &GraphError::Op {
            node: "MatMul".to_owned(),
            op: "MatMul".to_owned(),
            inputs: vec![Some(TensorType::new(DataType::F32, [Dim::from("batch"), 3.into()])), None],
            source: Box::new(OpError::MissingInput { input: 1 }),
        },
    );
}

#[test]
fn the_opset_and_the_file_format_go_together() {
    check(|model| model.opset = 22, &GraphError::Opset { opset: 22, first: 17, last: 21 });
    check(|model| model.ir_version = 7, &GraphError::IrVersion { ir_version: 7, opset: 17, least: 8, most: 10 });
    // The reduction holds its axes in an attribute, which opset 18 took away.
    let mut newer = valid();
    newer.opset = 18;
    assert!(matches!(newer.check().unwrap_err(), GraphError::Op { op, .. } if op == "ReduceMean"));
}

#[test]
fn every_wrong_type_in_the_graph_is_found() {
    let model = valid();
    for place in 0..model.initializers.len() {
        let mut wrong = model.clone();
        let shape = wrong.initializers[place].tensor.shape().to_vec();
        wrong.initializers[place].tensor = Tensor::new(&shape, vec![1_i64; shape.iter().product()]).unwrap();
        assert!(matches!(wrong.check().unwrap_err(), GraphError::Op { .. }));
    }
}
