//! Prefill and decode speed for each weight type, several answers from one prompt, shared beginnings, label calls,
//! memory; and llama.cpp on the same file in the same run.
//!
//! `cargo xtask bench lm` exports the bundles first. `--help` lists the options.
#![allow(clippy::print_stdout, reason = "a benchmark answers on standard output")]
#![allow(clippy::cast_precision_loss, reason = "counts are small")]

mod labels;
mod llama;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use hydra_lm::{LanguageModel, LmOptions, Prompt, Sampling};
use hydra_onnx::{SessionOptions, Spinning};
use serde_json::{Map, Value, json};

use llama::Llama;

/// Measures language models.
#[derive(Parser)]
struct Arguments {
    /// A bundle of a language model, one for each weight type.
    #[arg(long = "bundle", value_name = "DIR", required = true)]
    bundles: Vec<PathBuf>,
    /// llama-bench of llama.cpp, or another of its programs beside which it lies: measured on the file of `--gguf`.
    #[arg(long, value_name = "FILE", requires = "gguf")]
    llama_bin: Option<PathBuf>,
    /// The file that the bundles were exported from.
    #[arg(long, value_name = "FILE")]
    gguf: Option<PathBuf>,
    /// How often each speed is measured; the best counts, since other work on the machine only ever adds time.
    #[arg(long, default_value = "3", value_name = "N")]
    rounds: usize,
    /// Answer with one JSON object on one line.
    #[arg(long)]
    json: bool,
    /// What cargo hands to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let rounds = arguments.rounds;
    let llama = arguments.llama_bin.as_deref().zip(arguments.gguf.as_deref());
    let llama = llama.map(|(program, file)| Llama::new(program, file)).transpose()?;

    let mut table = Map::new();
    let (mut best, mut best_bundle, mut theirs) = (Speeds::default(), None, Speeds::default());
    // What is measured last is what counts: two threads.
    for threads in [1, 2] {
        (best, theirs) = (Speeds::default(), Speeds::default());
        for bundle in &arguments.bundles {
            let mut model = open(bundle, threads, 0)?;
            let mut ours = Speeds::default();
            for _ in 0..rounds {
                ours = ours.best(speeds(&mut model)?);
                if let Some(llama) = &llama {
                    // Between our rounds, so that other work on the machine hits both.
                    theirs = theirs.best(llama.speeds(READ, WRITTEN, threads)?);
                }
            }
            table.insert(format!("{}, {threads} threads", name(bundle)?), ours.json());
            if ours.decode > best.decode {
                best_bundle = Some(bundle);
            }
            best = best.best(ours);
        }
        if llama.is_some() {
            table.insert(format!("llama.cpp, {threads} threads"), theirs.json());
        }
    }
    let over_llama = |ours: f64, theirs: f64| llama.is_some().then_some(ours / theirs);
    let bundle = best_bundle.context("something was measured")?;
    let mut model = open(bundle, 2, 0)?;
    let n8_over_8_requests = n8_over_8_requests(&mut model, rounds)?;
    let rss = resident_mib();
    drop(model);
    let result = json!({
        "prefill_tps": best.prefill,
        "decode_tps": best.decode,
        "n8_over_8_requests": n8_over_8_requests,
        "prefix_speedup": prefix_speedup(bundle, rounds)?,
        "prefill_over_llama": over_llama(best.prefill, theirs.prefill),
        "decode_over_llama": over_llama(best.decode, theirs.decode),
        "rss_mib": rss,
        "threads": 2,
        "speeds": table,
        "label_calls_per_s": labels::calls(&arguments.bundles, rounds)?,
    });
    if arguments.json {
        println!("{result}");
    } else {
        println!("{result:#}");
    }
    Ok(())
}

/// Tokens a second.
#[derive(Clone, Copy, Default)]
struct Speeds {
    prefill: f64,
    decode: f64,
}

impl Speeds {
    fn best(self, other: Self) -> Self {
        Self { prefill: self.prefill.max(other.prefill), decode: self.decode.max(other.decode) }
    }

    fn json(self) -> Value {
        json!({ "prefill_tps": self.prefill, "decode_tps": self.decode })
    }
}

