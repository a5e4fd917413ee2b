//! Just enough protobuf to write ONNX files that nobody's exporter would.

/// A message under construction: its fields, in order.
#[derive(Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn int(mut self, field: u64, value: i64) -> Self {
        varint(&mut self.0, field << 3);
        varint(&mut self.0, value.cast_unsigned());
        self
    }

    pub(crate) fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        varint(&mut self.0, field << 3 | 2);
        varint(&mut self.0, bytes.as_ref().len() as u64);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub(crate) fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// `ModelProto` around a graph, in the versions that bundles have.
pub(crate) fn model(graph: &Message) -> Message {
    Message::new().int(1, 8).message(8, &Message::new().int(2, 17)).message(7, graph)
}

/// `GraphProto` with one input, one output and what `rest` adds.
pub(crate) fn graph(rest: impl FnOnce(Message) -> Message) -> Message {
    rest(Message::new()).message(11, &edge("x", 1, &[2])).message(12, &edge("y", 1, &[2]))
}

/// `ValueInfoProto`: a tensor of this type and these lengths.
pub(crate) fn edge(name: &str, code: i64, dims: &[i64]) -> Message {
    let shape = dims.iter().fold(Message::new(), |shape, &dim| shape.message(1, &Message::new().int(1, dim)));
    let tensor = Message::new().int(1, code).message(2, &shape);
    Message::new().bytes(1, name).message(2, &Message::new().message(1, &tensor))
}

/// `TensorProto` without numbers.
pub(crate) fn tensor(name: &str, code: i64, dims: &[i64]) -> Message {
    dims.iter().fold(Message::new(), |tensor, &dim| tensor.int(1, dim)).int(2, code).bytes(8, name)
}

/// `TensorProto` whose numbers lie elsewhere.
pub(crate) fn external(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> Message {
    let entry = |(key, value): &(&str, &str)| Message::new().bytes(1, key).bytes(2, value);
    entries.iter().fold(tensor(name, 1, dims), |tensor, pair| tensor.message(13, &entry(pair))).int(14, 1)
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}
