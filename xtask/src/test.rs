//! `cargo xtask test`: sets up what is missing and runs every test.

use anyhow::Result;

use crate::{cargo, export, fuzz, readme, setup};

/// Set up what is missing, then run every test: fuzz targets for a bounded number of inputs, doc tests, all others.
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
        cargo::run(cargo::cargo(["nextest", "run", "--workspace"]).args(FEATURES))
    } else {
        cargo::run(cargo::cargo(["test", "--workspace", "--lib", "--bins", "--tests", "--examples"]).args(FEATURES))
    }
}

/// What tests need beyond the defaults. Not all features: `cuda` wants a device.
const FEATURES: &[&str] = &["--features", "hydra-types/serde,hydra-export/cli,hydra-train/cli"];

fn step(name: &str) {
    eprintln!("\n== {name}");
}
