//! Gradients, which no public function shows.
#![allow(clippy::cast_possible_truncation, reason = "weights are F32")]

use hydra_testkit::fixture;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::model::{Parameter, Sequence, Task};

const CLASSIFIERS: [&str; 4] =
    ["bert-classifier", "distilbert-classifier", "mpnet-classifier", "xlm-roberta-classifier"];

/// Rows of a tiny model; every row of the tables of types and of near positions occurs.
fn trainer(model: &str) -> Trainer {
    let model = Model::open(fixture(&format!("models/{model}"))).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let Task::Classify { classes } = model.task() else { panic!("{model:?}") };
    let rows = (0..6_u8).map(|row| {
        let ids: Vec<u32> = (0..5 + u32::from(row)).map(|_| rng.random_range(5..61)).collect();
        let types = (0..ids.len()).map(|place| u32::from(place > 2)).collect();
        let label = if classes == 1 { f32::from(row % 2) } else { f32::from(row) % classes as f32 };
        Example { sequence: Sequence { ids, types }, label, group: u64::from(row / 3), user: None }
    });
    let loss = if classes == 1 { Loss::Listwise } else { Loss::CrossEntropy { class_weights: vec![1.0; classes] } };
    Trainer::new(model, Examples::new(rows.collect()), TrainOptions::new(loss).build().unwrap()).unwrap()
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    for name in CLASSIFIERS {
        let trainer = trainer(name);
        let gradients = StepGradients::of(&trainer, &trainer.units).body;
        for (parameter, gradient) in trainer.model.parameters().iter().zip(gradients) {
            assert!(gradient.iter().all(|number| number.is_finite()), "{name} {}", parameter.name);
            // Softmax does not see what is added to all scores: a key's bias, and with them a shift of all logits alike.
            let vanishes = [".attention.self.key.bias", "k_lin.bias", "attn.k.bias"];
            let shifts_all_scores =
                parameter.name == "classifier.out_proj.bias" && trainer.options.loss == Loss::Listwise;
            if shifts_all_scores || vanishes.iter().any(|end| parameter.name.ends_with(end)) {
                assert!(gradient.iter().all(|number| number.abs() < 1e-5), "{name} {}", parameter.name);
            } else {
                assert!(gradient.iter().any(|number| *number != 0.0), "{name} {}", parameter.name);
            }
        }
    }
}

/// The loss is moved along a random direction of one parameter at a time, and the gradient says how far it goes.
#[test]
fn gradients_are_those_of_finite_differences() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for name in CLASSIFIERS {
        let mut trainer = trainer(name);
        let gradients = StepGradients::of(&trainer, &trainer.units).body;
        for (at, gradient) in gradients.iter().enumerate() {
            let direction: Vec<f32> =
                gradient.iter().map(|number| number.signum() * rng.random_range(0.5..1.5)).collect();
            let length = direction.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
            let expected =
                gradient.iter().zip(&direction).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / length;
            let before = trainer.model.parameters()[at].clone();
            let mut loss_at = |offset: f64| {
                let parameter: &mut Parameter = &mut trainer.model.parameters_mut()[at];
                for ((value, before), direction) in parameter.values.iter_mut().zip(&before.values).zip(&direction) {
                    *value = (f64::from(*before) + offset * f64::from(*direction) / length) as f32;
                }
                evaluate(&trainer.model, &trainer.state.heads, &trainer.examples, &trainer.options, &trainer.device)
            };
            let got = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
            loss_at(0.0);
            assert!(
                (got - expected).abs() < 2e-2 * expected.abs() + 5e-4,
                "{name} {}: {got} by differences, {expected} by the gradient",
                before.name
            );
        }
    }
}

/// Rows of users, and rows of nobody, which make passes that no user's head is in.
#[test]
fn passes_add_up_to_the_gradients_of_one() {
    let of = |max_tokens| {
        let model = Model::open(fixture("models/bert")).unwrap().with_classifier(2, 1).unwrap();
        let row = |row: u32| Example {
            sequence: Sequence { ids: vec![2, 10 + row, 20 + 2 * row, 3], types: vec![0; 4] },
            label: (row % 2) as f32,
            group: u64::from(row),
            user: (row > 1).then(|| UserId::new(u128::from(row / 2))),
        };
        let options = TrainOptions::new(Loss::two_classes()).max_tokens(max_tokens);
        let options = options.user_heads(UserHeads::Linear { learning_rate: 1e-2, weight_decay: 0.0 });
        let trainer = Trainer::new(model, Examples::new((0..6).map(row).collect()), options.build().unwrap()).unwrap();
        StepGradients::of(&trainer, &trainer.units)
    };
    let (whole, apart) = (of(1000), of(4));
    assert!((whole.loss - apart.loss).abs() < 1e-5);
    assert_eq!((whole.tokens, apart.tokens), (24, 24));
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(whole.body.iter().zip(&apart.body).all(|(whole, apart)| near(whole, apart)));
    assert_eq!(whole.heads.len(), 2);
    for ((user, whole), (same, apart)) in whole.heads.iter().zip(&apart.heads) {
        assert!(user == same && near(whole, apart) && whole.iter().any(|number| number.abs() > 1e-3), "{user:?}");
    }
}

/// Large enough that rounding of the loss does not matter, small enough that its curvature does not.
const STEP: f64 = 5e-3;
