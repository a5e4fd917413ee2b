//! `cargo xtask torture`: kills a writing process, again and again, looks at what is left, and damages files bit by bit.

use anyhow::Result;

use crate::cargo;

/// Kill a writing process at random points and check what is left: nothing that was acknowledged may be lost. Then flip
/// every bit of a store's files, and cut them off at every byte.
///
/// `cargo xtask test` does the same for a few rounds and some of the bits. A seed repeats a run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many processes to kill, for each kind of file.
    #[arg(long, default_value_t = 1_000)]
    rounds: u32,
    /// Which points to kill them at.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// `(package, modules of tests that go on for as long as they are told)`.
const TESTS: &[(&str, &[&str])] = &[("hydra-retrieval", &["crash::"]), ("hydra-store", &["crash::", "flips::"])];

pub(crate) fn run(args: &Args) -> Result<()> {
    for (package, modules) in TESTS {
        eprintln!("{package}: {} rounds, seed {}", args.rounds, args.seed);
        let mut torture = cargo::cargo(["test", "--release", "-p", package, "--lib", "--test", "it", "--"]);
        torture.args(*modules).env("HYDRA_TORTURE_ROUNDS", args.rounds.to_string());
        cargo::run(torture.env("HYDRA_TORTURE_SEED", args.seed.to_string()))?;
    }
    Ok(())
}
