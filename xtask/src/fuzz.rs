//! `cargo xtask fuzz`: coverage-guided fuzzing with libFuzzer, on the stable toolchain and with no other tool installed.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, root};

/// Inputs a target in `cargo xtask test`: enough to notice a parser that lost its bounds, seconds in all.
pub(crate) const BOUNDED: u64 = 20_000;

/// Run the fuzz targets: each from its committed corpus, with a fixed seed, for a bounded number of inputs.
///
/// A crash leaves its input under `fuzz/artifacts/`. The layout is that of cargo-fuzz, which works too.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this target (a file name under fuzz/fuzz_targets, without .rs).
    target: Option<String>,
    /// How many inputs to try with each target.
    #[arg(long, default_value_t = BOUNDED)]
    runs: u64,
    /// Which sequence of mutations to try.
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// What cargo-fuzz passes for coverage, without the sanitizers, which need a nightly compiler.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions --cfg fuzzing";

pub(crate) fn run(args: &Args) -> Result<()> {
    let all = targets()?;
    let chosen: Vec<&String> = all.iter().filter(|t| args.target.as_ref().is_none_or(|only| only == *t)).collect();
    ensure!(!chosen.is_empty(), "no such fuzz target; there are: {}", all.join(", "));
    let folder = build()?;
    for target in chosen {
        let found = tempfile::tempdir()?;
        let artifacts = root().join("fuzz/artifacts").join(target);
        std::fs::create_dir_all(&artifacts)?;
        let mut fuzzer = Command::new(folder.join(target));
        fuzzer.arg(found.path()).arg(root().join("fuzz/corpus").join(target));
        fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
        fuzzer.args([format!("-runs={}", args.runs), format!("-seed={}", args.seed)]);
        fuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"]);
        eprintln!("fuzzing {target}: {} inputs, seed {}", args.runs, args.seed);
        cargo::run(&mut fuzzer).with_context(|| format!("the input is under {}", artifacts.display()))?;
    }
    Ok(())
}

/// Every target, for `runs` inputs each.
pub(crate) fn run_all(runs: u64) -> Result<()> {
    run(&Args { target: None, runs, seed: 1 })
}

fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Builds every target with coverage counters and returns the folder of the executables.
fn build() -> Result<PathBuf> {
    let version = String::from_utf8(cargo::output(Command::new("rustc").arg("-vV"))?)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let folder = root().join("target/fuzz");
    // With `--target`, build scripts and procedural macros are built without the counters, which they could not link.
    let mut build = cargo::cargo(["build", "--release", "--bins", "--quiet", "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(["--target", host]).arg("--target-dir").arg(&folder).env("RUSTFLAGS", COVERAGE);
    cargo::run(&mut build)?;
    Ok(folder.join(host).join("release"))
}
