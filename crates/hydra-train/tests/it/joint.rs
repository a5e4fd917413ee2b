//! Body and heads together, on a population whose tastes are planted: tests of our logic, not results.

use std::collections::BTreeMap;
use std::sync::Arc;

use hydra_heads::{Features, HeadBank, HeadName, Shared};
use hydra_testkit::{Tolerance, fixture};
use hydra_train::{
    Example, Examples, Model, ModelError, Sequence, Task, Tokens, TrainError, TrainOptions, Trainer, UserHeads,
};
use hydra_types::ndarray::s;
use hydra_types::{Fingerprint, UserId};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

const N_USERS: u32 = 6;

/// Rows whose second token says what they are about. Even users want one subject, odd users the other, so that nothing can be
/// told without knowing whose row it is.
fn rows(n: u32, seed: u64) -> Vec<Example> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let row = |row: u32| {
        let (user, subject) = (row % N_USERS, rng.random_range(0..2_u32));
        let mut ids = vec![2, 4 + subject];
        ids.extend((0..rng.random_range(1..6)).map(|_| rng.random_range(10..60_u32)));
        Example {
            sequence: Sequence { types: vec![0; ids.len()], ids },
            label: if subject == user % 2 { 1.0 } else { 0.0 },
            group: u64::from(row),
            user: Some(UserId::new(u128::from(user))),
        }
    };
    (0..n).map(row).collect()
}

/// A classifier of two classes.
fn model() -> Model {
    Model::open(fixture("models/bert")).unwrap().with_classifier(2, 3).unwrap()
}

fn options(user_heads: UserHeads) -> TrainOptions {
    TrainOptions::hydra_paper().user_heads(user_heads).learning_rate(1e-3).batch(12).epochs(12).early_stopping(10, 99)
}

const LINEAR: UserHeads = UserHeads::Linear { learning_rate: 0.05, weight_decay: 0.01 };

fn train(user_heads: UserHeads, held_out: Vec<Example>) -> Trainer {
    let options = options(user_heads).build().unwrap();
    let trainer = Trainer::new(model(), Examples::new(rows(240, 1)), options).unwrap();
    let mut trainer = trainer.with_held_out(Examples::new(held_out)).unwrap();
    while trainer.step().unwrap().is_some() {}
    trainer
}

fn lowest(trainer: &Trainer) -> f64 {
    trainer.curve().points().iter().filter_map(|point| point.held_out).fold(f64::INFINITY, f64::min)
}

#[test]
fn heads_recover_tastes_that_the_prior_head_cannot_tell() {
    let (with, without) = (lowest(&train(LINEAR, rows(120, 2))), lowest(&train(UserHeads::None, rows(120, 2))));
    assert!(with < 0.2 && without > 0.6, "{with} {without}");
}

#[test]
fn a_stranger_gets_the_prior_head_and_swapped_heads_are_worse_than_none() {
    let of = |shift: u128| {
        let mut rows = rows(120, 2);
        for row in &mut rows {
            row.user = row.user.map(|user| UserId::new(user.get() + shift));
        }
        lowest(&train(LINEAR, rows))
    };
    // A shift by one swaps even and odd users; nobody has the numbers from 1000 on. The last user of a shift is one too.
    let (own, swapped, stranger) = (of(0), of(1), of(1000));
    assert!(own < stranger && stranger < swapped, "{own} {stranger} {swapped}");
}

#[test]
fn before_the_first_step_heads_change_nothing() {
    let first = |user_heads| {
        let options = options(user_heads).build().unwrap();
        let mut trainer = Trainer::new(model(), Examples::new(rows(24, 1)), options).unwrap();
        trainer.step().unwrap().unwrap().loss
    };
    assert_eq!(first(LINEAR), first(UserHeads::None));
}

#[test]
fn a_head_moves_only_on_rows_of_its_own() {
    // One row a step, each of another user: one head moves, the others stay zeros.
    for steps in 1..=3 {
        let options = options(LINEAR).batch(1).build().unwrap();
        let mut trainer = Trainer::new(model(), Examples::new(rows(N_USERS, 1)), options).unwrap();
        for _ in 0..steps {
            trainer.step().unwrap().unwrap();
        }
        let (_, heads) = trainer.into_model_and_heads();
        let moved = heads.iter().filter(|(_, head)| head.parameters().iter().any(|number| *number != 0.0)).count();
        assert_eq!((moved, heads.len()), (steps, N_USERS as usize));
    }
}

