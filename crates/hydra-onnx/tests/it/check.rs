//! Hostile ONNX files, each refused for its own reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use hydra_onnx::{CheckError, Model};
use hydra_testkit::fixture;
use proptest::prelude::*;

use crate::onnx_writer::{Message, edge, external, graph, model, tensor};

fn node(operator: &str) -> Message {
    Message::new().bytes(1, "x").bytes(2, "y").bytes(4, operator)
}

/// The reason why a file is refused, with ten bytes of external data at hand.
#[track_caller]
fn refused(file: Message) -> CheckError {
    let data = BTreeMap::from([("w.data".to_owned(), Arc::from([0_u8; 10]))]);
    Model::with_data(file.finish(), data).expect_err("the file is hostile")
}

#[track_caller]
fn refused_graph(rest: impl FnOnce(Message) -> Message) -> CheckError {
    refused(model(&graph(rest)))
}

#[track_caller]
fn refused_tensor(tensor: &Message) -> CheckError {
    refused_graph(|graph| graph.message(5, tensor))
}

#[test]
fn an_ordinary_file_passes_and_is_described() {
    let file = model(&graph(|graph| {
        graph.message(1, &node("Identity")).message(5, &tensor("w", 1, &[2, 3]).bytes(9, [0; 24]))
    }));
    let facts = Model::new(file.finish()).unwrap().facts().clone();
    assert_eq!((facts.ir_version, facts.opset, facts.nodes, facts.tensor_bytes), (8, 17, 1, 24));
    assert_eq!(facts.inputs[0].to_string(), "x: f32 [2]");
}

#[test]
fn every_way_to_store_numbers_is_counted() {
    for whole in [
        tensor("w", 1, &[2]).bytes(4, [0; 8]),
        tensor("w", 6, &[3]).bytes(5, [1, 2, 3]),
        tensor("w", 6, &[2]).int(5, -1).int(5, 1),
        tensor("w", 7, &[2]).bytes(7, [1, 2]),
        tensor("w", 11, &[1]).bytes(10, [0; 8]),
        tensor("w", 10, &[2]).bytes(9, [0; 4]),
        tensor("w", 22, &[3]).bytes(9, [0; 2]),
        tensor("w", 22, &[3]).bytes(5, [0; 2]),
        tensor("w", 1, &[0, 5]),
        external("w", &[2], &[("location", "w.data"), ("offset", "2"), ("length", "8")]),
    ] {
        let data = BTreeMap::from([("w.data".to_owned(), Arc::from([0_u8; 10]))]);
        Model::with_data(model(&graph(|graph| graph.message(5, &whole))).finish(), data).unwrap();
    }
}

#[test]
fn numbers_must_be_as_many_as_the_shape_says() {
    for short in [
        tensor("w", 1, &[2]).bytes(9, [0; 7]),
        tensor("w", 1, &[2]).bytes(4, [0; 12]),
        tensor("w", 6, &[3]).bytes(5, [1, 2]),
        tensor("w", 1, &[2]),
        external("w", &[2], &[("location", "w.data"), ("length", "4")]),
        external("w", &[2], &[("location", "w.data")]),
    ] {
        assert!(matches!(refused_tensor(&short), CheckError::TensorLength { .. }));
    }
    for impossible in [&[-1][..], &[1 << 40, 1 << 40], &[i64::MAX, 8]] {
        let tensor = tensor("w", 1, impossible);
        assert_eq!(refused_tensor(&tensor), CheckError::TensorShape { tensor: "w".into() });
    }
}

#[test]
fn numbers_lie_in_one_place_and_in_the_field_of_their_type() {
    for confused in [
        tensor("w", 1, &[2]).bytes(9, [0; 8]).bytes(4, [0; 8]),
        tensor("w", 1, &[2]).bytes(7, [0; 2]),
        tensor("w", 6, &[2]).bytes(5, [0]).bytes(7, [0]),
        external("w", &[2], &[("location", "w.data"), ("length", "8")]).bytes(9, [0; 8]),
        tensor("w", 1, &[1]).bytes(9, [0; 4]).message(13, &Message::new().bytes(1, "location").bytes(2, "w.data")),
    ] {
        assert_eq!(refused_tensor(&confused), CheckError::TensorStorage { tensor: "w".into() });
    }
}

