//! The user's own head decides, and nobody else's.

use hydra_heads::{HeadChoice, HeadName, ResidentError, ScoreError, Weights};
use hydra_rerank::{PersonalReranker, RerankError, RerankRequest, Reranker};
use hydra_testkit::Tolerance;
use hydra_types::ndarray::{Array2, array};
use hydra_types::{RecordTemplate, Scope, UserId};

use crate::conformance::personal;
use crate::toy::{BODY, HIDDEN, Letters, Load, PRIOR, PRIOR_BIAS, bank, by_hand, letters, own};

#[test]
fn scores_are_those_of_the_multiplied_out_heads() {
    Load::new().ask(100, |requests| {
        let rankings = personal().rerank(requests).unwrap();
        for (request, ranking) in requests.iter().zip(&rankings) {
            for scored in &ranking.ranked {
                let found = request.records.iter().find(|found| found.record.id() == scored.id).unwrap();
                let expected = by_hand(request.scope.user().get(), request.query, found.record);
                Tolerance::absolute(1e-5).assert_close(&[scored.score.get()], &[expected]);
            }
        }
    });
}

#[test]
fn what_did_not_fit_is_reported() {
    Load::new().ask(1, |requests| {
        for (ranking, request) in personal().rerank(requests).unwrap().iter().zip(requests) {
            let long = request.records.iter().find(|found| found.record.input().len() > 8).unwrap().record;
            // The template adds a line break and the output.
            let expected = long.input().len() + 2 - 8;
            assert_eq!(ranking.cut.len(), 1);
            assert_eq!((ranking.cut[0].record, ranking.cut[0].tokens), (long.id(), expected));
        }
    });
}

#[test]
fn a_body_that_forgets_a_pair_is_an_error_and_no_panic() {
    for (short_by, interact) in [((1, 0), false), ((0, 1), false), ((1, 1), false), ((1, 1), true)] {
        let body = Letters { short_by, interact, ..Letters::default() };
        let mut reranker = PersonalReranker::new(body, bank(), RecordTemplate::with_output()).unwrap();
        Load::new().ask(3, |requests| {
            let error = reranker.rerank(requests).unwrap_err();
            assert!(matches!(error, RerankError::Shape(_)), "{short_by:?} {error}");
            let error = reranker.explain(&requests[0], requests[0].records[0].record.id()).unwrap_err();
            assert!(matches!(error, RerankError::Shape(_)), "{short_by:?} {error}");
        });
    }
}

#[test]
fn the_scope_alone_decides_whose_head_it_is() {
    Load::new().ask(100, |requests| {
        let mut reranker = personal();
        let in_the_name_of = |user, head| {
            let scope = Scope::acting_for(UserId::new(user));
            personal().rerank(&[RerankRequest { scope: &scope, head, ..requests[0] }]).map(|mut all| all.remove(0))
        };
        let [one, two] = [1, 2].map(|user| in_the_name_of(user, HeadChoice::Own).unwrap());
        assert_ne!(one.ranked, two.ranked);
        assert_eq!(reranker.rerank(&requests[..1]).unwrap()[0], one);
        let [one, two] = [1, 2].map(|user| in_the_name_of(user, HeadChoice::Prior).unwrap());
        assert_eq!(one, two, "the prior head is everybody's");
        let error = in_the_name_of(3, HeadChoice::Own).unwrap_err();
        let stranger = UserId::new(3);
        assert!(
            matches!(error, RerankError::Heads(ResidentError::Score(ScoreError::UnknownHead { user, .. })) if user == stranger),
            "nobody gets the prior head in silence: {error}"
        );
    });
}

#[test]
fn heads_of_another_template_or_body_are_refused() {
    let error = PersonalReranker::new(Letters::default(), bank(), RecordTemplate::input_only()).unwrap_err();
    let expected = RecordTemplate::with_output().features_of(BODY);
    assert!(matches!(error, RerankError::Fingerprint { expected: e, got } if e == expected && got != expected));
}

#[test]
fn users_share_a_call_of_the_body_only_where_rows_do_not_interact() {
    Load::new().ask(100, |requests| {
        for (interact, expected) in [(false, vec![21]), (true, vec![8, 7, 6])] {
            let mut body = Letters { interact, ..Letters::default() };
            let mut reranker = PersonalReranker::new(&mut body, bank(), RecordTemplate::with_output()).unwrap();
            reranker.rerank(requests).unwrap();
            assert_eq!(body.calls, expected);
        }
    });
}

#[test]
fn a_linear_score_is_explained_to_the_last_feature() {
    Load::new().ask(100, |requests| {
        let mut reranker = personal();
        for request in requests {
            let record = request.records[2].record;
            let features = letters(&RecordTemplate::with_output().pair(request.query, record));
            let explained = reranker.explain(request, record.id()).unwrap();
            let ranking = reranker.rerank(&[*request]).unwrap().remove(0);
            let scored = ranking.ranked.iter().find(|scored| scored.id == record.id()).unwrap();
            assert_eq!(explained.score.to_bits(), scored.score.get().to_bits());
            let user = request.scope.user().get();
            let (weights, bias) = if user < 3 { own(user) } else { ([0.0; HIDDEN], 0.0) };
            let near = |got: f32, expected: f32| Tolerance::absolute(1e-5).assert_close(&[got], &[expected]);
            near(explained.baseline, PRIOR_BIAS + bias);
            near(explained.rest(), 0.0);
            for part in &explained.parts {
                near(part.prior, PRIOR[part.feature] * features[part.feature]);
                near(part.own, weights[part.feature] * features[part.feature]);
            }
            assert!(explained.parts.is_sorted_by_key(|part| -(part.prior + part.own).abs()));
        }
        let elsewhere = requests[0].records[0].record.id();
        let error = reranker.explain(&requests[2], elsewhere).unwrap_err();
        assert!(matches!(error, RerankError::NoSuchRecord { record } if record == elsewhere));
    });
}

#[test]
fn what_features_do_together_is_said_and_not_hidden() {
    // tanh(z0 + z1 - 1) without inner bias beyond -1: two features that saturate together.
    let mut w1 = Array2::zeros((1, HIDDEN));
    w1[[0, 0]] = 1.0;
    w1[[0, 1]] = 1.0;
    let prior = Weights::two_layer(&w1, &[-1.0], &array![[0.0], [2.0]], &[0.0, 0.0]).unwrap();
    let shared = hydra_heads::Shared::new(RecordTemplate::with_output().features_of(BODY), prior).unwrap();
    let heads = hydra_heads::HeadBank::new(std::sync::Arc::new(shared));
    let mut reranker = PersonalReranker::new(Letters::default(), heads, RecordTemplate::with_output()).unwrap();
    Load::new().ask(100, |requests| {
        let request = RerankRequest { head: HeadChoice::Prior, ..requests[0] };
        let record = request.records[0].record;
        // "abba", "ab": three of each letter.
        let score = |a: f32, b: f32| 2.0 * (a + b - 1.0).tanh();
        let explained = reranker.explain(&request, record.id()).unwrap();
        assert_eq!(explained.head, HeadName::Prior);
        Tolerance::absolute(1e-5).assert_close(
            &[explained.score, explained.baseline, explained.rest()],
            &[
                score(3.0, 3.0),
                score(0.0, 0.0),
                score(3.0, 3.0) - score(0.0, 0.0) - 2.0 * (score(3.0, 3.0) - score(0.0, 3.0)),
            ],
        );
        assert!(explained.rest() > 3.0);
    });
}
