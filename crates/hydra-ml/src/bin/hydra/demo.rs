//! `hydra demo`: the whole system on real ratings, judged, and then live.

mod live;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result};
use hydra_llm::{Cassette, CassetteMode, KeyScope, LlmClient, block_on};
use hydra_lm::{LanguageModel, LmOptions, LocalClient};
use hydra_ml::experiment::{Bodies, ExperimentPlan, ExperimentTask, run_live};
use hydra_onnx::{Bundle, Encoder, EncoderOptions};

use crate::eval::manifest::{self, Manifest};
use crate::eval::report::Report;
use crate::eval::task::{audited, movielens_as_recorded, movielens_files};
use crate::progress::{Counted, Shown};
use crate::recorded;

/// Everything at once, on MovieLens 100K: labels, heads, every method in one table, and three answers live.
///
/// Answers of the language model come from the cassette that lies in the repository; what it lacks on this machine, because
/// another processor rounds otherwise and a reranker so shows other records, the model in this process is asked.
#[derive(clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Demo {
    /// Folder with the ratings
    #[arg(long, value_name = "DIR", default_value = ".hydra/movielens")]
    data: PathBuf,

    /// Bundle of the language model in this process
    #[arg(long, value_name = "DIR", default_value = recorded::LANGUAGE_MODEL)]
    lm: PathBuf,

    /// Bundle of the sentence encoder that features come from
    #[arg(long, value_name = "DIR", default_value = "target/hydra/all-minilm-l6-v2")]
    encoder: PathBuf,

    /// File of recorded answers
    #[arg(long, value_name = "FILE", default_value = recorded::CASSETTE)]
    cassette: PathBuf,

    /// Ask the queries of 60 test users only: under a minute
    #[arg(long)]
    quick: bool,

    /// Ask the queries of this many test users of the language model itself, and not of the cassette: eleven calls each
    #[arg(long, value_name = "N", conflicts_with = "quick")]
    live: Option<NonZeroUsize>,

    /// Where the tables and pictures go
    #[arg(long, value_name = "DIR", default_value = "target/hydra/demo")]
    out: PathBuf,
}

pub(crate) fn run(demo: &Demo) -> Result<()> {
    let begin = Instant::now();
    let task = ExperimentTask::movielens()?;
    let mut plan = ExperimentPlan::default();
    (plan.train, plan.test) = (recorded::TRAIN, recorded::TEST);
    let mut split = movielens_as_recorded(&demo.data)?;
    // The whole split is drawn first, so that fewer users are some of the same users.
    let asked = demo.live.map(NonZeroUsize::get).or(demo.quick.then_some(QUICK_USERS));
    split.test.truncate(asked.unwrap_or(usize::MAX));
    let (train, test) = (split.train.len(), split.test.len());
    eprintln!(
        "{train} users to train on, {test} users to judge by, none of them both; every one of these is asked for the rating of the film that they rated last"
    );
    audited(&split)?;

    let bundle = Bundle::open(&demo.encoder).context("cannot open the encoder: `cargo xtask export-onnx` makes it")?;
    let open_body = || Encoder::open(&bundle, &EncoderOptions::default());
    let model = LanguageModel::open(&demo.lm, &LmOptions::default())
        .context("cannot open the language model: `cargo xtask export-onnx --lm .hydra/llm/model.gguf --precision fp32` makes it")?;
    let (model, asked) = Counted::new(LocalClient::new(model)?);
    let model: Arc<dyn LlmClient> = Arc::new(model);
    let cassette = Cassette::open(Arc::clone(&model), &demo.cassette, CassetteMode::PassThrough, KeyScope::User)?;
    let (for_labels, for_queries) = (train * plan.train.calls() + test * plan.test.calls(), test * CALLS_A_QUERY);
    let calls = for_labels + for_queries;
    let live = demo.live.map(|_| Shown::new(Arc::clone(&model), for_queries as u64));
    let recorded = Shown::new(cassette, if live.is_some() { for_labels } else { calls } as u64);
    let answers: &dyn LlmClient = live.as_ref().map_or(&recorded, |live| live);
    let (mut reranker, mut adapter) = (open_body()?, open_body()?);
    let bodies = Bodies::new(&mut reranker, &mut adapter);
    let result = block_on(run_live(&split, &task, &plan, bodies, &recorded, answers))?;
    recorded.finish();
    live.iter().for_each(Shown::finish);
    eprintln!("{} of {calls} calls went to the model, the others were recorded", asked.load(Ordering::Relaxed));
    let files = [
        ("encoder", demo.encoder.join("manifest.json")),
        ("language-model", demo.lm.join("manifest.json")),
        (manifest::CASSETTE, demo.cassette.clone()),
    ];
    let files = files.into_iter().chain(movielens_files(&demo.data));
    let manifest = Manifest::new("MovieLens 100K", &plan, &model.capabilities().model, &split, files)?;
    let report = Report::new(&result)?;
    report.write(manifest, &demo.out)?;
    report.print(false);
    eprintln!("{:.0} s so far", begin.elapsed().as_secs_f64());

    println!("\nThree users, live:");
    live::answer(&split, &task, &result.learned, &plan, [open_body()?, open_body()?], &model)?;
    eprintln!("{:.0} s in all", begin.elapsed().as_secs_f64());
    Ok(())
}

const QUICK_USERS: usize = 60;
/// Of a test user's one query: by every method, the profile included.
const CALLS_A_QUERY: usize = 11;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::Arguments;

    fn parsed(options: &[&str]) -> Result<super::Demo, clap::Error> {
        let arguments = Arguments::try_parse_from([&["hydra", "demo"], options].concat())?;
        let crate::Command::Demo(demo) = arguments.command else { panic!("it is another command") };
        Ok(demo)
    }

    #[test]
    fn an_option_that_is_given_again_replaces_the_first() {
        let demo = parsed(&["--out", "a", "--data", "b", "--out", "c"]).unwrap();
        assert_eq!((demo.out, demo.data), ("c".into(), "b".into()));
    }

    #[test]
    fn nobody_is_no_number_of_users() {
        assert!(parsed(&["--live", "0"]).is_err());
        assert_eq!(parsed(&["--live", "2"]).unwrap().live.unwrap().get(), 2);
    }
}
