//! The gate refuses what does not compute the folder's model, and nothing is written then.

use std::path::Path;

use hydra_export::{ExportError, ExportOptions, GateError, Precision, build, export, export_model};
use hydra_graph::{Model, Tensor};
use hydra_onnx::{Bundle, Encoder, EncoderOptions, Rows};
use hydra_types::ndarray::Axis;

use crate::golden::{Golden, MODELS};

#[test]
fn one_perturbed_weight_is_found_and_nothing_is_written() {
    let temporary = tempfile::tempdir().unwrap();
    for model in MODELS {
        let golden = Golden::open(model);
        for weight in ["layer.1.", "embeddings.position_embeddings", "LayerNorm.bias"] {
            let graph = perturbed(build(&golden.folder, 17).unwrap(), weight);
            let out = temporary.path().join(model);
            let refused = export_model(&golden.folder, graph, &ExportOptions::default(), &out, |_| {});
            assert!(
                matches!(refused, Err(ExportError::Gate(GateError::Parity { .. }))),
                "{model} {weight}: {refused:?}"
            );
            assert!(!out.exists());
        }
    }
}

#[test]
fn an_older_bundle_stays_when_the_gate_is_closed() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("bundle");
    let golden = Golden::open("bert");
    export(&golden.folder, &ExportOptions::default(), &out, |_| {}).unwrap();
    let before = files(&out);

    let graph = perturbed(build(&golden.folder, 17).unwrap(), "query.weight");
    export_model(&golden.folder, graph, &ExportOptions::default(), &out, |_| {}).unwrap_err();
    assert_eq!(files(&out), before);
}

#[test]
fn a_model_that_eight_bits_spoil_is_refused() {
    // Words that hardly differ: all similarities lie within the rounding of eight bits.
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("spoiled");
    copy(&hydra_testkit::fixture("models/bert"), &folder);
    spoil(&folder.join("model.safetensors"));
    let folder = hydra_export::Folder::open(&folder).unwrap();
    let out = temporary.path().join("bundle");
    let options = ExportOptions::default().precision(Precision::Int8);
    let refused = export(&folder, &options, &out, |_| {});
    assert!(matches!(refused, Err(ExportError::Gate(GateError::Agreement { .. }))), "{refused:?}");
    assert!(!out.exists());
}

#[test]
fn features_of_a_row_do_not_depend_on_its_companions_in_int8_per_row() {
    let temporary = tempfile::tempdir().unwrap();
    let golden = Golden::open("mpnet");
    let out = temporary.path().join("bundle");
    let options = ExportOptions::default().precision(Precision::Int8PerRow);
    export(&golden.folder, &options, &out, |_| {}).unwrap();
    let bundle = Bundle::open(&out).unwrap();
    // Of one length, so that every batch is padded alike: not at all.
    let texts = ["the old teacher sold a clock", "a red engine crossed the river", "every young dog found a song"];
    let encode = |rows, texts: &[&str]| {
        let options = EncoderOptions::default().rows(rows);
        Encoder::open(&bundle, &options).unwrap().encode(texts).unwrap().features
    };
    let alone = encode(Rows::Alone, &texts);
    let together = encode(Rows::Together, &texts);
    assert_eq!(alone, together, "bit for bit");
    let reversed: Vec<&str> = texts.iter().rev().copied().collect();
    let mut reversed = encode(Rows::Together, &reversed);
    reversed.invert_axis(Axis(0));
    assert_eq!(alone, reversed, "bit for bit");
}

#[test]
fn a_bundle_that_was_changed_is_found_by_check() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("bundle");
    let golden = Golden::open("distilbert");
    let options = ExportOptions::default();
    export(&golden.folder, &options, &out, |_| {}).unwrap();
    std::fs::write(out.join("tokenizer.json"), "{}").unwrap();
    let found = hydra_export::check(&golden.folder, &options, &out, |_| {}).unwrap_err();
    assert!(matches!(&found, ExportError::Differs { file, .. } if file == "tokenizer.json"), "{found:?}");
}

/// The graph with one number of one weight moved by a quarter.
fn perturbed(mut graph: Model<'static>, weight: &str) -> Model<'static> {
    let found = graph.initializers.iter_mut().find(|initializer| initializer.name.contains(weight)).unwrap();
    let mut numbers = found.tensor.to_f32().unwrap();
    // A number that every token meets: of a table, the row of position 2, which is the first behind padding ids.
    let at = numbers.len().min(2 * 32 + 5) - 1;
    numbers[at] += 0.25;
    found.tensor = Tensor::new(found.tensor.shape(), numbers).unwrap();
    graph
}

/// Divides all words by ten thousand, in place.
fn spoil(weights: &Path) {
    let mut bytes = std::fs::read(weights).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let (start, end) = metadata.info("embeddings.word_embeddings.weight").unwrap().data_offsets;
    for number in bytes[8 + header..][start..end].chunks_exact_mut(4) {
        let smaller = f32::from_le_bytes(number.try_into().unwrap()) * 1e-4;
        number.copy_from_slice(&smaller.to_le_bytes());
    }
    std::fs::write(weights, bytes).unwrap();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn files(bundle: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(bundle).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}
