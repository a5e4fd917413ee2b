//! A folder with an index: files numbered by generation, and one manifest that says which of them counts.
//!
//! A save writes the new file and syncs it, then replaces the manifest in one step; what the manifest does not name does
//! not exist. So a crash leaves the old index or the new one, and never half of one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hydra_types::Generation;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::Disk;
use super::file::{FormatError, decode, encode};
use crate::space::Space;

/// An index that could not be saved. What was saved before is still there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The disk refused.
    #[error("cannot write the index: check space and permissions of {}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The folder has a manifest that cannot be read: it may belong to something else.
    #[error("the folder holds something that is no readable index: save to another one, or remove it first")]
    Occupied(#[source] Box<LoadError>),
}

/// An index that could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The folder has no manifest.
    #[error("there is no index: save one to {}", path.display())]
    Missing {
        /// Where the manifest would be.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The manifest is not one of ours.
    #[error("the manifest is damaged or foreign: restore the folder from a backup, or build the index again")]
    Manifest,
    /// A later version of this crate wrote the folder.
    #[error("the folder has format {got} and this version reads up to {known}: update hydra-retrieval")]
    Newer {
        /// The folder's format.
        got: u32,
        /// The newest format that is read here.
        known: u32,
    },
    /// A file is not the one that the manifest names.
    #[error("the index has another length or checksum than its manifest says: restore the folder from a backup")]
    Checksum,
    /// The file is the right one and holds no index.
    #[error("the index cannot be used")]
    Format(#[from] FormatError),
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    kind: String,
    version: u32,
    generation: u64,
    bytes: u64,
    sha256: String,
}

pub(super) fn save(disk: &impl Disk, folder: &Path, space: &Space) -> Result<Generation, SaveError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SaveError::Io { path, source }
    };
    disk.create_folder(folder).map_err(failed(folder))?;
    let generation = match read_manifest(folder) {
        Ok(manifest) => Generation::new(manifest.generation).next(),
        Err(LoadError::Missing { .. }) => Generation::FIRST,
        Err(error) => return Err(SaveError::Occupied(Box::new(error))),
    };
    let bytes = encode(space);
    let manifest = Manifest {
        kind: KIND.to_owned(),
        version: VERSION,
        generation: generation.get(),
        bytes: bytes.len() as u64,
        sha256: sha256(&bytes),
    };
    let manifest = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");

    let data = data_path(folder, generation.get());
    disk.write(&data, &bytes).map_err(failed(&data))?;
    let (new, path) = (folder.join("manifest.json.new"), folder.join(MANIFEST));
    disk.write(&new, &manifest).map_err(failed(&new))?;
    disk.sync_folder(folder).map_err(failed(folder))?;
    disk.rename(&new, &path).map_err(failed(&path))?;
    disk.sync_folder(folder).map_err(failed(folder))?;
    remove_unnamed(disk, folder, generation.get());
    Ok(generation)
}

pub(super) fn load(folder: &Path) -> Result<Space, LoadError> {
    let manifest = read_manifest(folder)?;
    let path = data_path(folder, manifest.generation);
    let bytes = read_up_to(&path, manifest.bytes)?;
    if bytes.len() as u64 != manifest.bytes || sha256(&bytes) != manifest.sha256 {
        return Err(LoadError::Checksum);
    }
    Ok(decode(&bytes)?)
}

fn read_manifest(folder: &Path) -> Result<Manifest, LoadError> {
    let path = folder.join(MANIFEST);
    let bytes = match read_up_to(&path, MANIFEST_LIMIT) {
        Err(LoadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(LoadError::Missing { path });
        }
        bytes => bytes?,
    };
    // Only the version is looked at first: a newer manifest may have fields that are not known here.
    #[derive(Deserialize)]
    struct Head {
        kind: String,
        version: u32,
    }
    let head: Head = serde_json::from_slice(&bytes).map_err(|_| LoadError::Manifest)?;
    if head.kind != KIND || head.version == 0 {
        return Err(LoadError::Manifest);
    }
    if head.version > VERSION {
        return Err(LoadError::Newer { got: head.version, known: VERSION });
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|_| LoadError::Manifest)?;
    // The one after it must exist, or the folder could never be saved to again.
    if manifest.generation == u64::MAX { Err(LoadError::Manifest) } else { Ok(manifest) }
}

/// At most one byte more than `limit`, so that a file that grew is seen and not read whole.
fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Io { path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Files of other generations. One that cannot be removed now is removed by a later save.
fn remove_unnamed(disk: &impl Disk, folder: &Path, generation: u64) {
    let kept = data_path(folder, generation);
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours =
            name.to_str().and_then(|name| name.strip_prefix("index-")?.strip_suffix(".hnsw")?.parse::<u64>().ok());
        if ours.is_some() && entry.path() != kept {
            let _ = disk.remove(&entry.path());
        }
    }
}

fn data_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("index-{generation}.hnsw"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

const KIND: &str = "hydra-retrieval/hnsw";
const VERSION: u32 = 1;
const MANIFEST: &str = "manifest.json";
const MANIFEST_LIMIT: u64 = 4096;

#[cfg(test)]
mod tests;
