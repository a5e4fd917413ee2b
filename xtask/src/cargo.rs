//! Running cargo and other programs from the root of the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The root of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root of the workspace")
}

/// `cargo ARGS`, in the root of the workspace.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    // A rustflags setting that cargo hands down to `cargo run` would be taken for the user's own and rebuild everything.
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    command
}

/// Runs `command` to its end; fails, with what it was, if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not start {}", shown(command)))?;
    if !status.success() {
        bail!("failed ({status}): {}", shown(command));
    }
    Ok(())
}

/// Whether `command` runs and says that all is well; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// What `command` prints on its standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("could not start {}", shown(command)))?;
    if !output.status.success() {
        bail!("failed ({}): {}", output.status, shown(command));
    }
    Ok(output.stdout)
}

/// Builds with `cargo ARGS` and returns the executable of the target `name`.
pub(crate) fn built_executable(command: &mut Command, name: &str) -> Result<PathBuf> {
    built_executables(command)?.remove(name).with_context(|| format!("cargo built no executable {name}"))
}

/// Builds with `cargo ARGS --message-format=json` and returns every executable by the name of its target.
pub(crate) fn built_executables(command: &mut Command) -> Result<BTreeMap<String, PathBuf>> {
    let printed = String::from_utf8(output(command.arg("--message-format=json-render-diagnostics"))?)?;
    let messages = printed.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let built = |message: serde_json::Value| {
        Some((message["target"]["name"].as_str()?.to_owned(), message["executable"].as_str()?.into()))
    };
    Ok(messages.filter_map(built).collect())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
