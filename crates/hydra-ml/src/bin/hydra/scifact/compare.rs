//! `hydra scifact compare`: what a trained reranker is worth on the development claims.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hydra_eval::{Better, Comparison, Metric, Paired, Standing, SystemRun, Table};
use hydra_onnx::{Bundle, CrossEncoder, Encoder, EncoderOptions};
use hydra_rerank::{CrossReranker, Ranking, RerankRequest, Reranker};
use hydra_types::RecordTemplate;

use super::bi_encoder::BiEncoder;
use super::first_stage::FirstStage;
use super::found::{Found, Weight};
use super::passages::{OnPassages, Passages};
use super::{Data, bar};

/// Compare a trained reranker with BM25 and with the sentence encoder on the development claims.
///
/// All rerank the 100 best of BM25. The cross-encoder reads passages of them, as `rows` writes them; the sentence encoder reads
/// them whole, as far as it can. Weights of fused rankings are chosen on held-out training claims. Every claim counts as one
/// user; intervals are paired.
#[derive(clap::Args)]
pub(super) struct Compare {
    #[command(flatten)]
    data: Data,

    /// Bundle of the trained cross-encoder
    #[arg(long, value_name = "DIR")]
    reranker: PathBuf,

    /// Bundle of the sentence encoder
    #[arg(long, value_name = "DIR")]
    encoder: PathBuf,

    /// Tokens of a pair at most, as in training
    #[arg(long, default_value = "96")]
    max_tokens: NonZeroUsize,

    /// Also let the cross-encoder score every claim's abstracts by the next claim's text: as many pairs again
    #[arg(long)]
    control: bool,

    /// Where the tables as text, JSON and CSV and a picture go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the tables as JSON
    #[arg(long)]
    json: bool,
}

/// One row of the table before it is one.
struct Run {
    name: String,
    standing: Standing,
    /// For each development claim.
    ndcg: Vec<f64>,
}

/// Claims to choose on, and claims to judge on.
struct Both<T> {
    chosen_on: T,
    judged_on: T,
}

/// A first and a second stage fused, with the weight that is best on the claims to choose on.
struct Fused {
    weight: Weight,
    /// nDCG@10 of the claims to choose on, for each weight.
    means: Vec<f64>,
    rankings: Both<Vec<Ranking>>,
}

pub(super) fn run(compare: &Compare) -> Result<()> {
    let data = compare.data.load()?;
    let first_stage = FirstStage::new(&data)?;
    let passages = Passages::new(&data)?;
    let found = Both {
        chosen_on: Found::new(&data.held_out, &first_stage)?,
        judged_on: Found::new(&data.development, &first_stage)?,
    };
    let judged_on = &found.judged_on;
    eprintln!("{} held-out training claims, {} development claims", found.chosen_on.len(), judged_on.len());

    let bundle = Bundle::open(&compare.encoder).context("cannot open the encoder")?;
    let mut encoder = Encoder::open(&bundle, &EncoderOptions::default())?;
    eprintln!("encoding {} abstracts", data.abstracts.len());
    let bi_encoder = BiEncoder::new(&mut encoder, &first_stage)?;
    let near = found.each(|found| bi_encoder.rank(&mut encoder, found))?;
    let nearest_of_all = bi_encoder.rank_all(&mut encoder, judged_on)?;
    drop(encoder);

    let bundle = Bundle::open(&compare.reranker).context("cannot open the reranker")?;
    let options = EncoderOptions::default().max_tokens(compare.max_tokens);
    let inner = CrossReranker::new(CrossEncoder::open(&bundle, &options)?, RecordTemplate::input_only())?;
    let mut cross = OnPassages { inner, passages: &passages };
    let relevant = found.each(|found| scored(&mut cross, &found.requests()))?;

    let near_and_bm25 = Fused::choose(&found, &near)?;
    let relevant_and_bm25 = Fused::choose(&found, &relevant)?;
    let without_cross = Both {
        chosen_on: found.chosen_on.scored_by(&near_and_bm25.rankings.chosen_on),
        judged_on: judged_on.scored_by(&near_and_bm25.rankings.judged_on),
    };
    let all_three = Fused::choose(&without_cross, &relevant)?;

    let mut runs = Vec::new();
    let mut add = |name: &str, standing, rankings: &[Ranking]| {
        runs.push(Run { name: name.to_owned(), standing, ndcg: judged_on.ndcg(rankings) });
    };
    add("BM25", Standing::Baseline, &judged_on.first_stage());
    add("bi-encoder", Standing::Baseline, &near.judged_on);
    add(&near_and_bm25.name("bi-encoder", "BM25"), Standing::Baseline, &near_and_bm25.rankings.judged_on);
    add("bi-encoder over all abstracts", Standing::Reference, &nearest_of_all);
    add("the best order of the same 100", Standing::Reference, &judged_on.ideal());
    add("cross-encoder", Standing::System, &relevant.judged_on);
    add(&relevant_and_bm25.name("cross-encoder", "BM25"), Standing::System, &relevant_and_bm25.rankings.judged_on);
    add(&all_three.name("cross-encoder", "(bi-encoder + BM25)"), Standing::System, &all_three.rankings.judged_on);
    if compare.control {
        let by_the_next = scored(&mut cross, &judged_on.requests_by_the_next())?;
        add("cross-encoder, next claim's text", Standing::Control, &by_the_next);
    }

    let seen = data.cited_in_training();
    let unseen: BTreeSet<usize> =
        (0..judged_on.len()).filter(|&at| data.development[at].cited.is_disjoint(&seen)).collect();
    ensure!(!unseen.is_empty(), "every one of these claims cites what a training claim cites: give --claims more");
    let tables = [table(&runs, |_| true)?, table(&runs, |at| unseen.contains(&at))?];
    let mut text = format!("{}\n\n{}\n", tables[0], gains(&runs, |_| true)?);
    text += "The claims of these that cite no abstract that a training claim cites:\n\n";
    text += &format!("{}\n\n{}\n", tables[1], gains(&runs, |at| unseen.contains(&at))?);
    text += "nDCG@10 of the held-out training claims by the weight of the first-named, from 0 to 1 by tenths:\n";
    for (fused, first_named, other) in [
        (&near_and_bm25, "bi-encoder", "BM25"),
        (&relevant_and_bm25, "cross-encoder", "BM25"),
        (&all_three, "cross-encoder", "(bi-encoder + BM25)"),
    ] {
        let means: Vec<String> = fused.means.iter().map(|mean| format!("{mean:.3}")).collect();
        text += &format!("{first_named} + {other}: {}\n", means.join(" "));
    }
    write(compare, &tables, &text)
}

