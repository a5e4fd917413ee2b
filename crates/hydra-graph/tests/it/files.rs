//! Files: what is written is what is read, and a broken file is an error.

use std::path::Path;

use hydra_graph::{DataType, Dim, ExternalData, GraphBuilder, Model, ReadError, Reduced, SaveError, Tensor};
use proptest::prelude::*;

fn model(hidden: usize) -> Model<'static> {
    let weight: Vec<f32> = (0_u16..).take(hidden * hidden).map(|number| f32::from(number) / 7.0).collect();
    let mut graph = GraphBuilder::new("file");
    graph.set_producer("a test", "1");
    graph.set_metadata("pooling", "mean");
    graph.set_metadata("language", "none");
    let x = graph.input("x", DataType::F32, [Dim::from("batch"), hidden.into()]).unwrap();
    let weight = graph.initializer("weight", Tensor::new(&[hidden, hidden], weight).unwrap()).unwrap();
    let again =
        graph.initializer("again", Tensor::new(&[hidden, hidden], vec![7_i8; hidden * hidden]).unwrap()).unwrap();
    let y = graph.mat_mul(x, weight).unwrap();
    let again = graph.cast(again, DataType::F32).unwrap();
    let y = graph.mat_mul(y, again).unwrap();
    let shape = graph.shape_of(y).unwrap();
    let zeros = graph.constant_of_shape(shape, 0.25_f32).unwrap();
    let y = graph.add(y, zeros).unwrap();
    graph.output("y", y).unwrap();
    graph.finish().unwrap()
}

#[test]
fn an_inline_file_holds_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let model = model(8);
    model.save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), model);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes, model.to_bytes().unwrap());
    assert_eq!(Model::read(&bytes).unwrap(), model);
    assert_eq!(names(folder.path()), ["model.onnx"]);
}

#[test]
fn large_constants_lie_at_aligned_offsets_of_the_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    // 160,000 bytes of f32 and 40,000 of i8.
    let model = model(200);
    let data = model.save_external(&path, ExternalData { threshold: 40_000 }).unwrap();
    assert_eq!(names(folder.path()), ["model.onnx", "model.onnx.data"]);
    let bytes = std::fs::read(&data).unwrap();
    assert_eq!(bytes.len(), 196_608 + 40_000);
    assert_eq!(&bytes[..160_000], model.initializer("weight").unwrap().bytes());
    assert!(bytes[160_000..196_608].iter().all(|byte| *byte == 0));
    assert_eq!(&bytes[196_608..], model.initializer("again").unwrap().bytes());
    assert!(std::fs::metadata(&path).unwrap().len() < 4_000);
    assert_eq!(Model::load(&path).unwrap(), model);
    // In memory there is no folder to look in.
    let external = Model::read(&std::fs::read(&path).unwrap()).unwrap_err();
    assert!(matches!(external, ReadError::ExternalData { .. }), "{external}");
}

#[test]
fn small_constants_stay_in_the_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let data = model(8).save_external(&path, ExternalData::default()).unwrap();
    assert_eq!(std::fs::metadata(data).unwrap().len(), 0);
    Model::read(&std::fs::read(path).unwrap()).unwrap();
}

#[test]
fn equal_models_make_equal_bytes() {
    assert_eq!(model(8).to_bytes().unwrap(), model(8).to_bytes().unwrap());
}

#[test]
fn an_invalid_model_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(8);
    model.outputs.clear();
    assert!(matches!(model.save(&folder.path().join("model.onnx")).unwrap_err(), SaveError::Graph(_)));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("model.onnx");
    assert!(matches!(model(8).save(&path).unwrap_err(), SaveError::Io { path: named, .. } if named == path));
}

#[test]
fn every_cut_and_every_flipped_byte_is_an_error_or_another_model() {
    let model = model(2);
    let bytes = model.to_bytes().unwrap();
    for end in 0..bytes.len() {
        // A file that was cut between two fields can be a model that lacks something: the check says so.
        if let Ok(cut) = Model::read(&bytes[..end]) {
            assert!(cut.check().is_err() || cut != model);
        }
    }
    for place in 0..bytes.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut flipped = bytes.clone();
            flipped[place] ^= bit;
            if let Ok(read) = Model::read(&flipped) {
                // Whether it is valid is its own matter; finding out must end.
                drop(read.check());
            }
        }
    }
}

#[test]
fn external_data_stays_in_the_folder_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let data = model(200).save_external(&path, ExternalData { threshold: 40_000 }).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let with = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let mut changed = bytes.clone();
        for start in 0..changed.len() - from.len() {
            if &changed[start..start + from.len()] == from {
                changed[start..start + from.len()].copy_from_slice(to);
            }
        }
        assert_ne!(changed, bytes);
        std::fs::write(&path, changed).unwrap();
        Model::load(&path).unwrap_err()
    };
    let located = "model.onnx.data";
    for outside in ["../model.x.data", "/etc/model.data", "a/model.on.data"] {
        let error = with(located, outside);
        assert!(matches!(error, ReadError::ExternalData { .. }), "{outside}: {error}");
    }
    let missing = with(located, "model.onnx.dat_");
    assert!(matches!(missing, ReadError::Io { .. }), "{missing}");
    let behind = with("196608", "996608");
    assert!(matches!(behind, ReadError::ExternalData { .. }), "{behind}");
    let text = with("196608", "19x608");
    assert!(matches!(text, ReadError::ExternalData { .. }), "{text}");
    std::fs::write(&path, &bytes).unwrap();
    std::fs::write(&data, vec![0_u8; 100]).unwrap();
    assert!(matches!(Model::load(&path).unwrap_err(), ReadError::ExternalData { .. }));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A chain of operators over `[batch, rows, columns]`, chosen by numbers.
fn chain(rows: usize, columns: usize, steps: &[u8]) -> Model<'static> {
    let mut graph = GraphBuilder::new("chain");
    let mut x = graph.input("x", DataType::F32, [Dim::from("batch"), rows.into(), columns.into()]).unwrap();
    for (step, choice) in steps.iter().enumerate() {
        let last = graph.shape(x)[2].fixed().unwrap();
        x = graph
            .scope(&format!("step.{step}"), |graph| match choice % 8 {
                0 => graph.relu(x),
                1 => graph.gelu(x),
                2 => graph.transpose(x, &[0, 2, 1]),
                3 => graph.softmax(x, -1),
                4 => graph.concat(&[x, x], 2),
                5 => {
                    let weight = Tensor::new(&[last, 2], vec![f32::from(*choice); last * 2]).unwrap();
                    let weight = graph.initializer("weight", weight).unwrap();
                    graph.mat_mul(x, weight)
                }
                6 => {
                    let mean = graph.reduce_mean(x, &[1], Reduced::Keep).unwrap();
                    graph.sub(x, mean)
                }
                _ => {
                    let parts = graph.split(x, 2, &[last / 2, last - last / 2]).unwrap();
                    graph.concat(&[parts[1], parts[0]], 2)
                }
            })
            .unwrap();
    }
    graph.output("y", x).unwrap();
    graph.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_is_what_was_written(
        rows in 1_usize..4,
        columns in 1_usize..4,
        steps in proptest::collection::vec(any::<u8>(), 0..7),
    ) {
        let model = chain(rows, columns, &steps);
        let bytes = model.to_bytes().unwrap();
        let read = Model::read(&bytes).unwrap();
        prop_assert_eq!(&read, &model);
        read.check().unwrap();
        prop_assert_eq!(read.to_bytes().unwrap(), bytes);
    }
}
