//! `cargo xtask fixtures`: what is generated once and committed.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::cargo::{self, root};

/// Regenerate what is generated once and committed.
///
/// `proto` needs nothing but cargo. The golden files need a Python with the packages that each script
/// under `xtask/python` names at its top, for instance:
///
///     python3 -m venv venv && venv/bin/pip install torch transformers onnx safetensors
///     cargo xtask fixtures models --python venv/bin/python
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// What to regenerate.
    what: What,
    /// Change nothing; fail if what is committed differs (`proto` only: other files come from another program's maths).
    #[arg(long)]
    check: bool,
    /// The Python that has the packages.
    #[arg(long, default_value = "python3", value_name = "FILE")]
    python: String,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum What {
    /// The protobuf types of ONNX, from crates/hydra-graph/proto/onnx.proto.
    Proto,
    /// Tiny models of every family with PyTorch's outputs, under fixtures/models.
    Models,
    /// PyTorch's outputs and gradients of every head kind, under fixtures/heads.
    Heads,
    /// Values of scikit-learn, SciPy, trec_eval, rouge-score and sacreBLEU, under fixtures/eval.
    Metrics,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match args.what {
        What::Proto => proto(args.check),
        What::Models | What::Heads | What::Metrics if args.check => {
            anyhow::bail!("these files come from another program's maths: the tests compare them, --check cannot")
        }
        What::Models => script(&args.python, "make_tiny_models.py"),
        What::Heads => script(&args.python, "make_head_goldens.py"),
        What::Metrics => script(&args.python, "make_metric_goldens.py"),
    }
}

/// Generates the protobuf types, or compares them.
pub(crate) fn proto(check: bool) -> Result<()> {
    let mut generate =
        cargo::cargo(["run", "--quiet", "-p", "hydra-graph", "--features", "codegen", "--bin", "generate-proto", "--"]);
    if check {
        generate.arg("--check");
    }
    cargo::run(&mut generate)
}

fn script(python: &str, name: &str) -> Result<()> {
    cargo::run(Command::new(python).arg(Path::new("xtask/python").join(name)).current_dir(root()))
}