/// The heads that come out, applied by hand to the first token's vector, give the loss that training reports.
#[test]
fn the_heads_that_come_out_are_those_that_were_trained() {
    let held_out = rows(60, 2);
    let trainer = train(LINEAR, held_out.clone());
    let expected = lowest(&trainer);
    let (model, heads) = trainer.into_model_and_heads();
    let heads: BTreeMap<UserId, Vec<f32>> = heads.into_iter().map(|(user, head)| (user, head.parameters())).collect();
    let mut sum = 0.0;
    for row in &held_out {
        let tokens = Tokens::pad(&[&row.sequence], model.config()).unwrap();
        let (logits, states) = (model.logits(&tokens).unwrap(), model.hidden_states(&tokens).unwrap());
        let (bias, weights) = heads[&row.user.unwrap()].split_last().unwrap();
        let added: f32 = states.slice(s![0, 0, ..]).iter().zip(weights).map(|(z, w)| z * w).sum::<f32>() + bias;
        let score = f64::from(logits[[0, 1]] - logits[[0, 0]] + added);
        sum += (if row.label > 0.5 { -score } else { score }).exp().ln_1p();
    }
    Tolerance::absolute(1e-5).assert_close(&[sum / held_out.len() as f64], &[expected]);
}

#[test]
fn a_joint_run_that_is_interrupted_gives_the_same_heads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let fresh = || {
        let options = options(LINEAR).epochs(2).early_stopping(3, 99).build().unwrap();
        let trainer = Trainer::new(model(), Examples::new(rows(60, 1)), options).unwrap();
        trainer.with_held_out(Examples::new(rows(12, 2))).unwrap()
    };
    let mut whole = fresh();
    while whole.step().unwrap().is_some() {}
    let mut first = fresh();
    for _ in 0..5 {
        first.step().unwrap();
    }
    first.save(&path).unwrap();
    let mut second = fresh().resume(&path).unwrap();
    while second.step().unwrap().is_some() {}
    assert_eq!(second.curve(), whole.curve());
    let parameters = |trainer: Trainer| {
        let (_, heads) = trainer.into_model_and_heads();
        heads.into_iter().map(|(user, head)| (user, head.parameters())).collect::<Vec<_>>()
    };
    assert_eq!(parameters(second), parameters(whole));
}

#[test]
fn heads_need_one_score_a_row() {
    let model = Model::open(fixture("models/bert-classifier")).unwrap();
    let loss = hydra_train::Loss::CrossEntropy { class_weights: vec![1.0; 3] };
    let options = TrainOptions::new(loss).user_heads(LINEAR).build().unwrap();
    let refused = Trainer::new(model, Examples::new(rows(6, 1)), options).unwrap_err();
    assert!(matches!(refused, TrainError::Classes { got: 3, .. }), "{refused}");
}

/// Body, prior head and users' heads, each in the form in which it is served.
#[test]
fn what_was_trained_together_is_served_apart() {
    let body = Fingerprint::new([7; 32]);
    let held_out = rows(30, 2);
    let (model, heads) = train(LINEAR, held_out.clone()).into_model_and_heads();
    let folder = tempfile::tempdir().unwrap();
    let (encoder, prior) = model.clone().into_body_and_prior().unwrap();
    encoder.save(folder.path()).unwrap();
    let encoder = Model::open(folder.path()).unwrap();
    assert_eq!(encoder.task(), Task::Encode);
    assert!(folder.path().join("1_Pooling/config.json").is_file());

    let shared = Arc::new(Shared::new(body, prior).unwrap());
    let mut bank = HeadBank::new(Arc::clone(&shared));
    for (user, weights) in &heads {
        bank.insert(*user, shared.head(weights.clone()).unwrap()).unwrap();
    }
    for row in &held_out {
        let tokens = Tokens::pad(&[&row.sequence], model.config()).unwrap();
        let features = encoder.hidden_states(&tokens).unwrap().slice(s![.., 0, ..]).to_owned();
        let features = Features::new(body, &features).unwrap();
        let logits = model.logits(&tokens).unwrap();
        let user = row.user.unwrap();
        let score = |name| bank.scores(&[name], &features).unwrap()[0];
        let prior = 1.0 / (1.0 + (logits[[0, 0]] - logits[[0, 1]]).exp());
        Tolerance::absolute(1e-5).assert_close(&[score(HeadName::Prior)], &[prior]);
        // The head was trained to tell which of its rows help.
        let helps = row.label > 0.5;
        assert_eq!(score(HeadName::User(user)) > 0.5, helps, "{row:?}");
    }
}

#[test]
fn only_a_classifier_of_two_classes_has_a_prior_head() {
    for name in ["bert", "bert-classifier", "distilbert-classifier"] {
        let model = Model::open(fixture(&format!("models/{name}"))).unwrap();
        assert!(matches!(model.into_body_and_prior().unwrap_err(), ModelError::Task { .. }), "{name}");
    }
}
