//! What the recipes have in common: binaries, arguments, and stages one after the other.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::stage::Stage;
use crate::cargo;

/// What `hydra-train` writes weights into.
pub(super) const WEIGHTS: &str = "model.safetensors";

/// The release binaries that do the work.
pub(super) struct Binaries {
    pub(super) hydra: PathBuf,
    pub(super) train: PathBuf,
    export: PathBuf,
}

impl Binaries {
    /// In one build: apart, Burn would be built twice, with other features.
    pub(super) fn build() -> Result<Self> {
        let mut build = cargo::cargo(["build", "--release", "--bins"]);
        for package in ["hydra-ml", "hydra-train", "hydra-export"] {
            build.args(["-p", package, "--features", &format!("{package}/cli")]);
        }
        let mut built = cargo::built_executables(&mut build)?;
        let mut binary = |name| built.remove(name).with_context(|| format!("cargo built no executable {name}"));
        Ok(Self { hydra: binary("hydra")?, train: binary("hydra-train")?, export: binary("hydra-export")? })
    }

    /// The trained model as a bundle.
    pub(super) fn exported(&self, model: &Path, bundle: &Path) -> Stage {
        Stage {
            name: "export",
            program: self.export.clone(),
            args: args([&model, &"--out", &bundle]),
            reads: vec![model.join(WEIGHTS)],
            writes: vec![bundle.join("manifest.json")],
        }
    }
}

/// Runs what was not run before. The last stage prints a table; where it ran before, the table that it left in `results` is
/// printed.
pub(super) fn run_all(stages: &[Stage], out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let (mut took, mut printed) = (Duration::ZERO, false);
    for stage in stages {
        let done = stage.run(out)?;
        took += done.took;
        printed = !done.before;
    }
    if !printed {
        print!("{}", fs::read_to_string(out.join("results/table.txt"))?);
    }
    let (minutes, seconds) = (took.as_secs() / 60, took.as_secs() % 60);
    println!("\n{minutes} min {seconds} s in all; model, bundle and table: {}", out.display());
    Ok(())
}

pub(super) fn args<const N: usize>(args: [&dyn AsRef<OsStr>; N]) -> Vec<OsString> {
    args.iter().map(|arg| arg.as_ref().to_owned()).collect()
}

pub(super) fn words(words: &str) -> Vec<OsString> {
    words.split(' ').map(OsString::from).collect()
}