#[test]
fn external_data_cannot_leave_the_bundle() {
    for location in [
        "/etc/passwd",
        "../w.data",
        "a/../../w.data",
        "..",
        ".",
        "",
        "a/w.data",
        "./w.data",
        "..\\w.data",
        "C:\\w.data",
        "C:w.data",
        "\\\\host\\w.data",
        "w.data\0",
        "~",
        "*/_ORT_MEM_ADDR_/*",
    ] {
        let tensor = external("w", &[2], &[("location", location), ("length", "8")]);
        assert_eq!(refused_tensor(&tensor), CheckError::ExternalPath { tensor: "w".into() }, "{location}");
    }
    let elsewhere = external("w", &[2], &[("location", "model.onnx"), ("length", "8")]);
    assert!(matches!(refused_tensor(&elsewhere), CheckError::ExternalFile { .. }));
    let nowhere = external("w", &[2], &[("length", "8")]);
    assert!(matches!(refused_tensor(&nowhere), CheckError::ExternalEntry { .. }));
}

#[test]
fn external_ranges_stay_inside_their_file() {
    for (offset, length) in [("3", "8"), ("18446744073709551615", "8"), ("8", "18446744073709551615"), ("11", "0")] {
        let tensor = external("w", &[2], &[("location", "w.data"), ("offset", offset), ("length", length)]);
        assert!(matches!(refused_tensor(&tensor), CheckError::ExternalRange { .. }), "{offset} {length}");
    }
    for (key, value) in
        [("offset", "-1"), ("offset", "+1"), ("length", "8 "), ("length", "99999999999999999999"), ("x", "")]
    {
        let tensor = external("w", &[2], &[("location", "w.data"), (key, value)]);
        assert_eq!(refused_tensor(&tensor), CheckError::ExternalEntry { tensor: "w".into() }, "{key} {value}");
    }
    let twice = external("w", &[2], &[("location", "w.data"), ("location", "w.data")]);
    assert_eq!(refused_tensor(&twice), CheckError::ExternalEntry { tensor: "w".into() });
}

#[test]
fn a_tensor_in_an_attribute_or_a_subgraph_is_checked_too() {
    let stray = external("w", &[2], &[("location", "/etc/passwd")]);
    let attribute = Message::new().bytes(1, "value").message(5, &stray);
    let constant = node("Constant").message(5, &attribute);
    assert!(matches!(refused_graph(|graph| graph.message(1, &constant)), CheckError::ExternalPath { .. }));
    let branch = Message::new().bytes(1, "then_branch").message(6, &graph(|graph| graph.message(5, &stray)));
    let condition = node("If").message(5, &branch);
    assert!(matches!(refused_graph(|graph| graph.message(1, &condition)), CheckError::ExternalPath { .. }));
}

#[test]
fn nesting_is_bounded() {
    let mut inner = graph(|graph| graph);
    for _ in 0..1000 {
        let branch = Message::new().bytes(1, "body").message(6, &inner);
        inner = graph(|graph| graph.message(1, &node("Loop").message(5, &branch)));
    }
    assert_eq!(refused(model(&inner)), CheckError::TooDeep { limit: 8 });
}

#[test]
fn counts_and_names_are_bounded() {
    let many = refused_graph(|graph| (0..200_001).fold(graph, |graph, _| graph.message(1, &node("Identity"))));
    assert_eq!(many, CheckError::TooMany { what: "nodes", limit: 200_000 });
    let many =
        refused_graph(|graph| (0..5000).fold(graph, |graph, at| graph.message(11, &edge(&at.to_string(), 1, &[1]))));
    assert_eq!(many, CheckError::TooMany { what: "inputs", limit: 4096 });
    let wide = node("Concat");
    let wide = (0..5000).fold(wide, |node, _| node.bytes(1, "x"));
    assert!(matches!(refused_graph(|graph| graph.message(1, &wide)), CheckError::TooMany { .. }));
    assert!(matches!(refused_tensor(&tensor("w", 1, &[1; 17])), CheckError::TooMany { what: "dimensions", .. }));
    let long = "n".repeat(1025);
    assert_eq!(refused_tensor(&tensor(&long, 1, &[1])), CheckError::NameTooLong { limit: 1024 });
    assert_eq!(refused_tensor(&Message::new().bytes(8, [0xff])), CheckError::Name);
}

