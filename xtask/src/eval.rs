//! `cargo xtask eval`: a door to the release binary of `hydra-ml`.

use std::ffi::OsString;

use anyhow::Result;

use crate::cargo::{self, root};
use crate::door::{self, Handed};
use crate::export;

/// Compare HYDRA with every simpler way on a task: one table, an interval at every number.
///
/// Sets up and exports the encoder and the language model that run in this process; data with a licence of its own is fetched
/// where it is agreed to, by `cargo xtask setup --movielens`. Options: `cargo xtask eval --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    handed: Handed,
}

pub(crate) fn run(Args { handed }: &Args) -> Result<()> {
    handed.set_up()?;
    let mut own: Vec<OsString> = Vec::new();
    if !handed.asks_for_help() {
        // Nothing is exported where the caller brings a model.
        if !given(handed, "--encoder") {
            own.extend(["--encoder".into(), export::encoder_bundle("fp32")?.into_os_string()]);
        }
        if !["--lm", "--llm-url", "--llm-model"].iter().any(|option| given(handed, option)) {
            own.extend(["--lm".into(), export::language_model_bundle("int8")?.into_os_string()]);
        }
        // Other tasks say where their data is.
        if !given(handed, "--data") && !given(handed, "--task") {
            own.extend(["--data".into(), root().join(".hydra/movielens").into_os_string()]);
        }
    }
    cargo::run(door::binary("hydra-ml", "hydra")?.arg("eval").args(&own).args(&handed.args))
}

/// Whether an option stands there, with its value behind it or behind `=`.
fn given(handed: &Handed, option: &str) -> bool {
    let with_value = |arg: &OsString| arg.to_str().is_some_and(|arg| arg.split('=').next() == Some(option));
    handed.args.iter().any(with_value)
}
