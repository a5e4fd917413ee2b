//! Fitting: the right minimum, better than the prior where there is something to learn, exactly the prior where not.

use std::sync::Arc;

use hydra_heads::{
    AdamW, BindError, ClassWeights, Features, Fit, FitError, FitRows, Fitted, Head, HeadBank, HeadName, Outcome,
    Reason, Shared, Stamp, Strength, Weights, loss_and_gradient, pack,
};
use hydra_types::ndarray::{Array2, Axis, concatenate, s};
use hydra_types::{Fingerprint, Generation, UserId};
use proptest::prelude::*;

use crate::population::{BODY, Population, User};

const HIDDEN: usize = 48;

fn log_odds(shared: &Arc<Shared>, head: &Head, user: &User) -> Vec<f32> {
    let mut bank = HeadBank::new(Arc::clone(shared));
    bank.insert(UserId::new(1), head.clone()).unwrap();
    let names = vec![HeadName::User(UserId::new(1)); user.labels.len()];
    bank.log_odds(&names, &Features::new(BODY, &user.features).unwrap()).unwrap()
}

fn prior_log_odds(shared: &Arc<Shared>, user: &User) -> Vec<f32> {
    let names = vec![HeadName::Prior; user.labels.len()];
    HeadBank::new(Arc::clone(shared)).log_odds(&names, &Features::new(BODY, &user.features).unwrap()).unwrap()
}

fn bytes(fitted: &Fitted) -> Vec<u8> {
    pack(&fitted.head, Stamp { user: UserId::new(1), generation: Generation::FIRST })
}

fn assert_prior(shared: &Arc<Shared>, fitted: &Fitted, user: &User, reason: Reason) {
    assert_eq!(fitted.outcome, Outcome::Prior(reason));
    let bits = |scores: Vec<f32>| scores.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(log_odds(shared, &fitted.head, user)), bits(prior_log_odds(shared, user)));
}

/// At the minimum of a convex loss the gradient is zero, and nowhere else; the gradient itself is held to PyTorch's.
fn assert_minimum(shared: &Shared, fitted: &Fitted, rows: &FitRows<'_>, strength: f64, tolerance: f64) {
    let (_, gradient) = loss_and_gradient(shared, &fitted.head, rows).unwrap();
    let squares: f64 =
        (0..rows.len()).flat_map(|row| rows.features().row(row)).map(|&z| f64::from(z) * f64::from(z)).sum();
    let scale = squares / f64::from(u32::try_from(rows.len()).unwrap());
    let parameters = fitted.head.weights().parameters();
    for (i, (g, theta)) in gradient.iter().zip(&parameters).enumerate() {
        let unit = if i < HIDDEN { scale } else { 1.0 };
        let slope = f64::from(*g) + strength * unit * f64::from(*theta);
        assert!(slope.abs() < tolerance, "slope {slope} at {i}");
    }
}

#[test]
fn a_linear_fit_ends_at_the_minimum_with_few_rows_and_with_many() {
    let population = Population::new(1, HIDDEN);
    for (n, tolerance) in [(5, 1e-4), (30, 1e-4), (120, 1e-4), (600, 0.02)] {
        for strength in [0.05, 1.0, 30.0] {
            let user = population.user(3, 0, n);
            for weights in [ClassWeights::Equal, ClassWeights::Balanced] {
                let features = Features::new(BODY, &user.features).unwrap();
                let rows = FitRows::new(features, &user.labels, weights).unwrap();
                let fitted = Fit::linear().strength(Strength::Fixed(strength)).run(&population.shared, &rows).unwrap();
                assert_eq!(fitted.outcome, Outcome::Fitted);
                assert_minimum(&population.shared, &fitted, &rows, strength, tolerance);
            }
        }
    }
}

#[test]
fn fitted_heads_beat_the_prior_on_rows_they_have_not_seen() {
    let population = Population::new(2, HIDDEN);
    let mut losses = [0.0; 4];
    for n in 0..20 {
        let (seen, unseen) = (population.user(n, 0, 100), population.user(n, 1, 200));
        let heads =
            [Fit::linear(), Fit::low_rank(2, 7)].map(|fit| fit.run(&population.shared, &seen.rows()).unwrap().head);
        let paper = AdamW::paper(7).learning_rate(3e-3).batches(64, 10).run(&population.shared, &seen.rows()).unwrap();
        let all = [prior_log_odds(&population.shared, &unseen)]
            .into_iter()
            .chain(heads.iter().chain([&paper.head]).map(|head| log_odds(&population.shared, head, &unseen)));
        for (sum, odds) in losses.iter_mut().zip(all) {
            *sum += unseen.log_loss(&odds) / 20.0;
        }
    }
    let [prior, linear, low_rank, paper] = losses;
    assert!(linear < prior - 0.05, "{losses:?}");
    assert!(low_rank < prior - 0.05, "{losses:?}");
    assert!(paper < prior - 0.05, "{losses:?}");
}

