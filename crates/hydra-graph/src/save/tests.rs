use std::io::{self, Write};

use prost::Message as _;

use super::*;
use crate::builder::GraphBuilder;
use crate::dim::Dim;
use crate::element::DataType;
use crate::proto::ModelProto;
use crate::tensor::Tensor;

/// Counts what it is given.
#[derive(Default)]
struct Counter {
    bytes: u64,
    longest: usize,
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.longest = self.longest.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sum_of(weights: &[Tensor<'static>]) -> Model<'static> {
    let mut graph = GraphBuilder::new("sum");
    let mut sum = graph.input("x", DataType::I8, [Dim::from("batch"), 1.into()]).unwrap();
    for (place, weight) in weights.iter().enumerate() {
        let weight = graph.initializer(&format!("weight.{place}"), weight.clone()).unwrap();
        sum = graph.add(sum, weight).unwrap();
    }
    graph.output("y", sum).unwrap();
    graph.finish().unwrap()
}

#[test]
fn the_bytes_are_the_ones_that_a_protobuf_library_writes() {
    let model = sum_of(&[Tensor::new(&[1, 3], vec![1_i8, 2, 3]).unwrap(), Tensor::scalar(4_i8)]);
    let bytes = model.to_bytes().unwrap();
    let proto = ModelProto::decode(bytes.as_slice()).unwrap();
    assert_eq!(proto.encode_to_vec(), bytes);
    assert_eq!(proto.graph.unwrap().initializer[0].raw_data(), [1, 2, 3]);
}

#[test]
fn a_model_above_two_gigabytes_is_written_beside_its_file_and_never_copied() {
    // One vector of untouched zeros, nine times: 2.25 GiB of weights that take no memory.
    let zeros = Tensor::new(&[1, 1 << 28], vec![0_i8; 1 << 28]).unwrap();
    let model = sum_of(&vec![zeros; 9]);
    let places = model.places(ExternalData::default());
    let last = places.last().unwrap().as_ref().unwrap();
    assert_eq!(last.offset, 8 << 28);
    let mut data = Counter::default();
    model.write_data(&places, &mut data).unwrap();
    assert_eq!(data.bytes, 9 << 28);
    assert_eq!(data.longest, 1 << 28);
    let encoded = Encoded::new(&model, &places, "model.onnx.data");
    assert!(encoded.len() < 4_000);
    assert!(matches!(model.to_bytes().unwrap_err(), SaveError::TooLarge { bytes } if bytes > 9 << 28));
}
