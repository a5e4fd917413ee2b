//! A file that appears under its name when it is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Written beside its name and moved there at the end; removed when it is dropped before.
pub(super) struct PartialFile {
    writer: BufWriter<File>,
    partial: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl PartialFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut name: OsString = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(name);
        let writer = BufWriter::new(File::create_new(&partial)?);
        Ok(Self { writer, partial, path: path.to_owned(), finished: false })
    }

    pub(super) fn writer(&mut self) -> &mut BufWriter<File> {
        &mut self.writer
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        fs::rename(&self.partial, &self.path)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.finished {
            // The error that led here is the one that the caller sees.
            drop(fs::remove_file(&self.partial));
        }
    }
}
