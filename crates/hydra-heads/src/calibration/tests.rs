#![allow(clippy::cast_possible_truncation, reason = "generated numbers may round")]

use proptest::prelude::*;

use super::*;

/// Rows of a user whose scores have log-odds `sharpness` times too large: seeded, a linear congruential generator.
fn overconfident(sharpness: f64, rows: usize, seed: u64) -> (Vec<f32>, Vec<bool>) {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..rows)
        .map(|_| {
            let odds = 6.0 * uniform() - 3.0;
            (sigmoid(sharpness * odds) as f32, uniform() < sigmoid(odds))
        })
        .unzip()
}

fn ece_of(calibration: &Calibration, user: UserCalibration, rows: Outcomes<'_>) -> f64 {
    let scores: Vec<f32> = rows.scores.iter().map(|&s| calibration.apply(user, Score::new(s).unwrap()).get()).collect();
    expected_calibration_error(Outcomes::new(&scores, rows.labels).unwrap(), ECE_BINS).unwrap()
}

#[test]
fn a_population_that_is_too_sure_is_calmed() {
    let (scores, labels) = overconfident(3.0, 6000, 1);
    let (fresh_scores, fresh_labels) = overconfident(3.0, 6000, 2);
    let fresh = Outcomes::new(&fresh_scores, &fresh_labels).unwrap();
    let before = expected_calibration_error(fresh, ECE_BINS).unwrap();
    for kind in [CurveKind::Temperature, CurveKind::Isotonic] {
        let calibration = Calibration::fit(kind, &[Outcomes::new(&scores, &labels).unwrap()]).unwrap();
        let after = ece_of(&calibration, UserCalibration::STRANGER, fresh);
        assert!(before > 0.1 && after < 0.03, "{kind:?}: {before} before, {after} after");
        if let Some(temperature) = calibration.curve().temperature() {
            assert!((temperature - 3.0).abs() < 0.3, "{temperature}");
        }
    }
}

#[test]
fn users_who_differ_are_told_apart_and_users_who_do_not_are_held_together() {
    let differing: Vec<_> = (0..40).map(|u| overconfident(if u % 2 == 0 { 1.0 } else { 4.0 }, 400, u)).collect();
    let alike: Vec<_> = (0..40).map(|u| overconfident(2.0, 12, u)).collect();
    let strength = |users: &[(Vec<f32>, Vec<bool>)]| {
        let rows: Vec<_> = users.iter().map(|(s, l)| Outcomes::new(s, l).unwrap()).collect();
        let calibration = Calibration::fit(CurveKind::Temperature, &rows).unwrap();
        (calibration.strength(), calibration.for_user(rows[0]).scale(), calibration.for_user(rows[1]).scale())
    };
    let (held, calm, sure) = strength(&differing);
    assert!(held <= 100.0 && calm > 2.0 * sure, "{held} {calm} {sure}");
    let (held, first, second) = strength(&alike);
    assert!(held >= 10.0 && (first - second).abs() < 0.3, "{held} {first} {second}");
}

#[test]
fn a_user_without_rows_has_exactly_the_curve_of_the_population() {
    let (scores, labels) = overconfident(3.0, 200, 5);
    let rows = Outcomes::new(&scores, &labels).unwrap();
    let calibration = Calibration { strength: 1.0, ..Calibration::fit(CurveKind::Temperature, &[rows]).unwrap() };
    let nobody = calibration.for_user(Outcomes::new(&[], &[]).unwrap());
    assert_eq!(nobody, UserCalibration::STRANGER);
    assert_eq!(calibration.probability(nobody, 0.7), calibration.curve.probability(0.7));
}

#[test]
fn rows_that_say_nothing_still_give_finite_answers() {
    for (scores, labels) in
        [(vec![1.0, 1.0], vec![true, true]), (vec![0.0], vec![true]), (vec![0.5; 9], vec![false; 9])]
    {
        let rows = Outcomes::new(&scores, &labels).unwrap();
        for kind in [CurveKind::Temperature, CurveKind::Isotonic] {
            let mut calibration = Calibration::fit(kind, &[rows]).unwrap();
            calibration.strength = STRENGTHS[7];
            let user = calibration.for_user(rows);
            for score in [0.0, 0.5, 1.0] {
                let probability = calibration.apply(user, Score::new(score).unwrap()).get();
                assert!((0.0..=1.0).contains(&probability), "{kind:?} {probability}");
            }
        }
    }
}

#[test]
fn what_cannot_be_calibrated_is_refused() {
    assert_eq!(Calibration::fit(CurveKind::Temperature, &[]), Err(CalibrationError::Empty));
    assert!(matches!(Outcomes::new(&[0.5], &[]), Err(CalibrationError::Lengths { scores: 1, labels: 0 })));
    for bad in [1.5, -0.1, f32::NAN] {
        let error = Outcomes::new(&[0.5, bad], &[true, true]).unwrap_err();
        assert!(matches!(error, CalibrationError::NotAProbability { row: 1, .. }));
    }
}

proptest! {
    #[test]
    fn calibrating_never_changes_the_order(
        rows in prop::collection::vec((0.0f32..=1.0, any::<bool>()), 2..50),
        isotonic: bool,
        a in 0.0f32..=1.0,
        b in 0.0f32..=1.0,
    ) {
        let (scores, labels): (Vec<f32>, Vec<bool>) = rows.into_iter().unzip();
        let rows = Outcomes::new(&scores, &labels).unwrap();
        let kind = if isotonic { CurveKind::Isotonic } else { CurveKind::Temperature };
        let calibration = Calibration { strength: 1.0, ..Calibration::fit(kind, &[rows]).unwrap() };
        let user = calibration.for_user(rows);
        let at = |score: f32| calibration.apply(user, Score::new(score).unwrap());
        prop_assert!(at(a.min(b)) <= at(a.max(b)));
    }

    #[test]
    fn the_scale_is_where_the_objective_is_lowest(
        rows in prop::collection::vec((-5.0f64..5.0, any::<bool>()), 1..40), strength in 0.3f64..100.0,
    ) {
        let objective = |scale: f64| {
            let loss: f64 = rows.iter().map(|&(z, y)| (1.0 + (if y { -scale * z } else { scale * z }).exp()).ln()).sum();
            loss + strength / 2.0 * (scale - 1.0).powi(2)
        };
        let found = fit_scale(&rows.iter().copied(), strength, 1.0);
        let lowest = (0..2000).map(|i| objective(1e-3 + f64::from(i) * 0.01)).fold(f64::INFINITY, f64::min);
        prop_assert!(objective(found) <= lowest + 1e-9);
    }
}
