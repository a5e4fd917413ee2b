//! What every adapter promises.

use std::collections::BTreeMap;

use hydra_adapter::{
    AdaptError, AdaptRequest, Adapted, Adapter, FirstCandidate, MajorityVote, PersonalAdapter, check_adapted,
};
use hydra_types::CandidateTemplate;

use crate::toy::{Letters, ask, bank, personal};

/// Holds an adapter to the contract. `tolerance`: how far scores may lie apart when other pairs share the batch.
pub(crate) fn conforms(adapter: &mut dyn Adapter, tolerance: f32) {
    ask(|requests| {
        let all = adapter.adapt(requests).unwrap();
        check_adapted(requests, &all).unwrap();
        for (request, adapted) in requests.iter().zip(&all) {
            let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
            for (place, candidate) in request.candidates.iter().enumerate() {
                counts.entry(candidate.trim()).or_insert((place, 0)).1 += 1;
            }
            let mut expected: Vec<(usize, usize)> = counts.into_values().collect();
            expected.sort_unstable();
            let mut got: Vec<_> = adapted.standings().iter().map(|s| (s.candidate, s.count)).collect();
            got.sort_unstable();
            assert_eq!(got, expected, "the same text is one candidate, counted");
            assert_eq!(adapted.best(), adapted.standings()[0].candidate);
            for pair in adapted.standings().windows(2) {
                let tie = pair[0].score == pair[1].score;
                assert!(pair[0].score > pair[1].score || tie && pair[0].candidate < pair[1].candidate);
            }
            assert!((0.0..=1.0).contains(&adapted.confidence().get()));
            assert!(!format!("{request:?} {adapted:?}").contains("secret"), "texts stay out of logs");
        }
        assert_eq!(adapter.adapt(requests).unwrap(), all, "twice the same bytes");
        for (request, adapted) in requests.iter().zip(&all) {
            near(&adapter.adapt(&[*request]).unwrap()[0], adapted, tolerance);
        }
        let reversed: Vec<AdaptRequest<'_>> = requests.iter().rev().copied().collect();
        for (got, expected) in adapter.adapt(&reversed).unwrap().iter().rev().zip(&all) {
            near(got, expected, tolerance);
        }

        let only = ["the only one".to_owned()];
        let one = adapter.adapt(&[AdaptRequest { candidates: &only, ..requests[0] }]).unwrap();
        assert_eq!((one[0].best(), one[0].standings().len()), (0, 1));
        assert_eq!(adapter.adapt(&[]).unwrap(), []);
        let error = adapter.adapt(&[requests[0], AdaptRequest { candidates: &[], ..requests[1] }]).unwrap_err();
        assert!(matches!(error, AdaptError::NoCandidates { request: 1 }), "{error}");
    });
}

#[track_caller]
fn near(got: &Adapted, expected: &Adapted, tolerance: f32) {
    if tolerance == 0.0 {
        assert_eq!(got, expected);
    }
    for standing in got.standings() {
        let same = expected.standings().iter().find(|other| other.candidate == standing.candidate).unwrap();
        assert!((standing.score.get() - same.score.get()).abs() <= tolerance, "{standing:?} {same:?}");
        assert_eq!((standing.count, standing.cut), (same.count, same.cut));
    }
}

#[test]
fn the_personal_adapter_conforms() {
    for template in [CandidateTemplate::query_only(), CandidateTemplate::with_history()] {
        conforms(&mut personal(template.clone()), 0.0);
        let body = Letters { interact: true, ..Letters::default() };
        conforms(&mut PersonalAdapter::new(body, bank(&template), template).unwrap(), 0.0);
    }
}

#[test]
fn the_votes_conform() {
    conforms(&mut MajorityVote, 0.0);
    conforms(&mut FirstCandidate, 0.0);
}

#[test]
fn the_majority_wins_and_a_tie_goes_to_the_first() {
    ask(|requests| {
        let vote = |request: &AdaptRequest<'_>| MajorityVote.adapt(&[*request]).unwrap().remove(0);
        // "ab" twice and "ccc" twice of six; "c" three times of five.
        assert_eq!((vote(&requests[0]).best(), vote(&requests[0]).confidence().get()), (0, 2.0 / 6.0));
        assert_eq!((vote(&requests[1]).best(), vote(&requests[1]).confidence().get()), (0, 3.0 / 5.0));
        let first = FirstCandidate.adapt(requests).unwrap();
        assert!(first.iter().all(|adapted| adapted.best() == 0));
        assert_eq!(first[1].confidence().get(), 3.0 / 5.0);
    });
}

#[test]
fn answers_to_other_requests_are_told_from_ones_own() {
    ask(|requests| {
        let all = FirstCandidate.adapt(requests).unwrap();
        let error = check_adapted(requests, &all[..2]).unwrap_err();
        assert!(matches!(error, AdaptError::Answers { expected: 3, got: 2 }), "{error}");
        let swapped = [all[0].clone(), all[1].clone(), all[0].clone()];
        let error = check_adapted(requests, &swapped).unwrap_err();
        assert!(matches!(error, AdaptError::NoSuchCandidate { request: 2, candidate: 3 }), "{error}");
    });
}
