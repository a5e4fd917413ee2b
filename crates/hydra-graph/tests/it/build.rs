//! Building: names, symbolic sizes, and errors at the operator that is wrong.

use hydra_graph::{DataType, Dim, GraphBuilder, GraphError, OpError, Reduced, Tensor, TensorType};

fn floats(len: usize) -> Vec<f32> {
    (0_u16..).take(len).map(f32::from).collect()
}

#[test]
fn values_are_named_after_their_scope_and_repeated_operators_are_numbered() {
    let mut graph = GraphBuilder::new("names");
    let x = graph.input("x", DataType::F32, ["batch"]).unwrap();
    let (first, second, weight) = graph.scope("encoder.layer.0", |graph| {
        let weight = graph.scope("query", |graph| graph.initializer("weight", Tensor::scalar(2.0_f32)).unwrap());
        (graph.mul(x, weight).unwrap(), graph.mul(x, weight).unwrap(), weight)
    });
    assert_eq!(graph.name(weight), "encoder.layer.0.query.weight");
    assert_eq!(graph.name(first), "encoder.layer.0/Mul");
    assert_eq!(graph.name(second), "encoder.layer.0/Mul_1");
}

#[test]
fn an_output_carries_its_name_whatever_it_is() {
    let mut graph = GraphBuilder::new("outputs");
    let x = graph.input("x", DataType::F32, ["batch"]).unwrap();
    let y = graph.neg(x).unwrap();
    graph.output("first", y).unwrap();
    graph.output("again", y).unwrap();
    graph.output("input", x).unwrap();
    let taken = graph.output("x", y).unwrap_err();
    assert_eq!(taken, GraphError::DuplicateValue { name: "x".to_owned() });
    let model = graph.finish().unwrap();
    let names: Vec<&str> = model.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["first", "again", "input"]);
    // One value under two names, and an input under another, are passed on by nodes of their own.
    assert_eq!(model.nodes.iter().filter(|node| node.op == "Identity").count(), 3);
}

#[test]
fn equal_constants_are_one_initializer() {
    let mut graph = GraphBuilder::new("constants");
    assert_eq!(graph.ints(&[0, -1]), graph.ints(&[0, -1]));
    assert_ne!(graph.ints(&[1]), graph.scalar(1_i64));
    assert_ne!(graph.scalar(0.0_f32), graph.scalar(-0.0_f32));
}

#[test]
fn symbolic_sizes_follow_a_decoder_layer_with_a_cache() {
    let mut graph = GraphBuilder::new("decoder");
    let cache = graph.input("past", DataType::F32, [2.into(), 4.into(), Dim::from("past"), 8.into()]).unwrap();
    let x = graph.input("x", DataType::F32, [2.into(), Dim::from("seq"), 96.into()]).unwrap();
    let heads = graph.split(x, -1, &[64, 32]).unwrap();
    let [queries, keys] = [(heads[0], 8), (heads[1], 4)].map(|(part, heads)| {
        let part = graph.reshape(part, &[0, 0, heads, 8]).unwrap();
        graph.transpose(part, &[0, 2, 1, 3]).unwrap()
    });
    let keys = graph.concat(&[cache, keys], 2).unwrap();
    let all = Dim::from("past").sum(&"seq".into());
    assert_eq!(graph.shape(keys), [2.into(), 4.into(), all.clone(), 8.into()]);
    // Grouped queries: each cached head serves two.
    let keys = graph.unsqueeze(keys, &[2]).unwrap();
    let keys = graph.expand(keys, &[1, 1, 2, 1, 1]).unwrap();
    let keys = graph.reshape(keys, &[0, 8, -1, 8]).unwrap();
    assert_eq!(graph.shape(keys), [2.into(), 8.into(), all.clone(), 8.into()]);
    let keys = graph.transpose(keys, &[0, 1, 3, 2]).unwrap();
    let scores = graph.mat_mul(queries, keys).unwrap();
    let mask = graph.input("mask", DataType::F32, [Dim::Fixed(1), 1.into(), 1.into(), all.clone()]).unwrap();
    let scores = graph.add(scores, mask).unwrap();
    assert_eq!(graph.shape(scores), [2.into(), 8.into(), "seq".into(), all]);
}

