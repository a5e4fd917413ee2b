//! `cargo xtask eval`: a door to the release binary of `hydra-ml`.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::{cargo, export, setup};

/// Compare HYDRA with every simpler way on a task: one table, an interval at every number.
///
/// Sets up and exports the encoder and the language model that run in this process; data with a licence of its own is fetched
/// where it is agreed to, by `cargo xtask setup --movielens`. Options: `cargo xtask eval --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Handed to `hydra eval` as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let asks_for_help = args.args.iter().any(|arg| arg == "--help" || arg == "-h");
    let mut own: Vec<OsString> = Vec::new();
    if !asks_for_help {
        setup::run_default()?;
        own.extend(["--encoder".into(), export::encoder_bundle("fp32")?.into_os_string()]);
        own.extend(["--lm".into(), export::language_model_bundle("int8")?.into_os_string()]);
    }
    let mut build = cargo::cargo(["build", "--release", "-p", "hydra-ml", "--features", "cli", "--bin", "hydra"]);
    cargo::run(Command::new(cargo::built_executable(&mut build, "hydra")?).arg("eval").args(&own).args(&args.args))
}
