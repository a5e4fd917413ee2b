//! How fast, how exact, and against what people do today.
//!
//! `cargo xtask bench retrieval` prints the figures; with `--json`, as one JSON object. Progress, the tables behind the
//! figures, and where the plot of exact scan against graph lies go to standard error. Everything that is compared runs in
//! one process on the same data, on one thread but for builds. Four minutes on two cores, most of them for building with
//! `hnsw_rs`.
//!
//! "hnsw_rs called directly" is given its best case: our own AVX2 kernel as its distance, since the one that it comes with
//! on stable Rust is slower. So the ratios are about layout and codes, not about a kernel that was left out.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]

#[path = "retrieval/corpus.rs"]
mod corpus;
#[path = "retrieval/data.rs"]
mod data;
#[path = "retrieval/direct.rs"]
mod direct;
#[path = "retrieval/users.rs"]
mod users;
#[path = "retrieval/words.rs"]
mod words;

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use serde_json::{Map, Value};

/// What to measure, and how much of it.
#[derive(Parser)]
struct Args {
    /// One JSON object on standard output, and nothing else.
    #[arg(long)]
    json: bool,
    /// Users of the per-user part.
    #[arg(long, default_value_t = 2000)]
    users: usize,
    /// Users in the global hnsw_rs with a user filter.
    #[arg(long, default_value_t = 200)]
    filtered_users: usize,
    /// Records of the shared corpus.
    #[arg(long, default_value_t = 100_000)]
    corpus: usize,
    /// Records of the comparison of build times.
    #[arg(long, default_value_t = 10_000)]
    build: usize,
    /// Queries on the corpus.
    #[arg(long, default_value_t = 300)]
    queries: usize,
    /// Where to draw exact scan and graph against the number of records, as SVG.
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/exact_until.svg"))]
    plot: PathBuf,
    /// What `cargo bench` passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let mut report = Report { start: Instant::now(), keys: Map::new() };
    words::measure(&mut report);
    users::measure(&args, &mut report);
    corpus::measure(&args, &mut report);
    if args.json {
        println!("{}", Value::Object(report.keys));
    } else {
        for (name, value) in &report.keys {
            println!("{name}: {value}");
        }
    }
}

/// What is printed at the end, and what is told meanwhile.
struct Report {
    start: Instant,
    keys: Map<String, Value>,
}

impl Report {
    /// A figure, rounded to what a measurement can mean; null where it could not be measured.
    fn key(&mut self, name: &str, value: f64) {
        let value = format!("{value:.4}").parse().unwrap_or(f64::NAN);
        self.line(&format!("{name}: {value}"));
        self.keys.insert(name.to_owned(), value.into());
    }

    fn line(&self, line: &str) {
        eprintln!("{:6.1} s  {line}", self.start.elapsed().as_secs_f64());
    }
}

/// The shortest of `rounds` runs, in microseconds for each of `n` calls: what other programs took is left out.
fn micros_each(rounds: usize, n: usize, mut run: impl FnMut()) -> f64 {
    let one = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e6 / n as f64
    };
    (0..rounds).map(|_| one(&mut run)).fold(f64::INFINITY, f64::min)
}

/// CPU seconds of all threads of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |place: usize| after_name.split_whitespace().nth(place).and_then(|t| t.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// The share of the true ones that was found.
fn recall(found: &[Vec<u64>], truth: &[Vec<u64>]) -> f64 {
    let hits: usize = found.iter().zip(truth).map(|(f, t)| t.iter().filter(|id| f.contains(id)).count()).sum();
    hits as f64 / truth.iter().map(Vec::len).sum::<usize>().max(1) as f64
}
