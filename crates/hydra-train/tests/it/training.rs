//! Runs: against PyTorch, interrupted, cut into passes, frozen, stopped early, and refused.

use std::path::Path;

use hydra_testkit::{Tolerance, fixture};
use hydra_train::{
    CheckpointError, Example, Examples, Frozen, Loss, Model, Sequence, Tokens, TrainError, TrainOptions, Trainer,
};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use safetensors::SafeTensors;

use crate::golden::Arrays;

/// Rows of random tokens whose label, of three classes, is told by their second token.
fn rows(n: usize, seed: u64) -> Examples {
    Examples::new(row_list(n, seed))
}

fn row_list(n: usize, seed: u64) -> Vec<Example> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let row = |row: usize| {
        let class = rng.random_range(0..3_u8);
        let len = rng.random_range(2..12);
        let mut ids: Vec<u32> = (0..len).map(|_| rng.random_range(10..60)).collect();
        ids.splice(0..0, [2, 4 + u32::from(class)]);
        Example {
            sequence: Sequence { types: vec![0; ids.len()], ids },
            label: f32::from(class),
            group: row as u64 / 4,
            user: None,
        }
    };
    (0..n).map(row).collect()
}

fn options() -> TrainOptions {
    TrainOptions::new(Loss::CrossEntropy { class_weights: vec![1.0; 3] }).learning_rate(1e-3).batch(8).epochs(2)
}

fn trainer(options: TrainOptions) -> Trainer {
    let model = Model::open(fixture("models/bert-classifier")).unwrap();
    Trainer::new(model, rows(40, 1), options.build().unwrap()).unwrap()
}

fn run(trainer: &mut Trainer, steps: usize) -> Vec<f64> {
    (0..steps).map_while(|_| trainer.step().unwrap()).map(|report| report.loss).collect()
}

fn weights(model: &Model) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    model.save(folder.path()).unwrap();
    std::fs::read(folder.path().join("model.safetensors")).unwrap()
}

fn tensor(weights: &[u8], name: &str) -> Vec<f32> {
    let file = SafeTensors::deserialize(weights).unwrap();
    let view = file.tensor(name).unwrap();
    view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn all_numbers(weights: &[u8]) -> Vec<f32> {
    let file = SafeTensors::deserialize(weights).unwrap();
    let mut names: Vec<String> = file.names().into_iter().map(str::to_owned).collect();
    names.sort_unstable();
    names.iter().flat_map(|name| tensor(weights, name)).collect()
}

#[test]
fn six_steps_are_those_of_pytorch() {
    let golden = Arrays::training();
    let [ids, mask, types] = ["run.ids", "run.mask", "run.types"].map(|name| golden.integers(name));
    let rows = golden.numbers("run.labels").into_iter().enumerate().map(|(row, label)| {
        let len = usize::try_from(mask.row(row).sum()).unwrap();
        let first = |table: &hydra_types::ndarray::Array2<i64>| {
            table.row(row).iter().take(len).map(|id| u32::try_from(*id).unwrap()).collect()
        };
        Example { sequence: Sequence { ids: first(&ids), types: first(&types) }, label, group: 0, user: None }
    });
    let options = TrainOptions::new(Loss::CrossEntropy { class_weights: vec![1.0; 3] })
        .learning_rate(1e-3)
        .weight_decay(0.05)
        .schedule(hydra_train::Schedule::Linear, 2.0 / 6.0)
        .clip(0.5)
        .batch(4)
        .epochs(6);
    let model = Model::open(fixture("models/bert-classifier")).unwrap();
    let mut trainer = Trainer::new(model, Examples::new(rows.collect()), options.build().unwrap()).unwrap();
    let expected: Vec<f64> = golden.numbers("run.losses").into_iter().map(f64::from).collect();
    Tolerance::absolute(1e-5).assert_close(&run(&mut trainer, 10), &expected);
    let trained = weights(&trainer.into_model());
    for name in [
        "bert.embeddings.word_embeddings.weight",
        "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.1.output.LayerNorm.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
    ] {
        assert_nearly_all_close(&tensor(&trained, name), &golden.numbers(&format!("run.{name}")), 2e-5);
    }
}

/// AdamW divides by the root of the second moment: where a gradient is 0 but for rounding, as that of a key's bias always
/// is, rounding decides which way a number goes. One number in two hundred may differ.
fn assert_nearly_all_close(got: &[f32], expected: &[f32], tolerance: f32) {
    let far = got.iter().zip(expected).filter(|(got, expected)| (*got - *expected).abs() > tolerance).count();
    assert!(got.len() == expected.len() && far * 200 <= got.len(), "{far} of {} numbers differ", got.len());
}

#[test]
fn a_run_that_is_interrupted_and_resumed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    for options in [options().dropout(0.1).early_stopping(3, 9), options().frozen(Frozen::LayersKept(1))] {
        let fresh = || trainer(options.clone()).with_held_out(rows(12, 2)).unwrap();
        let mut whole = fresh();
        let losses = run(&mut whole, 10);
        assert_eq!(losses.len(), 10);

        let mut first = fresh();
        run(&mut first, 5);
        first.save(&path).unwrap();
        let mut second = fresh().resume(&path).unwrap();
        assert_eq!(run(&mut second, 10), losses[5..]);
        assert_eq!(second.curve(), whole.curve());
        assert_eq!(weights(&second.into_model()), weights(&whole.into_model()));
    }
}

