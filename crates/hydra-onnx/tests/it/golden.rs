//! Features and logits against numpy, ids against the reference tokenizer: see `xtask/python/make_tiny_bundle.py`.

use hydra_onnx::{CrossEncoder, Encoder, EncoderOptions};
use hydra_testkit::{Tolerance, fixture};
use serde_json::Value;

use crate::bundle;

fn golden(name: &str) -> Value {
    let json = std::fs::read_to_string(fixture("bundles/golden.json")).unwrap();
    serde_json::from_str::<Value>(&json).unwrap()[name].clone()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn texts(golden: &Value) -> Vec<String> {
    golden["texts"].as_array().unwrap().iter().map(|case| case["text"].as_str().unwrap().to_owned()).collect()
}

fn pairs(golden: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let pair = |case: &Value| (text(&case["pair"][0]), text(&case["pair"][1]));
    golden["pairs"].as_array().unwrap().iter().map(pair).collect()
}

#[track_caller]
fn check(got: &hydra_types::ndarray::Array2<f32>, kept: &[usize], cases: &Value) {
    let cases = cases.as_array().unwrap();
    assert_eq!(got.nrows(), cases.len());
    for ((row, &kept), case) in got.rows().into_iter().zip(kept).zip(cases) {
        assert_eq!(kept, case["ids"].as_array().unwrap().len());
        Tolerance::absolute(2e-6).assert_close(&row.to_vec(), &numbers(&case["out"]));
    }
}

#[test]
fn features_of_texts_and_pairs_are_those_of_numpy() {
    for name in ["tiny-encoder", "tiny-external"] {
        let golden = golden(name);
        let mut encoder = Encoder::open(&bundle(name), &EncoderOptions::default()).unwrap();
        let kept = |tokens: &[hydra_onnx::TokenUse]| tokens.iter().map(|t| t.kept).collect::<Vec<_>>();
        let encoded = encoder.encode(&texts(&golden)).unwrap();
        check(&encoded.features, &kept(&encoded.tokens), &golden["texts"]);
        let encoded = encoder.encode_pairs(&pairs(&golden)).unwrap();
        check(&encoded.features, &kept(&encoded.tokens), &golden["pairs"]);
    }
}

#[test]
fn logits_of_pairs_are_those_of_numpy() {
    let golden = golden("tiny-cross");
    let mut cross = CrossEncoder::open(&bundle("tiny-cross"), &EncoderOptions::default()).unwrap();
    let logits = cross.logits(&pairs(&golden)).unwrap();
    let kept: Vec<_> = logits.tokens.iter().map(|t| t.kept).collect();
    assert_eq!(logits.logits.ncols(), cross.classes());
    check(&logits.logits, &kept, &golden["pairs"]);
}
