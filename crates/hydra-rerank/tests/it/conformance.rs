//! What every reranker promises.

use hydra_heads::ResidentHeads;
use hydra_rerank::{
    CrossReranker, FirstStage, FusedReranker, Fusion, PersonalReranker, Ranking, RerankError, RerankRequest, Reranker,
};
use hydra_types::{RecordId, RecordTemplate};

use crate::cross::Logits;
use crate::toy::{Letters, Load, Packed, bank, shared};

/// Holds a reranker to the contract. `tolerance`: how far scores may lie apart when other pairs share the batch.
pub(crate) fn conforms(reranker: &mut dyn Reranker, tolerance: f32) {
    let load = Load::new();
    load.ask(100, |requests| {
        let all = reranker.rerank(requests).unwrap();
        assert_eq!(all.len(), requests.len());
        for (request, ranking) in requests.iter().zip(&all) {
            assert_eq!(ids(ranking).len(), request.records.len(), "all are kept if there are fewer than wanted");
            let mut expected: Vec<RecordId> = request.records.iter().map(|found| found.record.id()).collect();
            let mut got = ids(ranking);
            expected.sort_unstable();
            got.sort_unstable();
            assert_eq!(got, expected, "what comes out is what went in");
            assert!(ranking.ranked.is_sorted(), "best first, ties by id");
        }
        assert_eq!(reranker.rerank(requests).unwrap(), all, "twice the same bytes");

        let reversed: Vec<RerankRequest<'_>> = requests.iter().rev().copied().collect();
        let mut back = reranker.rerank(&reversed).unwrap();
        back.reverse();
        near(&back, &all, tolerance);

        for (request, ranking) in requests.iter().zip(&all) {
            near(&reranker.rerank(&[*request]).unwrap(), std::slice::from_ref(ranking), tolerance);
            let turned: Vec<_> = request.records.iter().rev().copied().collect();
            let turned = RerankRequest { records: &turned, ..*request };
            near(&reranker.rerank(&[turned]).unwrap(), std::slice::from_ref(ranking), tolerance);
            assert!(!format!("{request:?} {ranking:?}").contains("secret"), "texts stay out of logs");
        }

        let best: Vec<_> = requests.iter().map(|request| RerankRequest { keep: 3, ..*request }).collect();
        for (some, all) in reranker.rerank(&best).unwrap().iter().zip(&all) {
            assert_eq!(some.ranked, all.ranked[..3], "the best three are the first three");
            assert_eq!(some.cut, all.cut, "what was cut is said of all records");
        }

        let nothing = [RerankRequest { keep: 0, ..requests[0] }, RerankRequest { records: &[], ..requests[1] }];
        assert!(reranker.rerank(&nothing).unwrap().iter().all(|ranking| ranking.ranked.is_empty()));
        assert_eq!(reranker.rerank(&[]).unwrap(), []);

        let twice: Vec<_> = requests[1].records.iter().chain(&requests[1].records[2..3]).copied().collect();
        let error = reranker.rerank(&[requests[0], RerankRequest { records: &twice, ..requests[1] }]).unwrap_err();
        let id = twice[2].record.id();
        assert!(matches!(error, RerankError::RecordTwice { request: 1, record } if record == id), "{error}");
    });
}

fn ids(ranking: &Ranking) -> Vec<RecordId> {
    ranking.ranked.iter().map(|scored| scored.id).collect()
}

#[track_caller]
fn near(got: &[Ranking], expected: &[Ranking], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        if tolerance == 0.0 {
            assert_eq!(got.ranked, expected.ranked);
        }
        for scored in &got.ranked {
            let same = expected.ranked.iter().find(|other| other.id == scored.id).unwrap();
            assert!((scored.score.get() - same.score.get()).abs() <= tolerance, "{scored:?} {same:?}");
        }
        let cuts = |ranking: &Ranking| {
            let mut cut = ranking.cut.clone();
            cut.sort_by_key(|cut| cut.record);
            cut
        };
        assert_eq!(cuts(got), cuts(expected));
    }
}

pub(crate) fn personal() -> PersonalReranker<Letters, hydra_heads::HeadBank> {
    PersonalReranker::new(Letters::default(), bank(), RecordTemplate::with_output()).unwrap()
}

#[test]
fn the_first_stage_conforms() {
    conforms(&mut FirstStage, 0.0);
}

#[test]
fn the_personal_reranker_conforms() {
    conforms(&mut personal(), 0.0);
}

#[test]
fn the_personal_reranker_with_heads_from_a_source_conforms() {
    // Room for one head of the two.
    let heads = ResidentHeads::new(shared(), Packed::new(), 600);
    conforms(&mut PersonalReranker::new(Letters::default(), heads, RecordTemplate::with_output()).unwrap(), 0.0);
}

#[test]
fn a_body_whose_rows_interact_conforms() {
    let body = Letters { interact: true, ..Letters::default() };
    conforms(&mut PersonalReranker::new(body, bank(), RecordTemplate::with_output()).unwrap(), 0.0);
}

#[test]
fn the_cross_encoder_conforms() {
    conforms(
        &mut CrossReranker::around(Logits { classes: 2, ..Logits::default() }, RecordTemplate::input_only()).unwrap(),
        0.0,
    );
}

#[test]
fn both_fusions_conform() {
    for fusion in [Fusion::Standardised, Fusion::Ranks] {
        // Standardising sums in the order of the ranking, which is the same; the numbers are too.
        conforms(&mut FusedReranker::new(personal(), fusion, 0.7).unwrap(), 0.0);
        let boxed: Box<dyn Reranker> = Box::new(FirstStage);
        conforms(&mut FusedReranker::new(boxed, fusion, 0.5).unwrap(), 0.0);
    }
}