#[test]
fn what_stands_once_may_not_stand_twice() {
    let whole = model(&graph(|graph| graph));
    for (field, message) in [(7, graph(|graph| graph)), (8, Message::new().int(2, 17))] {
        assert!(matches!(refused(whole.clone().message(field, &message)), CheckError::Repeated { .. }));
    }
    assert!(matches!(refused(whole.int(1, 8)), CheckError::Repeated { .. }));
    let raw = tensor("w", 1, &[1]).bytes(9, [0; 4]).bytes(9, [0; 4]);
    assert!(matches!(refused_tensor(&raw), CheckError::Repeated { .. }));
    let name = CheckError::Duplicate { name: "w".into() };
    let one = tensor("w", 1, &[1]).bytes(9, [0; 4]);
    assert_eq!(refused_graph(|graph| graph.message(5, &one).message(5, &one)), name);
    let input = CheckError::Duplicate { name: "x".into() };
    assert_eq!(refused_graph(|graph| graph.message(11, &edge("x", 1, &[1]))), input);
}

#[test]
fn versions_and_operators_that_are_not_known_are_refused() {
    let versions = |ir: i64, opset: i64| {
        let graph = graph(|graph| graph);
        refused(Message::new().int(1, ir).message(8, &Message::new().int(2, opset)).message(7, &graph))
    };
    assert!(matches!(versions(3, 17), CheckError::IrVersion { found: 3, .. }));
    assert!(matches!(versions(-1, 17), CheckError::IrVersion { found: -1, .. }));
    assert!(matches!(versions(8, 12), CheckError::Opset { found: 12, .. }));
    assert!(matches!(versions(8, i64::MAX), CheckError::Opset { .. }));
    let custom = Message::new().bytes(1, "evil").int(2, 1);
    assert_eq!(refused(model(&graph(|graph| graph)).message(8, &custom)), CheckError::Domain { domain: "evil".into() });
    let custom = node("Run").bytes(7, "evil");
    assert_eq!(refused_graph(|graph| graph.message(1, &custom)), CheckError::Domain { domain: "evil".into() });
    for field in [20, 25] {
        let file = model(&graph(|graph| graph)).message(field, &Message::new());
        assert!(matches!(refused(file), CheckError::Unsupported { .. }));
    }
    for field in [14, 15] {
        let stray = Message::new();
        assert!(matches!(refused_graph(|graph| graph.message(field, &stray)), CheckError::Unsupported { .. }));
    }
    assert!(matches!(refused_tensor(&tensor("w", 8, &[1]).bytes(6, "x")), CheckError::Unsupported { .. }));
    assert!(matches!(refused_tensor(&tensor("w", 99, &[1])), CheckError::TensorType { code: 99, .. }));
}

#[test]
fn what_must_be_there_is_missed() {
    let graph = graph(|graph| graph);
    let opset = Message::new().int(2, 17);
    for (file, what) in [
        (Message::new(), "ir version"),
        (Message::new().int(1, 8).message(7, &graph), "default opset"),
        (Message::new().int(1, 8).message(8, &opset), "graph"),
        (model(&graph.clone().message(1, &Message::new())), "operator of a node"),
        (model(&graph.clone().message(11, &Message::new().bytes(1, "z"))), "shape"),
    ] {
        let refused = refused(file).to_string();
        assert!(refused.contains(what) || refused.contains("type code 0"), "{what}: {refused}");
    }
    let strings = model(&graph.clone().message(11, &edge("z", 8, &[1])));
    assert!(matches!(refused(strings), CheckError::EdgeType { code: 8, .. }));
}

#[test]
fn lengths_that_lie_end_at_once() {
    for tail in [&[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x3a], &[0x3b], &[0x00]] {
        refused(model(&graph(|graph| graph)).raw(tail));
    }
}

#[test]
fn every_prefix_of_a_graph_is_refused_or_checked() {
    let file = std::fs::read(fixture("bundles/tiny-encoder/model.onnx")).unwrap();
    let refused = (0..file.len()).filter(|&end| Model::new(&file[..end]).is_err()).count();
    // A cut between two fields of the model can leave a whole, shorter model.
    assert!(refused > file.len() - 8, "{refused} of {}", file.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Model::new(bytes));
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0_usize..3825, byte: u8, cut in 0_usize..3825) {
        let mut file = std::fs::read(fixture("bundles/tiny-encoder/model.onnx")).unwrap();
        let len = file.len();
        file[at % len] = byte;
        file.truncate(len - cut % 16);
        drop(Model::new(file));
    }
}
