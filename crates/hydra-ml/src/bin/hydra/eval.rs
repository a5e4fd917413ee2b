//! `hydra eval`: every method on a task, in one table.

mod client;
mod estimate;
pub(crate) mod manifest;
mod repeat;
pub(crate) mod report;
mod rows;
pub(crate) mod task;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result};
use hydra_heads::Weights;
use hydra_llm::block_on;
use hydra_ml::experiment::{Bodies, ExperimentPlan, Labelling, adapter_rows, run as experiment};
use hydra_onnx::{Bundle, Encoder, EncoderOptions, PriorHead};
use hydra_train::Split;
use hydra_types::CandidateTemplate;

use crate::progress::Shown;
use crate::recorded::{TEST, TRAIN};
use client::Defaults;
use manifest::Manifest;
use report::Report;
use task::audited;

/// Compare HYDRA with every simpler way, on users that nothing was learned from but their own past.
///
/// Labels are made, heads fitted, and every test query is asked by every method; the table has an interval at every number.
/// Answers of the language model are kept in a cassette: a run that was cut off goes on where it stopped, and a run from
/// a full cassette asks nothing. Without an option it is the run that the repository holds the answers to.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES, args_override_self = true)]
pub(crate) struct Eval {
    #[command(flatten)]
    task: task::TaskArgs,

    #[command(flatten)]
    model: client::ModelArgs,

    #[command(flatten)]
    prices: estimate::PriceArgs,

    /// Bundle of the sentence encoder that features come from
    #[arg(long, value_name = "DIR", default_value = "target/hydra/all-minilm-l6-v2")]
    encoder: PathBuf,

    /// Bundle of a body that was trained for the adapter, and reads the records of the prompt beside the candidate:
    /// `cargo xtask train adapter` makes one. Without it the encoder reads the query and the candidate
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,

    /// Write what such a body is trained from, the training users' labels, and stop: rows for `hydra-train adapter`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["adapter", "out", "json"])]
    adapter_rows: Option<PathBuf>,

    #[command(flatten)]
    labels: LabelArgs,

    /// Of every draw
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Where table.json, table.csv and a picture for each metric go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the table as JSON
    #[arg(long)]
    json: bool,

    /// Run again what wrote this manifest.json, from its recorded answers, and say whether the same bytes come out
    #[arg(long, value_name = "FILE", exclusive = true)]
    repeat: Option<PathBuf>,

    /// Say what it would take, and stop
    #[arg(long)]
    dry_run: bool,

    /// Folder of the checkout, in which the defaults lie
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
}

/// How much is asked for labels: as much as the cassette in the repository holds the answers to. The HYDRA paper has 10 everywhere.
#[derive(clap::Args)]
struct LabelArgs {
    /// Records of a training user that are asked for the adapter's labels
    #[arg(long, default_value_t = TRAIN.adapt_queries)]
    train_queries: usize,

    /// Records of a training user that are asked for the reranker's labels
    #[arg(long, default_value_t = TRAIN.rerank_queries)]
    train_rerank_queries: usize,

    /// Retrieved records that each of these is tried with, one at a time
    #[arg(long, default_value_t = TRAIN.tried)]
    train_tried: usize,

    /// Records of a test user's past that are asked for the adapter's labels
    #[arg(long, default_value_t = TEST.adapt_queries)]
    test_queries: usize,

    /// Records of a test user's past that are asked for the reranker's labels
    #[arg(long, default_value_t = TEST.rerank_queries)]
    test_rerank_queries: usize,

    /// Retrieved records that each of these is tried with, one at a time
    #[arg(long, default_value_t = TEST.tried)]
    test_tried: usize,
}

impl LabelArgs {
    fn of_train_and_test(&self) -> (Labelling, Labelling) {
        let train = Labelling {
            rerank_queries: self.train_rerank_queries,
            tried: self.train_tried,
            adapt_queries: self.train_queries,
        };
        let test = Labelling {
            rerank_queries: self.test_rerank_queries,
            tried: self.test_tried,
            adapt_queries: self.test_queries,
        };
        (train, test)
    }
}

impl Eval {
    /// Whether the cassette in the repository has the answers to all that would be asked.
    fn is_as_recorded(&self) -> bool {
        self.task.is_as_recorded() && self.labels.of_train_and_test() == (TRAIN, TEST) && self.seed == 0
    }
}

