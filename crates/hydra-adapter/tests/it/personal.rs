//! The user's own head decides, and nobody else's.

use hydra_adapter::{AdaptError, AdaptRequest, Adapter, PersonalAdapter};
use hydra_heads::{HeadChoice, ResidentError, ScoreError};
use hydra_testkit::Tolerance;
use hydra_types::{CandidateTemplate, Scope, UserId};

use crate::toy::{Letters, PRIOR, ask, bank, letters, own, personal};

#[test]
fn scores_are_those_of_the_multiplied_out_heads() {
    for template in [CandidateTemplate::query_only(), CandidateTemplate::with_history()] {
        ask(|requests| {
            let all = personal(template.clone()).adapt(requests).unwrap();
            for (request, adapted) in requests.iter().zip(&all) {
                let head = own(request.scope.user().get());
                for standing in adapted.standings() {
                    let candidate = request.candidates[standing.candidate].trim();
                    let features = letters(&template.pair(request.query, request.history, candidate));
                    let expected: f32 = (0..features.len()).map(|at| (PRIOR[at] + head[at]) * features[at]).sum();
                    Tolerance::absolute(1e-5).assert_close(&[standing.score.get()], &[expected]);
                    assert_eq!(standing.cut, candidate.len() / 4);
                }
                let best = adapted.standings()[0].score.get();
                let expected = 1.0 / (1.0 + (-best).exp());
                Tolerance::absolute(1e-6).assert_close(&[adapted.confidence().get()], &[expected]);
            }
            // The same candidates, another person, another pick.
            let scope = Scope::acting_for(UserId::new(2));
            let other = AdaptRequest { scope: &scope, ..requests[0] };
            let other = personal(template.clone()).adapt(&[other]).unwrap().remove(0);
            assert_eq!((all[0].best(), other.best()), (0, 3));
        });
    }
}

#[test]
fn equal_texts_are_read_once() {
    ask(|requests| {
        let mut body = Letters::default();
        let template = CandidateTemplate::query_only();
        PersonalAdapter::new(&mut body, bank(&template), template).unwrap().adapt(requests).unwrap();
        let pairs = &body.calls[..];
        assert_eq!(pairs.len(), 1, "all users share one call");
        let second: Vec<&str> = pairs[0].iter().map(|pair| pair.1.as_str()).collect();
        assert_eq!(second, ["ab", "b secret", "ccc", "a", "c", "a", "b", "b"]);
    });
}

#[test]
fn where_rows_interact_every_user_has_a_call_of_their_own() {
    ask(|requests| {
        let mut body = Letters { interact: true, ..Letters::default() };
        let template = CandidateTemplate::query_only();
        PersonalAdapter::new(&mut body, bank(&template), template).unwrap().adapt(requests).unwrap();
        assert_eq!(body.calls.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 1]);
    });
}

#[test]
fn a_body_that_forgets_a_pair_is_an_error_and_no_panic() {
    for (short_by, interact) in [((1, 0), false), ((0, 1), false), ((1, 1), false), ((1, 1), true)] {
        let (body, template) = (Letters { short_by, interact, ..Letters::default() }, CandidateTemplate::query_only());
        let mut adapter = PersonalAdapter::new(body, bank(&template), template).unwrap();
        ask(|requests| {
            let error = adapter.adapt(requests).unwrap_err();
            assert!(matches!(error, AdaptError::Shape(_)), "{short_by:?} {error}");
        });
    }
}

#[test]
fn nobody_gets_the_prior_head_in_silence_or_a_head_of_another_template() {
    ask(|requests| {
        let mut adapter = personal(CandidateTemplate::query_only());
        let error = adapter.adapt(&[AdaptRequest { head: HeadChoice::Own, ..requests[2] }]).unwrap_err();
        let stranger = UserId::new(3);
        assert!(
            matches!(error, AdaptError::Heads(ResidentError::Score(ScoreError::UnknownHead { user, .. })) if user == stranger)
        );
        let bank = bank(&CandidateTemplate::with_history());
        let error = PersonalAdapter::new(Letters::default(), bank, CandidateTemplate::query_only()).err().unwrap();
        assert!(matches!(error, AdaptError::Fingerprint { .. }));
    });
}
