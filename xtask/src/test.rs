//! `cargo xtask test`: sets up what is missing and runs every test.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, examples, export, fuzz, readme, setup};

/// Set up what is missing, then run every test: fuzz targets for a bounded number of inputs, doc tests, all others, and
/// the examples that need nothing but themselves.
///
/// After it has run once, `cargo test` works in any crate with no environment variable.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<()> {
    step("set up");
    setup::run_default()?;
    step("export the encoder");
    export::encoder_bundle("fp32")?;
    step("the README's example");
    readme::check()?;
    step("fuzz targets, bounded");
    fuzz::run_all(fuzz::BOUNDED)?;
    step("doc tests");
    cargo::run(cargo::cargo(["test", "--workspace", "--doc", "--quiet"]).args(FEATURES))?;
    step("tests");
    if cargo::succeeds(&mut cargo::cargo(["nextest", "--version"])) {
        cargo::run(repeatable(cargo::cargo(["nextest", "run", "--workspace"]).args(FEATURES)))?;
    } else {
        let kinds = ["test", "--workspace", "--lib", "--bins", "--tests"];
        cargo::run(repeatable(cargo::cargo(kinds).args(FEATURES)))?;
    }
    step("examples");
    examples::run_all(FEATURES)
}

/// What tests need beyond the defaults. Not all features: `cuda` wants a device.
const FEATURES: &[&str] = &["--features", "hydra-types/serde,hydra-export/cli,hydra-ml/cli,hydra-train/cli"];

/// Generated cases are the same in every run, so that what passed passes again; `cargo test` in a crate draws new ones.
fn repeatable(command: &mut Command) -> &mut Command {
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        command.env("PROPTEST_RNG_SEED", "1");
    }
    command
}

fn step(name: &str) {
    eprintln!("\n== {name}");
}
