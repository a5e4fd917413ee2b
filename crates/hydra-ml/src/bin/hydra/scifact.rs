//! `hydra scifact`: rows to train a reranker from, and what the trained one is worth.

mod bi_encoder;
mod compare;
mod data;
mod first_stage;
mod found;
mod numpy;
mod passages;
mod rows;
mod warm_up;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

use data::{DataError, SciFact};

/// SciFact: which abstracts is a claim about?
///
/// Relevant to a claim are the abstracts that it cites, as in the version of BEIR, whether they support or contradict it.
/// `cargo xtask train reranker --scifact DIR` runs these commands one after the other.
#[derive(clap::Args)]
pub(crate) struct Scifact {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Rows(rows::Rows),
    WarmUp(warm_up::WarmUp),
    Compare(compare::Compare),
}

/// Where the data lies.
#[derive(clap::Args)]
struct Data {
    /// Folder with corpus_train.csv, claims_train.csv and claims_validation.csv
    #[arg(long = "data", value_name = "DIR")]
    folder: PathBuf,

    /// Only the first so many claims to learn from, to choose by and to judge on, and few abstracts: a trial of the commands
    #[arg(long, value_name = "N")]
    claims: Option<usize>,
}

impl Data {
    fn load(&self) -> Result<SciFact, DataError> {
        let all = SciFact::load(&self.folder)?;
        Ok(match self.claims {
            Some(claims) => all.trial(claims),
            None => all,
        })
    }
}

pub(crate) fn run(scifact: &Scifact) -> Result<()> {
    match &scifact.command {
        Command::Rows(rows) => rows::run(rows),
        Command::WarmUp(warm_up) => warm_up::run(warm_up),
        Command::Compare(compare) => compare::run(compare),
    }
}

fn bar(unit: &'static str, len: usize) -> ProgressBar {
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{elapsed}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("the template is valid");
    ProgressBar::new(len as u64).with_style(style)
}

#[cfg(test)]
mod tests;
