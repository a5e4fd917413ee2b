//! The key that seals the users' keys.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::StoreKeyError;
use crate::disk;
use crate::seal::{self, KEY_BYTES, Secret};

/// The key that seals the users' keys: who has it and the store's folder can read everything, who lacks it nothing.
///
/// Take it from a secret manager with [`from_bytes`](Self::from_bytes), or keep it in a file of its own, on another
/// volume than the store and outside its backups. Wiped from memory when dropped; `Debug` shows nothing of it.
pub struct StoreKey(Secret);

impl StoreKey {
    /// The key with these bytes. They must come from a cryptographic random generator: a password is not a key.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Draws a key and writes it to a new file that only its owner may read.
    ///
    /// A crash before this returns may leave a file that [`read_file`](Self::read_file) refuses. Nothing was sealed with
    /// it: delete it and draw another.
    ///
    /// # Errors
    /// [`StoreKeyError::AlreadyExists`] if there is a file: a store key is never overwritten.
    pub fn create_file(path: &Path) -> Result<Self, StoreKeyError> {
        let mut key = Self(Zeroizing::new(vec![0; KEY_BYTES]));
        seal::fill_random(&mut key.0).map_err(StoreKeyError::Random)?;
        write_file(path, &key.to_file()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => StoreKeyError::AlreadyExists { path: path.into() },
            _ => StoreKeyError::Io { source, path: path.into() },
        })?;
        Ok(key)
    }

    /// Reads a key that [`create_file`](Self::create_file) wrote.
    ///
    /// # Errors
    /// A file that is missing, of another kind, cut off, damaged or of a newer format each has its own error; so has,
    /// on Unix, one that others than its owner may read or write.
    pub fn read_file(path: &Path) -> Result<Self, StoreKeyError> {
        let fail = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => StoreKeyError::NotFound { path: path.into() },
            _ => StoreKeyError::Io { source, path: path.into() },
        };
        let file = File::open(path).map_err(fail)?;
        if let Some(mode) = shared_mode(&file.metadata().map_err(fail)?) {
            return Err(StoreKeyError::Permissions { mode, path: path.into() });
        }
        // One byte more than a key file has tells a longer file from a key.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES + 1));
        file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
        Self::from_file(&bytes, path)
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }

    fn to_file(&self) -> Secret {
        let mut bytes = Zeroizing::new(vec![0; FILE_BYTES]);
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.0);
        let check = Sha256::digest(&bytes[..48]);
        bytes[48..].copy_from_slice(&check[..16]);
        bytes
    }

    fn from_file(bytes: &[u8], path: &Path) -> Result<Self, StoreKeyError> {
        let path = || path.to_path_buf();
        let magic = &bytes[..bytes.len().min(8)];
        if !MAGIC.starts_with(magic) || bytes.len() > FILE_BYTES {
            return Err(StoreKeyError::NotAStoreKey { path: path() });
        }
        let Some(bytes) = bytes.first_chunk::<FILE_BYTES>() else {
            return Err(StoreKeyError::Truncated { path: path() });
        };
        if Sha256::digest(&bytes[..48])[..16] != bytes[48..] {
            return Err(StoreKeyError::Damaged { path: path() });
        }
        let found = u32::from_le_bytes(*bytes[8..].first_chunk().expect("64 bytes"));
        if found != VERSION {
            return Err(StoreKeyError::NewerFormat { found, supported: VERSION, path: path() });
        }
        Ok(Self(Zeroizing::new(bytes[16..48].to_vec())))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk::create_private(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is no key, and it would be in the way of the next attempt.
        let _ = fs::remove_file(path);
    }
    written?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    disk::sync_dir(parent.unwrap_or(Path::new(".")))
}

/// The permission bits, if others than the owner may do anything with the file.
#[cfg(unix)]
fn shared_mode(metadata: &fs::Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::MetadataExt::mode(metadata) & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn shared_mode(_: &fs::Metadata) -> Option<u32> {
    None
}

const MAGIC: &[u8; 8] = b"HYDRASTK";
const VERSION: u32 = 1;
/// Magic, version, four zeros, key, checksum.
const FILE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_and_every_flipped_bit_is_refused() {
        let path = Path::new("key");
        let good = StoreKey::from_bytes([7; 32]).to_file();
        assert_eq!(*StoreKey::from_file(&good, path).unwrap().0, [7; 32]);
        for len in 0..good.len() {
            let refused = StoreKey::from_file(&good[..len], path);
            assert!(matches!(refused, Err(StoreKeyError::Truncated { .. })), "{len} bytes");
        }
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 64 { "NotAStoreKey" } else { "Damaged" };
            let refused = StoreKey::from_file(&bad, path).unwrap_err();
            assert!(format!("{refused:?}").starts_with(expected), "bit {bit}: {refused:?}");
        }
    }

    #[test]
    fn a_newer_format_is_not_read() {
        let mut newer = StoreKey::from_bytes([7; 32]).to_file();
        newer[8] = 2;
        let check = Sha256::digest(&newer[..48]);
        newer[48..].copy_from_slice(&check[..16]);
        let refused = StoreKey::from_file(&newer, Path::new("key"));
        assert!(matches!(refused, Err(StoreKeyError::NewerFormat { found: 2, .. })));
    }

    #[test]
    fn a_file_is_made_once_and_read_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(matches!(StoreKey::read_file(&path), Err(StoreKeyError::NotFound { .. })));
        let made = StoreKey::create_file(&path).unwrap();
        assert_eq!(*StoreKey::read_file(&path).unwrap().0, *made.0);
        assert_ne!(*made.0, [0; 32]);
        assert!(matches!(StoreKey::create_file(&path), Err(StoreKeyError::AlreadyExists { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let refused = StoreKey::read_file(&path).unwrap_err();
            assert!(matches!(refused, StoreKeyError::Permissions { mode: 0o640, .. }));
        }
        assert_eq!(format!("{made:?}"), "StoreKey(..)");
    }
}
