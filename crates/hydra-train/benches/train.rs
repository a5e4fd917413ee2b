//! How fast a body is trained, and how far that is from what its matrix products alone would take; and what labels of one new
//! user cost beside the language model.
//!
//! `--json` prints one object; `--model FOLDER` takes another encoder than the one that `cargo xtask setup` fetched.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench answers on standard output")]

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use hydra_llm::{FenceKey, ScriptedClient, Template, TemplateParts, block_on};
use hydra_train::{
    Config, Example, Examples, FitView, History, LabelPlan, LabelSet, Loss, Marking, Model, PseudoQuery, Sequence,
    TrainOptions, Trainer, rerank_labels,
};
use hydra_types::{Generation, Record, RecordId, Scope, Time, UserId};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let named = arguments.iter().position(|argument| argument == "--model").and_then(|at| arguments.get(at + 1));
    let folder = named.map_or_else(|| hydra_testkit::fetched("encoder"), Into::into);
    let model = Model::open(folder).unwrap().with_classifier(2, 1).unwrap();
    let config = model.config().clone();
    let mut trainer = trainer(model);

    // In turn, so that both see the same machine.
    let (mut steps, mut products) = (Vec::new(), Vec::new());
    trainer.step().unwrap().expect("the run has steps left");
    for _ in 0..ROUNDS {
        steps.push(seconds(|| assert!(trainer.step().unwrap().is_some(), "the run has steps left")));
        products.push(seconds(|| matrix_products(&config)));
    }
    let (step, products) = (median(steps), median(products));
    let (tokens_per_s, share) = ((BATCH * SEQ) as f64 / step, products / step);
    let (calls, labels) = labels();
    if arguments.iter().any(|argument| argument == "--json") {
        let object = serde_json::json!({
            "train_tokens_per_s": tokens_per_s,
            "train_share_of_matmul_limit": share,
            "fit_labels_calls": calls,
            "fit_labels_beside_model_ms": labels,
        });
        println!("{object}");
    } else {
        println!("batch {BATCH} x {SEQ}, everything trained, AdamW; median of {ROUNDS} steps");
        println!("tokens a second              {tokens_per_s:>8.0}");
        println!("a step                       {step:>8.2} s");
        println!("its matrix products alone    {products:>8.2} s");
        println!("share of the limit           {share:>8.2}");
        println!("labels of one new user       {labels:>8.2} ms beside the model's time for {calls} calls");
    }
}

/// Labels of one new user by the paper's plan, from a model that answers at once: how many calls, and milliseconds that are
/// not the model's.
fn labels() -> (usize, f64) {
    let record = |id: u8| {
        let tag = if id.is_multiple_of(3) { "crime" } else { "drama" };
        Record::new(RecordId::new(id.into()), Time::from_unix_millis(id.into()), format!("a film about {id}"), tag)
    };
    let history = History::new(Scope::acting_for(UserId::new(1)), Generation::FIRST, (1..=30).map(record).collect());
    let views = [FitView::of_all(history.unwrap())];
    let template = Template::new(TemplateParts {
        system: "Answer with one tag.".into(),
        user: "{{history}}\n{{query}}".into(),
        input_name: "film".into(),
        output_name: "tag".into(),
    });
    let plan = LabelPlan::paper(template.unwrap(), FenceKey::new([7; 32]));
    let tags = LabelSet::new(["crime", "drama"]).unwrap();
    let mut newest =
        |query: &PseudoQuery<'_>, most: usize| Ok(query.earlier().iter().rev().take(most).map(Record::id).collect());
    let (mut calls, mut took) = (0, Vec::new());
    for _ in 0..ROUNDS {
        let model = ScriptedClient::answering(["crime"; 100]);
        took.push(seconds(|| {
            let labels = rerank_labels(&model, &views, &mut newest, &plan, Marking::Classes(&tags));
            calls = block_on(labels).unwrap().rows.len();
        }));
    }
    (calls, 1e3 * median(took))
}

/// Rows of random tokens, all of one length.
fn trainer(model: Model) -> Trainer {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let vocab = u32::try_from(model.config().vocab).unwrap();
    let mut row = |row: usize| Example {
        sequence: Sequence { ids: (0..SEQ).map(|_| rng.random_range(1..vocab)).collect(), types: vec![0; SEQ] },
        label: f32::from(row % 2 == 1),
        group: row as u64,
        user: None,
    };
    let rows = (0..BATCH).map(&mut row).collect();
    let epochs = ROUNDS as u64 + 1;
    let options = TrainOptions::new(Loss::two_classes()).batch(BATCH).epochs(epochs);
    Trainer::new(model, Examples::new(rows), options.build().unwrap()).unwrap()
}

/// Every product of matrices of one step: forward, and twice as many backward, of the linear maps and of attention.
fn matrix_products(config: &Config) {
    let device = Device::flex();
    let random = |rows, columns| Tensor::<2>::random([rows, columns], Distribution::Default, &device);
    let (tokens, hidden, wide) = (BATCH * SEQ, config.hidden, config.intermediate);
    let linear = |into, out, times| {
        let (x, weight, gradient) = (random(tokens, into), random(out, into), random(tokens, out));
        for _ in 0..times {
            std::hint::black_box(x.clone().matmul(weight.clone().transpose()));
            std::hint::black_box(gradient.clone().matmul(weight.clone()));
            std::hint::black_box(gradient.clone().transpose().matmul(x.clone()));
        }
    };
    linear(hidden, hidden, 4 * config.n_layers);
    linear(hidden, wide, config.n_layers);
    linear(wide, hidden, config.n_layers);

    let shape = [BATCH, config.n_heads, SEQ, config.hidden / config.n_heads];
    let heads = || Tensor::<4>::random(shape, Distribution::Default, &device);
    let (query, key, value) = (heads(), heads(), heads());
    let scores = query.clone().matmul(key.clone().swap_dims(2, 3));
    for _ in 0..config.n_layers {
        std::hint::black_box(query.clone().matmul(key.clone().swap_dims(2, 3)));
        std::hint::black_box(scores.clone().matmul(value.clone()));
        // Backward: two products for each of the two.
        for other in [&key, &value] {
            std::hint::black_box(scores.clone().matmul(other.clone()));
        }
        std::hint::black_box(scores.clone().swap_dims(2, 3).matmul(query.clone()));
        std::hint::black_box(value.clone().matmul(key.clone().swap_dims(2, 3)));
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

const BATCH: usize = 16;
const SEQ: usize = 128;
const ROUNDS: usize = 5;
