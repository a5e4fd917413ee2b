//! `cargo xtask demo`: a door to the release binary of `hydra-ml`.

use anyhow::Result;

use crate::cargo::{self, root};
use crate::door::{self, Handed};
use crate::{export, setup};

/// See the whole system work on real input: one command on a fresh machine.
///
/// Fetches what is missing (also MovieLens 100K: research use only, not to be passed on), exports the encoder and the language
/// model, fits, judges every method on 300 users, writes tables and pictures, and answers three users live.
/// Options: `cargo xtask demo --help`.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[command(flatten)]
    handed: Handed,
}

pub(crate) fn run(Args { handed }: &Args) -> Result<()> {
    let mut demo = door::binary("hydra-ml", "hydra")?;
    demo.arg("demo");
    if !handed.asks_for_help() {
        setup::run_with_movielens()?;
        demo.arg("--encoder").arg(export::encoder_bundle("fp32")?);
        demo.arg("--lm").arg(export::language_model_bundle("fp32")?);
        for (option, path) in [
            ("--data", ".hydra/movielens"),
            ("--cassette", "fixtures/movielens/answers.cassette"),
            ("--out", "target/hydra/demo"),
        ] {
            demo.arg(option).arg(root().join(path));
        }
    }
    cargo::run(demo.args(&handed.args))
}