fn name(bundle: &Path) -> Result<String> {
    Ok(bundle.file_name().context("a bundle has a name")?.to_string_lossy().into_owned())
}

fn open(bundle: &Path, threads: usize, prefix_tokens: usize) -> Result<LanguageModel> {
    let threads = NonZeroUsize::new(threads).context("a thread")?;
    // llama.cpp's threads wait actively, too.
    let session = SessionOptions::default().threads(threads).spinning(Spinning::On);
    Ok(LanguageModel::open(bundle, &LmOptions::default().session(session).prefix_tokens(prefix_tokens))?)
}

/// A prompt of `count` tokens of prose, different ones for different seeds.
fn tokens(model: &LanguageModel, count: usize, seed: usize) -> Result<Vec<u32>> {
    let words = ["rain", "film", "quiet", "train", "paper", "river", "seven", "green", "letter", "winter", "small"];
    let text: Vec<_> = (0..2 * count).map(|at| words[(at * at + 3 * at + seed * (at + 1)) % words.len()]).collect();
    let mut tokens = model.tokens(&text.join(" "))?;
    tokens.truncate(count);
    Ok(tokens)
}

/// The least of `rounds`.
fn seconds(rounds: usize, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// `count` answers of up to `most` tokens; none ends early, since nothing but the limit counts here.
fn answer(model: &mut LanguageModel, tokens: Vec<u32>, count: usize, most: usize) -> Result<usize> {
    let mut prompt = Prompt::new(tokens);
    prompt.n = NonZeroUsize::new(count).context("an answer")?;
    prompt.max_tokens = most;
    let mut sampling = Sampling::default();
    sampling.temperature = if count > 1 { 1.0 } else { 0.0 };
    prompt.sampling = sampling;
    let answers = model.generate(&[prompt], |_| ControlFlow::Continue(()))?;
    Ok(answers[0].iter().map(|answer| answer.tokens.len()).sum())
}

/// Of reading 512 tokens, and of writing 64 behind 32.
fn speeds(model: &mut LanguageModel) -> Result<Speeds> {
    let long = tokens(model, READ, 1)?;
    let reading = seconds(1, || answer(model, long.clone(), 1, 1).map(drop))?;
    let short = tokens(model, 32, 2)?;
    let first = seconds(1, || answer(model, short.clone(), 1, 1).map(drop))?;
    let mut written = 0;
    let all = seconds(1, || {
        written = answer(model, short.clone(), 1, WRITTEN + 1)?;
        Ok(())
    })?;
    ensure!(written > 8, "the model ended its answer after {written} tokens");
    Ok(Speeds { prefill: READ as f64 / reading, decode: (written - 1) as f64 / (all - first) })
}

/// Time of eight answers from one reading of 300 tokens, by that of eight requests.
fn n8_over_8_requests(model: &mut LanguageModel, rounds: usize) -> Result<f64> {
    let prompt = tokens(model, 300, 3)?;
    let together = seconds(rounds, || answer(model, prompt.clone(), 8, 32).map(drop))?;
    let apart = seconds(rounds, || (0..8).try_for_each(|_| answer(model, prompt.clone(), 1, 32).map(drop)))?;
    Ok(together / apart)
}

/// Time of a request of 330 tokens and one of answer with nothing known, by that with its first 300 known.
fn prefix_speedup(bundle: &Path, rounds: usize) -> Result<f64> {
    let mut times = Vec::new();
    for known in [0, 4_096] {
        let mut model = open(bundle, 2, known)?;
        let shared = tokens(&model, 300, 4)?;
        answer(&mut model, shared.clone(), 1, 1)?;
        let mut seed = 5;
        times.push(seconds(rounds, || {
            seed += 1;
            let ending = tokens(&model, 30, seed)?;
            answer(&mut model, [shared.clone(), ending].concat(), 1, 1).map(drop)
        })?);
    }
    Ok(times[0] / times[1])
}

/// Resident memory of this process, where the system says.
fn resident_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Tokens of the prompt whose reading is measured, and of the answer whose writing is: llama-bench's own default is 512.
const READ: usize = 512;
const WRITTEN: usize = 64;
