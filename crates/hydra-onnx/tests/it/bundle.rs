//! Folders that are no bundle, no bundle any more, or not yet one.

use std::fs;
use std::path::{Path, PathBuf};

use hydra_onnx::{
    Bound, Bundle, BundleError, CheckError, Description, Kind, Manifest, Measure, Model, Parity, Pooling, Precision,
};
use hydra_testkit::fixture;
use tempfile::TempDir;

use crate::{bundle, chain};

const FILES: [&str; 3] = ["manifest.json", "model.onnx", "tokenizer.json"];

/// A copy of a committed bundle that a test may damage.
fn copy(name: &str) -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let to = temp.path().join("bundle");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(fixture("bundles").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::write(to.join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
    }
    (temp, to)
}

#[track_caller]
fn refused(dir: &Path) -> BundleError {
    Bundle::open(dir).expect_err("the bundle is damaged")
}

fn description() -> Description {
    let (kind, precision, pooling) = (Kind::Encoder, Precision::Fp32, Pooling::Mean);
    Description { kind, precision, pooling, normalize: true, max_tokens: 24, parity: None }
}

fn measure(value: f64, bound: Bound) -> Parity {
    let measures = vec![Measure { name: "tau".into(), value, bound }];
    Parity { reference: "by hand".into(), cases: "none".into(), measures }
}

#[test]
fn a_bundle_that_python_wrote_is_read_and_written_byte_for_byte() {
    for name in ["tiny-encoder", "tiny-external", "tiny-cross"] {
        let written = fs::read(fixture("bundles").join(name).join("manifest.json")).unwrap();
        assert_eq!(String::from_utf8(bundle(name).manifest().to_json()), String::from_utf8(written));
        let temp = tempfile::tempdir().unwrap();
        let saved = temp.path().join("deep/er/bundle");
        bundle(name).save(&saved).unwrap();
        let names = |dir: &Path| {
            let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&saved), names(&fixture("bundles").join(name)));
        for file in names(&saved) {
            let path = fixture("bundles").join(name).join(&file);
            assert_eq!(fs::read(saved.join(&file)).unwrap(), fs::read(path).unwrap(), "{file:?}");
        }
    }
}