impl<T> Both<T> {
    /// The same done for both, first for the claims to choose on.
    fn each<U>(&self, mut make: impl FnMut(&T) -> Result<U>) -> Result<Both<U>> {
        Ok(Both { chosen_on: make(&self.chosen_on)?, judged_on: make(&self.judged_on)? })
    }
}

impl Fused {
    fn choose(found: &Both<Found<'_>>, second: &Both<Vec<Ranking>>) -> Result<Self> {
        let (weight, means) = found.chosen_on.best_weight(&second.chosen_on)?;
        let rankings = Both {
            chosen_on: found.chosen_on.fused(&second.chosen_on, weight)?,
            judged_on: found.judged_on.fused(&second.judged_on, weight)?,
        };
        Ok(Self { weight, means, rankings })
    }

    fn name(&self, second: &str, first: &str) -> String {
        format!("{} {second} + {} {first}", self.weight, self.weight.rest())
    }
}

/// What the cross-encoder makes of them, a few claims at a time so that it shows how far it is.
fn scored(cross: &mut impl Reranker, requests: &[RerankRequest<'_>]) -> Result<Vec<Ranking>> {
    let bar = bar("claims scored", requests.len());
    let begin = Instant::now();
    let mut rankings = Vec::with_capacity(requests.len());
    for some in requests.chunks(CLAIMS_A_CALL) {
        rankings.extend(cross.rerank(some)?);
        bar.inc(some.len() as u64);
    }
    bar.finish_and_clear();
    let pairs: usize = requests.iter().map(|request| request.records.len()).sum();
    let cut: usize = rankings.iter().map(|ranking| ranking.cut.len()).sum();
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!("{pairs} pairs scored in {seconds:.0} s; {cut} of them were cut");
    Ok(rankings)
}

/// The table of the claims that are `counted`.
fn table(runs: &[Run], counted: impl Fn(usize) -> bool) -> Result<Table> {
    let mut comparison = Comparison::new([Metric { name: "nDCG@10".into(), better: Better::Higher }]);
    for run in runs {
        let values = run.ndcg.iter().enumerate().filter(|(at, _)| counted(*at)).map(|(_, &value)| vec![value]);
        let (name, standing) = (run.name.clone(), run.standing);
        comparison.add(SystemRun { name, standing, values: vec![values.collect()], calls: 0, tokens: 0 })?;
    }
    Ok(comparison.table(CONFIDENCE, RESAMPLES, SEED)?)
}

/// Every system over every baseline on the claims that are `counted`, a line each: the table has the best baseline only.
fn gains(runs: &[Run], counted: impl Fn(usize) -> bool) -> Result<String> {
    let of = |standing| runs.iter().filter(move |run| run.standing == standing);
    let by_user = |run: &Run| -> Vec<Vec<f64>> {
        run.ndcg.iter().enumerate().filter(|(at, _)| counted(*at)).map(|(_, &value)| vec![value]).collect()
    };
    let mut lines = String::new();
    for system in of(Standing::System) {
        for baseline in of(Standing::Baseline) {
            let paired = Paired::by_user(&by_user(system), &by_user(baseline))?;
            let gain = paired.bootstrap(CONFIDENCE, RESAMPLES, SEED);
            let p = paired.permutation_test(RESAMPLES, SEED);
            lines += &format!(
                "{} over {}: {:+.3} [{:+.3}, {:+.3}], p = {p:.4}\n",
                system.name, baseline.name, gain.mean, gain.low, gain.high
            );
        }
    }
    Ok(lines)
}

fn write(compare: &Compare, [all, unseen]: &[Table; 2], text: &str) -> Result<()> {
    let json = serde_json::to_string_pretty(&serde_json::json!({ "development": all, "unseen": unseen }))?;
    if let Some(out) = &compare.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("table.json"), &json)?;
        fs::write(out.join("table.txt"), text)?;
        fs::write(out.join("table.csv"), all.to_csv())?;
        fs::write(out.join("unseen.csv"), unseen.to_csv())?;
        fs::write(out.join("ndcg.svg"), all.to_svg(0).context("the table has a metric")?)?;
        eprintln!("wrote {}", out.display());
    }
    if compare.json {
        println!("{json}");
    } else {
        print!("{text}");
    }
    Ok(())
}

const CLAIMS_A_CALL: usize = 8;
const CONFIDENCE: f64 = 0.95;
const RESAMPLES: usize = 10_000;
const SEED: u64 = 0;
