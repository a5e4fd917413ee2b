//! `cargo xtask torture`: kills a writing process, again and again, and looks at what is left.

use anyhow::Result;

use crate::cargo;

/// Kill a writing process at random points and check what is left: nothing that was acknowledged may be lost.
///
/// `cargo xtask test` does the same for a few rounds. A seed repeats a run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many processes to kill, for each kind of file.
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
    /// Which points to kill them at.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// `(package, tests that kill a child)`.
const TESTS: &[(&str, &str)] = &[("hydra-store", "crash"), ("hydra-retrieval", "crash")];

pub(crate) fn run(args: &Args) -> Result<()> {
    for (package, test) in TESTS {
        eprintln!("{package}: {} rounds, seed {}", args.rounds, args.seed);
        let mut torture = cargo::cargo(["test", "--release", "-p", package, "--test", "it", test, "--", "--nocapture"]);
        torture.env("HYDRA_TORTURE_ROUNDS", args.rounds.to_string());
        cargo::run(torture.env("HYDRA_TORTURE_SEED", args.seed.to_string()))?;
    }
    Ok(())
}
