//! Weighted sums, worked out by hand.

use hydra_heads::HeadChoice;
use hydra_rerank::{
    FirstStage, FusedReranker, Fusion, Ranking, RerankError, RerankRequest, Reranker, Retrieved, check_rankings,
};
use hydra_testkit::Tolerance;
use hydra_types::{Record, RecordId, Scope, Score, Scored, Time, UserId};

/// Gives the scores that it was told.
struct Told(Vec<f32>);

impl Reranker for Told {
    fn rerank(&mut self, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>, RerankError> {
        let ranking = |request: &RerankRequest<'_>| {
            let scored =
                |(found, &score): (&Retrieved<'_>, _)| Scored::new(found.record.id(), Score::new(score).unwrap());
            let mut ranked: Vec<_> = request.records.iter().zip(&self.0).map(scored).collect();
            ranked.sort();
            Ranking { ranked, cut: Vec::new() }
        };
        Ok(requests.iter().map(ranking).collect())
    }
}

fn fuse(second: &[f32], first: &[f32], fusion: Fusion, weight: f32) -> Vec<(u64, f32)> {
    let record = |id: usize| Record::new(RecordId::new(id as u64), Time::from_unix_millis(0), "", "");
    let records: Vec<_> = (0..first.len()).map(record).collect();
    let found: Vec<_> = records
        .iter()
        .zip(first)
        .map(|(record, &score)| Retrieved { record, score: Score::new(score).unwrap() })
        .collect();
    let scope = Scope::acting_for(UserId::new(1));
    let request = RerankRequest { scope: &scope, head: HeadChoice::Prior, query: "", records: &found, keep: 9 };
    let ranking = FusedReranker::new(Told(second.to_vec()), fusion, weight).unwrap().rerank(&[request]).unwrap();
    ranking[0].ranked.iter().map(|scored| (scored.id.get(), scored.score.get())).collect()
}

#[test]
fn standardised_scores_are_weighed() {
    // By numpy: (x - x.mean()) / x.std() of [3, 1, 2] is [1.2247449, -1.2247449, 0]; of [0, 10, 20] [-1.2247449, 0, 1.2247449].
    let fused = fuse(&[3.0, 1.0, 2.0], &[0.0, 10.0, 20.0], Fusion::Standardised, 0.75);
    assert_eq!(fused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 2, 1]);
    let scores: Vec<f32> = fused.iter().map(|(_, score)| *score).collect();
    Tolerance::absolute(1e-6).assert_close(&scores, &[0.612_372_45, 0.306_186_22, -0.918_558_65]);
}

#[test]
fn ranks_are_weighed() {
    let fused = fuse(&[3.0, 1.0, 2.0], &[0.0, 10.0, 20.0], Fusion::Ranks, 0.25);
    let expected = [(2, 0.25 / 62.0 + 0.75 / 61.0), (1, 0.25 / 63.0 + 0.75 / 62.0), (0, 0.25 / 61.0 + 0.75 / 63.0)];
    for ((id, score), (expected_id, expected)) in fused.into_iter().zip(expected) {
        assert_eq!(id, expected_id);
        Tolerance::absolute(1e-7).assert_close(&[score], &[expected]);
    }
}

#[test]
fn a_stage_without_an_opinion_leaves_it_to_the_other() {
    for fused in [
        fuse(&[0.1, 0.1, 0.1], &[1.0, 3.0, 2.0], Fusion::Standardised, 0.9),
        fuse(&[1.0, 3.0, 2.0], &[7.0, 7.0, 7.0], Fusion::Standardised, 0.1),
    ] {
        assert_eq!(fused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 0]);
    }
    assert_eq!(fuse(&[5.0], &[1.0], Fusion::Standardised, 0.5), [(0, 0.0)]);
}

#[test]
fn a_weight_is_a_share() {
    for weight in [-0.1, 1.1, f32::NAN] {
        assert!(matches!(FusedReranker::new(FirstStage, Fusion::Ranks, weight), Err(RerankError::Weight { .. })));
    }
}

#[test]
fn a_second_stage_that_loses_records_or_requests_is_refused() {
    let record = |id| Record::new(RecordId::new(id), Time::from_unix_millis(0), "", "");
    let (records, scope) = ([record(1), record(2)], Scope::acting_for(UserId::new(1)));
    let found = records.each_ref().map(|record| Retrieved { record, score: Score::new(1.0).unwrap() });
    let request = RerankRequest { scope: &scope, head: HeadChoice::Prior, query: "", records: &found, keep: 1 };
    let mut lossy = FusedReranker::new(Told(vec![1.0]), Fusion::Ranks, 0.5).unwrap();
    let error = lossy.rerank(&[request]).unwrap_err();
    assert!(matches!(error, RerankError::Ranking { request: 0 }), "{error}");

    let one = |id| Scored::new(RecordId::new(id), Score::new(1.0).unwrap());
    let ranking = |ids: &[u64]| Ranking { ranked: ids.iter().map(|&id| one(id)).collect(), cut: Vec::new() };
    for fine in [&[1][..], &[2], &[2, 1]] {
        check_rankings(&[request], &[ranking(fine)]).unwrap();
    }
    for wrong in [&[][..], &[3], &[1, 1]] {
        let error = check_rankings(&[request], &[ranking(wrong)]).unwrap_err();
        assert!(matches!(error, RerankError::Ranking { request: 0 }), "{wrong:?}: {error}");
    }
    let error = check_rankings(&[request, request], &[ranking(&[1])]).unwrap_err();
    assert!(matches!(error, RerankError::Rankings { expected: 2, got: 1 }), "{error}");
}
