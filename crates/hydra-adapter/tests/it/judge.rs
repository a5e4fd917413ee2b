//! A probability that can be acted on, or no answer.

use hydra_adapter::{AdaptError, Adapter, Judge, MajorityVote, Verdict};
use hydra_heads::{Calibration, CurveKind, Outcomes, UserCalibration};

use crate::toy::ask;

/// A vote that is always as sure as it is right: of ten picks with a share of 0.6, three were right.
fn overconfident() -> Calibration {
    let scores = [vec![0.6; 10], vec![1.0 / 3.0; 10]].concat();
    let labels: Vec<bool> = (0..10).map(|at| at < 3).chain((0..10).map(|at| at < 1)).collect();
    Calibration::fit(CurveKind::Isotonic, &[Outcomes::new(&scores, &labels).unwrap()]).unwrap()
}

#[test]
fn the_probability_is_how_often_such_picks_were_right() {
    ask(|requests| {
        let all = MajorityVote.adapt(requests).unwrap();
        let judge = Judge::new(overconfident(), 0.2).unwrap();
        // Shares of 2/6 and 3/5.
        let Verdict::Abstained { candidate: 0, probability } = judge.verdict(UserCalibration::STRANGER, &all[0]) else {
            panic!("one in ten is not two in ten");
        };
        assert!((probability.get() - 0.1).abs() < 0.05, "{probability:?}");
        let Verdict::Answer { candidate: 0, probability } = judge.verdict(UserCalibration::STRANGER, &all[1]) else {
            panic!("three in ten is more than two in ten");
        };
        assert!((probability.get() - 0.3).abs() < 0.05, "{probability:?}");
    });
}

#[test]
fn a_threshold_is_a_probability() {
    for threshold in [-0.1, 1.1, f32::NAN] {
        assert!(matches!(Judge::new(overconfident(), threshold), Err(AdaptError::Threshold { .. })));
    }
    ask(|requests| {
        let judge = Judge::new(overconfident(), 0.0).unwrap();
        for adapted in MajorityVote.adapt(requests).unwrap() {
            let Verdict::Answer { probability, .. } = judge.verdict(UserCalibration::STRANGER, &adapted) else {
                panic!("a threshold of 0 lets all pass");
            };
            let just_so = Judge::new(overconfident(), probability.get()).unwrap();
            assert!(matches!(just_so.verdict(UserCalibration::STRANGER, &adapted), Verdict::Answer { .. }));
        }
    });
}
