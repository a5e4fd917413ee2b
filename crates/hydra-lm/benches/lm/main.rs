//! Prefill and decode speed for each weight type, several answers from one prompt, shared beginnings, memory.
//!
//! `cargo bench -p hydra-lm --bench lm -- [--json] [BUNDLE ..]`; without bundles, those of the fetched model under
//! `target/hydra` that exist.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark answers on standard output")]
#![allow(clippy::cast_precision_loss, reason = "counts are small")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hydra_lm::{LanguageModel, LmOptions, Prompt, Sampling};
use hydra_onnx::SessionOptions;
use serde_json::{Map, Value, json};

fn main() -> Result<()> {
    let (flags, named): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/hydra");
    let named: Vec<PathBuf> = named.into_iter().map(PathBuf::from).collect();
    let of_precision = |suffix: &str| root.join(format!("smollm2-135m-instruct{suffix}"));
    let bundles = if named.is_empty() { ["", "-int8", "-int4"].map(of_precision).to_vec() } else { named };
    let bundles: Vec<_> = bundles.into_iter().filter(|bundle| bundle.join("manifest.json").exists()).collect();
    ensure!(
        !bundles.is_empty(),
        "no bundle: run `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision int8`"
    );

    let mut table = Map::new();
    let (mut prefill, mut decode, mut best) = (0.0_f64, 0.0_f64, None);
    for bundle in &bundles {
        let name = bundle.file_name().context("a bundle has a name")?.to_string_lossy().into_owned();
        for threads in [1, 2] {
            let mut model = open(bundle, threads, 0)?;
            let (read, write) = speeds(&mut model)?;
            table.insert(format!("{name}, {threads} threads"), json!({ "prefill_tps": read, "decode_tps": write }));
            if threads == 2 {
                prefill = prefill.max(read);
                if write > decode {
                    (decode, best) = (write, Some(bundle));
                }
            }
        }
    }
    let best = best.context("something was measured")?;
    let rss = resident_mib();
    let result = json!({
        "prefill_tps": prefill,
        "decode_tps": decode,
        "n8_over_8_requests": n8_over_8_requests(&mut open(best, 2, 0)?)?,
        "prefix_speedup": prefix_speedup(best)?,
        "prefill_over_llama": Value::Null,
        "decode_over_llama": Value::Null,
        "rss_mib": rss,
        "threads": 2,
        "bundles": table,
    });
    if flags.iter().any(|flag| flag == "--json") {
        println!("{result}");
    } else {
        println!("{result:#}");
    }
    Ok(())
}

fn open(bundle: &std::path::Path, threads: usize, prefix_tokens: usize) -> Result<LanguageModel> {
    let threads = NonZeroUsize::new(threads).context("a thread")?;
    let session = SessionOptions::default().threads(threads);
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

/// The best of three: other work on the machine only ever adds time.
fn seconds(mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..3 {
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

/// Tokens a second of reading 512 tokens, and of writing 64 behind 32.
fn speeds(model: &mut LanguageModel) -> Result<(f64, f64)> {
    let long = tokens(model, 512, 1)?;
    let reading = seconds(|| answer(model, long.clone(), 1, 1).map(drop))?;
    let short = tokens(model, 32, 2)?;
    let first = seconds(|| answer(model, short.clone(), 1, 1).map(drop))?;
    let mut written = 0;
    let all = seconds(|| {
        written = answer(model, short.clone(), 1, 65)?;
        Ok(())
    })?;
    ensure!(written > 8, "the model ended its answer after {written} tokens");
    Ok((512.0 / reading, (written - 1) as f64 / (all - first)))
}

/// Time of eight answers from one reading of 300 tokens, by that of eight requests.
fn n8_over_8_requests(model: &mut LanguageModel) -> Result<f64> {
    let prompt = tokens(model, 300, 3)?;
    let together = seconds(|| answer(model, prompt.clone(), 8, 32).map(drop))?;
    let apart = seconds(|| (0..8).try_for_each(|_| answer(model, prompt.clone(), 1, 32).map(drop)))?;
    Ok(together / apart)
}

/// Time of a request of 330 tokens and one of answer with nothing known, by that with its first 300 known.
fn prefix_speedup(bundle: &std::path::Path) -> Result<f64> {
    let mut times = Vec::new();
    for known in [0, 4_096] {
        let mut model = open(bundle, 2, known)?;
        let shared = tokens(&model, 300, 4)?;
        answer(&mut model, shared.clone(), 1, 1)?;
        let mut seed = 5;
        times.push(seconds(|| {
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