#[test]
fn heads_swapped_between_users_score_worse() {
    let population = Population::new(3, HIDDEN);
    let heads: Vec<Head> = (0..16)
        .map(|n| Fit::linear().run(&population.shared, &population.user(n, 0, 100).rows()).unwrap().head)
        .collect();
    let loss = |n: usize, head: usize| {
        let unseen = population.user(u64::try_from(n).unwrap(), 1, 100);
        unseen.log_loss(&log_odds(&population.shared, &heads[head], &unseen))
    };
    let own: f64 = (0..16).map(|n| loss(n, n)).sum();
    let swapped: f64 = (0..16).map(|n| loss(n, (n + 1) % 16)).sum();
    assert!(swapped > own + 16.0 * 0.05, "{swapped} against {own}");
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let population = Population::new(4, HIDDEN);
    let user = population.user(1, 0, 60);
    let fits: [&dyn Fn() -> Fitted; 3] = [
        &|| Fit::linear().run(&population.shared, &user.rows()).unwrap(),
        &|| Fit::low_rank(3, 5).run(&population.shared, &user.rows()).unwrap(),
        &|| AdamW::paper(5).run(&population.shared, &user.rows()).unwrap(),
    ];
    for fit in fits {
        assert_eq!(bytes(&fit()), bytes(&fit()));
    }
}

#[test]
fn a_refit_from_the_last_head_finds_what_a_fresh_fit_finds() {
    let population = Population::new(5, HIDDEN);
    let (before, after) = (population.user(1, 0, 80), population.user(1, 1, 20));
    let features = concatenate(Axis(0), &[before.features.view(), after.features.view()]).unwrap();
    let labels = [before.labels.clone(), after.labels.clone()].concat();
    let all = FitRows::new(Features::new(BODY, &features).unwrap(), &labels, ClassWeights::Equal).unwrap();
    for fit in [Fit::linear(), Fit::low_rank(2, 1)] {
        let first = fit.clone().run(&population.shared, &before.rows()).unwrap();
        let fixed = fit.strength(Strength::Fixed(first.strength.unwrap()));
        let fresh = fixed.clone().run(&population.shared, &all).unwrap();
        let refit = fixed.start(first.head).run(&population.shared, &all).unwrap();
        assert_eq!(refit.outcome, Outcome::Fitted);
        assert!((refit.loss - fresh.loss).abs() < 0.05, "{} against {}", refit.loss, fresh.loss);
    }
}

#[test]
fn rows_that_teach_nothing_give_exactly_the_prior_and_say_why() {
    let population = Population::new(6, HIDDEN);
    let shared = &population.shared;
    let user = population.user(1, 0, 40);
    let check = |features: Array2<f32>, labels: Vec<bool>, reason| {
        let rows = FitRows::new(Features::new(BODY, &features).unwrap(), &labels, ClassWeights::Balanced).unwrap();
        for fit in [Fit::linear(), Fit::low_rank(2, 1)] {
            assert_prior(shared, &fit.run(shared, &rows).unwrap(), &user, reason);
        }
    };
    check(Array2::zeros((0, HIDDEN)), vec![], Reason::NoRows);
    check(user.features.clone(), vec![true; 40], Reason::OneClass);
    check(user.features.slice(s![..1, ..]).to_owned(), vec![false], Reason::OneClass);
    check(user.features.slice(s![..2, ..]).to_owned(), vec![false, true], Reason::TooFew);
    let constant = Array2::from_elem((40, HIDDEN), 0.5);
    check(constant, user.labels.clone(), Reason::TooFew);
}

#[test]
fn labels_drawn_by_coin_are_seldom_taken_for_a_taste() {
    let population = Population::new(7, HIDDEN);
    let excess: f64 = (0..20)
        .map(|n| {
            let (features, coins) = (population.user(n, 0, 60), population.user(n + 500, 5, 60));
            let unseen = population.user(n, 1, 100);
            let coin = User { features: features.features, labels: coins.labels, truth: coins.truth };
            let head = Fit::linear().run(&population.shared, &coin.rows()).unwrap().head;
            unseen.log_loss(&log_odds(&population.shared, &head, &unseen))
                - unseen.log_loss(&prior_log_odds(&population.shared, &unseen))
        })
        .sum();
    assert!(excess / 20.0 > -0.05, "nothing about these users was in the labels: {excess}");
}

