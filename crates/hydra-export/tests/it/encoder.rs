//! The encoder that `cargo xtask setup` fetches, end to end.

use std::path::Path;
use std::sync::LazyLock;

use hydra_export::{ExportOptions, Folder, Precision, Weights, export};
use hydra_onnx::{Bundle, Encoder, EncoderOptions, Manifest};
use hydra_testkit::Tolerance;

#[test]
fn the_published_vector_comes_out_in_fp32_with_weights_inside_or_beside() {
    for weights in [Weights::BySize, Weights::External] {
        let temporary = tempfile::tempdir().unwrap();
        let out = temporary.path().join("bundle");
        let options = ExportOptions::default().weights(weights);
        let manifest = exported(&options, &out);
        assert_eq!(manifest.files().contains_key("model.onnx.data"), weights == Weights::External);
        assert_eq!(manifest.max_tokens(), 512);

        let mut encoder = open(&out);
        let features = encoder.encode(&["A man is eating food."]).unwrap().features;
        let first: Vec<f32> = features.iter().take(5).copied().collect();
        // Published with the model: mean pooling, then length 1.
        Tolerance::absolute(1e-4).assert_close(&first, &[0.03324, 0.00441, -0.00628, 0.04838, -0.13870]);
    }
}

#[test]
fn each_reduced_precision_passes_its_gate() {
    let temporary = tempfile::tempdir().unwrap();
    for precision in [Precision::Fp16, Precision::Int8, Precision::Int8PerRow] {
        let out = temporary.path().join(precision.to_string());
        let manifest = exported(&ExportOptions::default().precision(precision), &out);
        let parity = manifest.parity().unwrap();
        let figure = |name| parity.measures.iter().find(|measure| measure.name == name).unwrap().value;
        println!("{precision}: tau {:.4}, cosine {:.5}", figure("kendall_tau"), figure("mean_cosine"));
        assert!(figure("kendall_tau") >= 0.97);
        assert!(figure("mean_cosine") >= 0.995);
    }
}

fn exported(options: &ExportOptions, out: &Path) -> Manifest {
    static FOLDER: LazyLock<Folder> = LazyLock::new(|| Folder::open(hydra_testkit::fetched("encoder")).unwrap());
    export(&FOLDER, options, out, |_| {}).unwrap()
}

fn open(bundle: &Path) -> Encoder {
    Encoder::open(&Bundle::open(bundle).unwrap(), &EncoderOptions::default()).unwrap()
}
