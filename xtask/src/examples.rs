//! The examples that need nothing but themselves run to their end.

use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo;

/// Builds every example and runs those that take no argument and ask no model; the README's is `readme`'s.
pub(crate) fn run_all(features: &[&str]) -> Result<()> {
    let mut build = cargo::cargo(["build", "--workspace", "--examples"]);
    let built = cargo::built_executables(build.args(features))?;
    for name in ALONE {
        let program = built.get(name).with_context(|| format!("no example {name} any more: take it off the list"))?;
        let printed = cargo::output(Command::new(program).current_dir(cargo::root()))?;
        eprintln!("{name}: {} lines", printed.split(|byte| *byte == b'\n').count() - 1);
    }
    Ok(())
}

const ALONE: [&str; 8] =
    ["three_users", "resume", "history", "stored_history", "one_user", "bring-your-own-llm", "forget-me", "many-users"];