#[test]
fn every_flipped_byte_is_refused_or_changes_nothing() {
    let (_temp, dir) = copy("tiny-encoder");
    let whole = Bundle::open(&dir).unwrap();
    for name in FILES {
        let bytes = fs::read(dir.join(name)).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(dir.join(name), &damaged).unwrap();
            if let Ok(read) = Bundle::open(&dir) {
                assert_eq!(name, "manifest.json", "byte {at}");
                assert_eq!(read.manifest(), whole.manifest(), "byte {at}");
            }
        }
        fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn every_prefix_is_refused() {
    let (_temp, dir) = copy("tiny-encoder");
    for name in FILES {
        let bytes = fs::read(dir.join(name)).unwrap();
        // The manifest ends with a line break, without which it is still whole.
        let ends = if name == "manifest.json" { bytes.len() - 1 } else { bytes.len() };
        for end in 0..ends {
            fs::write(dir.join(name), &bytes[..end]).unwrap();
            refused(&dir);
        }
        fs::write(dir.join(name), bytes).unwrap();
    }
}

#[test]
fn what_is_missing_is_named() {
    let (_temp, dir) = copy("tiny-encoder");
    assert!(matches!(refused(&dir.join("nowhere")), BundleError::Missing { .. }));
    fs::remove_file(dir.join("tokenizer.json")).unwrap();
    let message = chain(&refused(&dir));
    assert!(message.contains("tokenizer.json") && message.contains("cannot look at"), "{message}");
    fs::remove_file(dir.join("manifest.json")).unwrap();
    assert!(refused(&dir).to_string().contains("cargo xtask export-onnx"));
}

#[test]
fn another_format_is_its_own_error_whatever_else_is_there() {
    let (_temp, dir) = copy("tiny-encoder");
    fs::write(dir.join("manifest.json"), r#"{"format": 2, "anything": [1]}"#).unwrap();
    let error = refused(&dir);
    assert!(matches!(error, BundleError::Format { found: 2, supported: 1 }));
    assert_eq!(error.to_string(), "the bundle has format 2, and 1 is read; export it again with this version");
}

#[test]
fn a_manifest_is_bounded_and_strict() {
    let (_temp, dir) = copy("tiny-encoder");
    let path = dir.join("manifest.json");
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, " ".repeat(1 << 21)).unwrap();
    assert!(matches!(refused(&dir), BundleError::ManifestTooLong { .. }));
    fs::write(&path, "[".repeat(1 << 19)).unwrap();
    assert!(matches!(refused(&dir), BundleError::Manifest { .. }));
    fs::write(&path, json.replacen("\"kind\"", "\"extra\": 1, \"kind\"", 1)).unwrap();
    assert!(matches!(refused(&dir), BundleError::Manifest { .. }));
    fs::write(&path, json.replace("\"max_tokens\": 24", "\"max_tokens\": 25")).unwrap();
    assert!(matches!(refused(&dir), BundleError::Checksum));
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    let (temp, dir) = copy("tiny-external");
    let outside = temp.path().join("outside");
    for name in ["model.onnx", "model.onnx.data", "tokenizer.json", "manifest.json"] {
        let path = dir.join(name);
        fs::rename(&path, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        assert!(refused(&dir).to_string().contains("symbolic link"), "{name}");
        fs::remove_file(&path).unwrap();
        fs::hard_link(&outside, &path).unwrap();
        assert!(refused(&dir).to_string().contains("hard link"), "{name}");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(refused(&dir).to_string().contains("no regular file"), "{name}");
        fs::remove_dir(&path).unwrap();
        fs::rename(&outside, &path).unwrap();
    }
    Bundle::open(&dir).unwrap();
}

#[test]
fn a_saved_bundle_replaces_an_older_one_and_nothing_else() {
    let (temp, dir) = copy("tiny-encoder");
    bundle("tiny-external").save(&dir).unwrap();
    assert_eq!(Bundle::open(&dir).unwrap().fingerprint(), bundle("tiny-external").fingerprint());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "the old one and the temporary folder are gone");

    fs::write(dir.join("notes.txt"), "mine").unwrap();
    assert!(matches!(bundle("tiny-encoder").save(&dir), Err(BundleError::NotABundle { .. })));
    fs::remove_file(dir.join("notes.txt")).unwrap();
    fs::write(dir.join("manifest.json"), "{}").unwrap();
    assert!(matches!(bundle("tiny-encoder").save(&dir), Err(BundleError::NotABundle { .. })));

    let file = temp.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(bundle("tiny-encoder").save(&file), Err(BundleError::NotABundle { .. })));
    let folder = temp.path().join("folder");
    fs::create_dir(&folder).unwrap();
    bundle("tiny-encoder").save(&folder).unwrap();
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 3, "no temporary folder stays");
}

#[test]
fn a_new_bundle_must_be_what_its_kind_says() {
    let model = bundle("tiny-encoder").model().clone();
    let tokenizer = b"{}".to_vec();
    let new = |description| Bundle::new(description, model.clone(), tokenizer.clone());
    assert!(new(description()).is_ok());
    let as_cross = Description { kind: Kind::CrossEncoder, pooling: Pooling::None, normalize: false, ..description() };
    let error = new(as_cross.clone()).unwrap_err();
    assert!(matches!(error, BundleError::Interface { what: "outputs", .. }), "{error}");
    let wrong = [
        Description { normalize: true, ..as_cross },
        Description { max_tokens: 0, ..description() },
        Description { pooling: Pooling::None, ..description() },
    ];
    for wrong in wrong {
        assert!(matches!(new(wrong), Err(BundleError::Description { .. })));
    }
}

