//! A body for the adapter, from the recorded answers on MovieLens to the table with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::recipe::{Binaries, WEIGHTS, args, run_all, words};
use super::stage::Stage;
use crate::cargo::root;
use crate::{export, setup};

pub(super) fn run(out: &Path) -> Result<()> {
    setup::run_with_movielens()?;
    let (encoder, lm) = (export::encoder_bundle("fp32")?, export::language_model_bundle("fp32")?);
    let binaries = Binaries::build()?;
    // What it lacks on this machine is added: not to the file in the repository.
    let cassette = out.join("answers.cassette");
    if !cassette.exists() {
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        fs::copy(root().join(CASSETTE), &cassette).context("cannot copy the recorded answers")?;
    }
    run_all(&stages(&binaries, &Inputs { encoder, lm, data: root().join(".hydra/movielens"), cassette }, out), out)
}

struct Inputs {
    encoder: PathBuf,
    lm: PathBuf,
    data: PathBuf,
    cassette: PathBuf,
}

fn stages(binaries: &Binaries, from: &Inputs, out: &Path) -> [Stage; 4] {
    let inside = |name: &str| out.join(name);
    let (rows, model, bundle, results) = (inside("rows.jsonl"), inside("model"), inside("bundle"), inside("results"));
    let Inputs { encoder, lm, data, cassette } = from;
    let eval = || args([&"eval", &"--data", data, &"--encoder", encoder, &"--lm", lm, &"--cassette", cassette]);
    // In both, what is asked is decided by the data; answers that were added to the cassette change nothing of it.
    let files = ["ml-100k.inter", "ml-100k.item"].map(|name| data.join(name));
    let reading = |more: &[&PathBuf]| files.iter().chain(more.iter().copied()).cloned().collect::<Vec<_>>();
    [
        Stage {
            name: "rows",
            program: binaries.hydra.clone(),
            args: [eval(), args([&"--adapter-rows", &rows])].concat(),
            reads: reading(&[]),
            writes: vec![rows.clone()],
        },
        Stage {
            name: "training",
            program: binaries.train.clone(),
            args: [args([&"adapter", &rows, &"--out", &model]), words(TRAIN)].concat(),
            reads: vec![rows],
            writes: vec![model.join(WEIGHTS)],
        },
        binaries.exported(&model, &bundle),
        Stage {
            name: "comparison",
            program: binaries.hydra.clone(),
            args: [eval(), args([&"--adapter", &bundle, &"--out", &results])].concat(),
            reads: reading(&[&bundle, encoder]),
            writes: vec![results.join("table.txt")],
        },
    ]
}

const CASSETTE: &str = "fixtures/movielens/answers.cassette";
const TRAIN: &str = "--loss two-classes --epochs 2 --batch 32 --max-tokens 160 --frozen-layers 2 --learning-rate 1e-4 --user-heads 1e-3 --evaluate-every 10";
