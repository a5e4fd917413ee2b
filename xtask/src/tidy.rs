//! `cargo xtask tidy`: what a reviewer would nag about.

mod files;
mod rooms;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{self, root};

/// Check what a reviewer would nag about: the map's dependency directions, words, file lengths, module docs.
///
/// It is also a test, so `cargo xtask test` runs it.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Result<()> {
    check()
}

/// Fails with every complaint about the checkout.
pub(crate) fn check() -> Result<()> {
    let sources = Source::all()?;
    let mut complaints = rooms::check()?;
    complaints.extend(sources.iter().flat_map(files::check));
    complaints.extend(sources.iter().flat_map(words::check));
    if complaints.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    bail!("{} complaints:\n{}", lines.len(), lines.join("\n"))
}

/// A text file of the checkout.
struct Source {
    /// From the root, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    /// Every text file that git tracks, or would track if it were added.
    fn all() -> Result<Vec<Self>> {
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
        let printed = cargo::output(&mut list)?;
        let mut sources = Vec::new();
        for path in String::from_utf8(printed)?.split('\0').filter(|path| !path.is_empty()) {
            let bytes = match std::fs::read(root().join(path)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            if let Ok(text) = String::from_utf8(bytes) {
                sources.push(Self { path: path.to_owned(), text });
            }
        }
        Ok(sources)
    }

    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    fn is_markdown(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "md")
    }

    /// A complaint about the line with this index.
    fn complaint(&self, line: usize, what: impl Into<String>) -> Complaint {
        Complaint { path: PathBuf::from(&self.path), line: line + 1, what: what.into() }
    }
}

/// Something that a reader would object to, where it stands, and what to do about it.
struct Complaint {
    path: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checkout_is_tidy() {
        super::check().unwrap();
    }
}
