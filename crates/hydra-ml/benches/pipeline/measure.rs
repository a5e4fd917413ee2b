//! The measurement.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hydra_ml::heads::{HeadChoice, Shared, Weights};
use hydra_ml::llm::{Cassette, CassetteMode, FenceKey, KeyScope, Template, TemplateParts, block_on};
use hydra_ml::store::{Store, StoreKey};
use hydra_ml::types::ndarray::Array2;
use hydra_ml::types::{Body, CandidateTemplate, RecordId, RecordTemplate, Scope};
use hydra_ml::{Answer, Ask, Feedback, Personalizer};
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};

use crate::Options;
use crate::load::{now, users};
use crate::models::{HIDDEN, LookUp, Proposer, Spent};

pub(crate) fn report(options: &Options) -> Result<Map<String, Value>> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (folder, cassette) = (place.path().join("store"), place.path().join("candidates.cassette"));
    let parts = Parts::new(options);

    let (asks, records) = fill(&parts, &Arc::new(Store::create(&folder, &key())?))?;
    {
        let recording = parts.pipeline(&open(&folder)?, Some((&cassette, CassetteMode::Record)))?;
        answer_all(&recording, &asks)?;
        block_on(recording.close());
    }
    eprintln!("one answer for each recorded");

    let rss_before = resident_mib()?;
    let hydra = parts.pipeline(&open(&folder)?, Some((&cassette, CassetteMode::Replay)))?;
    let first: Vec<Took> = asks.iter().map(|ask| parts.one(&hydra, ask)).collect::<Result<_>>()?;
    let (mut rng, mut order, mut again) = (ChaCha8Rng::seed_from_u64(9), asks.clone(), Vec::new());
    let begin = Instant::now();
    for _ in 0..options.rounds {
        order.shuffle(&mut rng);
        for ask in &order {
            again.push(parts.one(&hydra, ask)?);
        }
    }
    let alone = again.len() as f64 / begin.elapsed().as_secs_f64();
    let mut together = Duration::MAX;
    for _ in 0..options.rounds {
        let begin = Instant::now();
        answer_all(&hydra, &asks)?;
        together = together.min(begin.elapsed());
    }

    let mut report = Map::new();
    let mut put = |key: &str, value: f64| report.insert(key.to_owned(), json!((value * 1e4).round() / 1e4));
    for (name, of) in PARTS {
        for (quantile, share) in [("p50", 0.5), ("p99", 0.99)] {
            put(&format!("{name}_{quantile}_ms"), percentile(&again, of, share));
        }
    }
    put("overhead_max_ms", percentile(&again, |took| took.overhead, 1.0));
    put("first_p50_ms", percentile(&first, |took| took.overhead, 0.5));
    put("first_p99_ms", percentile(&first, |took| took.overhead, 0.99));
    put("body_p50_ms", percentile(&again, |took| took.models, 0.5));
    put("replay_p50_ms", percentile(&again, |took| took.replay, 0.5));
    put("answers_per_s", asks.len() as f64 / together.as_secs_f64());
    put("answers_per_s_alone", alone);
    put("rss_mib", resident_mib()?);
    put("rss_before_mib", rss_before);
    let counts = [
        ("users", asks.len()),
        ("records", records),
        ("retrieved", options.retrieved),
        ("candidates", options.candidates as usize),
        ("rounds", options.rounds as usize),
        ("memory_mib", options.memory_mib),
        ("threads", std::thread::available_parallelism()?.get()),
    ];
    report.extend(counts.map(|(key, count)| (key.to_owned(), json!(count))));
    Ok(report)
}

/// Where the time of one answer went, without models and language model.
struct Took {
    overhead: Duration,
    retrieve: Duration,
    rerank: Duration,
    adapt: Duration,
    /// The way to the worker's thread and back, twice.
    rest: Duration,
    models: Duration,
    replay: Duration,
}

type Part = fn(&Took) -> Duration;

const PARTS: [(&str, Part); 5] = [
    ("overhead", |took| took.overhead),
    ("retrieve", |took| took.retrieve),
    ("rerank_and_prompt", |took| took.rerank),
    ("adapt", |took| took.adapt),
    ("rest", |took| took.rest),
];

/// What a pipeline is put together from.
struct Parts<'a> {
    options: &'a Options,
    table: Arc<Array2<f32>>,
    records: (RecordTemplate, Arc<Shared>),
    candidates: (CandidateTemplate, Arc<Shared>),
    /// In the encoder, the reranker's body, the adapter's body.
    spent: [Spent; 3],
}

impl<'a> Parts<'a> {
    fn new(options: &'a Options) -> Self {
        let (table, spent) = (LookUp::table(), Default::default());
        let body = LookUp::new(&table, &Spent::default()).fingerprint();
        let mut rng = ChaCha8Rng::seed_from_u64(10);
        let mut prior = |features| {
            let weights: Vec<f32> = (0..HIDDEN).map(|_| rng.random_range(-1.0..1.0)).collect();
            let weights = Weights::linear(&weights, 0.0).expect("finite numbers");
            Arc::new(Shared::new(features, weights).expect("a linear head may be the prior one"))
        };
        let (records, candidates) = (RecordTemplate::with_output(), CandidateTemplate::query_only());
        let records = (records.clone(), prior(records.features_of(body)));
        let candidates = (candidates.clone(), prior(candidates.features_of(body)));
        Self { options, table, records, candidates, spent }
    }