/// The loss that a step reports of held-out rows is the one of the model as it is served.
#[test]
fn held_out_rows_are_judged_without_dropout() {
    let held_out = row_list(30, 2);
    let with = |dropout| {
        let trainer = trainer(options().dropout(dropout).early_stopping(1, 99));
        trainer.with_held_out(Examples::new(held_out.clone())).unwrap()
    };
    let mut trainer = with(0.5);
    let losses = run(&mut trainer, 4);
    assert_ne!(losses, run(&mut with(0.0), 4), "dropout is on in training");
    let reported = trainer.curve().points().iter().filter_map(|point| point.held_out).fold(f64::INFINITY, f64::min);

    let model = trainer.into_model();
    let loss = |row: &Example| {
        let logits = model.logits(&Tokens::pad(&[&row.sequence], model.config()).unwrap()).unwrap();
        let logits: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
        let class = (0..3_u8).position(|class| f32::from(class) == row.label).unwrap();
        logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[class]
    };
    let by_hand = held_out.iter().map(loss).sum::<f64>() / held_out.len() as f64;
    Tolerance::absolute(1e-5).assert_close(&[reported], &[by_hand]);
}

#[test]
fn another_seed_gives_another_run() {
    let of_seed = |seed| run(&mut trainer(options().seed(seed)), 10);
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1), of_seed(2));
}

#[test]
fn a_step_in_many_passes_is_the_step_in_one() {
    let in_passes = |tokens| {
        let mut trainer = trainer(options().max_tokens(tokens));
        let losses = run(&mut trainer, 3);
        (losses, all_numbers(&weights(&trainer.into_model())))
    };
    let (losses, numbers) = in_passes(100_000);
    let (losses_in_passes, numbers_in_passes) = in_passes(20);
    Tolerance::absolute(1e-5).assert_close(&losses_in_passes, &losses);
    assert_nearly_all_close(&numbers_in_passes, &numbers, 1e-4);
}

#[test]
fn frozen_layers_keep_their_bits_and_may_be_run_once() {
    let before = weights(&trainer(options()).into_model());
    let of = |frozen| {
        let mut trainer = trainer(options().frozen(frozen));
        let losses = run(&mut trainer, 10);
        (losses, weights(&trainer.into_model()))
    };
    let (losses, after) = of(Frozen::Layers(1));
    for name in ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.weight"] {
        assert_eq!(tensor(&after, name), tensor(&before, name), "{name}");
    }
    let moved = "bert.encoder.layer.1.output.dense.weight";
    assert_ne!(tensor(&after, moved), tensor(&before, moved));

    let (losses_kept, after_kept) = of(Frozen::LayersKept(1));
    Tolerance::absolute(1e-5).assert_close(&losses_kept, &losses);
    assert_nearly_all_close(&all_numbers(&after_kept), &all_numbers(&after), 1e-4);
}

