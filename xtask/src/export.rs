//! `cargo xtask export-onnx`: a door to the release binary of `hydra-export`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cargo::{self, root};
use crate::door::{self, Handed};
use crate::setup;

/// Write an ONNX bundle from a model folder; without a folder, from the encoder that `setup` fetched.
///
/// The exported graph is run against an independent forward pass first; if they disagree, nothing is written.
/// Options are those of `hydra-export`: `cargo xtask export-onnx --help` shows them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    handed: Handed,
}

pub(crate) fn run(Args { handed }: &Args) -> Result<()> {
    handed.set_up()?;
    cargo::run(exporter()?.args(&handed.args))
}

/// The bundle of the fetched encoder in this precision, exported if it is not there.
pub(crate) fn encoder_bundle(precision: &str) -> Result<PathBuf> {
    bundle("all-minilm-l6-v2", precision, &[])
}

/// The bundle of the fetched language model in this precision, exported if it is not there.
pub(crate) fn language_model_bundle(precision: &str) -> Result<PathBuf> {
    bundle("smollm2-135m-instruct", precision, &["--lm".into(), language_model_file().into_os_string()])
}

/// What `setup` fetched.
pub(crate) fn language_model_file() -> PathBuf {
    root().join(".hydra/llm/model.gguf")
}

fn bundle(name: &str, precision: &str, from: &[OsString]) -> Result<PathBuf> {
    let suffix = if precision == "fp32" { String::new() } else { format!("-{precision}") };
    let bundle = root().join(format!("target/hydra/{name}{suffix}"));
    if !bundle.join("manifest.json").exists() {
        setup::run_default()?;
        let mut export = exporter()?;
        // The standard output belongs to the command that needs the bundle: `bench --json` prints one object there.
        export.args(from).args(["--precision", precision, "--out"]).arg(&bundle).stdout(std::io::stderr());
        cargo::run(&mut export)?;
    }
    Ok(bundle)
}

fn exporter() -> Result<Command> {
    door::binary("hydra-export", "hydra-export")
}