    /// On `store`, with a language model on this cassette, or one that is never asked.
    fn pipeline(&self, store: &Arc<Store>, cassette: Option<(&Path, CassetteMode)>) -> Result<Personalizer> {
        let Options { retrieval, retrieved, candidates, memory_mib, .. } = *self.options;
        let template = Template::new(TemplateParts {
            system: "You know what this person likes.".into(),
            user: "{{history}}\nWhat would they say about this one?\n{{query}}".into(),
            input_name: "film".into(),
            output_name: "said".into(),
        })?;
        let (store, fence, proposer) = (Arc::clone(store), FenceKey::new([3; 32]), Proposer { candidates });
        let builder = match cassette {
            None => Personalizer::builder(store, proposer, template, fence),
            Some((path, mode)) => {
                Personalizer::builder(store, Cassette::open(proposer, path, mode, KeyScope::User)?, template, fence)
            }
        };
        let [encoder, reranker, adapter] = self.spent.each_ref().map(|spent| LookUp::new(&self.table, spent));
        let ((records, ranks), (pairs, picks)) = (&self.records, &self.candidates);
        let builder = builder
            .personal_reranker(reranker, Arc::clone(ranks), records.clone())?
            .personal_adapter(adapter, Arc::clone(picks), pairs.clone())?
            .retrieve(retrieval, retrieved)
            .candidates(candidates, 1.0)
            .keep_in_memory(memory_mib << 20);
        let by_vector = matches!(retrieval, hydra_ml::Retrieval::Meaning | hydra_ml::Retrieval::Both);
        Ok(if by_vector { builder.encoder(encoder) } else { builder }.build()?)
    }

    /// One question, measured.
    fn one(&self, hydra: &Personalizer, ask: &Ask) -> Result<Took> {
        let ask = ask.clone();
        let before = self.spent.each_ref().map(Spent::so_far);
        let begin = Instant::now();
        let answer = block_on(hydra.answer(ask))?;
        let wall = begin.elapsed();
        let [encoder, reranker, adapter] = self.spent.each_ref().map(Spent::so_far);
        let [encoder, reranker, adapter] = [encoder - before[0], reranker - before[1], adapter - before[2]];
        self.check(&answer)?;
        let times = answer.trace.times;
        let models = encoder + reranker + adapter;
        Ok(Took {
            overhead: wall - times.generate - models,
            retrieve: times.retrieve - encoder,
            rerank: times.rerank - reranker,
            adapt: times.adapt - adapter,
            rest: wall - times.generate - times.retrieve - times.rerank - times.adapt,
            models,
            replay: times.generate,
        })
    }

    /// That it was all done that is measured.
    fn check(&self, answer: &Answer) -> Result<()> {
        let (trace, own) = (&answer.trace, Some(HeadChoice::Own));
        let heads = [trace.heads.reranker, trace.heads.adapter].map(|head| head.map(|head| head.choice));
        ensure!(heads == [own, own], "somebody was not served by their own heads");
        ensure!(trace.retrieved.len() == self.options.retrieved && trace.shown.len() == 4, "records are missing");
        ensure!(trace.candidates.len() == self.options.candidates as usize, "candidates are missing");
        Ok(())
    }
}

/// Histories, feedback and heads of all users, through the pipeline itself; what they ask, and how many records they have.
fn fill(parts: &Parts<'_>, store: &Arc<Store>) -> Result<(Vec<Ask>, usize)> {
    let hydra = parts.pipeline(store, None)?;
    let (mut asks, mut records) = (Vec::new(), 0);
    for user in users(parts.options.users) {
        let scope: &Scope = &user.scope;
        records += user.records.len();
        block_on(hydra.learn(scope, user.records))?;
        for helped in [true, false] {
            let record = RecordId::new(1 + u64::from(helped));
            block_on(hydra.feedback(scope, Feedback::record(&user.query, record, helped)))?;
            block_on(hydra.feedback(scope, Feedback::candidate(&user.query, &[record], "a film", helped)))?;
        }
        let fitted = block_on(hydra.fit(scope))?;
        ensure!(fitted.reranker.is_some() && fitted.adapter.is_some(), "a head was not fitted");
        asks.push(Ask::new(scope, user.query, now()));
        if asks.len() % 100 == 0 {
            eprintln!("{} users stored", asks.len());
        }
    }
    // The store has one owner, and is opened again.
    block_on(hydra.close());
    Ok((asks, records))
}

fn open(folder: &Path) -> Result<Arc<Store>> {
    Ok(Arc::new(Store::open(folder, &key())?))
}

/// Everybody asks once, in calls of several.
fn answer_all(hydra: &Personalizer, asks: &[Ask]) -> Result<()> {
    for asks in asks.chunks(TOGETHER) {
        for answer in block_on(hydra.answer_many(asks.to_vec())) {
            answer?;
        }
    }
    Ok(())
}

fn percentile(all: &[Took], of: Part, share: f64) -> f64 {
    let mut values: Vec<Duration> = all.iter().map(of).collect();
    values.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into the values")]
    let at = (values.len() as f64 * share) as usize;
    values[at.min(values.len() - 1)].as_secs_f64() * 1e3
}

/// Resident memory of this process; Linux only, elsewhere zero.
fn resident_mib() -> Result<f64> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return Ok(0.0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.split_whitespace().next().context("no VmRSS")?.parse()?;
    Ok(kib / 1024.0)
}

fn key() -> StoreKey {
    StoreKey::from_bytes([5; 32])
}

/// Questions in one call.
const TOGETHER: usize = 64;
