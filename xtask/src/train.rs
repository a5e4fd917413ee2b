//! `cargo xtask train`: the release binary of `hydra-train`, and recipes around it that go from data to a table.

mod movielens;
mod recipe;
mod scifact;
mod stage;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Subcommand;

use crate::{cargo, door, setup};

/// Train what everybody shares.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    body: Body,
}

#[derive(Subcommand)]
enum Body {
    Reranker(Reranker),
    Adapter(Adapter),
}

/// Train a reranker's body: a cross-encoder that says how useful a text is for a query.
///
/// There are two ways. From rows of your own, a file of JSON lines
/// {"query": "..", "text": "..", "label": 1, "group": 7}: what `hydra-train` makes of them is a model folder for
/// `cargo xtask export-onnx`.
///
/// Or, with --scifact, the general reranker: from the claims and abstracts of SciFact to a trained model, its ONNX bundle, and
/// a table that compares it with BM25 and with the sentence encoder on claims that it has not seen. It took 62 minutes
/// of two cores. Interrupted, it goes on by the same command; what was done is not done again.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
struct Reranker {
    /// Train the general reranker from the files in this folder: corpus_train.csv, claims_train.csv, claims_validation.csv
    #[arg(long, value_name = "DIR")]
    scifact: Option<PathBuf>,

    /// Where everything goes that is made [default with --scifact: target/hydra/reranker]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Only so many claims and few abstracts: whether the way is free, in minutes, and no result
    #[arg(long, value_name = "CLAIMS", requires = "scifact")]
    trial: Option<usize>,

    /// Rows of your own and options of `hydra-train`, handed to it as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ROWS")]
    rows: Vec<OsString>,
}

/// Train an adapter's body: how likely is it that this user would have chosen this answer?
///
/// There are two ways. From rows of your own, a file of JSON lines
/// {"query": "..", "text": "..", "label": 1, "group": 7, "user": 3}: what `hydra-train` makes of them is a model folder for
/// `cargo xtask export-onnx`.
///
/// Or, with --movielens, from the labels of the training users of MovieLens 100K, whose recorded answers lie in the
/// repository: body and users' heads are trained together, the body is exported, and the table of `cargo xtask eval` is
/// printed with it in the adapter's place. Interrupted, it goes on by the same command; what was done is not done again.
#[derive(clap::Args)]
#[command(after_long_help = ADAPTER_EXAMPLES)]
struct Adapter {
    /// Train on MovieLens 100K, which is fetched for it: research use only, not to be passed on
    #[arg(long)]
    movielens: bool,

    /// Where everything goes that is made [default with --movielens: target/hydra/adapter]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Rows of your own and options of `hydra-train`, handed to it as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ROWS", conflicts_with = "movielens")]
    rows: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match &args.body {
        Body::Reranker(reranker) => run_reranker(reranker),
        Body::Adapter(adapter) if adapter.movielens => {
            movielens::run(&adapter.out.clone().unwrap_or_else(|| cargo::root().join("target/hydra/adapter")))
        }
        Body::Adapter(adapter) => from_rows("adapter", &adapter.rows, adapter.out.as_deref()),
    }
}

fn run_reranker(reranker: &Reranker) -> Result<()> {
    let Some(data) = &reranker.scifact else {
        return from_rows("reranker", &reranker.rows, reranker.out.as_deref());
    };
    ensure!(reranker.rows.is_empty(), "with --scifact the rows and the options are the recipe's own: leave yours out");
    let out = reranker.out.clone().unwrap_or_else(|| cargo::root().join("target/hydra/reranker"));
    scifact::run(&scifact::Recipe { data: data.clone(), out, trial: reranker.trial })
}

fn from_rows(body: &str, rows: &[OsString], out: Option<&Path>) -> Result<()> {
    let asks_for_help = rows.iter().any(|arg| arg == "--help" || arg == "-h");
    if !asks_for_help {
        setup::run_default()?;
    }
    let mut train = door::binary("hydra-train", "hydra-train")?;
    train.arg(body).args(rows);
    if let Some(out) = out {
        train.arg("--out").arg(out);
    }
    cargo::run(&mut train)
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask train reranker --scifact ../shared/data/scifact
      the general reranker: rows, training, bundle and table in target/hydra/reranker
  cargo xtask train reranker --scifact ../shared/data/scifact --trial 10 --out /tmp/trial
      the same way with ten claims
  cargo xtask train reranker rows.jsonl --out target/hydra/mine --epochs 3
      from rows of your own
  cargo xtask train reranker -- --help
      all options for rows of your own";

const ADAPTER_EXAMPLES: &str = "\
Examples:
  cargo xtask train adapter --movielens
      rows, training, bundle and table in target/hydra/adapter
  cargo xtask train adapter rows.jsonl --out target/hydra/mine --loss two-classes --user-heads 1e-3
      from rows of your own
  cargo xtask train adapter -- --help
      all options for rows of your own";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn reranker(line: &str) -> Reranker {
        let Body::Reranker(reranker) = Line::parse_from(line.split(' ')).args.body else { panic!("{line}") };
        reranker
    }

    #[test]
    fn rows_and_options_of_the_binary_are_handed_on() {
        for (line, out, handed) in [
            ("train reranker rows.jsonl --out a --epochs 3", None, "rows.jsonl --out a --epochs 3"),
            ("train reranker --out a rows.jsonl --epochs 3", Some("a"), "rows.jsonl --epochs 3"),
            ("train reranker --epochs 3 rows.jsonl --out a", None, "--epochs 3 rows.jsonl --out a"),
            ("train reranker -- --help", None, "--help"),
        ] {
            let reranker = reranker(line);
            assert_eq!(reranker.out.as_deref(), out.map(Path::new), "{line}");
            let expected: Vec<OsString> = handed.split(' ').map(OsString::from).collect();
            assert_eq!(reranker.rows, expected, "{line}");
            assert!(reranker.scifact.is_none());
        }
    }

    #[test]
    fn the_recipe_takes_no_rows() {
        let recipe = reranker("train reranker --scifact data --trial 10");
        assert_eq!((recipe.scifact.as_deref(), recipe.trial), (Some(Path::new("data")), Some(10)));
        let Err(error) = run(&Args { body: Body::Reranker(reranker("train reranker --scifact data rows.jsonl")) })
        else {
            panic!("rows beside a recipe");
        };
        assert!(error.to_string().contains("leave yours out"), "{error}");
    }
}
