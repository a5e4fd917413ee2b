//! From a [`Bundle`] to a folder.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::read::{self, failed};
use super::{Bundle, BundleError, MANIFEST_FILE};

pub(super) fn save(bundle: &Bundle, dir: &Path) -> Result<(), BundleError> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Looked at first, so that a mistaken target costs no gigabytes of writing.
    let occupied = occupied(dir)?;
    fs::create_dir_all(parent).map_err(|source| failed("make the folder", parent, source))?;
    let new = temporary(parent).map_err(|source| failed("make a temporary folder in", parent, source))?;
    for (name, bytes) in bundle.files() {
        write(&new.path().join(name), bytes)?;
    }
    write(&new.path().join(MANIFEST_FILE), &bundle.manifest().to_json())?;
    sync(new.path())?;
    if occupied {
        exchange(new.path(), dir)?;
        // The old bundle now has the temporary name and goes with it.
        sync(parent)?;
        new.close().map_err(|source| failed("remove the old bundle beside", dir, source))
    } else {
        let path = new.keep();
        if let Err(source) = fs::rename(&path, dir) {
            // Best effort: the error that matters is the first one.
            drop(fs::remove_dir_all(&path));
            return Err(failed("name the new bundle", dir, source));
        }
        sync(parent)
    }
}

/// Whether an older bundle lies there; an error if something else does.
fn occupied(dir: &Path) -> Result<bool, BundleError> {
    let refused = |why| Err(BundleError::NotABundle { why, path: dir.to_owned() });
    let metadata = match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        looked_at => looked_at.map_err(|source| failed("look at", dir, source))?,
    };
    if !metadata.is_dir() {
        return refused("it is no folder");
    }
    let mut names = entries(dir)?;
    if names.is_empty() {
        return Ok(false);
    }
    match read::manifest(dir) {
        Ok(manifest) => {
            names.retain(|name| name.to_str().is_none_or(|n| n != MANIFEST_FILE && !manifest.files().contains_key(n)));
            if names.is_empty() { Ok(true) } else { refused("it holds files that its manifest does not name") }
        }
        // A bundle of another version may be replaced: what it holds can be exported again.
        Err(BundleError::Format { .. }) => Ok(true),
        Err(BundleError::Missing { .. }) => refused("it has no manifest"),
        Err(_) => refused("its manifest cannot be read"),
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, BundleError> {
    let list = || fs::read_dir(dir)?.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect::<io::Result<_>>();
    list().map_err(|source| failed("list", dir, source))
}

fn temporary(parent: &Path) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hydra-bundle-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What a folder made in the ordinary way would have; the process's mask still takes its part away.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| failed("write", path, source))
}

/// Makes names in a folder survive a crash.
fn sync(dir: &Path) -> Result<(), BundleError> {
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| failed("sync", dir, source))?;
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(new: &Path, old: &Path) -> Result<(), BundleError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE)
        .map_err(|error| BundleError::CannotReplace { path: old.to_owned(), source: error.into() })
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, old: &Path) -> Result<(), BundleError> {
    let source = io::ErrorKind::Unsupported.into();
    Err(BundleError::CannotReplace { path: old.to_owned(), source })
}
