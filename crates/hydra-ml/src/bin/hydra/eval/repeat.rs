//! `hydra eval --repeat`: the run that a manifest describes, once more.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser as _;

use super::manifest::Manifest;
use crate::{Arguments, Command};

/// Runs it again from the recorded answers, and compares what comes out with the files beside the manifest.
pub(super) fn run(file: &Path) -> Result<()> {
    let manifest = Manifest::read(file)?;
    let changed = manifest.changed_files();
    ensure!(
        changed.is_empty(),
        "the run cannot be repeated: call it from the folder that the run was called from, with the files as they were\n{}",
        changed.join("\n")
    );
    let circumstances = manifest.other_circumstances();
    circumstances.iter().for_each(|other| eprintln!("not as it was: {other}"));

    let command =
        Arguments::try_parse_from(std::iter::once("hydra").chain(manifest.command.iter().map(String::as_str)))
            .context("the command of the manifest is none of this program")?;
    let Command::Eval(mut eval) = command.command else {
        bail!("only runs of `hydra eval` are repeated: call the command that the manifest names again");
    };
    eval.model.replay = true;
    let made = super::made(&eval)?.context("the command of the manifest makes no table")?;
    ensure!(manifest.is_of(&made.split), "other users are asked, or other queries, though the files are the same");

    let folder = file.parent().unwrap_or(Path::new(""));
    let mut differ = Vec::new();
    for (name, new) in &made.report.files {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(old) if old == *new => {}
            Ok(old) => {
                let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
                differ.push(format!("{} differs from byte {same} on", path.display()));
            }
            Err(error) => differ.push(format!("{} cannot be read: {error}", path.display())),
        }
    }
    let missing = manifest.outputs.keys().filter(|name| !made.report.files.contains_key(*name));
    differ.extend(missing.map(|name| format!("{} does not come out again", folder.join(name).display())));
    if !differ.is_empty() {
        let other = if circumstances.is_empty() { String::new() } else { format!("\n{}", circumstances.join("\n")) };
        bail!("the run does not repeat\n{}{other}", differ.join("\n"));
    }
    let names: Vec<&str> = made.report.files.keys().map(String::as_str).collect();
    println!("the same, byte for byte: {}", names.join(", "));
    Ok(())
}
