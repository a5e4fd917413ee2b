//! `cargo xtask export-onnx`: a door to the release binary of `hydra-export`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::{self, root};
use crate::setup;

/// Write an ONNX bundle from a model folder; without a folder, from the encoder that `setup` fetched.
///
/// The exported graph is run against an independent forward pass first; if they disagree, nothing is written.
/// Options are those of `hydra-export`: `cargo xtask export-onnx --help` shows them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Handed to `hydra-export` as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let asks_for_help = args.args.iter().any(|arg| arg == "--help" || arg == "-h");
    if !asks_for_help {
        setup::run_default()?;
    }
    export(&args.args)
}

/// The bundle of the fetched encoder in this precision, exported if it is not there.
pub(crate) fn encoder_bundle(precision: &str) -> Result<PathBuf> {
    let suffix = if precision == "fp32" { String::new() } else { format!("-{precision}") };
    let bundle = root().join(format!("target/hydra/all-minilm-l6-v2{suffix}"));
    if !bundle.join("manifest.json").exists() {
        setup::run_default()?;
        export(&["--precision".into(), precision.into(), "--out".into(), bundle.clone().into()])?;
    }
    Ok(bundle)
}

fn export(args: &[OsString]) -> Result<()> {
    let built = cargo::built_executable(
        &mut cargo::cargo(["build", "--release", "-p", "hydra-export", "--features", "cli", "--bin", "hydra-export"]),
        "hydra-export",
    )?;
    cargo::run(std::process::Command::new(built).args(args))
}
