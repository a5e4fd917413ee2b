//! From a folder to a [`Bundle`].

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::fingerprint::sha256;
use super::manifest::{FileEntry, MAX_MANIFEST_BYTES};
use super::{Bundle, BundleError, MANIFEST_FILE, MODEL_FILE, Manifest, TOKENIZER_FILE};
use crate::check::Model;

pub(super) fn open(dir: &Path) -> Result<Bundle, BundleError> {
    let manifest = manifest(dir)?;
    let mut files = BTreeMap::new();
    for (name, entry) in manifest.files() {
        files.insert(name.clone(), file(dir, name, entry)?);
    }
    let mut take = |name: &str| files.remove(name).expect("a manifest names the graph and the tokenizer");
    let (graph, tokenizer) = (take(MODEL_FILE), take(TOKENIZER_FILE));
    let model = Model::with_data(graph, files)?;
    manifest.describes(&model)?;
    Ok(Bundle { manifest, model, tokenizer })
}

/// Reads and validates the manifest of a folder.
pub(super) fn manifest(dir: &Path) -> Result<Manifest, BundleError> {
    let path = dir.join(MANIFEST_FILE);
    let (file, metadata) = match open_own(&path) {
        Err(BundleError::Io { source, path, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(BundleError::Missing { path });
        }
        opened => opened?,
    };
    if metadata.len() > MAX_MANIFEST_BYTES {
        return Err(BundleError::ManifestTooLong { limit: MAX_MANIFEST_BYTES });
    }
    let mut json = Vec::new();
    file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut json).map_err(|source| failed("read", &path, source))?;
    Manifest::from_json(&json)
}

fn file(dir: &Path, name: &str, entry: &FileEntry) -> Result<Arc<[u8]>, BundleError> {
    let limit = if name == TOKENIZER_FILE { MAX_TOKENIZER_BYTES } else { MAX_MODEL_BYTES };
    if entry.bytes > limit {
        return Err(BundleError::FileTooLong { name: name.to_owned(), found: entry.bytes, limit });
    }
    let path = dir.join(name);
    let (mut file, metadata) = open_own(&path)?;
    let length = |found| BundleError::Length { name: name.to_owned(), expected: entry.bytes, found };
    if metadata.len() != entry.bytes {
        return Err(length(metadata.len()));
    }
    let len = usize::try_from(entry.bytes).map_err(|_| length(metadata.len()))?;
    // Allocated at once and filled in place: a model must not lie in memory twice while it is read.
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
    let buffer = Arc::get_mut(&mut bytes).expect("nobody else has it yet");
    file.read_exact(buffer).map_err(|source| failed("read", &path, source))?;
    if sha256(&bytes) != entry.sha256 {
        return Err(BundleError::Hash { name: name.to_owned() });
    }
    Ok(bytes)
}

/// Opens a regular file that has no other name.
///
/// The file is looked at before it is opened, because opening a pipe waits and opening a device can do worse, and the
/// open file is compared with what was looked at, because the name may have come to mean another file between.
fn open_own(path: &Path) -> Result<(File, Metadata), BundleError> {
    let looked_at = fs::symlink_metadata(path).map_err(|source| failed("look at", path, source))?;
    own(path, &looked_at)?;
    let file = File::open(path).map_err(|source| failed("open", path, source))?;
    let opened = file.metadata().map_err(|source| failed("look at", path, source))?;
    own(path, &opened)?;
    if !same_file(&looked_at, &opened) {
        return Err(BundleError::NotOwnFile {
            why: "the file was exchanged while it was opened",
            path: path.to_owned(),
        });
    }
    Ok((file, opened))
}

fn own(path: &Path, metadata: &Metadata) -> Result<(), BundleError> {
    let why = if metadata.file_type().is_symlink() {
        "a file of a bundle is a symbolic link"
    } else if !metadata.is_file() {
        "a file of a bundle is no regular file"
    } else if has_other_names(metadata) {
        "a file of a bundle is a hard link"
    } else {
        return Ok(());
    };
    Err(BundleError::NotOwnFile { why, path: path.to_owned() })
}

#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(unix)]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// The standard library does not count names here; the bytes are hashed all the same.
#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    a.len() == b.len() && a.modified().ok() == b.modified().ok()
}

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> BundleError {
    BundleError::Io { doing, path: path.to_owned(), source }
}

/// Multilingual vocabularies have some twenty megabytes.
const MAX_TOKENIZER_BYTES: u64 = 256 << 20;
/// Read into memory: larger models need another way in.
const MAX_MODEL_BYTES: u64 = 32 << 30;
