//! The calls by which a language model labels which records help with which query: one prompt a record, of which the
//! instructions and the query are shared, and an answer of a token or two.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hydra_lm::{LanguageModel, Prompt};
use serde_json::{Map, Value};

use crate::{name, open, seconds, tokens};

/// Prompts a second on two threads: by bundle, by what is asked, by how many prompts [`LanguageModel::generate`] is given
/// at once. `LocalClient` gives it one.
pub(crate) fn calls(bundles: &[PathBuf], rounds: usize) -> Result<Value> {
    let mut table = Map::new();
    for bundle in bundles {
        for (asked, n, most) in [("logprobs of one token", 1, 1), ("8 samples of one token", 8, 1), ("8 of two", 8, 2)]
        {
            for batch in [1, RECORDS] {
                let mut model = open(bundle, 2, 4_096)?;
                let mut query = 0;
                let time = seconds(rounds, || {
                    query += 1;
                    for prompts in prompts(&model, query, n, most)?.chunks(batch) {
                        let answers = model.generate(prompts, |_| ControlFlow::Continue(()))?;
                        ensure!(answers.iter().all(|answers| answers.len() == n), "an answer is missing");
                    }
                    Ok(())
                })?;
                table.insert(format!("{}, {asked}, {batch} at once", name(bundle)?), (RECORDS as f64 / time).into());
            }
        }
    }
    Ok(table.into())
}

/// What is asked about one query.
fn prompts(model: &LanguageModel, query: usize, n: usize, most: usize) -> Result<Vec<Prompt>> {
    let shared = tokens(model, SHARED, 100 * query)?;
    let prompt = |record: usize| {
        let own = tokens(model, WHOLE - SHARED, 100 * query + record + 1)?;
        let mut prompt = Prompt::new([shared.clone(), own].concat());
        prompt.n = NonZeroUsize::new(n).context("an answer")?;
        prompt.max_tokens = most;
        prompt.sampling.temperature = 1.0;
        prompt.logprobs = (n == 1).then_some(5);
        Ok(prompt)
    };
    (0..RECORDS).map(prompt).collect()
}

const RECORDS: usize = 16;
/// Tokens of a prompt, and how many of them are the same for all records of a query.
const WHOLE: usize = 120;
const SHARED: usize = 70;
