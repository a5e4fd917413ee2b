//! `cargo xtask train`: a door to the release binary of `hydra-train`.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::cargo;
use crate::setup;

/// Train what everybody shares: `cargo xtask train reranker ROWS --out DIR`.
///
/// Options are those of `hydra-train`: `cargo xtask train reranker --help` shows them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Handed to `hydra-train` as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let asks_for_help = args.args.iter().any(|arg| arg == "--help" || arg == "-h");
    if !asks_for_help {
        setup::run_default()?;
    }
    let name = "hydra-train";
    let mut build = cargo::cargo(["build", "--release", "-p", name, "--features", "cli", "--bin", name]);
    cargo::run(Command::new(cargo::built_executable(&mut build, name)?).args(&args.args))
}
