//! Protobuf messages to the types of this crate.

use half::f16;

use super::ReadError;
use crate::dim::Dim;
use crate::element::DataType;
use crate::model::{Attribute, Initializer, Model, Node, ValueInfo};
use crate::proto::{
    AttributeProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataLocation, tensor_shape_proto::dimension, type_proto,
};
use crate::tensor::{Tensor, TensorType};

/// A part of a data file, in bytes; without a length, up to the end of the file.
pub(super) struct External {
    pub(super) location: String,
    pub(super) offset: u64,
    pub(super) len: Option<u64>,
}

/// Gets the bytes of a constant, by its name and place.
type Load<'l> = &'l dyn Fn(&str, &External) -> Result<Vec<u8>, ReadError>;

pub(super) fn model(proto: ModelProto, load: Load<'_>) -> Result<Model<'static>, ReadError> {
    let graph = proto.graph.ok_or(ReadError::Missing { what: "the graph" })?;
    if !graph.sparse_initializer.is_empty() || !proto.functions.is_empty() {
        let name = graph.name.unwrap_or_default();
        return Err(ReadError::Unsupported { what: "a sparse constant or a function", name });
    }
    let default = |import: &&_| is_default(crate::proto::OperatorSetIdProto::domain(import));
    let opset = proto.opset_import.iter().find(default).ok_or(ReadError::Missing { what: "the opset" })?.version();
    let out_of_range = ReadError::Range { what: "the opset", name: graph.name().to_owned(), value: opset };
    Ok(Model {
        ir_version: proto.ir_version.unwrap_or_default(),
        opset: u32::try_from(opset).map_err(|_| out_of_range)?,
        producer: (proto.producer_name.unwrap_or_default(), proto.producer_version.unwrap_or_default()),
        metadata: proto
            .metadata_props
            .into_iter()
            .map(|entry| (entry.key.unwrap_or_default(), entry.value.unwrap_or_default()))
            .collect(),
        inputs: graph.input.into_iter().map(value_info).collect::<Result<_, _>>()?,
        outputs: graph.output.into_iter().map(value_info).collect::<Result<_, _>>()?,
        initializers: graph
            .initializer
            .into_iter()
            .map(|proto| {
                let name = proto.name().to_owned();
                Ok(Initializer { tensor: tensor(&name, proto, load)?, name })
            })
            .collect::<Result<_, ReadError>>()?,
        nodes: graph
            .node
            .into_iter()
            .enumerate()
            .map(|(place, proto)| node(place, proto, load))
            .collect::<Result<_, _>>()?,
        name: graph.name.unwrap_or_default(),
    })
}

fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn node(place: usize, proto: NodeProto, load: Load<'_>) -> Result<Node, ReadError> {
    let op = if is_default(proto.domain()) {
        proto.op_type().to_owned()
    } else {
        format!("{}::{}", proto.domain(), proto.op_type())
    };
    let name = proto.name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("node.{place}"));
    let attributes = proto
        .attribute
        .into_iter()
        .map(|proto| Ok((proto.name().to_owned(), attribute(&name, proto, load)?)))
        .collect::<Result<_, ReadError>>()?;
    Ok(Node { name, op, inputs: proto.input, outputs: proto.output, attributes })
}

fn attribute(node: &str, proto: AttributeProto, load: Load<'_>) -> Result<Attribute, ReadError> {
    let unsupported = || ReadError::Unsupported { what: "an attribute", name: node.to_owned() };
    Ok(match proto.r#type() {
        AttributeType::Int => Attribute::Int(proto.i()),
        AttributeType::Float => Attribute::Float(proto.f()),
        AttributeType::Ints => Attribute::Ints(proto.ints),
        AttributeType::String => {
            Attribute::String(String::from_utf8(proto.s.unwrap_or_default()).map_err(|_| unsupported())?)
        }
        AttributeType::Tensor => Attribute::Tensor(tensor(node, proto.t.ok_or_else(unsupported)?, load)?),
        _ => return Err(unsupported()),
    })
}

fn value_info(proto: ValueInfoProto) -> Result<ValueInfo, ReadError> {
    let name = proto.name.unwrap_or_default();
    let unsupported = |what| ReadError::Unsupported { what, name: name.clone() };
    let Some(type_proto::Value::TensorType(tensor)) = proto.r#type.and_then(|r#type| r#type.value) else {
        return Err(unsupported("the type"));
    };
    let data_type = DataType::from_code(tensor.elem_type()).ok_or_else(|| unsupported("the element type"))?;
    let dims = tensor.shape.ok_or_else(|| unsupported("the unknown rank"))?.dim;
    let dim = |(axis, dim): (usize, crate::proto::tensor_shape_proto::Dimension)| match dim.value {
        Some(dimension::Value::DimValue(value)) => size(&name, value).map(Dim::Fixed),
        Some(dimension::Value::DimParam(symbol)) if !symbol.is_empty() => Ok(Dim::symbolic(symbol)),
        _ => Ok(Dim::symbolic(format!("{name}.{axis}"))),
    };
    let shape = dims.into_iter().enumerate().map(dim).collect::<Result<_, _>>()?;
    Ok(ValueInfo { tensor_type: TensorType { data_type, shape }, name })
}

fn tensor(name: &str, proto: TensorProto, load: Load<'_>) -> Result<Tensor<'static>, ReadError> {
    let data_type = proto.data_type.and_then(DataType::from_code);
    let data_type =
        data_type.ok_or_else(|| ReadError::Unsupported { what: "the element type", name: name.to_owned() })?;
    let shape = proto.dims.iter().map(|value| size(name, *value)).collect::<Result<Vec<_>, _>>()?;
    let bytes = if proto.data_location() == DataLocation::External {
        load(name, &external(name, &proto)?)?
    } else {
        match proto.raw_data {
            Some(bytes) => bytes,
            None => listed(data_type, &proto),
        }
    };
    Tensor::from_le_bytes(data_type, &shape, bytes)
        .map_err(|source| ReadError::Length { name: name.to_owned(), source })
}

/// Elements that are listed as numbers instead of bytes.
fn listed(data_type: DataType, proto: &TensorProto) -> Vec<u8> {
    let truncated =
        |keep: usize| proto.int32_data.iter().flat_map(move |number| number.to_le_bytes().into_iter().take(keep));
    match data_type {
        DataType::F32 => proto.float_data.iter().flat_map(|number| number.to_le_bytes()).collect(),
        DataType::I64 => proto.int64_data.iter().flat_map(|number| number.to_le_bytes()).collect(),
        DataType::I32 => truncated(4).collect(),
        // The bits of a half are the low half of an integer.
        DataType::F16 => truncated(size_of::<f16>()).collect(),
        DataType::I8 | DataType::U8 | DataType::Bool => truncated(1).collect(),
    }
}

fn external(name: &str, proto: &TensorProto) -> Result<External, ReadError> {
    let value =
        |key: &str| proto.external_data.iter().find(|entry| entry.key() == key).map(StringStringEntryProto::value);
    let error = |problem| ReadError::ExternalData { name: name.to_owned(), problem };
    let number = |key: &str| {
        value(key).map(|text| text.parse::<u64>().map_err(|_| error("its offset or length is no number"))).transpose()
    };
    Ok(External {
        location: value("location").ok_or_else(|| error("it has no location"))?.to_owned(),
        offset: number("offset")?.unwrap_or(0),
        len: number("length")?,
    })
}

fn size(name: &str, value: i64) -> Result<usize, ReadError> {
    usize::try_from(value).map_err(|_| ReadError::Range { what: "an axis", name: name.to_owned(), value })
}