#[test]
fn what_can_be_learned_is_learned_on_rows_never_seen() {
    let mut trainer = trainer(options().epochs(40).early_stopping(20, 5)).with_held_out(rows(60, 3)).unwrap();
    while trainer.step().unwrap().is_some() {}
    let held_out: Vec<f64> = trainer.curve().points().iter().filter_map(|point| point.held_out).collect();
    assert!(held_out[0] > 0.5 && held_out.iter().any(|loss| *loss < 0.1), "{held_out:?}");
}

/// Labels without a pattern: the held-out loss soon rises, and the weights kept are the best and not the last.
#[test]
fn training_stops_when_held_out_rows_gain_nothing_more() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut noise = |n: usize| {
        let row = |row| Example {
            sequence: Sequence {
                ids: vec![2, rng.random_range(10..60), rng.random_range(10..60), 3],
                types: vec![0; 4],
            },
            label: f32::from(rng.random_range(0..3_u8)),
            group: row as u64,
            user: None,
        };
        Examples::new((0..n).map(row).collect())
    };
    let model = Model::open(fixture("models/bert-classifier")).unwrap();
    let options = options().epochs(200).early_stopping(5, 3).build().unwrap();
    let mut trainer = Trainer::new(model, noise(24), options).unwrap().with_held_out(noise(24)).unwrap();
    let all = trainer.steps();
    let mut done = 0;
    while let Some(report) = trainer.step().unwrap() {
        done = report.step;
    }
    assert!(done < all, "{done} of {all}");
    let held_out: Vec<f64> = trainer.curve().points().iter().filter_map(|point| point.held_out).collect();
    let best = held_out.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(held_out[held_out.len() - 4], best, "three evaluations after the best one");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut first = trainer(options());
    run(&mut first, 1);
    first.save(&path).unwrap();
    let refused = |trainer: Trainer, path: &Path| trainer.resume(path).unwrap_err();
    let error = refused(trainer(options().learning_rate(2e-3)), &path);
    assert!(matches!(error, CheckpointError::Foreign { what: "options" }), "{error}");
    let error = refused(trainer(options()).with_held_out(rows(4, 9)).unwrap(), &path);
    assert!(matches!(error, CheckpointError::Foreign { what: "rows" }), "{error}");

    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(refused(trainer(options()), &path), CheckpointError::Damaged { .. }));
}

#[test]
fn what_cannot_be_trained_is_refused_before_the_first_step() {
    let refuse = |model: &str, rows: Examples, options: TrainOptions| {
        let model = Model::open(fixture(&format!("models/{model}"))).unwrap();
        Trainer::new(model, rows, options.build().unwrap()).unwrap_err()
    };
    let row = |ids: Vec<u32>, label| {
        Examples::new(vec![Example {
            sequence: Sequence { types: vec![0; ids.len()], ids },
            label,
            group: 0,
            user: None,
        }])
    };
    let classifier = "bert-classifier";
    assert!(matches!(refuse(classifier, Examples::new(vec![]), options()), TrainError::NoRows));
    assert!(matches!(refuse("bert", rows(4, 1), options()), TrainError::Classes { got: 0, .. }));
    assert!(matches!(refuse(classifier, row(vec![2, 61], 0.0), options()), TrainError::Row { row: 0, .. }));
    assert!(matches!(refuse(classifier, row(vec![], 0.0), options()), TrainError::Row { row: 0, .. }));
    assert!(matches!(refuse(classifier, row(vec![2; 65], 0.0), options()), TrainError::Row { row: 0, .. }));
    assert!(matches!(refuse(classifier, row(vec![2], 3.0), options()), TrainError::Label { row: 0, .. }));
    assert!(matches!(refuse(classifier, row(vec![2], 0.5), options()), TrainError::Label { row: 0, .. }));
    let listwise = TrainOptions::new(Loss::Listwise);
    assert!(matches!(refuse("roberta-classifier", row(vec![2], 0.0), listwise), TrainError::Label { row: 0, .. }));
    let frozen = options().frozen(Frozen::Layers(3));
    assert!(matches!(refuse(classifier, rows(4, 1), frozen), TrainError::FrozenLayers { asked: 3, has: 2 }));
    assert!(options().learning_rate(f64::NAN).build().is_err());
    assert!(options().batch(0).build().is_err());
}
