//! `cargo xtask fixtures`: what is generated once and committed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
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
    /// What onnx's own shape inference says of operators, under fixtures/graph.
    Graph,
    /// Tiny bundles with the answers that numpy gives, under fixtures/bundles.
    Bundles,
    /// Tiny models of every family with PyTorch's outputs, under fixtures/models.
    Models,
    /// Quantised tensors as the package `gguf` reads them, and tiny language models, under fixtures/gguf.
    Gguf,
    /// PyTorch's outputs and gradients of every head kind, under fixtures/heads.
    Heads,
    /// Scores of rank_bm25, under fixtures/retrieval.
    Bm25,
    /// PyTorch's losses, gradients and a short run of AdamW, under fixtures/train.
    Training,
    /// Values of scikit-learn, SciPy, trec_eval, rouge-score and sacreBLEU, under fixtures/eval.
    Metrics,
}

impl What {
    /// The script under xtask/python, and its argument; none where no Python is needed.
    fn script(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::Proto => None,
            Self::Graph => Some(("graph_golden.py", Some("fixtures/graph/inference.json"))),
            Self::Bundles => Some(("make_tiny_bundle.py", Some("fixtures/bundles"))),
            Self::Models => Some(("make_tiny_models.py", Some("fixtures/models"))),
            Self::Gguf => Some(("make_gguf_fixtures.py", None)),
            Self::Heads => Some(("make_head_goldens.py", None)),
            Self::Bm25 => Some(("make_bm25_goldens.py", None)),
            Self::Training => Some(("make_training_goldens.py", None)),
            Self::Metrics => Some(("make_metric_goldens.py", None)),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let Some((script, argument)) = args.what.script() else {
        return proto(args.check);
    };
    ensure!(!args.check, "these files come from another program's maths: the tests compare them, --check cannot");
    let mut python = Command::new(&args.python);
    cargo::run(python.arg(Path::new("xtask/python").join(script)).args(argument).current_dir(root()))
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
