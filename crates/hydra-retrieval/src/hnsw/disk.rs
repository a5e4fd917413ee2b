//! The few things that saving does to a disk, so that tests can make each of them fail.

use std::fs::{self, File};
use std::io;
use std::path::Path;

pub(super) trait Disk {
    /// The folder and those above it, where they are missing; they survive a crash.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;
    /// A file with these bytes, in place of any that was there; they survive a crash.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// In one step: `to` is the old file or the new one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// New and renamed files in it survive a crash.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// The real disk.
pub(super) struct Real;

impl Disk for Real {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.create_folder(parent)?;
        fs::create_dir(folder)?;
        self.sync_folder(parent)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Elsewhere a folder cannot be opened as a file, and a rename is durable once it returns.
        if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
