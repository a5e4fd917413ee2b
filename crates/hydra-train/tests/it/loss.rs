//! Losses against PyTorch: see xtask/python/make_training_goldens.py.

use hydra_testkit::Tolerance;
use hydra_train::Loss;
use hydra_types::ndarray::{Array2, array};

use crate::golden::Arrays;

fn check(name: &str, loss: &Loss, group_lens: &[usize]) {
    let golden = Arrays::training();
    let logits = golden.matrix(&format!("{name}.logits"));
    let labels = golden.numbers(&format!("{name}.labels"));
    let (value, gradient) = loss.value_and_gradient(&logits, &labels, group_lens);
    let near = Tolerance::absolute(1e-6);
    near.assert_close(&[value], &golden.numbers(&format!("{name}.loss")));
    near.assert_close(gradient.as_slice().unwrap(), &golden.numbers(&format!("{name}.gradient")));
}

#[test]
fn cross_entropy_with_class_weights_is_that_of_pytorch() {
    check("cross_entropy", &Loss::CrossEntropy { class_weights: vec![0.5, 2.0, 1.25] }, &[]);
}

/// The last group has no pair, and does not count.
#[test]
fn pairwise_loss_is_that_of_pytorch() {
    check("pairwise", &Loss::Pairwise, &[3, 4, 2]);
}

#[test]
fn listwise_loss_is_that_of_pytorch() {
    check("listwise", &Loss::Listwise, &[3, 4, 2]);
}

#[test]
fn two_logits_are_scored_by_their_difference() {
    let two = array![[0.3, 1.0], [0.5, -0.25], [1.5, 2.0]];
    let one: Array2<f32> = array![[0.7], [-0.75], [0.5]];
    for loss in [Loss::Pairwise, Loss::Listwise] {
        let [(two, of_two), (one, of_one)] =
            [&two, &one].map(|logits| loss.value_and_gradient(logits, &[0.0, 1.0, 0.0], &[3]));
        Tolerance::absolute(1e-6).assert_close(&[two], &[one]);
        for row in 0..3 {
            Tolerance::absolute(1e-6)
                .assert_close(&[of_two[[row, 0]], of_two[[row, 1]]], &[-of_one[[row, 0]], of_one[[row, 0]]]);
        }
    }
}

#[test]
fn extreme_logits_give_finite_losses() {
    let logits = array![[1e4_f32], [-1e4], [0.0]];
    for loss in [Loss::Pairwise, Loss::Listwise] {
        let (value, gradient) = loss.value_and_gradient(&logits, &[0.0, 1.0, 0.0], &[3]);
        assert!(value.is_finite() && gradient.iter().all(|number| number.is_finite()), "{loss:?} {value}");
    }
}

#[test]
fn without_a_pair_there_is_nothing_to_learn() {
    let (value, gradient) = Loss::Pairwise.value_and_gradient(&array![[1.0], [2.0]], &[1.0, 1.0], &[2]);
    assert_eq!(value, 0.0);
    assert!(gradient.iter().all(|number| *number == 0.0));
}
