//! Length-bucketed batches against naive ones, and int8 against fp32.
//!
//! `cargo xtask bench encode` exports the bundles first. `--help` lists the options.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

mod corpus;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hydra_onnx::{Bundle, Encoder, EncoderOptions};
use serde_json::{Map, Value, json};

const HELP: &str = "\
Measures the encoder. Naive: the same session, batches of the same number of rows, in order of arrival.

  --bundle DIR        fp32 bundle (target/hydra/all-minilm-l6-v2)
  --int8 DIR          per-tensor int8 bundle, to compare with fp32
  --int8-per-row DIR  per-row int8 bundle, to compare with fp32
  --corpus DIR        SciFact as CSV (../shared/data/scifact; without it, texts of its length distribution)
  --texts N           how many texts, half claims and half abstracts, shuffled (256)
  --rounds N          how often everything is measured; the best round counts (3)
  --json              one JSON object and nothing else";

struct Options {
    bundle: PathBuf,
    int8: Option<PathBuf>,
    int8_per_row: Option<PathBuf>,
    corpus: Option<PathBuf>,
    texts: usize,
    rounds: usize,
    json: bool,
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    let (corpus, texts) = corpus::texts(options.corpus.as_deref(), options.texts)?;
    let mut report = Map::new();
    let mut put = |key: &str, value: Value| {
        report.insert(key.to_owned(), value);
    };
    let fp32 = measure(&options.bundle, &texts, options.rounds)?;
    put("tokens_per_s", round(fp32.tokens_per_s()));
    put("naive_tokens_per_s", round(fp32.naive_tokens_per_s()));
    put("ratio_over_naive", round(fp32.naive / fp32.ours));
    put("overhead_share", round(fp32.overhead));
    put("padding_share", round(fp32.padding));
    put("naive_padding_share", round(fp32.naive_padding));
    for (key, dir) in [("int8", &options.int8), ("int8_per_row", &options.int8_per_row)] {
        if let Some(dir) = dir {
            // Against fp32 measured again beside it: other work on the machine must not favour one.
            let [fp32, int8] = compare(&options.bundle, dir, &texts, options.rounds)?;
            put(&format!("{key}_over_fp32"), round(fp32.ours / int8.ours));
            put(&format!("{key}_tokens_per_s"), round(int8.tokens_per_s()));
            put(&format!("{key}_overhead_share"), round(int8.overhead));
        }
    }
    put("tokens", json!(fp32.tokens));
    put("texts", json!(texts.len()));
    put("corpus", json!(corpus));
    put("rounds", json!(options.rounds));
    put("threads", json!(std::thread::available_parallelism()?.get()));
    put("cpu", json!(cpu()));
    put("bundle", json!(Bundle::open(&options.bundle)?.fingerprint().to_string()));
    if options.json {
        println!("{}", Value::Object(report));
    } else {
        for (key, value) in &report {
            println!("{key:<26} {value}");
        }
    }
    Ok(())
}

/// Seconds of the best round, and what went into it.
#[derive(Clone, Copy)]
struct Measured {
    ours: f64,
    naive: f64,
    tokens: usize,
    overhead: f64,
    padding: f64,
    naive_padding: f64,
}

impl Measured {
    fn tokens_per_s(&self) -> f64 {
        self.tokens as f64 / self.ours
    }

    fn naive_tokens_per_s(&self) -> f64 {
        self.tokens as f64 / self.naive
    }
}

fn measure(dir: &std::path::Path, texts: &[String], rounds: usize) -> Result<Measured> {
    let mut encoder = open(dir)?;
    let mut best = ours(&mut encoder, texts)?;
    let mut naive_best = f64::INFINITY;
    for _ in 0..rounds {
        let (seconds, padding) = naive(&mut encoder, texts)?;
        naive_best = naive_best.min(seconds);
        best.naive_padding = padding;
        best = faster(best, ours(&mut encoder, texts)?);
    }
    best.naive = naive_best;
    Ok(best)
}

fn compare(one: &std::path::Path, other: &std::path::Path, texts: &[String], rounds: usize) -> Result<[Measured; 2]> {
    let mut encoders = [open(one)?, open(other)?];
    let mut best: Option<[Measured; 2]> = None;
    for _ in 0..rounds {
        let [one, other] = &mut encoders;
        let now = [ours(one, texts)?, ours(other, texts)?];
        best = Some(best.map_or(now, |best| [faster(best[0], now[0]), faster(best[1], now[1])]));
    }
    best.context("at least one round")
}

fn faster(one: Measured, other: Measured) -> Measured {
    let naive_padding = one.naive_padding;
    let faster = if other.ours < one.ours { other } else { one };
    Measured { naive_padding, ..faster }
}

fn ours(encoder: &mut Encoder, texts: &[String]) -> Result<Measured> {
    let started = Instant::now();
    let encoded = encoder.encode(texts)?;
    let took = started.elapsed();
    let work = encoded.work;
    let places = (work.tokens + work.padding) as f64;
    Ok(Measured {
        ours: took.as_secs_f64(),
        naive: f64::NAN,
        tokens: work.tokens,
        overhead: 1.0 - work.running.as_secs_f64() / took.as_secs_f64(),
        padding: work.padding as f64 / places,
        naive_padding: 0.0,
    })
}

/// A call for every 32 texts in order of arrival is one batch, padded to its longest.
fn naive(encoder: &mut Encoder, texts: &[String]) -> Result<(f64, f64)> {
    let (mut took, mut tokens, mut padding) = (Duration::ZERO, 0, 0);
    for chunk in texts.chunks(ROWS) {
        let started = Instant::now();
        let work = encoder.encode(chunk)?.work;
        took += started.elapsed();
        tokens += work.tokens;
        padding += work.padding;
    }
    Ok((took.as_secs_f64(), padding as f64 / (tokens + padding) as f64))
}

fn open(dir: &std::path::Path) -> Result<Encoder> {
    let bundle = Bundle::open(dir).with_context(|| format!("no bundle for the benchmark at {}", dir.display()))?;
    let rows = ROWS.try_into().context("not zero")?;
    Ok(Encoder::open(&bundle, &EncoderOptions::default().max_rows(rows))?)
}

fn options() -> Result<Option<Options>> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut options = Options {
        bundle: root.join("target/hydra/all-minilm-l6-v2"),
        int8: None,
        int8_per_row: None,
        corpus: Some(root.join("../shared/data/scifact")).filter(|dir| dir.is_dir()),
        texts: 256,
        rounds: 3,
        json: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value; see --help"));
        match arg.as_str() {
            "--bundle" => options.bundle = value()?.into(),
            "--int8" => options.int8 = Some(value()?.into()),
            "--int8-per-row" => options.int8_per_row = Some(value()?.into()),
            "--corpus" => options.corpus = Some(value()?.into()),
            "--texts" => options.texts = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--json" => options.json = true,
            "--help" => return Ok(None),
            // Cargo hands this to every bench.
            "--bench" => {}
            other => bail!("no option {other}; see --help"),
        }
    }
    ensure!(options.texts > 0 && options.rounds > 0, "give `--texts` and `--rounds` of at least 1");
    Ok(Some(options))
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// Three decimals: more would be noise.
fn round(value: f64) -> Value {
    json!((value * 1e3).round() / 1e3)
}

/// Rows of a batch, ours and naive.
const ROWS: usize = 32;
