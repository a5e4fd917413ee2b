//! Body and prior head in one bundle: the features and the logits of one graph.

use hydra_export::{ExportError, ExportOptions, GateError, Precision, build, export, export_model};
use hydra_graph::{Model, Node};
use hydra_onnx::{Bundle, CrossEncoder, Encoder, EncoderError, EncoderOptions, PriorHead};
use hydra_testkit::Tolerance;
use hydra_types::ndarray::{Array1, Array2, ArrayView1};

use crate::golden::{Golden, MODELS};

const PAIRS: [(&str, &str); 4] = [
    ("the old teacher sold a clock", "every young dog found a song"),
    ("a red engine crossed the river", ""),
    ("", "no cold bridge"),
    ("one famous pilot", "the old teacher sold a clock in winter and after dinner"),
];

/// `W₂ tanh(W₁ z + b₁) + b₂`: the second class's less the first one's.
fn log_odds(head: &PriorHead, features: &ArrayView1<'_, f32>) -> f32 {
    let inner = (head.w1.dot(features) + Array1::from(head.b1.clone())).mapv(f32::tanh);
    let logits = head.w2.dot(&inner) + Array1::from(head.b2.clone());
    logits[1] - logits[0]
}

fn exported(model: &str, precision: Precision) -> Bundle {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("bundle");
    export(&Golden::open(model).folder, &ExportOptions::default().precision(precision), &out, |_| {}).unwrap();
    Bundle::open(&out).unwrap()
}

/// Logits and features of the pairs, and the features again from the bundle opened as a body.
fn run(bundle: &Bundle) -> (Array2<f32>, Array2<f32>, Array2<f32>) {
    let mut cross = CrossEncoder::open(bundle, &EncoderOptions::default()).unwrap();
    let (logits, features) = cross.logits_and_features(&PAIRS).unwrap();
    assert_eq!(cross.logits(&PAIRS).unwrap().logits, logits.logits);
    let mut body = Encoder::open(bundle, &EncoderOptions::default()).unwrap();
    assert_eq!((body.fingerprint(), body.hidden()), (cross.fingerprint(), features.ncols()));
    (logits.logits, features, body.encode_pairs(&PAIRS).unwrap().features)
}

#[test]
fn the_prior_head_on_the_features_gives_the_logits() {
    // One class, and two. Eight bits change nothing behind the layers, and may not pass the gate on old processors.
    for model in ["roberta-classifier", "mpnet-classifier"] {
        for precision in [Precision::Fp32, Precision::Fp16] {
            let bundle = exported(model, precision);
            let (logits, features, as_a_body) = run(&bundle);
            assert_eq!(features, as_a_body, "{model} {precision}");
            let head = bundle.prior_head().unwrap();
            let scores: Vec<f32> = features.rows().into_iter().map(|row| log_odds(&head, &row)).collect();
            let relevance = |row: ArrayView1<'_, f32>| if row.len() == 1 { row[0] } else { row[1] - row[0] };
            let expected: Vec<f32> = logits.rows().into_iter().map(relevance).collect();
            if let Err(worst) = Tolerance::absolute(1e-5).compare(&scores, &expected) {
                panic!("{model} {precision}: {worst}");
            }
        }
    }
}

#[test]
fn a_classifier_of_another_shape_is_a_body_without_a_prior_head() {
    // Three classes; and another function between the linear maps.
    for model in ["bert-classifier", "distilbert-classifier"] {
        let bundle = exported(model, Precision::Fp32);
        let (_, features, as_a_body) = run(&bundle);
        assert_eq!(features, as_a_body, "{model}");
        assert_eq!(bundle.prior_head(), None, "{model}");
    }
}

#[test]
fn a_body_with_its_prior_head_gives_no_vectors_of_tokens() {
    let bundle = exported("mpnet-classifier", Precision::Fp32);
    let mut body = Encoder::open(&bundle, &EncoderOptions::default()).unwrap();
    assert!(matches!(body.encode_tokens(&["a clock"]), Err(EncoderError::OnlyPooled)));
    assert_eq!(body.encode(&["a clock"]).unwrap().features.dim(), (1, 32));
}

#[test]
fn both_outputs_pass_the_gate_and_say_so() {
    for model in MODELS.into_iter().filter(|model| model.ends_with("-classifier")) {
        let named = |precision| -> Vec<String> {
            let bundle = exported(model, precision);
            let measures = &bundle.manifest().parity().unwrap().measures;
            measures.iter().filter(|measure| measure.name.contains("_of_features")).map(|m| m.name.clone()).collect()
        };
        assert_eq!(named(Precision::Fp32).len(), 4, "{model}");
        assert_eq!(named(Precision::Fp16), ["mean_cosine_of_features"], "{model}");
    }
}

#[test]
fn features_that_are_not_what_the_classifier_reads_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let out = temporary.path().join("bundle");
    let golden = Golden::open("mpnet-classifier");
    let graph = with_bent_features(build(&golden.folder, 17).unwrap());
    let refused = export_model(&golden.folder, graph, &ExportOptions::default(), &out, |_| {});
    let Err(ExportError::Gate(GateError::Parity { output, .. })) = refused else { panic!("{refused:?}") };
    assert_eq!(output, "features");
    assert!(!out.exists());
}

/// The graph with right logits, and features that went through one function more.
fn with_bent_features(mut graph: Model<'static>) -> Model<'static> {
    let names = graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain(&mut node.outputs));
    names.filter(|name| *name == "features").for_each(|name| "read".clone_into(name));
    graph.nodes.push(Node {
        name: "bent".into(),
        op: "Tanh".into(),
        inputs: vec!["read".into()],
        outputs: vec!["features".into()],
        attributes: [].into(),
    });
    graph
}
