//! The reranker on the exported MiniLM encoder.

use std::sync::Arc;

use hydra_heads::{HeadBank, HeadChoice, Shared, Weights};
use hydra_onnx::{Bundle, Encoder, EncoderOptions};
use hydra_rerank::{PersonalReranker, RerankRequest, Reranker, Retrieved};
use hydra_types::{Record, RecordId, RecordTemplate, Scope, Score, Time, UserId};

use crate::conformance::conforms;
use crate::toy::own;

pub(crate) fn encoder() -> Encoder {
    let folder = hydra_testkit::workspace_root().join("target/hydra/all-minilm-l6-v2");
    let bundle = Bundle::open(&folder).expect("`cargo xtask export-onnx` writes it");
    Encoder::open(&bundle, &EncoderOptions::default()).unwrap()
}

/// Users 1 and 2 stretch the first four of the encoder's numbers; everybody likes a mean far from 0.
fn reranker(template: &RecordTemplate) -> PersonalReranker<Encoder, HeadBank> {
    let encoder = encoder();
    let wide = |narrow: &[f32], fill: f32| {
        let mut wide = vec![fill; encoder.hidden()];
        wide[..narrow.len()].copy_from_slice(narrow);
        wide
    };
    let prior = Weights::linear(&wide(&[], 1.0), 0.0).unwrap();
    let shared = Arc::new(Shared::new(template.features_of(encoder.fingerprint()), prior).unwrap());
    let mut bank = HeadBank::new(Arc::clone(&shared));
    for user in [1, 2] {
        let (weights, bias) = own(user);
        let head = shared.head(Weights::linear(&wide(&weights, 0.0), bias).unwrap()).unwrap();
        bank.insert(UserId::new(user), head).unwrap();
    }
    PersonalReranker::new(encoder, bank, template.clone()).unwrap()
}

#[test]
fn the_reranker_on_the_real_encoder_conforms() {
    // Batches of other shapes sum in another order.
    conforms(&mut reranker(&RecordTemplate::with_output()), 1e-4);
}

#[test]
fn a_record_that_does_not_fit_is_reported_and_the_query_is_kept() {
    let mut reranker = reranker(&RecordTemplate::input_only());
    let records = ["short", &"a very long record that goes on and on ".repeat(100)]
        .map(|text| Record::new(RecordId::new(text.len() as u64), Time::from_unix_millis(0), text, ""));
    let found = records.each_ref().map(|record| Retrieved { record, score: Score::new(0.0).unwrap() });
    let scope = Scope::acting_for(UserId::new(1));
    let request =
        RerankRequest { scope: &scope, head: HeadChoice::Own, query: "what goes on?", records: &found, keep: 2 };
    let ranking = reranker.rerank(&[request]).unwrap().remove(0);
    assert_eq!(ranking.ranked.len(), 2);
    assert_eq!(ranking.cut.len(), 1);
    assert_eq!(ranking.cut[0].record, records[1].id());
    // 900 words, and at most 256 or 512 tokens are read.
    assert!((388..=900).contains(&ranking.cut[0].tokens), "{:?}", ranking.cut);
}
