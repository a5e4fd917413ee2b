//! `cargo xtask bench`: each benchmark is a bench target of the crate that owns what it measures.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::{cargo, export, setup};

/// Measure against the alternative, in one run.
///
/// Prints a table, or one JSON object with `--json`. Further options are the benchmark's own:
/// `cargo xtask bench encode -- --help`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    name: Name,
    /// Handed to the benchmark as they are: `--json`, `--help`, and its own.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// The sentence encoder: length-bucketed against naive batches, int8 against fp32.
    Encode,
    /// Heads: scoring, fitting, packing and the resident set.
    Heads,
    /// The language model: prefill and decode for each weight type, several answers, shared beginnings, label calls; with
    /// `--llama-bin FILE`, llama.cpp on the same file in the same run.
    Lm,
    /// The whole pipeline beside its models: what an answer costs outside the body, the encoder and the language model.
    Pipeline,
    /// The personal reranker: many users in one call against a loop over them, and what being personal costs; then training
    /// its body, as `train` measures it.
    Rerank,
    /// Search in one user's records and in a shared corpus: against `hnsw_rs` and against reading memory.
    Retrieval,
    /// The store: durable appends, opening, cold reads, forgetting.
    Store,
    /// Training a body: tokens a second, and its share of what the matrix products alone would allow.
    Train,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let (package, target) = match args.name {
        Name::Encode => ("hydra-onnx", "encode"),
        Name::Heads => ("hydra-heads", "heads"),
        Name::Lm => ("hydra-lm", "lm"),
        Name::Pipeline => ("hydra-ml", "pipeline"),
        Name::Rerank => ("hydra-rerank", "rerank"),
        Name::Retrieval => ("hydra-retrieval", "retrieval"),
        Name::Store => ("hydra-store", "store"),
        Name::Train => ("hydra-train", "train"),
    };
    let mut own = Vec::new();
    if matches!(args.name, Name::Train) {
        setup::run_default()?;
    }
    if matches!(args.name, Name::Encode | Name::Rerank) {
        setup::run_default()?;
        for (option, precision) in [("--bundle", "fp32"), ("--int8", "int8"), ("--int8-per-row", "int8-per-row")] {
            if !args.args.iter().any(|arg| arg == option) {
                own.extend([option.into(), export::encoder_bundle(precision)?.into_os_string()]);
            }
        }
    }
    if matches!(args.name, Name::Lm) {
        setup::run_default()?;
        own.extend(["--gguf".into(), export::language_model_file().into_os_string()]);
        for precision in ["fp32", "int8", "int4"] {
            own.extend(["--bundle".into(), export::language_model_bundle(precision)?.into_os_string()]);
        }
    }
    let mut bench = built(package, target)?;
    bench.args(&own).args(&args.args);
    let asked = |option: &str| args.args.iter().any(|arg| arg == option);
    if !matches!(args.name, Name::Rerank) || asked("--help") {
        return cargo::run(&mut bench);
    }
    // What it takes to make the reranker belongs to what it is worth, and nothing that reranks may depend on training.
    let mut training = built("hydra-train", "train")?;
    if !asked("--json") {
        cargo::run(&mut bench)?;
        return cargo::run(&mut training);
    }
    let object = |bench: &mut Command| -> Result<Map<String, Value>> {
        serde_json::from_slice(&cargo::output(bench)?).context("the bench printed no object")
    };
    let mut report = object(&mut bench)?;
    report.extend(object(training.arg("--json"))?);
    println!("{}", Value::Object(report));
    Ok(())
}

/// A bench, to be run from here and not through `cargo bench`, so that relative paths mean what the user meant.
fn built(package: &str, target: &str) -> Result<Command> {
    let mut build = cargo::cargo(["bench", "--no-run", "-p", package, "--bench", target]);
    Ok(Command::new(cargo::built_executable(&mut build, target)?))
}
