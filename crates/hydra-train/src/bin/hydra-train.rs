//! The command line of hydra-train: `cargo xtask train` runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line answers on standard output")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use hydra_train::{
    Curve, Device, Example, Examples, Frozen, Loss, Model, Schedule, Sequence, StepReport, Task, TrainOptions, Trainer,
    UserHeads,
};
use hydra_types::UserId;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use tokenizers::{Encoding, Tokenizer, TruncationParams, TruncationStrategy};

/// Train what everybody shares.
#[derive(Parser)]
#[command(name = "hydra-train", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a reranker's body: a cross-encoder with one score for each pair of a query and a text
    ///
    /// ROWS is a file of JSON lines, {"query": "..", "text": "..", "label": 1, "group": 7}: rows of a group are compared with
    /// each other, and labels say how useful the text is.
    #[command(after_long_help = RERANKER_EXAMPLES)]
    Reranker(Training),
    /// Train an adapter's body: how likely is it that this user would have chosen this answer?
    ///
    /// ROWS is a file of JSON lines, {"query": "..", "text": "..", "label": 1, "group": 7, "user": 3}: the query with what
    /// was shown beside it, a candidate, and whether the user would have chosen it; a group is the candidates of one query.
    #[command(after_long_help = ADAPTER_EXAMPLES)]
    Adapter(Training),
}

#[derive(clap::Args)]
struct Training {
    /// File of JSON lines
    rows: PathBuf,

    /// Where the trained model goes, a folder that `cargo xtask export-onnx` takes. Beside the weights lie loss.csv and
    /// loss.svg and, while it runs, the checkpoint from which an interrupted run goes on by the same command, to the same
    /// bytes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The encoder, or a trained reranker, to begin with [default: the encoder that `cargo xtask setup` fetched]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,

    /// What is minimised
    #[arg(long, value_enum, default_value = "listwise")]
    loss: LossName,

    /// How often every row is seen
    #[arg(long, default_value_t = 2)]
    epochs: u64,

    /// Groups of one step; rows, with two-classes
    #[arg(long, default_value_t = 16)]
    batch: usize,

    /// The greatest learning rate; it rises for a tenth of the steps and falls along a cosine
    #[arg(long, default_value_t = 5e-5)]
    learning_rate: f64,

    /// Tokens of a pair at most; the longer of the two texts is cut
    #[arg(long, default_value_t = 192)]
    max_tokens: usize,

    /// Leave the tables and this many of the lowest layers as they are, and keep in memory what they give
    #[arg(long, default_value_t = 0)]
    frozen_layers: usize,

    /// One group in so many is held out; where rows name users, one user in so many. The weights that are kept are those
    /// with the lowest held-out loss
    #[arg(long, default_value_t = 10)]
    hold_out: usize,

    /// File of the rows that are held out; those of ROWS are all learned from then. No user may be in both
    #[arg(long, value_name = "FILE", conflicts_with = "hold_out")]
    held_out: Option<PathBuf>,

    /// Steps between two looks at the held-out rows; ten looks that bring nothing end the training
    #[arg(long, default_value_t = 10)]
    evaluate_every: u64,

    /// Train a head for every user beside the body, at this greatest learning rate: what users differ in need not be in the
    /// body then. The heads are not kept: a user's own is fitted where people are served
    #[arg(long, value_name = "RATE")]
    user_heads: Option<f64>,

    /// Where the order of the rows and new weights begin
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Where to train: cpu, or cuda, cuda:1 and so on in a program that was built with the feature `cuda`
    #[arg(long, default_value_t)]
    device: Device,
}

#[derive(Clone, Copy, ValueEnum)]
enum LossName {
    /// Softmax over a group
    Listwise,
    /// Logistic loss on differences within a group
    Pairwise,
    /// Cross-entropy; labels are 0 and 1
    TwoClasses,
}

#[derive(Deserialize)]
struct Row {
    query: String,
    text: String,
    label: f32,
    group: u64,
    user: Option<u128>,
}

fn main() -> Result<()> {
    let (Command::Reranker(training) | Command::Adapter(training)) = Arguments::parse().command;
    train(&training)
}

