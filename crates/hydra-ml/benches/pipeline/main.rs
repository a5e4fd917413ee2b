//! What the pipeline itself costs, beside the models that it asks: `cargo xtask bench pipeline`. `--help` says how.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

mod load;
mod measure;
mod models;

use anyhow::{Context, Result, bail, ensure};
use hydra_ml::Retrieval;

const HELP: &str = "\
Measures what an answer costs outside the body, the encoder and the language model: reading the store, finding records,
writing the prompt, scoring with the user's own two heads, picking, the trace, and the way to the worker's thread and back.

  --users N        how many users (1000), each with 50 to 200 records, a fitted reranker head and a fitted adapter head
  --retrieval WAY  words, meaning, both or newest (words)
  --retrieved N    records that are found and reranked (20); 4 of them are shown
  --candidates N   candidates that the language model proposes, all different (20)
  --rounds N       how often every user asks after their first question (5)
  --memory-mib N   histories that stay in memory (1024)
  --json           one JSON object and nothing else

The load is made up: words of a vocabulary of 20,000 by Zipf's law, records of 5 to 150 of them, queries of 5 to 20, short
ones more often. It lies in a store on the disk; the system may have its files in memory.

The models are looked up: a body (and, by meaning, an encoder) that finds ready features in a table, and a language model
that is a cassette recorded beforehand. What they take all the same is measured where it is spent, subtracted, and printed as
body_p50_ms and replay_p50_ms. overhead_* is of users who asked before, one question after the other; first_* is of everybody's
first question, for which a history is read from the store, unsealed and indexed. answers_per_s is of all users once, in calls
of 64, and it includes looking up and replaying. rss_mib is the whole process at the end.";

pub(crate) struct Options {
    pub(crate) users: u32,
    pub(crate) retrieval: Retrieval,
    pub(crate) retrieved: usize,
    pub(crate) candidates: u32,
    pub(crate) rounds: u32,
    pub(crate) memory_mib: usize,
    json: bool,
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    let report = measure::report(&options)?;
    if options.json {
        println!("{}", serde_json::Value::Object(report));
    } else {
        for (key, value) in &report {
            println!("{key:<24} {value}");
        }
    }
    Ok(())
}

fn options() -> Result<Option<Options>> {
    let mut options = Options {
        users: 1000,
        retrieval: Retrieval::Words,
        retrieved: 20,
        candidates: 20,
        rounds: 5,
        memory_mib: 1024,
        json: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value; see --help"));
        match arg.as_str() {
            "--users" => options.users = value()?.parse()?,
            "--retrieval" => {
                options.retrieval = match value()?.as_str() {
                    "words" => Retrieval::Words,
                    "meaning" => Retrieval::Meaning,
                    "both" => Retrieval::Both,
                    "newest" => Retrieval::Newest,
                    other => bail!("no retrieval {other}; see --help"),
                }
            }
            "--retrieved" => options.retrieved = value()?.parse()?,
            "--candidates" => options.candidates = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--memory-mib" => options.memory_mib = value()?.parse()?,
            "--json" => options.json = true,
            "--help" => return Ok(None),
            // Cargo hands this to every bench.
            "--bench" => {}
            other => bail!("no option {other}; see --help"),
        }
    }
    ensure!(
        options.users > 0 && options.retrieved >= 4 && (1..=100).contains(&options.candidates) && options.rounds > 0,
        "give at least 1 user and round, 4 records, and 1 to 100 candidates"
    );
    Ok(Some(options))
}
