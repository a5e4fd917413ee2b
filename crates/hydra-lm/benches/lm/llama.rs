//! llama.cpp on the same file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Speeds;

/// `llama-bench`, which llama.cpp ships beside `llama-server` and `llama-cli` and which times the same two things.
pub(crate) struct Llama {
    program: PathBuf,
    file: PathBuf,
}

impl Llama {
    pub(crate) fn new(program: &Path, file: &Path) -> Result<Self> {
        let beside = program.with_file_name(format!("llama-bench{}", std::env::consts::EXE_SUFFIX));
        ensure!(beside.is_file(), "no llama-bench beside what --llama-bin names: {}", beside.display());
        Ok(Self { program: beside.canonicalize()?, file: file.canonicalize()? })
    }

    /// One round, after a round that warms up: llama-bench's own choice.
    pub(crate) fn speeds(&self, read: usize, written: usize, threads: usize) -> Result<Speeds> {
        let numbers = [("-p", read), ("-n", written), ("-t", threads), ("-r", 1), ("-ngl", 0)];
        let mut command = Command::new(&self.program);
        command.arg("-m").arg(&self.file).args(["-o", "json"]);
        command.args(numbers.iter().flat_map(|(option, number)| [(*option).to_owned(), number.to_string()]));
        let output = command.output().context("llama-bench cannot be run")?;
        ensure!(output.status.success(), "llama-bench failed:\n{}", String::from_utf8_lossy(&output.stderr));
        let runs: Vec<Value> = serde_json::from_slice(&output.stdout).context("llama-bench's answer is not JSON")?;
        let speed = |of: &str| {
            let run = runs.iter().find(|run| run[of].as_u64().is_some_and(|tokens| tokens > 0));
            run.and_then(|run| run["avg_ts"].as_f64()).with_context(|| format!("llama-bench says nothing of {of}"))
        };
        Ok(Speeds { prefill: speed("n_prompt")?, decode: speed("n_gen")? })
    }
}
