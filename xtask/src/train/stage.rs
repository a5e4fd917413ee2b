//! A step of a long way, which is not taken twice.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cargo;

/// One command of the way.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Files and folders whose contents decide what comes out.
    pub(super) reads: Vec<PathBuf>,
    /// Files and folders that are there when it is done.
    pub(super) writes: Vec<PathBuf>,
}

/// A stage at its end.
pub(super) struct Done {
    /// The time that it took, now or before.
    pub(super) took: Duration,
    /// Whether it was before.
    pub(super) before: bool,
}

impl Stage {
    /// Runs the command, unless the same program ran to its end before with the same arguments on the same contents.
    pub(super) fn run(&self, notes: &Path) -> Result<Done> {
        let note = notes.join(format!("{}.done", self.name.replace(' ', "-")));
        let identity = self.identity()?;
        if let Some(seconds) = self.seconds_before(&note, &identity) {
            eprintln!("{}: done before, in {seconds:.0} s", self.name);
            return Ok(Done { took: Duration::from_secs_f64(seconds), before: true });
        }
        eprintln!("{}", self.name);
        let begin = Instant::now();
        cargo::run(Command::new(&self.program).args(&self.args))?;
        let took = begin.elapsed();
        eprintln!("{}: {:.0} s", self.name, took.as_secs_f64());
        write_whole(&note, &format!("{identity} {:.1}\n", took.as_secs_f64()))?;
        Ok(Done { took, before: false })
    }

    /// How long it took, if the note says that this was done and what it wrote is there.
    fn seconds_before(&self, note: &Path, identity: &str) -> Option<f64> {
        let noted = fs::read_to_string(note).ok()?;
        let (noted, seconds) = noted.trim_end().split_once(' ')?;
        let is_there = self.writes.iter().all(|path| path.exists());
        seconds.parse().ok().filter(|_| noted == identity && is_there)
    }

    /// A hash of the program, of its arguments and of everything that is read.
    fn identity(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash_contents(&self.program, &mut hash)?;
        for arg in &self.args {
            hash.update(arg.as_encoded_bytes());
            hash.update([0]);
        }
        for path in &self.reads {
            hash_contents(path, &mut hash)?;
        }
        Ok(hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes everything");
            hex
        }))
    }
}

/// A file's bytes, or those of all files in a folder in order of their names.
fn hash_contents(path: &Path, hash: &mut Sha256) -> Result<()> {
    let failed = || format!("cannot read {}", path.display());
    if !path.is_dir() {
        let bytes = fs::read(path).with_context(failed)?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(failed)?;
    let mut inside = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    inside.sort();
    inside.iter().try_for_each(|path| hash_contents(path, hash))
}

fn write_whole(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a note lies in a folder")?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(file.path(), text)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Adds a line to `log` each time that it runs.
    fn stage(folder: &Path, arg: &str) -> Stage {
        let log = folder.join("log");
        let script = format!("echo ran >> {}", log.display());
        Stage {
            name: "a stage",
            program: "/bin/sh".into(),
            args: ["-c".into(), script.into(), arg.into()].into(),
            reads: vec![folder.join("read")],
            writes: vec![log],
        }
    }

    fn runs(folder: &Path) -> usize {
        fs::read_to_string(folder.join("log")).map_or(0, |log| log.lines().count())
    }

    #[test]
    fn what_was_done_is_done_again_only_if_something_changed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir(folder.join("read")).unwrap();
        let write = |text: &str| fs::write(folder.join("read/file"), text).unwrap();
        let run = |arg: &str| stage(folder, arg).run(folder).unwrap();
        write("one");
        run("a");
        run("a");
        assert_eq!(runs(folder), 1, "the same");
        run("b");
        assert_eq!(runs(folder), 2, "another argument");
        write("two");
        run("b");
        assert_eq!(runs(folder), 3, "other contents");
        fs::remove_file(folder.join("log")).unwrap();
        run("b");
        assert_eq!(runs(folder), 1, "what it wrote is gone");
        let program = folder.join("program");
        fs::copy("/bin/sh", &program).unwrap();
        let mut bytes = fs::read(&program).unwrap();
        bytes.push(0);
        fs::write(&program, bytes).unwrap();
        Stage { program, ..stage(folder, "b") }.run(folder).unwrap();
        assert_eq!(runs(folder), 2, "another program");
    }

    #[test]
    fn what_failed_counts_as_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("read"), "").unwrap();
        let failing = || Stage { args: ["-c".into(), "exit 3".into()].into(), ..stage(folder, "a") };
        assert!(failing().run(folder).is_err());
        assert!(failing().run(folder).is_err());
        let missing = Stage { reads: vec![folder.join("nothing")], ..stage(folder, "a") };
        assert!(missing.run(folder).is_err());
        assert_eq!(runs(folder), 0);
    }
}
