//! What being personal costs: a mixed load of many users in one call against a loop over them, and heads against none.
//!
//! `cargo xtask bench rerank` exports the bundles first. `--help` lists the options.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hydra_heads::{ClassWeights, Features, Fit, FitRows, HeadBank, HeadChoice, Outcome, Shared, Weights};
use hydra_onnx::{Bundle, Encoder, EncoderError, EncoderOptions};
use hydra_rerank::{PersonalReranker, RerankRequest, Reranker, Retrieved};
use hydra_types::ndarray::ArrayView1;
use hydra_types::{Body, Fingerprint, PairFeatures, Record, RecordId, RecordTemplate, Scope, Score, Time, UserId};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

const HELP: &str = "\
Measures the personal reranker: all users in one call, against the same session used one user at a time.

  --bundle DIR        fp32 bundle (target/hydra/all-minilm-l6-v2)
  --int8 DIR          per-tensor int8 bundle; users then never share a batch
  --int8-per-row DIR  per-row int8 bundle
  --users N           how many users (64)
  --records N         how many records each (10)
  --rounds N          how often everything is measured; the best round counts (3)
  --json              one JSON object and nothing else

The load is made up: words of a fixed list, queries of 5 to 20 of them and records of 5 to 150, short ones more often.";

struct Options {
    bundle: PathBuf,
    int8: Option<PathBuf>,
    int8_per_row: Option<PathBuf>,
    users: u32,
    records: u32,
    rounds: u32,
    json: bool,
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    let load = Load::new(options.users, options.records);
    let mut report = Map::new();
    let bundles = [
        ("", Some(&options.bundle)),
        ("int8_", options.int8.as_ref()),
        ("int8_per_row_", options.int8_per_row.as_ref()),
    ];
    for (prefix, bundle) in bundles {
        let Some(bundle) = bundle else { continue };
        for (key, value) in measure(bundle, &load, options.rounds)? {
            report.insert(format!("{prefix}{key}"), round(value));
        }
    }
    // Training is measured where it is done: `cargo xtask train`.
    report.insert("train_tokens_per_s".into(), Value::Null);
    report.insert("train_share_of_matmul_limit".into(), Value::Null);
    for (key, value) in [("users", options.users), ("records", options.records), ("rounds", options.rounds)] {
        report.insert(key.into(), json!(value));
    }
    report.insert("threads".into(), json!(std::thread::available_parallelism()?.get()));
    if options.json {
        println!("{}", Value::Object(report));
    } else {
        for (key, value) in &report {
            println!("{key:<32} {value}");
        }
    }
    Ok(())
}

/// Queries of many users with the records of each.
struct Load {
    users: Vec<(Scope, String, Vec<Record>)>,
}

impl Load {
    fn new(users: u32, records: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut user = |user: u32| {
            let mut text = |shortest: u32, longest: u32| {
                // The product of two even chances: short ones more often.
                let words =
                    shortest + (longest - shortest) * rng.random_range(0..=100) * rng.random_range(0..=100) / 10_000;
                let word = |_| WORDS[rng.random_range(0..WORDS.len())];
                (0..words).map(word).collect::<Vec<_>>().join(" ")
            };
            let query = text(5, 20);
            let record =
                |id: u32| Record::new(RecordId::new(id.into()), Time::from_unix_millis(0), text(5, 150), "drama");
            (Scope::acting_for(UserId::new(user.into())), query, (0..records).map(record).collect())
        };
        Self { users: (0..users).map(&mut user).collect() }
    }

    /// `ask` gets one request a user.
    fn ask<T>(&self, ask: impl FnOnce(&[RerankRequest<'_>]) -> T) -> T {
        let score = Score::new(0.0).expect("zero is finite");
        let retrieved = |record| Retrieved { record, score };
        let found: Vec<Vec<_>> =
            self.users.iter().map(|(_, _, records)| records.iter().map(retrieved).collect()).collect();
        let requests: Vec<RerankRequest<'_>> = self
            .users
            .iter()
            .zip(&found)
            .map(|((scope, query, _), records)| RerankRequest { scope, head: HeadChoice::Own, query, records, keep: 4 })
            .collect();
        ask(&requests)
    }

    /// As many pairs as a new user's labels are about.
    fn pairs_of_one(&self, template: &RecordTemplate) -> Vec<(String, String)> {
        let of = |(_, query, records): &(Scope, String, Vec<Record>)| -> Vec<_> {
            records.iter().map(|record| template.pair(query, record)).collect()
        };
        self.users.iter().flat_map(of).take(ROWS_OF_ONE).collect()
    }
}

/// An encoder that keeps count of the time spent in it.
struct Timed {
    encoder: Encoder,
    spent: Rc<Cell<Duration>>,
}

impl Body for Timed {
    type Error = EncoderError;

    fn fingerprint(&self) -> Fingerprint {
        self.encoder.fingerprint()
    }

    fn hidden(&self) -> usize {
        self.encoder.hidden()
    }

    fn rows_interact(&self) -> bool {
        self.encoder.rows_interact()
    }

    fn pair_features(&mut self, pairs: &[(String, String)]) -> Result<PairFeatures, EncoderError> {
        let started = Instant::now();
        let made = self.encoder.pair_features(pairs);
        self.spent.set(self.spent.get() + started.elapsed());
        made
    }
}

/// What something took.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    /// Of all threads of the process: steadier than the wall clock when others are at work.
    cpu: f64,
}

impl Took {
    const NEVER: Self = Self { wall: f64::INFINITY, cpu: f64::INFINITY };

