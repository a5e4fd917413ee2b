//! `cargo xtask train`: a door to the release binary of `hydra-train`.

use anyhow::Result;

use crate::cargo;
use crate::door::{self, Handed};

/// Train what everybody shares: `cargo xtask train reranker ROWS --out DIR`.
///
/// Options are those of `hydra-train`: `cargo xtask train reranker --help` shows them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    handed: Handed,
}

pub(crate) fn run(Args { handed }: &Args) -> Result<()> {
    handed.set_up()?;
    cargo::run(door::binary("hydra-train", "hydra-train")?.args(&handed.args))
}
