//! `hydra eval`: every method on a task, in one table.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::ValueEnum;
use hydra_llm::{Cassette, CassetteMode, KeyScope, block_on};
use hydra_lm::{LanguageModel, LmOptions, LocalClient};
use hydra_ml::experiment::{ExperimentPlan, ExperimentTask, run as experiment};
use hydra_onnx::{Bundle, Encoder, EncoderOptions};
use hydra_train::{Audit, History, Split, Splitter};
use hydra_types::{Generation, Scope};

use crate::progress::{Counted, Shown};

/// Compare HYDRA with every simpler way, on users that nothing was learned from but their own past.
///
/// Labels are made, heads fitted, and every test query is asked by every method; the table has an interval at every number.
/// Answers of the language model are kept in the cassette: a run that was cut off goes on where it stopped, and a run from
/// a full cassette asks nothing.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES, args_override_self = true)]
pub(crate) struct Eval {
    /// What is asked
    #[arg(long, value_enum, default_value = "movielens")]
    task: TaskName,

    /// Folder with the task's data
    #[arg(long, value_name = "DIR", default_value = ".hydra/movielens")]
    data: PathBuf,

    /// Bundle of the language model in this process
    #[arg(long, value_name = "DIR", default_value = "target/hydra/smollm2-135m-instruct-int8")]
    lm: PathBuf,

    /// Bundle of the sentence encoder that features come from
    #[arg(long, value_name = "DIR", default_value = "target/hydra/all-minilm-l6-v2")]
    encoder: PathBuf,

    /// File of recorded answers; it grows by what it lacks
    #[arg(long, value_name = "FILE")]
    cassette: PathBuf,

    /// Ask nothing: what the cassette lacks is an error
    #[arg(long)]
    replay: bool,

    /// Users whose whole history may be learned from
    #[arg(long, default_value_t = 100)]
    train_users: usize,

    /// Users who are asked
    #[arg(long, default_value_t = 300)]
    test_users: usize,

    /// What each of them is asked: their newest records
    #[arg(long, default_value_t = 1)]
    targets: usize,

    /// Records of a training user that are asked for labels
    #[arg(long, default_value_t = 10)]
    train_queries: usize,

    /// Records of a test user's past that are asked for labels
    #[arg(long, default_value_t = 10)]
    test_queries: usize,

    /// Retrieved records that each of them is tried with
    #[arg(long, default_value_t = 10)]
    tried: usize,

    /// Of every draw
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Where table.json, table.csv and a picture for each metric go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the table as JSON
    #[arg(long)]
    json: bool,

    /// Say what it would take, and stop
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum TaskName {
    /// MovieLens 100K: which rating does this user give to this film?
    Movielens,
}

const EXAMPLES: &str = "\
Examples:
  What it would take:      cargo xtask eval --cassette my.cassette --dry-run
  A small run:             cargo xtask eval --cassette my.cassette --train-users 10 --test-users 20 --test-queries 2 --tried 2
  Again, asking nothing:   cargo xtask eval --cassette my.cassette --replay ...";

pub(crate) fn run(eval: &Eval) -> Result<()> {
    let TaskName::Movielens = eval.task;
    let task = ExperimentTask::movielens()?;
    let split = movielens(eval)?;
    let mut plan = ExperimentPlan::default();
    plan.seed = eval.seed;
    plan.train_queries = eval.train_queries;
    plan.test_queries = eval.test_queries;
    plan.tried = eval.tried;

    let calls = expected_calls(eval);
    eprintln!(
        "{} training users, {} test users with {} queries each, all of them disjoint; at most {calls} calls",
        split.train.len(),
        split.test.len(),
        eval.targets
    );
    let leaks = Audit::of(&split).leaks();
    eprintln!("the audit of the split finds {} leaks", leaks.len());
    if eval.dry_run {
        eprintln!("about {} tokens, at some {TOKENS_A_CALL} a call", calls * TOKENS_A_CALL);
        return Ok(());
    }

    let bundle = Bundle::open(&eval.encoder).context("cannot open the encoder: `cargo xtask export-onnx` makes it")?;
    let mut body = Encoder::open(&bundle, &EncoderOptions::default())?;
    let model = LanguageModel::open(&eval.lm, &LmOptions::default())
        .context("cannot open the language model: `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision int8` makes it")?;
    let (model, asked) = Counted::new(LocalClient::new(model)?);
    let mode = if eval.replay { CassetteMode::Replay } else { CassetteMode::Record };
    let cassette = Cassette::open(model, &eval.cassette, mode, KeyScope::User)?;
    eprintln!("{} answers are recorded", cassette.recorded_at_open());
    let client = Shown::new(cassette, calls);
    let begin = Instant::now();
    let result = block_on(experiment(&split, &task, &plan, &mut body, &client))?;
    client.finish();

    let took = begin.elapsed().as_secs_f64();
    let labels = result.labels;
    eprintln!("{} calls to the model in {took:.0} s; the others were recorded", asked.load(Ordering::Relaxed));
    eprintln!(
        "labels: {} calls, {} failed, {} tokens; reranker {} of {} rows positive, adapter {} of {}",
        labels.calls,
        labels.failed,
        labels.tokens,
        labels.rerank_positives,
        labels.rerank_rows,
        labels.adapt_positives,
        labels.adapt_rows
    );
    eprintln!(
        "heads of their own: {} rerankers, {} adapters of {} test users; the others have the prior head",
        result.own_rerankers,
        result.own_adapters,
        split.test.len()
    );
    let json = serde_json::to_string_pretty(&result.table)?;
    if let Some(out) = &eval.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("table.json"), &json)?;
        fs::write(out.join("table.csv"), result.table.to_csv())?;
        for (place, metric) in result.table.metrics.iter().enumerate() {
            if let Some(svg) = result.table.to_svg(place) {
                fs::write(out.join(format!("{}.svg", metric.name.to_lowercase())), svg)?;
            }
        }
        eprintln!("wrote {}", out.display());
    }
    if eval.json {
        println!("{json}");
    } else {
        println!("{}", result.table);
    }
    Ok(())
}

fn movielens(eval: &Eval) -> Result<Split> {
    let mut raters = hydra_eval::load_movielens(Path::new(&eval.data))?;
    raters.retain(|rater| !PROMPT_USERS.contains(&rater.user.get()));
    let history = |mut rater: hydra_eval::Rater| {
        // Some films are listed under two numbers: who rated both would be asked what their history answers.
        let mut seen = BTreeSet::new();
        rater.records.retain(|record| seen.insert(record.input().to_owned()));
        History::new(Scope::acting_for(rater.user), Generation::FIRST, rater.records)
    };
    let histories = raters.into_iter().map(history).collect::<Result<Vec<_>, _>>()?;
    let mut split = Splitter::new(eval.test_users, eval.targets, eval.seed).split(histories)?;
    split.train.truncate(eval.train_users);
    Ok(split)
}

/// At most: a user with a short history is asked less.
fn expected_calls(eval: &Eval) -> u64 {
    let queries = eval.train_users * eval.train_queries + eval.test_users * eval.test_queries;
    let labels = queries * (eval.tried + 1);
    let evaluation = eval.test_users * (eval.targets * METHODS_THAT_ASK + 1);
    (labels + evaluation) as u64
}

/// The prompt's wording was chosen on these users; they are neither trained on nor asked.
const PROMPT_USERS: RangeInclusive<u128> = 301..=340;
/// Six prompts without a summary, one with; greedy from reranked records; candidates from both.
const METHODS_THAT_ASK: usize = 10;
/// Of prompt and answer, on MovieLens.
const TOKENS_A_CALL: u64 = 200;
