//! The command line of hydra-export: `cargo xtask export-onnx` runs it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line answers on standard output")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use hydra_export::{
    DecoderOptions, DecoderPrecision, ExportOptions, Folder, Gguf, Precision, Stage, Task, Weights, check, export,
    export_decoder,
};
use hydra_onnx::Manifest;
use indicatif::{ProgressBar, ProgressStyle};

/// Export an encoder or a cross-encoder to ONNX, and prove that the export computes the same.
///
/// FOLDER holds config.json, tokenizer.json and model.safetensors (or shards with their index), as they are published or as
/// hydra-train saves them: BERT, MiniLM, RoBERTa, XLM-R, DistilBERT or MPNet, sentence encoders and sequence classifiers.
/// The bundle that is written holds model.onnx, tokenizer.json and manifest.json, and is what hydra-onnx opens. That of a
/// classifier is a body with its prior head: its graph gives logits, and the features from which they are made.
///
/// The graph is run on ONNX Runtime against an independent forward pass. Where they differ by more than 1e-5, or where
/// fewer bits change the order of sentence similarities (Kendall tau below 0.97) or the vectors (mean cosine below
/// 0.995), nothing is written and the exit code is 1.
#[derive(Parser)]
#[command(name = "hydra-export", version, after_long_help = EXAMPLES)]
struct Arguments {
    /// Model folder [default: the encoder that `cargo xtask setup` fetched]
    folder: Option<PathBuf>,

    /// Export a language model (llama, qwen2) from this GGUF file instead; --precision is fp32, int8 or int4 then
    #[arg(long, value_name = "FILE.gguf", conflicts_with_all = ["folder", "opset", "external_data", "check"])]
    lm: Option<PathBuf>,

    /// Where the bundle goes [default: target/hydra/NAME, with the precision behind it unless that is fp32]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Numbers to compute with: fp32 | fp16 (half the size, slower on a CPU) | int8 (fastest; the rows of a batch share a
    /// scale) | int8-per-row (a row's features depend on nothing but the row)
    #[arg(long, default_value = "fp32", hide_possible_values = true)]
    precision: String,

    /// Version of the ONNX operators, 17 to 21
    #[arg(long, default_value_t = 17)]
    opset: u32,

    /// Put the weights beside the graph, in model.onnx.data; from 1 GiB on they always go there
    #[arg(long)]
    external_data: bool,

    /// Write nothing: export to a temporary folder and compare every byte with the bundle that is there
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.lm {
        return export_language_model(file, &arguments);
    }
    let precision: Precision = arguments.precision.parse()?;
    let path = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => fetched_encoder()?,
    };
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => default_out(&path, precision)?,
    };
    let weights = if arguments.external_data { Weights::External } else { Weights::BySize };
    let options = ExportOptions::default().precision(precision).opset(arguments.opset).weights(weights);

    let started = Instant::now();
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}").expect("the template is valid"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message("reading the folder");
    let folder = Folder::open(&path)?;
    let on_stage = |stage: Stage| bar.set_message(stage.to_string());
    let manifest = if arguments.check {
        check(&folder, &options, &out, on_stage)
    } else {
        export(&folder, &options, &out, on_stage)
    }?;
    bar.finish_and_clear();

    let done = if arguments.check { "is what the export gives" } else { "written" };
    println!("{} {done} in {:.1} s", out.display(), started.elapsed().as_secs_f64());
    print!("{}", summary(&folder, &manifest));
    Ok(())
}

fn export_language_model(file: &Path, arguments: &Arguments) -> Result<()> {
    let precision: DecoderPrecision = arguments.precision.parse().context("with --lm: fp32, int8 or int4")?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => {
            // Links resolved: `.hydra/llm/model.gguf` is a link into a folder that has the model's name.
            let resolved = file.canonicalize().with_context(|| format!("no file {}", file.display()))?;
            let own = resolved.file_stem().filter(|stem| *stem != "model");
            let name = own.or_else(|| resolved.parent()?.file_name()).context("name the bundle with --out")?;
            let name = name.to_string_lossy().to_lowercase();
            Path::new("target/hydra").join(match precision {
                DecoderPrecision::Fp32 => name,
                _ => format!("{name}-{precision}"),
            })
        }
    };
    let started = Instant::now();
    let manifest = export_decoder(&Gguf::open(file)?, &DecoderOptions::default().precision(precision), &out)?;
    println!("{} written in {:.1} s", out.display(), started.elapsed().as_secs_f64());
    println!("  model        language model, {precision}, at most {} tokens", manifest.max_tokens());
    println!("  fingerprint  {}", manifest.fingerprint());
    print!("{}", files_and_gate(&manifest));
    Ok(())
}

/// What the bundle is and what the gate measured.
fn summary(folder: &Folder, manifest: &Manifest) -> String {
    let config = folder.config();
    let task = match folder.task() {
        Task::Classify { classes } => format!("cross-encoder and body, {classes} classes"),
        _ => {
            format!("encoder, pooling {}{}", manifest.pooling().name(), if manifest.normalize() { ", L2" } else { "" })
        }
    };
    let mut lines = format!(
        "  model        {} {task}; {} layers, hidden {}, at most {} tokens\n  fingerprint  {}\n",
        config.family,
        config.n_layers,
        config.hidden,
        manifest.max_tokens(),
        manifest.fingerprint()
    );
    lines += &files_and_gate(manifest);
    lines
}

fn files_and_gate(manifest: &Manifest) -> String {
    let mut lines = String::new();
    for (name, file) in manifest.files() {
        lines += &format!("  file         {name:<16} {:>9.2} MB\n", file.bytes as f64 / 1e6);
    }
    for measure in manifest.parity().iter().flat_map(|parity| &parity.measures) {
        let value =
            if measure.value < 0.01 { format!("{:.2e}", measure.value) } else { format!("{:.5}", measure.value) };
        lines += &format!("  gate         {:<28} {value} ({})\n", measure.name, measure.bound);
    }
    lines
}

/// `.hydra/encoder` of the checkout that the command runs in.
fn fetched_encoder() -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let found = here.ancestors().map(|folder| folder.join(".hydra/encoder")).find(|folder| folder.is_dir());
    match found {
        Some(folder) => Ok(folder),
        None => bail!("no model folder given, and no encoder fetched: run `cargo xtask setup`, or name a folder"),
    }
}

/// `target/hydra/NAME`, where the name is that of the folder, links resolved: `encoder` is a link to what was fetched.
fn default_out(folder: &Path, precision: Precision) -> Result<PathBuf> {
    let resolved = folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?;
    let name = resolved.file_name().context("name a folder, or give --out")?.to_string_lossy().to_lowercase();
    let name = if precision == Precision::Fp32 { name } else { format!("{name}-{precision}") };
    Ok(Path::new("target/hydra").join(name))
}

const EXAMPLES: &str = "\
Examples:
  hydra-export
      export the fetched encoder to target/hydra/all-minilm-l6-v2
  hydra-export --precision int8
      the same in 8 bits, to target/hydra/all-minilm-l6-v2-int8: 2.5 times as fast
  hydra-export ~/models/ms-marco-MiniLM-L-6-v2 --out bundles/reranker
      export a cross-encoder from a folder of your own
  hydra-export target/hydra/reranker-folder --out target/hydra/reranker
      export what `hydra-train reranker` saved: body and prior head in one bundle
  hydra-export --lm .hydra/llm/model.gguf --precision int8
      export the fetched language model to target/hydra/smollm2-135m-instruct-int8
  hydra-export --check
      prove that the bundle in target/hydra is what this folder gives, byte for byte";
