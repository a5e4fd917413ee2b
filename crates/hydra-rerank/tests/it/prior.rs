//! Body and prior head from one bundle: a reranker with an empty bank is the cross-encoder.

use std::sync::Arc;

use hydra_heads::{HeadBank, HeadChoice, Shared, Weights};
use hydra_onnx::{Bundle, CrossEncoder, Encoder, EncoderOptions};
use hydra_rerank::{CrossReranker, PersonalReranker, RerankRequest, Reranker};
use hydra_types::RecordTemplate;

use crate::toy::Load;

#[test]
fn with_an_empty_bank_everybody_gets_the_logits_of_the_graph() {
    let bundle = Bundle::open(&hydra_testkit::fixture("bundles/tiny-prior")).unwrap();
    let (options, template) = (EncoderOptions::default(), RecordTemplate::input_only());
    let head = bundle.prior_head().unwrap();
    let prior = Weights::two_layer(&head.w1, &head.b1, &head.w2, &head.b2).unwrap();
    let body = Encoder::open(&bundle, &options).unwrap();
    let shared = Shared::new(template.features_of(body.fingerprint()), prior).unwrap();
    let mut personal = PersonalReranker::new(body, HeadBank::new(Arc::new(shared)), template.clone()).unwrap();
    let mut cross = CrossReranker::new(CrossEncoder::open(&bundle, &options).unwrap(), template).unwrap();
    Load::new().ask(4, |requests| {
        let requests: Vec<RerankRequest<'_>> =
            requests.iter().map(|request| RerankRequest { head: HeadChoice::Prior, ..*request }).collect();
        let rankings = |reranker: &mut dyn Reranker| reranker.rerank(&requests).unwrap();
        for (personal, cross) in rankings(&mut personal).iter().zip(rankings(&mut cross)) {
            for (own, shared) in personal.ranked.iter().zip(&cross.ranked) {
                assert_eq!(own.id, shared.id);
                assert!((own.score.get() - shared.score.get()).abs() < 1e-5, "{own:?} {shared:?}");
            }
        }
    });
}
