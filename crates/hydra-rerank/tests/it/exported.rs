//! Every family's classifier, as `hydra-export` writes it: weights drawn at random, on ONNX Runtime.

use hydra_export::{ExportOptions, Folder, export};
use hydra_onnx::{Bundle, CrossEncoder, EncoderOptions};
use hydra_rerank::{CrossReranker, RerankError, Reranker};
use hydra_testkit::{Tolerance, fixture};
use hydra_types::RecordTemplate;

use crate::conformance::conforms;
use crate::toy::Load;

fn exported(model: &str) -> CrossEncoder {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("bundle");
    let folder = Folder::open(fixture(&format!("models/{model}"))).unwrap();
    export(&folder, &ExportOptions::default(), &out, |_| {}).unwrap();
    CrossEncoder::open(&Bundle::open(&out).unwrap(), &EncoderOptions::default()).unwrap()
}

#[test]
fn classifiers_of_one_or_two_classes_of_every_family_conform() {
    let template = RecordTemplate::with_output();
    for (model, classes) in [
        ("distilbert-classifier", 2),
        ("mpnet-classifier", 2),
        ("roberta-classifier", 1),
        ("xlm-roberta-classifier", 1),
    ] {
        let mut encoder = exported(model);
        assert_eq!(encoder.classes(), classes, "{model}");
        let mut reranker = CrossReranker::new(exported(model), template.clone()).unwrap();
        Load::new().ask(99, |requests| {
            for (request, ranking) in requests.iter().zip(reranker.rerank(requests).unwrap()) {
                for scored in &ranking.ranked {
                    let found = request.records.iter().find(|found| found.record.id() == scored.id).unwrap();
                    let logits = encoder.logits(&[template.pair(request.query, found.record)]).unwrap().logits;
                    let expected = if classes == 1 { logits[[0, 0]] } else { logits[[0, 1]] - logits[[0, 0]] };
                    Tolerance::absolute(1e-5).assert_close(&[scored.score.get()], &[expected]);
                }
            }
        });
        // Batches of other shapes sum in another order.
        conforms(&mut reranker, 1e-5);
    }
}

#[test]
fn a_classifier_of_three_classes_is_refused() {
    let refused = CrossReranker::new(exported("bert-classifier"), RecordTemplate::with_output());
    assert!(matches!(refused, Err(RerankError::Classes { classes: 3 })), "{refused:?}");
}
