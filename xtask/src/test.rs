//! `cargo xtask test`: sets up what is missing and runs every test.

use anyhow::Result;

use crate::{cargo, export, fuzz, setup};

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
    step("fuzz targets, bounded");
    fuzz::run_all(fuzz::BOUNDED)?;
    step("doc tests");
    cargo::run(&mut cargo::cargo(["test", "--workspace", "--all-features", "--doc", "--quiet"]))?;
    step("tests");
    if cargo::succeeds(&mut cargo::cargo(["nextest", "--version"])) {
        cargo::run(&mut cargo::cargo(["nextest", "run", "--workspace", "--all-features", "--all-targets"]))
    } else {
        cargo::run(&mut cargo::cargo([
            "test",
            "--workspace",
            "--all-features",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ]))
    }
}

fn step(name: &str) {
    eprintln!("\n== {name}");
}