fn train(arguments: &Training) -> Result<()> {
    let folder = match &arguments.model {
        Some(folder) => folder.clone(),
        None => fetched_encoder()?,
    };
    let (loss, classes) = match arguments.loss {
        LossName::Listwise => (Loss::Listwise, 1),
        LossName::Pairwise => (Loss::Pairwise, 1),
        LossName::TwoClasses => (Loss::two_classes(), 2),
    };
    let model = classifier(&folder, classes, arguments.seed)?;
    let tokenizer = tokenizer(&folder, arguments.max_tokens.min(model.config().max_tokens()))?;
    let examples = |rows: &Path| examples(rows, &tokenizer, model.config().padding_id);
    let rows = examples(&arguments.rows)?;
    let (learned, held_out) = match &arguments.held_out {
        Some(held_out) => apart(rows, examples(held_out)?)?,
        None => split(rows, arguments.hold_out)?,
    };
    let tokens: usize = learned.iter().map(|row| row.sequence.ids.len()).sum();
    println!("{} rows to learn from, {} held out, {tokens} tokens an epoch", learned.len(), held_out.len());

    let frozen = match arguments.frozen_layers {
        0 => Frozen::Nothing,
        layers => {
            println!("running the frozen layers once; the bar begins after them");
            Frozen::LayersKept(layers)
        }
    };
    let user_heads = match arguments.user_heads {
        Some(learning_rate) => {
            ensure!(learned.iter().all(|row| row.user.is_some()), "--user-heads: every row must name its user");
            UserHeads::Linear { learning_rate, weight_decay: HEAD_DECAY }
        }
        None => UserHeads::None,
    };
    let mut options = TrainOptions::new(loss)
        .device(arguments.device)
        .user_heads(user_heads)
        .learning_rate(arguments.learning_rate)
        .schedule(Schedule::Cosine, 0.1)
        .batch(arguments.batch)
        .epochs(arguments.epochs)
        .frozen(frozen)
        .seed(arguments.seed)
        .early_stopping(arguments.evaluate_every, PATIENCE);
    if arguments.device != Device::Cpu {
        options = options.max_tokens(PASS_OF_A_GPU);
    }
    let mut trainer =
        Trainer::new(model, Examples::new(learned), options.build()?)?.with_held_out(Examples::new(held_out))?;

    fs::create_dir_all(&arguments.out).with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let checkpoint = arguments.out.join("checkpoint.safetensors");
    if checkpoint.is_file() {
        let failed = || format!("to begin anew, remove {}", checkpoint.display());
        trainer = trainer.resume(&checkpoint).with_context(failed)?;
        println!("going on at step {}", trainer.curve().points().len());
    }
    run(&mut trainer, &checkpoint)?;
    write_curve(trainer.curve(), &arguments.out)?;
    trainer.into_model().save(&arguments.out)?;
    fs::remove_file(&checkpoint).ok();
    println!("{} written", arguments.out.display());
    Ok(())
}

/// What the folder holds, with a new classifier if it is an encoder.
fn classifier(folder: &Path, classes: usize, seed: u64) -> Result<Model> {
    let model = Model::open(folder)?;
    if model.task() == Task::Encode {
        return Ok(model.with_classifier(classes, seed)?);
    }
    let fits = model.task() == Task::Classify { classes };
    ensure!(fits, "{} has not the number of classes that this loss needs, which is {classes}", folder.display());
    Ok(model)
}

fn run(trainer: &mut Trainer, checkpoint: &Path) -> Result<()> {
    let bar = ProgressBar::new(trainer.steps());
    let template = "{bar:30} {pos}/{len} {msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is valid"));
    let mut held_out = None;
    while let Some(report) = trainer.step()? {
        held_out = report.held_out.or(held_out);
        bar.set_position(report.step);
        bar.set_message(message(&report, held_out));
        // In a file, lines.
        if bar.is_hidden() && report.step.is_multiple_of(CHECKPOINT_EVERY) {
            println!("{}/{} {}", report.step, report.steps, message(&report, held_out));
        }
        if report.step.is_multiple_of(CHECKPOINT_EVERY) {
            trainer.save(checkpoint)?;
        }
    }
    bar.abandon();
    let points = trainer.curve().points();
    let best = points.iter().filter_map(|point| point.held_out).fold(f64::INFINITY, f64::min);
    println!("{} steps, lowest held-out loss {best:.4}", points.len());
    Ok(())
}

fn message(report: &StepReport, held_out: Option<f64>) -> String {
    let held_out = held_out.map_or_else(String::new, |loss| format!(" held out {loss:.4}"));
    let seconds = report.remaining().as_secs();
    let (rate, minutes, seconds) = (report.tokens_per_second(), seconds / 60, seconds % 60);
    format!("loss {:.4}{held_out} {rate:.0} tokens/s {minutes}:{seconds:02} left", report.loss)
}

fn write_curve(curve: &Curve, out: &Path) -> Result<()> {
    fs::write(out.join("loss.csv"), curve.to_csv())?;
    curve.write_svg(out.join("loss.svg"))?;
    Ok(())
}

fn tokenizer(folder: &Path, max_length: usize) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    let failed = |error: tokenizers::Error| anyhow::anyhow!("{error}");
    let mut tokenizer =
        Tokenizer::from_file(&path).map_err(failed).with_context(|| format!("no tokenizer in {}", folder.display()))?;
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length, strategy: TruncationStrategy::LongestFirst, ..Default::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(failed)?;
    // A text that says "[SEP]" has not ended.
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