const EXAMPLES: &str = "\
Examples:
  As it was recorded:      cargo xtask eval --json
  What it would take:      cargo xtask eval --train-users 50 --dry-run
  A small run:             cargo xtask eval --train-users 10 --test-users 20 --test-queries 2 --test-rerank-queries 2 --test-tried 2
  Again, asking nothing:   cargo xtask eval --replay ...
  The same bytes?          cargo xtask eval --repeat results/manifest.json
  A task of your own:      cargo xtask eval --task meals.json --llm-url http://localhost:8080 --llm-model a-model ...
  LaMP:                    cargo xtask eval --task lamp-2m --data lamp-2m-files ...

docs/own-task.md says how to describe a task of your own.";

pub(crate) fn run(eval: &Eval) -> Result<()> {
    if let Some(manifest) = &eval.repeat {
        return repeat::run(manifest);
    }
    let Some(Made { report, manifest, .. }) = made(eval)? else { return Ok(()) };
    if let Some(out) = &eval.out {
        report.write(manifest, out)?;
    }
    report.print(eval.json);
    Ok(())
}

/// What a run makes.
struct Made {
    report: Report,
    manifest: Manifest,
    split: Split,
}

/// Nothing, where something else than a table is wanted.
fn made(eval: &Eval) -> Result<Option<Made>> {
    let prepared = eval.task.prepare(eval.seed)?;
    let (task, split) = (&prepared.task, &prepared.split);
    let mut plan = ExperimentPlan::default();
    plan.seed = eval.seed;
    (plan.train, plan.test) = eval.labels.of_train_and_test();
    if eval.adapter.is_some() || eval.adapter_rows.is_some() {
        plan.candidate_template = CandidateTemplate::with_history();
    }
    eprintln!(
        "{}: {} training users, {} test users, all of them disjoint",
        prepared.name,
        split.train.len(),
        split.test.len()
    );
    for note in &prepared.notes {
        eprintln!("{note}");
    }
    audited(split)?;

    let defaults = Defaults { root: &eval.root, stem: eval.task.file_stem(), as_recorded: eval.is_as_recorded() };
    let model = eval.model.open(&defaults)?;
    eprintln!("{}", model.place());
    let estimate = estimate::of(split, task, &plan, &model, &eval.prices)?;
    eprintln!("{estimate}");
    if eval.dry_run {
        return Ok(None);
    }

    let (client, asked) = model.recorded()?;
    if let Some(file) = &eval.adapter_rows {
        let rows = block_on(adapter_rows(split, task, &plan, &client)).map_err(|error| model.explained(error))?;
        rows::write(&rows, file)?;
        eprintln!("{} rows: {}", rows.len(), file.display());
        return Ok(None);
    }
    let open = |folder: &PathBuf| -> Result<(Bundle, Encoder)> {
        let bundle = Bundle::open(folder)
            .with_context(|| format!("cannot open {}: `cargo xtask export-onnx` makes it", folder.display()))?;
        let encoder = Encoder::open(&bundle, &EncoderOptions::default())?;
        Ok((bundle, encoder))
    };
    let (_, mut reranker) = open(&eval.encoder)?;
    let (bundle, mut adapter) = open(eval.adapter.as_ref().unwrap_or(&eval.encoder))?;
    // An encoder that ends in a classifier was trained for something else.
    let trained = eval.adapter.as_ref().and_then(|_| bundle.prior_head());
    let adapter_prior = trained.map(|PriorHead { w1, b1, w2, b2, .. }| Weights::two_layer(&w1, &b1, &w2, &b2));
    let bodies = Bodies { adapter_prior: adapter_prior.transpose()?, ..Bodies::new(&mut reranker, &mut adapter) };
    let client = Shown::new(client, estimate.calls);
    let begin = Instant::now();
    let result = block_on(experiment(split, task, &plan, bodies, &client)).map_err(|error| model.explained(error))?;
    client.finish();
    let (asked, took) = (asked.load(Ordering::Relaxed), begin.elapsed().as_secs_f64());
    eprintln!("{asked} calls to the model in {took:.0} s; the others were recorded");
    let files = [
        ("encoder", Some(eval.encoder.join("manifest.json"))),
        ("adapter", eval.adapter.as_ref().map(|adapter| adapter.join("manifest.json"))),
        ("language-model", model.bundle().map(|bundle| bundle.join("manifest.json"))),
        (manifest::CASSETTE, Some(model.cassette().to_owned())),
    ];
    let files = files.into_iter().filter_map(|(name, path)| Some((name, path?))).chain(prepared.files);
    let manifest = Manifest::new(&prepared.name, &plan, &model.capabilities().model, split, files)?;
    Ok(Some(Made { report: Report::new(&result)?, manifest, split: prepared.split }))
}
