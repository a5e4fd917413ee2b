//! The bytes of a model file around the constants, which are passed through and never copied.
//!
//! A protobuf message is its fields one behind the other, so a message without a field, followed by that field, is the
//! whole message. Fields come in the order of their numbers, as any protobuf library writes them.

use std::collections::BTreeSet;
use std::io::{self, Write};

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::dim::Dim;
use crate::model::{Attribute, Model, Node, ValueInfo};
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataLocation,
    tensor_shape_proto::Dimension, tensor_shape_proto::dimension, type_proto,
};
use crate::tensor::{Tensor, TensorType};

/// Where a constant lies in the data file, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A model file as pieces, some of them borrowed.
pub(super) struct Encoded<'m> {
    pieces: Vec<Piece<'m>>,
}

enum Piece<'m> {
    Made(Vec<u8>),
    Weights(&'m [u8]),
}

impl<'m> Encoded<'m> {
    pub(super) fn new(model: &'m Model<'_>, places: &[Option<Place>], location: &str) -> Self {
        let before = GraphProto {
            node: model.nodes.iter().map(node).collect(),
            name: Some(model.name.clone()),
            ..GraphProto::default()
        };
        let mut graph = vec![Piece::Made(before.encode_to_vec())];
        for (initializer, place) in model.initializers.iter().zip(places) {
            let proto = tensor_head(Some(&initializer.name), &initializer.tensor);
            let fields = match place {
                Some(place) => vec![Piece::Made(external(proto, *place, location).encode_to_vec())],
                None => {
                    let bytes = initializer.tensor.bytes();
                    let mut head = proto.encode_to_vec();
                    open(RAW_DATA, bytes.len() as u64, &mut head);
                    vec![Piece::Made(head), Piece::Weights(bytes)]
                }
            };
            graph.push(opened(INITIALIZER, &fields));
            graph.extend(fields);
        }
        let after = GraphProto {
            input: model.inputs.iter().map(value_info).collect(),
            output: model.outputs.iter().map(value_info).collect(),
            ..GraphProto::default()
        };
        graph.push(Piece::Made(after.encode_to_vec()));

        let head = ModelProto {
            ir_version: Some(model.ir_version),
            producer_name: Some(model.producer.0.clone()),
            producer_version: Some(model.producer.1.clone()),
            ..ModelProto::default()
        };
        let tail = ModelProto {
            opset_import: operator_sets(model),
            metadata_props: model.metadata.iter().map(|(key, value)| entry(key, value.clone())).collect(),
            ..ModelProto::default()
        };
        let mut pieces = vec![Piece::Made(head.encode_to_vec()), opened(GRAPH, &graph)];
        pieces.extend(graph);
        pieces.push(Piece::Made(tail.encode_to_vec()));
        Self { pieces }
    }

    pub(super) fn len(&self) -> u64 {
        len(&self.pieces)
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.pieces.iter().try_for_each(|piece| out.write_all(piece.bytes()))
    }
}

impl Piece<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Made(bytes) => bytes,
            Self::Weights(bytes) => bytes,
        }
    }
}

fn len(pieces: &[Piece<'_>]) -> u64 {
    pieces.iter().map(|piece| piece.bytes().len() as u64).sum()
}

/// The start of a field that holds `pieces`.
fn opened<'m>(field: u32, pieces: &[Piece<'m>]) -> Piece<'m> {
    let mut bytes = Vec::new();
    open(field, len(pieces), &mut bytes);
    Piece::Made(bytes)
}

fn open(field: u32, len: u64, bytes: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, bytes);
    encode_varint(len, bytes);
}

/// The default domain, then each other one that a node names.
fn operator_sets(model: &Model<'_>) -> Vec<OperatorSetIdProto> {
    let set =
        |domain: &str, version: i64| OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) };
    let others: BTreeSet<&str> =
        model.nodes.iter().filter_map(|node| node.op.split_once("::")).map(|op| op.0).collect();
    // The operators of ONNX Runtime's own domain have had one version ever since.
    [set("", model.opset.into())].into_iter().chain(others.into_iter().map(|domain| set(domain, 1))).collect()
}

fn node(node: &Node) -> NodeProto {
    let (domain, op) = node.op.split_once("::").map_or((None, node.op.as_str()), |(domain, op)| (Some(domain), op));
    NodeProto {
        domain: domain.map(str::to_owned),
        input: node.inputs.clone(),
        output: node.outputs.clone(),
        name: Some(node.name.clone()),
        op_type: Some(op.to_owned()),
        attribute: node.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        ..NodeProto::default()
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Int(value) => {
            proto.i = Some(*value);
            AttributeType::Int
        }
        Attribute::Float(value) => {
            proto.f = Some(*value);
            AttributeType::Float
        }
        Attribute::String(value) => {
            proto.s = Some(value.clone().into_bytes());
            AttributeType::String
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            AttributeType::Ints
        }
        Attribute::Tensor(tensor) => {
            proto.t = Some(TensorProto { raw_data: Some(tensor.bytes().to_vec()), ..tensor_head(None, tensor) });
            AttributeType::Tensor
        }
    };
    proto.set_type(kind);
    proto
}

/// A tensor without its elements.
fn tensor_head(name: Option<&str>, tensor: &Tensor<'_>) -> TensorProto {
    TensorProto {
        dims: tensor.shape().iter().map(|size| i64::try_from(*size).expect("an axis fits i64")).collect(),
        data_type: Some(tensor.data_type().code()),
        name: name.map(ToOwned::to_owned),
        ..TensorProto::default()
    }
}

fn external(mut proto: TensorProto, place: Place, location: &str) -> TensorProto {
    proto.external_data = vec![
        entry("location", location.to_owned()),
        entry("offset", place.offset.to_string()),
        entry("length", place.len.to_string()),
    ];
    proto.set_data_location(DataLocation::External);
    proto
}

fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_owned()), value: Some(value) }
}

fn value_info(value: &ValueInfo) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(value.name.clone()),
        r#type: Some(type_proto(&value.tensor_type)),
        ..ValueInfoProto::default()
    }
}

fn type_proto(tensor_type: &TensorType) -> TypeProto {
    let dim = |dim: &Dim| Dimension {
        denotation: None,
        value: Some(match dim {
            Dim::Fixed(size) => dimension::Value::DimValue(i64::try_from(*size).expect("an axis fits i64")),
            Dim::Symbolic(name) => dimension::Value::DimParam(name.to_string()),
        }),
    };
    TypeProto {
        denotation: None,
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: Some(tensor_type.data_type.code()),
            shape: Some(TensorShapeProto { dim: tensor_type.shape.iter().map(dim).collect() }),
        })),
    }
}

/// `ModelProto.graph`, `GraphProto.initializer` and `TensorProto.raw_data`.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;