/// A pair's tokens.
///
/// SentencePiece has special tokens among its pieces, whatever the tokenizer is told: those of a text are left out, as
/// `hydra-onnx` does.
fn sequence(pair: &Encoding, padding: usize) -> Sequence {
    let (ids, mask) = (pair.get_ids(), pair.get_special_tokens_mask());
    let mut special: Vec<u32> = ids.iter().zip(mask).filter(|(_, special)| **special == 1).map(|(id, _)| *id).collect();
    special.extend(u32::try_from(padding));
    let tokens = ids.iter().zip(pair.get_type_ids()).zip(mask);
    let tokens = tokens.filter(|((id, _), added)| **added == 1 || !special.contains(id));
    let (ids, types) = tokens.map(|((&id, &kind), _)| (id, kind)).unzip();
    Sequence { ids, types }
}

fn examples(rows: &Path, tokenizer: &Tokenizer, padding: usize) -> Result<Vec<Example>> {
    let text = fs::read_to_string(rows).with_context(|| format!("cannot read {}", rows.display()))?;
    let mut examples = Vec::new();
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        let row: Row = serde_json::from_str(text).with_context(|| format!("line {line} is not a row"))?;
        let pair = tokenizer.encode((row.query, row.text), true);
        let pair = pair.map_err(|_| anyhow::anyhow!("the texts of line {line} cannot be tokenised"))?;
        let (sequence, user) = (sequence(&pair, padding), row.user.map(UserId::new));
        examples.push(Example { sequence, label: row.label, group: row.group, user });
    }
    ensure!(!examples.is_empty(), "{} has no rows", rows.display());
    let named = examples.iter().filter(|example| example.user.is_some()).count();
    ensure!(
        named == 0 || named == examples.len(),
        "{named} of {} rows name their user: name the user of every row, or of none: {}",
        examples.len(),
        rows.display()
    );
    Ok(examples)
}

/// The rows of both files, which share no user.
fn apart(learned: Vec<Example>, held_out: Vec<Example>) -> Result<(Vec<Example>, Vec<Example>)> {
    let users = |rows: &[Example]| -> BTreeSet<UserId> { rows.iter().filter_map(|row| row.user).collect() };
    let shared = users(&learned).intersection(&users(&held_out)).count();
    ensure!(
        shared == 0,
        "{shared} users of --held-out are learned from too, so that it would not say how strangers fare: put all rows of a user into one of the files, or leave --held-out out and let --hold-out split ROWS by user"
    );
    Ok((learned, held_out))
}

/// Every so many-th user or group, in order of their numbers, is held out.
fn split(examples: Vec<Example>, hold_out: usize) -> Result<(Vec<Example>, Vec<Example>)> {
    ensure!(hold_out > 1, "--hold-out {hold_out}: give at least 2");
    let by_user = examples.iter().all(|example| example.user.is_some());
    let mut parts: BTreeMap<u128, Vec<Example>> = BTreeMap::new();
    for example in examples {
        let part = example.user.filter(|_| by_user).map_or(u128::from(example.group), UserId::get);
        parts.entry(part).or_default().push(example);
    }
    let kind = if by_user { "users" } else { "groups" };
    ensure!(parts.len() >= hold_out, "fewer {kind} than --hold-out {hold_out}: give a smaller number");
    let (mut learned, mut held_out) = (Vec::new(), Vec::new());
    for (number, rows) in parts.into_values().enumerate() {
        if number % hold_out == hold_out - 1 { held_out.extend(rows) } else { learned.extend(rows) }
    }
    Ok((learned, held_out))
}

/// `.hydra/encoder` of the checkout that the command runs in.
fn fetched_encoder() -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let found = here.ancestors().map(|folder| folder.join(".hydra/encoder")).find(|folder| folder.is_dir());
    match found {
        Some(folder) => Ok(folder),
        None => bail!("no encoder fetched: run `cargo xtask setup`, or name a folder with --model"),
    }
}

const PATIENCE: usize = 10;
const CHECKPOINT_EVERY: u64 = 10;
/// Tokens that fill one, and of which attention in a model of 12 heads takes some hundred megabytes a layer.
const PASS_OF_A_GPU: usize = 16_384;
/// What holds users' heads to the one that all share.
const HEAD_DECAY: f32 = 0.01;
const RERANKER_EXAMPLES: &str = "\
Examples:
  hydra-train reranker rows.jsonl --out target/hydra/reranker-folder
      train the fetched encoder on the rows, softmax over each group
  hydra-train reranker rows.jsonl --out target/hydra/reranker-folder --frozen-layers 4
      the same with only the two upper layers of six trained: three times as fast an epoch
  hydra-train reranker more.jsonl --held-out other.jsonl --model target/hydra/reranker-folder --out target/hydra/better
      train it further on rows that mean more, and keep what is best on rows of another file";
const ADAPTER_EXAMPLES: &str = "\
Examples:
  hydra-train adapter rows.jsonl --out target/hydra/adapter-folder --loss two-classes --batch 32
      train the fetched encoder on the rows with the HYDRA paper's loss, cross-entropy of two classes
  hydra-train adapter rows.jsonl --out target/hydra/adapter-folder --user-heads 1e-3
      softmax over the candidates of each query, with a head for every user beside the body";
