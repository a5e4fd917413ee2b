//! The general reranker: from SciFact's files to a bundle and what it is worth.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::recipe::{Binaries, WEIGHTS, args, run_all, words};
use super::stage::Stage;
use crate::{export, setup};

/// What to train from, and where to.
pub(super) struct Recipe {
    pub(super) data: PathBuf,
    pub(super) out: PathBuf,
    /// Claims of a trial.
    pub(super) trial: Option<usize>,
}

pub(super) fn run(recipe: &Recipe) -> Result<()> {
    setup::run_default()?;
    let encoder = export::encoder_bundle("fp32")?;
    let binaries = Binaries::build()?;
    run_all(&stages(recipe, &binaries, &encoder), &recipe.out)
}

fn stages(recipe: &Recipe, binaries: &Binaries, encoder: &Path) -> [Stage; 6] {
    let inside = |name: &str| recipe.out.join(name);
    let (rows, held_out, warm_up_rows) = (inside("rows.jsonl"), inside("held-out.jsonl"), inside("warm-up.jsonl"));
    let (warm_up, model, bundle, results) = (inside("warm-up"), inside("model"), inside("bundle"), inside("results"));
    let files = ["corpus_train.csv", "claims_train.csv", "claims_validation.csv"].map(|name| recipe.data.join(name));
    let data = || {
        let mut data = args([&"--data", &recipe.data]);
        data.extend(recipe.trial.into_iter().flat_map(|claims| args([&"--claims", &claims.to_string()])));
        data
    };
    let groups = if recipe.trial.is_some() { TRIAL_GROUPS } else { WARM_UP_GROUPS };
    let reading =
        |folders: &[&Path]| [&files[..], &folders.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>()].concat();
    [
        Stage {
            name: "rows",
            program: binaries.hydra.clone(),
            args: [args([&"scifact", &"rows", &"--out", &rows, &"--held-out", &held_out]), words(ROWS), data()]
                .concat(),
            reads: reading(&[]),
            writes: vec![rows.clone(), held_out.clone()],
        },
        Stage {
            name: "warm-up rows",
            program: binaries.hydra.clone(),
            args: [
                args([&"scifact", &"warm-up", &"--out", &warm_up_rows, &"--encoder", &encoder]),
                args([&"--groups", &groups]),
                data(),
            ]
            .concat(),
            reads: reading(&[encoder]),
            writes: vec![warm_up_rows.clone()],
        },
        Stage {
            name: "warm-up",
            program: binaries.train.clone(),
            args: [args([&"reranker", &warm_up_rows, &"--out", &warm_up]), words(WARM_UP), words(TRAIN)].concat(),
            reads: vec![warm_up_rows],
            writes: vec![warm_up.join(WEIGHTS)],
        },
        Stage {
            name: "training",
            program: binaries.train.clone(),
            args: [
                args([&"reranker", &rows, &"--held-out", &held_out, &"--model", &warm_up, &"--out", &model]),
                words(TRAIN_CLAIMS),
                words(TRAIN),
            ]
            .concat(),
            reads: vec![rows, held_out, warm_up.join(WEIGHTS)],
            writes: vec![model.join(WEIGHTS)],
        },
        binaries.exported(&model, &bundle),
        Stage {
            name: "comparison",
            program: binaries.hydra.clone(),
            args: [
                args([&"scifact", &"compare", &"--reranker", &bundle, &"--encoder", &encoder, &"--out", &results]),
                data(),
            ]
            .concat(),
            reads: reading(&[&bundle, encoder]),
            writes: vec![results.join("table.txt")],
        },
    ]
}

const ROWS: &str = "--rounds 2 --negatives 7";
const WARM_UP_GROUPS: &str = "2000";
const TRIAL_GROUPS: &str = "40";
const TRAIN: &str = "--epochs 1 --batch 4 --max-tokens 96 --frozen-layers 2";
const WARM_UP: &str = "--hold-out 30 --evaluate-every 60 --learning-rate 2e-4";
const TRAIN_CLAIMS: &str = "--evaluate-every 60 --learning-rate 1e-4";