#[test]
fn a_shape_that_the_graph_computes_is_known_while_it_is_built() {
    let mut graph = GraphBuilder::new("shapes");
    let x = graph.input("x", DataType::F32, [Dim::from("batch"), "seq".into(), 6.into()]).unwrap();
    let flat = graph.reshape(x, &[-1, 6]).unwrap();
    assert_eq!(graph.shape(flat), [Dim::from("batch").product(&"seq".into()), 6.into()]);
    let (batch, seq, six) = (graph.size_of(x, 0).unwrap(), graph.size_of(x, 1).unwrap(), graph.ints(&[2, 3]));
    let shape = graph.concat(&[batch, seq, six], 0).unwrap();
    let split = graph.reshape_to(flat, shape).unwrap();
    assert_eq!(graph.shape(split), [Dim::from("batch"), "seq".into(), 2.into(), 3.into()]);
    let (zero, one, limit) = (graph.scalar(0_i64), graph.scalar(1_i64), graph.squeeze(seq, &[0]).unwrap());
    let positions = graph.range(zero, limit, one).unwrap();
    assert_eq!(graph.tensor_type(positions), &TensorType::new(DataType::I64, ["seq"]));
}

#[test]
fn axes_of_reductions_are_where_the_opset_has_them() {
    for (opset, inputs) in [(17, 1), (18, 2)] {
        let mut graph = GraphBuilder::with_opset("reductions", opset).unwrap();
        let x = graph.input("x", DataType::F32, [2_usize, 3]).unwrap();
        let mean = graph.reduce_mean(x, &[-1], Reduced::Drop).unwrap();
        graph.output("mean", mean).unwrap();
        let model = graph.finish().unwrap();
        assert_eq!(model.nodes[0].inputs.len(), inputs);
        assert_eq!(model.outputs[0].tensor_type, TensorType::new(DataType::F32, [2_usize]));
    }
    let refused = GraphBuilder::with_opset("reductions", 16).map(|_| ()).unwrap_err();
    assert_eq!(refused, GraphError::Opset { opset: 16, first: 17, last: 21 });
}

#[test]
fn an_error_names_the_node_and_the_shapes() {
    let mut graph = GraphBuilder::new("errors");
    let x = graph.input("x", DataType::F32, [Dim::from("batch"), 3.into()]).unwrap();
    let weight = graph.initializer("weight", Tensor::new(&[4, 2], floats(8)).unwrap()).unwrap();
    let error = graph.scope("query", |graph| graph.mat_mul(x, weight)).unwrap_err();
    assert_eq!(error.to_string(), r#"MatMul node "query/MatMul" cannot take (f32[batch, 3], f32[4, 2])"#);
    let GraphError::Op { source, .. } = error else { panic!("{error}") };
    assert_eq!(source.to_string(), "the inner axes of the two matrices must have one size, got 3 and 4");
    // A refused operator leaves no trace.
    let product = graph.scope("query", |graph| graph.mul(x, x)).unwrap();
    graph.output("y", product).unwrap();
    assert_eq!(graph.finish().unwrap().nodes.len(), 1);
}

#[test]
fn two_symbols_are_two_sizes() {
    let mut graph = GraphBuilder::new("symbols");
    let x = graph.input("x", DataType::F32, ["batch"]).unwrap();
    let y = graph.input("y", DataType::F32, ["seq"]).unwrap();
    let GraphError::Op { source, .. } = graph.add(x, y).unwrap_err() else { panic!("another error") };
    assert!(matches!(*source, OpError::Broadcast { .. }));
}

#[test]
fn a_value_of_another_graph_is_refused() {
    let mut other = GraphBuilder::new("other");
    let foreign = other.input("x", DataType::F32, ["batch"]).unwrap();
    let mut graph = GraphBuilder::new("graph");
    graph.input("x", DataType::F32, ["batch"]).unwrap();
    assert_eq!(graph.neg(foreign).unwrap_err(), GraphError::ForeignValue { op: "Neg".to_owned() });
}

#[test]
fn a_tensor_has_one_element_a_place() {
    let error = Tensor::new(&[2, 3], floats(5)).unwrap_err();
    assert_eq!(error.to_string(), "f32[2, 3] takes 24 bytes, got 20: give one element for each place of the shape");
    assert_eq!(Tensor::from_le_bytes(DataType::I64, &[usize::MAX, 2], &[][..]).unwrap_err().expected, u64::MAX);
}