    fn of<T>(work: impl FnOnce() -> Result<T>) -> Result<(Self, T)> {
        let cpu = || {
            let now = clock_gettime(ClockId::ProcessCPUTime);
            now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
        };
        let (started, cpu_before) = (Instant::now(), cpu());
        let made = work()?;
        Ok((Self { wall: started.elapsed().as_secs_f64(), cpu: cpu() - cpu_before }, made))
    }

    fn least(self, other: Self) -> Self {
        Self { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }
}

fn measure(bundle: &Path, load: &Load, rounds: u32) -> Result<Vec<(&'static str, f64)>> {
    let opened =
        Bundle::open(bundle).with_context(|| format!("no bundle for the benchmark at {}", bundle.display()))?;
    let encoder = Encoder::open(&opened, &EncoderOptions::default())?;
    drop(opened);
    let (template, hidden, spent) = (RecordTemplate::with_output(), encoder.hidden(), Rc::new(Cell::default()));
    let mut body = Timed { encoder, spent: Rc::clone(&spent) };
    let of = template.features_of(body.fingerprint());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut weights = || -> Vec<f32> { (0..hidden).map(|_| rng.random_range(-1.0..1.0)).collect() };
    let shared = Arc::new(Shared::new(of, Weights::linear(&weights(), 0.0)?)?);

    // One new user: features of all labelled pairs, then the head.
    let (mut features_took, mut head_took) = (Took::NEVER, Took::NEVER);
    let pairs = load.pairs_of_one(&template);
    let taste = weights();
    for _ in 0..rounds {
        let (took, made) = Took::of(|| Ok(body.pair_features(&pairs)?))?;
        features_took = features_took.least(took);
        let likes = |row: ArrayView1<'_, f32>| row.iter().zip(&taste).map(|(z, w)| z * w).sum::<f32>();
        let liked: Vec<f32> = made.features.rows().into_iter().map(likes).collect();
        let mut sorted = liked.clone();
        sorted.sort_by(f32::total_cmp);
        let labels: Vec<bool> = liked.iter().map(|&likes| likes > sorted[sorted.len() / 2]).collect();
        let rows = FitRows::new(Features::new(of, &made.features)?, &labels, ClassWeights::Equal)?;
        let (took, fitted) = Took::of(|| Ok(Fit::linear().run(&shared, &rows)?))?;
        ensure!(fitted.outcome == Outcome::Fitted, "a planted taste was not learned");
        head_took = head_took.least(took);
    }

    let mut bank = HeadBank::new(Arc::clone(&shared));
    for (scope, _, _) in &load.users {
        bank.insert(scope.user(), shared.head(Weights::linear(&weights(), 0.0)?)?)?;
    }
    let mut reranker = PersonalReranker::new(body, bank, template)?;
    let (mut together, mut looped, mut personal) = (Took::NEVER, Took::NEVER, f64::INFINITY);
    load.ask(|requests| {
        for _ in 0..rounds {
            spent.set(Duration::ZERO);
            let (took, rankings) = Took::of(|| Ok(reranker.rerank(requests)?))?;
            personal = personal.min(1.0 - spent.get().as_secs_f64() / took.wall);
            together = together.least(took);
            let (took, alone) = Took::of(|| {
                let one = |request| Ok(reranker.rerank(std::slice::from_ref(request))?.remove(0));
                requests.iter().map(one).collect::<Result<Vec<_>>>()
            })?;
            looped = looped.least(took);
            ensure!(rankings.len() == alone.len(), "every request is answered");
        }
        Ok(())
    })?;
    let pairs_in_all: usize = load.users.iter().map(|(_, _, records)| records.len()).sum();
    Ok(vec![
        ("ratio_over_loop", looped.wall / together.wall),
        ("cpu_ratio_over_loop", looped.cpu / together.cpu),
        ("personal_cost_share", personal),
        ("pairs_per_s", pairs_in_all as f64 / together.wall),
        ("fit_features_ms", features_took.wall * 1e3),
        ("fit_head_ms", head_took.wall * 1e3),
    ])
}

fn options() -> Result<Option<Options>> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut options = Options {
        bundle: root.join("target/hydra/all-minilm-l6-v2"),
        int8: None,
        int8_per_row: None,
        users: 64,
        records: 10,
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
            "--users" => options.users = value()?.parse()?,
            "--records" => options.records = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--json" => options.json = true,
            "--help" => return Ok(None),
            // Cargo hands this to every bench.
            "--bench" => {}
            other => bail!("no option {other}; see --help"),
        }
    }
    ensure!(
        options.users > 0 && options.records > 0 && options.rounds > 0,
        "give `--users`, `--records` and `--rounds` of at least 1"
    );
    Ok(Some(options))
}

fn round(value: f64) -> Value {
    json!((value * 1e6).round() / 1e6)
}

/// Pseudo-queries times records of the HYDRA paper.
const ROWS_OF_ONE: usize = 100;

const WORDS: [&str; 24] = [
    "the",
    "a",
    "quiet",
    "film",
    "about",
    "house",
    "rain",
    "old",
    "detective",
    "laughs",
    "never",
    "told",
    "river",
    "and",
    "family",
    "secret",
    "summer",
    "returns",
    "music",
    "of",
    "small",
    "town",
    "winter",
    "strange",
];