#[test]
fn a_graph_with_other_inputs_or_a_missing_file_is_refused() {
    let model = bundle("tiny-external").model().clone();
    let missing = Model::new(model.graph().to_vec());
    assert!(matches!(missing, Err(CheckError::ExternalFile { .. })));
    // The manifest of one bundle over the files of another: the hashes already say no, so say it with the graph.
    let json = String::from_utf8(bundle("tiny-encoder").manifest().to_json()).unwrap();
    assert!(Manifest::from_json(json.as_bytes()).is_ok());
    let renamed = String::from_utf8_lossy(model.graph()).contains("input_ids");
    assert!(renamed);
    let graph: Vec<u8> = replace(model.graph(), b"input_ids", b"input_idx");
    let other = Model::with_data(graph, model.data().clone()).unwrap();
    let error = Bundle::new(description(), other, b"{}".to_vec()).unwrap_err();
    assert!(matches!(error, BundleError::Interface { what: "inputs", .. }), "{error}");
}

#[test]
fn features_of_another_shape_are_no_features() {
    let both = bundle("tiny-prior");
    assert_eq!((both.manifest().output_width(), both.manifest().features_width()), (2, Some(32)));
    let description = Description {
        kind: Kind::CrossEncoder,
        precision: Precision::Fp32,
        pooling: Pooling::None,
        normalize: false,
        max_tokens: 24,
        parity: None,
    };
    // The last mention is the output's, whose first axis is then no batch.
    let mut graph = both.model().graph().to_vec();
    let at = graph.windows(5).rposition(|bytes| bytes == b"batch").unwrap();
    graph[at..at + 5].copy_from_slice(b"pairs");
    let other = Model::new(graph).unwrap();
    let error = Bundle::new(description, other, both.tokenizer().to_vec()).unwrap_err();
    assert!(matches!(&error, BundleError::Interface { expected, .. } if expected.starts_with("features")), "{error}");
}

#[test]
fn parity_is_data_and_must_hold() {
    let with = |parity| bundle("tiny-encoder").with_parity(parity);
    let kept = with(measure(0.98, Bound::AtLeast(0.97))).unwrap();
    assert_eq!(kept.manifest().parity().unwrap().measures[0].value, 0.98);
    assert_eq!(kept.fingerprint(), bundle("tiny-encoder").fingerprint(), "measuring makes no other body");
    for (value, bound) in [
        (0.96, Bound::AtLeast(0.97)),
        (2e-5, Bound::AtMost(1e-5)),
        (f64::NAN, Bound::AtMost(1.0)),
        (f64::NEG_INFINITY, Bound::AtMost(1.0)),
    ] {
        assert!(matches!(with(measure(value, bound)), Err(BundleError::ParityFailed { .. })), "{value}");
    }
}

#[test]
fn figures_come_back_as_the_numbers_that_went_out() {
    for value in [1e-5, 3.0517578125e-5, 0.1 + 0.2, 8.673617379884035e-19, 1e-5_f64.next_up()] {
        let made = bundle("tiny-encoder").with_parity(measure(value, Bound::AtMost(1.0))).unwrap();
        let read = Manifest::from_json(&made.manifest().to_json()).unwrap();
        assert_eq!(&read, made.manifest());
    }
}

#[test]
fn the_fingerprint_is_of_what_features_depend_on() {
    let of = |description, tokenizer: &[u8]| {
        Bundle::new(description, bundle("tiny-encoder").model().clone(), tokenizer.to_vec()).unwrap().fingerprint()
    };
    let base = of(description(), b"{}");
    assert_ne!(base, of(Description { pooling: Pooling::Cls, ..description() }, b"{}"));
    assert_ne!(base, of(Description { normalize: false, ..description() }, b"{}"));
    assert_ne!(base, of(Description { max_tokens: 25, ..description() }, b"{}"));
    assert_ne!(base, of(description(), b"{ }"));
    assert_eq!(base, of(Description { parity: Some(measure(1.0, Bound::AtMost(1.0))), ..description() }, b"{}"));
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out
}
