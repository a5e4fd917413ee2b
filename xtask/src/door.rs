//! What the commands have in common that hand their arguments to the release binary of a crate.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::{cargo, setup};

/// Arguments that are the binary's own.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Handed {
    /// Handed to the binary as they are.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) args: Vec<OsString>,
}

impl Handed {
    /// Whether `option` is among them.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.args.iter().any(|arg| arg == option)
    }

    /// Whether the binary is only to say what it does.
    pub(crate) fn asks_for_help(&self) -> bool {
        self.has("--help") || self.has("-h")
    }

    /// Sets up what is missing, unless help is all that is wanted.
    pub(crate) fn set_up(&self) -> Result<()> {
        if self.asks_for_help() { Ok(()) } else { setup::run_default() }
    }
}

/// The release binary `name` of `package`, built with its command line.
pub(crate) fn binary(package: &str, name: &str) -> Result<Command> {
    let mut build = cargo::cargo(["build", "--release", "-p", package, "--features", "cli", "--bin", name]);
    Ok(Command::new(cargo::built_executable(&mut build, name)?))
}
