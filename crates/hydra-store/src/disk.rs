//! Files and folders, behind a trait so that tests can make any operation fail or the power go out after it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What the store asks of a file system.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// A new file that only its owner may read.
    fn create(&self, path: &Path) -> io::Result<DiskFile>;
    fn open(&self, path: &Path) -> io::Result<DiskFile>;
    fn open_to_read(&self, path: &Path) -> io::Result<DiskFile>;
    /// A new folder that only its owner may read.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Fails if there is a file, or a folder with something in it, at `to`.
    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file: what redb asks of one is what the key file needs too.
#[derive(Clone, Debug)]
pub(crate) struct DiskFile(pub(crate) Arc<dyn StorageBackend>);

impl DiskFile {
    /// Whether nobody else has the file open now. The lock ends with the file.
    pub(crate) fn lock(&self) -> io::Result<bool> {
        locked(self.0.try_lock_range(Bound::Unbounded, Bound::Unbounded))
    }

    /// Whether nobody has the file open for writing now.
    pub(crate) fn lock_shared(&self) -> io::Result<bool> {
        locked(self.0.try_lock_shared_range(Bound::Unbounded, Bound::Unbounded))
    }
}

/// A file system without locks cannot say no.
fn locked(answer: Result<bool, BackendError>) -> io::Result<bool> {
    match answer {
        Err(BackendError::Unsupported) => Ok(true),
        answer => Ok(answer?),
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}

/// The file system of the operating system.
#[derive(Debug)]
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        wrap(create_private(path)?)
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        wrap(OpenOptions::new().read(true).write(true).open(path)?)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<DiskFile> {
        wrap(File::open(path)?)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        sync_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }
}

/// A new file that only its owner may read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the names in a folder durable. Elsewhere than on Unix a folder cannot be synced, and need not be.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

fn wrap(file: File) -> io::Result<DiskFile> {
    let file = FileBackend::new(file).map_err(io::Error::other)?;
    Ok(DiskFile(Arc::new(file)))
}

#[cfg(test)]
pub(crate) mod sim;