#[test]
fn duplicated_rows_count_as_rows_and_break_nothing() {
    let population = Population::new(8, HIDDEN);
    let user = population.user(1, 0, 30);
    let features = concatenate(Axis(0), &[user.features.view(), user.features.view()]).unwrap();
    let labels = user.labels.repeat(2);
    let rows = FitRows::new(Features::new(BODY, &features).unwrap(), &labels, ClassWeights::Equal).unwrap();
    let fixed = Fit::linear().strength(Strength::Fixed(2.0));
    let twice = fixed.run(&population.shared, &rows).unwrap();
    let half = Fit::linear().strength(Strength::Fixed(1.0)).run(&population.shared, &user.rows()).unwrap();
    hydra_testkit::Tolerance::absolute(1e-4)
        .assert_close(&twice.head.weights().parameters(), &half.head.weights().parameters());
    for fit in [Fit::linear(), Fit::low_rank(2, 1)] {
        let fitted = fit.run(&population.shared, &rows).unwrap();
        assert!(fitted.loss <= fitted.prior_loss + 1e-9);
    }
}

#[test]
fn constant_columns_do_no_harm() {
    let population = Population::new(9, HIDDEN);
    let mut user = population.user(1, 0, 50);
    user.features.slice_mut(s![.., 10..]).fill(0.25);
    let fitted = Fit::linear().strength(Strength::Fixed(1.0)).run(&population.shared, &user.rows()).unwrap();
    assert!(fitted.loss < fitted.prior_loss);
    assert_minimum(&population.shared, &fitted, &user.rows(), 1.0, 1e-4);
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let population = Population::new(10, HIDDEN);
    let shared = &population.shared;
    let user = population.user(1, 0, 20);
    let rows = user.rows();
    let foreign = Features::new(Fingerprint::new([0; 32]), &user.features).unwrap();
    let foreign = FitRows::new(foreign, &user.labels, ClassWeights::Equal).unwrap();
    assert!(matches!(Fit::linear().run(shared, &foreign), Err(FitError::Body { .. })));
    assert!(matches!(Fit::linear().strength(Strength::Fixed(0.0)).run(shared, &rows), Err(FitError::Strength { .. })));
    let linear = Fit::linear().strength(Strength::Fixed(1.0)).run(shared, &rows).unwrap().head;
    assert!(matches!(Fit::low_rank(2, 1).start(linear.clone()).run(shared, &rows), Err(FitError::StartKind { .. })));
    let plain = Shared::new(BODY, Weights::linear(&[0.0; HIDDEN], 0.0).unwrap()).unwrap();
    assert_eq!(Fit::low_rank(2, 1).run(&plain, &rows), Err(FitError::Head(BindError::LinearPrior)));
    assert_eq!(Fit::linear().start(linear).run(&plain, &rows), Err(FitError::Head(BindError::Base)));
    assert!(FitRows::new(*rows.features(), &user.labels[1..], ClassWeights::Equal).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_rows_the_head_is_usable(
        n in 0usize..24, distinct in 1usize..6, ones in any::<u32>(), size in -4i32..4, seed in 0u64..9,
    ) {
        let population = Population::new(11, 6);
        let base = population.user(seed, 0, distinct);
        let order: Vec<usize> = (0..n).map(|i| i % distinct).collect();
        let features = base.features.select(Axis(0), &order) * 10f32.powi(size);
        let labels: Vec<bool> = (0..n).map(|i| ones >> i & 1 == 1).collect();
        let user = User { features, labels, truth: vec![] };
        for fit in [Fit::linear(), Fit::low_rank(2, 1), Fit::linear().strength(Strength::Fixed(0.1))] {
            let fitted = fit.run(&population.shared, &user.rows()).unwrap();
            prop_assert!(fitted.loss.is_finite());
            let odds = log_odds(&population.shared, &fitted.head, &user);
            prop_assert!(odds.iter().all(|odds| odds.is_finite()));
            if matches!(fitted.outcome, Outcome::Prior(_)) {
                prop_assert_eq!(odds, prior_log_odds(&population.shared, &user));
            }
        }
    }
}
