//! Folders that appear whole or not at all.

use std::path::{Path, PathBuf};

use super::io_error;
use crate::OpenError;
use crate::disk::Disk;
use crate::seal;

pub(super) fn exists(disk: &dyn Disk, path: &Path) -> Result<bool, OpenError> {
    disk.exists(path).map_err(|error| io_error(error, path))
}

/// Lets `fill` fill a folder beside `folder`, then gives it that name.
///
/// What a crash leaves is a folder named `.NAME.partial-…`, which nothing reads and which can be deleted.
pub(super) fn create_whole(
    disk: &dyn Disk,
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let name = folder.file_name().ok_or_else(|| OpenError::NotFound { path: folder.into() })?;
    if exists(disk, &folder.join(super::KEYS_FILE))? || exists(disk, &folder.join(super::ROWS_FILE))? {
        return Err(OpenError::AlreadyExists { path: folder.into() });
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut random = [0; 8];
    seal::fill_random(&mut random).map_err(OpenError::Random)?;
    let partial = parent.join(format!(".{}.partial-{:016x}", name.display(), u64::from_le_bytes(random)));
    disk.create_dir(&partial).map_err(|error| io_error(error, &partial))?;
    let moved = fill(&partial).and_then(|()| publish(disk, &partial, parent, folder));
    if moved.is_err() {
        // It has another name than any store; failing to tidy must not hide why the store could not be made.
        let _ = disk.remove_dir(&partial);
    }
    moved
}

fn publish(disk: &dyn Disk, partial: &Path, parent: &Path, folder: &Path) -> Result<(), OpenError> {
    disk.sync_dir(partial).map_err(|error| io_error(error, partial))?;
    disk.rename_dir(partial, folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty
        | std::io::ErrorKind::AlreadyExists
        | std::io::ErrorKind::NotADirectory => OpenError::AlreadyExists { path: PathBuf::from(folder) },
        _ => io_error(error, folder),
    })?;
    disk.sync_dir(parent).map_err(|error| io_error(error, parent))
}
