//! From what a result was made: who has all of it gets the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hydra_ml::experiment::ExperimentPlan;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What stands beside a table.
#[derive(Serialize)]
pub(crate) struct Manifest {
    /// Of this program.
    version: &'static str,
    /// As it was called.
    command: Vec<String>,
    task: String,
    plan: ExperimentPlan,
    /// As it names itself.
    language_model: String,
    /// SHA-256 of every file that was read, by what it is.
    files: BTreeMap<&'static str, String>,
    /// Float sums are rounded otherwise by other processors; on those of one kind the bytes are the same.
    processor: &'static str,
}

impl Manifest {
    /// To be taken when a run is over: the cassette has grown until then.
    pub(crate) fn new(
        task: &str,
        plan: &ExperimentPlan,
        language_model: &str,
        files: impl IntoIterator<Item = (&'static str, impl AsRef<Path>)>,
    ) -> Result<Self> {
        let hashed = |(name, path): (&'static str, _)| Ok((name, sha256(AsRef::<Path>::as_ref(&path))?));
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            command: std::env::args().skip(1).collect(),
            task: task.to_owned(),
            plan: plan.clone(),
            language_model: language_model.to_owned(),
            files: files.into_iter().map(hashed).collect::<Result<_>>()?,
            processor: std::env::consts::ARCH,
        })
    }
}

fn sha256(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
