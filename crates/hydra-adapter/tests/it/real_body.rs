//! The adapter on the exported MiniLM encoder.

use std::sync::Arc;

use hydra_adapter::{AdaptRequest, Adapter, PersonalAdapter};
use hydra_heads::{HeadBank, HeadChoice, Shared, Weights};
use hydra_onnx::{Bundle, Encoder, EncoderOptions};
use hydra_types::{CandidateTemplate, Scope, UserId};

use crate::conformance::conforms;
use crate::toy::own;

fn adapter(template: CandidateTemplate) -> PersonalAdapter<Encoder, HeadBank> {
    let folder = hydra_testkit::workspace_root().join("target/hydra/all-minilm-l6-v2");
    let bundle = Bundle::open(&folder).expect("`cargo xtask export-onnx` writes it");
    let encoder = Encoder::open(&bundle, &EncoderOptions::default()).unwrap();
    let wide = |narrow: &[f32], fill: f32| {
        let mut wide = vec![fill; encoder.hidden()];
        wide[..narrow.len()].copy_from_slice(narrow);
        wide
    };
    let prior = Weights::linear(&wide(&[], 1.0), 0.0).unwrap();
    let shared = Arc::new(Shared::new(template.features_of(encoder.fingerprint()), prior).unwrap());
    let mut bank = HeadBank::new(Arc::clone(&shared));
    for user in [1, 2] {
        bank.insert(UserId::new(user), shared.head(Weights::linear(&wide(&own(user), 0.0), 0.0).unwrap()).unwrap())
            .unwrap();
    }
    PersonalAdapter::new(encoder, bank, template).unwrap()
}

#[test]
fn the_adapter_on_the_real_encoder_conforms() {
    // Batches of other shapes sum in another order.
    conforms(&mut adapter(CandidateTemplate::with_history()), 1e-4);
}

#[test]
fn a_candidate_that_does_not_fit_is_reported() {
    let scope = Scope::acting_for(UserId::new(1));
    let candidates = ["short".to_owned(), "a very long answer that goes on and on ".repeat(100)];
    let request =
        AdaptRequest { scope: &scope, head: HeadChoice::Prior, query: "what?", history: &[], candidates: &candidates };
    let adapted = adapter(CandidateTemplate::query_only()).adapt(&[request]).unwrap().remove(0);
    for standing in adapted.standings() {
        assert_eq!(standing.cut > 0, standing.candidate == 1, "{standing:?}");
    }
}
