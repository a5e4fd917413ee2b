//! The store: its parts, and how it is created and opened.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hydra_types::UserId;
use redb::StorageBackend;
use sha2::{Digest, Sha256};

use crate::backend::{Backend, BackendError, BackendView, Change, RedbBackend, RedbOptions};
use crate::disk::{Disk, RealDisk};
use crate::key_file::{KeyFile, SlotState, Vault};
use crate::seal::{self, StoreId};
use crate::{OpenError, StoreError, StoreKey, table};

mod check;
mod erase;
mod export;
mod folder;
mod read;
mod snapshot;
mod with_backend;
mod write;

pub use check::{Fault, Report};
pub use read::{Read, Row, Scan};

/// Values of many users, each sealed with a key of that user's own.
///
/// Share it by reference or in an `Arc`: reads run beside each other and beside one write; writes wait for each other.
pub struct Store {
    keys: KeyFile,
    backend: Box<dyn Backend>,
    /// Which vault each user's data is in. Held for reading during every read of user data, so that a user who was
    /// forgotten is not read any more when `forget` returns.
    vaults: RwLock<BTreeMap<UserId, Vault>>,
    writer: Mutex<Writer>,
    disk: Arc<dyn Disk>,
}

/// What only the one who writes needs.
struct Writer {
    /// Slots that can be taken, with the incarnation that they have then.
    free: BTreeMap<u32, u32>,
    /// The first slot that was never written.
    end: u32,
    /// Slots whose key is gone while rows of it are still there, with the incarnation that is gone.
    unswept: BTreeMap<u32, u32>,
    /// Set when the key file could not be written: what it holds is not known until it is read again.
    stopped: bool,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    cache_bytes: usize,
    verify_up_to_bytes: u64,
}

impl StoreOptions {
    /// 64 MiB of cache; files of up to 64 MiB are verified when they are opened.
    #[must_use]
    pub const fn new() -> Self {
        Self { cache_bytes: 64 << 20, verify_up_to_bytes: 64 << 20 }
    }

    /// How many bytes of the rows are kept in memory, at most. The operating system caches the file besides.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Up to which size of the file with the rows its every page is verified at opening; `u64::MAX` always verifies,
    /// 0 never does.
    ///
    /// Verifying reads the whole file, at about the speed of the disk. A larger file that is damaged is noticed when the
    /// damaged rows are read, or by [`Store::check`]: never read as something else, for every value is sealed.
    #[must_use]
    pub const fn verify_up_to_bytes(mut self, bytes: u64) -> Self {
        self.verify_up_to_bytes = bytes;
        self
    }

    /// As [`Store::create`], with these options.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create(&self, folder: &Path, key: &StoreKey) -> Result<Store, OpenError> {
        self.create_on(Arc::new(RealDisk), folder, key)
    }

    /// As [`Store::open`], with these options.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(&self, folder: &Path, key: &StoreKey) -> Result<Store, OpenError> {
        self.open_on(Arc::new(RealDisk), folder, key)
    }

    pub(crate) fn create_on(&self, disk: Arc<dyn Disk>, folder: &Path, key: &StoreKey) -> Result<Store, OpenError> {
        folder::create_whole(&*disk, folder, |partial| {
            self.create_files(&*disk, partial, new_store_id()?, key).map(drop)
        })?;
        self.open_on(disk, folder, key)
    }

    pub(crate) fn open_on(&self, disk: Arc<dyn Disk>, folder: &Path, key: &StoreKey) -> Result<Store, OpenError> {
        let keys_path = folder.join(KEYS_FILE);
        let rows_path = folder.join(ROWS_FILE);
        match (folder::exists(&*disk, &keys_path)?, folder::exists(&*disk, &rows_path)?) {
            (false, false) => return Err(OpenError::NotFound { path: folder.into() }),
            (false, true) => return Err(OpenError::MissingFile { path: keys_path }),
            (true, false) => return Err(OpenError::MissingFile { path: rows_path }),
            (true, true) => {}
        }
        let keys = open_keys(&*disk, folder, key)?;
        let file = disk.open(&rows_path).map_err(|error| io_error(error, &rows_path))?;
        if file.len().map_err(|error| io_error(error, &rows_path))? == 0 {
            return Err(OpenError::Truncated { path: rows_path });
        }
        let backend = RedbBackend::open(file, self.redb()).map_err(|source| match source {
            BackendError::AlreadyOpen => OpenError::AlreadyOpen { path: folder.into() },
            source => backend_error(source, &rows_path),
        })?;
        Store::on(keys, Box::new(backend), &rows_path, disk)
    }

    /// The two files of an empty store, durable.
    fn create_files(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        store: StoreId,
        key: &StoreKey,
    ) -> Result<(KeyFile, RedbBackend), OpenError> {
        let create = |path: &Path| disk.create(path).map_err(|error| io_error(error, path));
        let (keys_path, rows_path) = (folder.join(KEYS_FILE), folder.join(ROWS_FILE));
        let keys = KeyFile::create(create(&keys_path)?, &keys_path, store, key)?;
        let backend = RedbBackend::create(create(&rows_path)?, self.redb())
            .map_err(|source| backend_error(source, &rows_path))?;
        let meta = Change::Put { key: table::META_ROW.to_vec(), value: meta(&store) };
        backend.apply(&[meta]).map_err(|source| backend_error(source, &rows_path))?;
        Ok((keys, backend))
    }

    fn redb(&self) -> RedbOptions {
        RedbOptions { cache_bytes: self.cache_bytes, verify_up_to_bytes: self.verify_up_to_bytes }
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// Makes a new store in `folder`, which must not exist or be empty. It appears whole or not at all.
    ///
    /// # Errors
    /// [`OpenError::AlreadyExists`] if there is something, or what the file system said.
    pub fn create(folder: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        StoreOptions::new().create(folder, key)
    }

    /// Opens the store in `folder`, for this process alone. Nothing on disk is destroyed, whatever is found.
    ///
    /// # Errors
    /// Each thing that can be wrong with a store has its own [`OpenError`].
    pub fn open(folder: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        StoreOptions::new().open(folder, key)
    }

    /// A store whose sealed rows lie in `backend` and whose keys lie in the file that `keys` opened.
    fn on(keys: KeyFile, backend: Box<dyn Backend>, rows_path: &Path, disk: Arc<dyn Disk>) -> Result<Self, OpenError> {
        let (vaults, writer) = {
            let view = backend.view().map_err(|source| backend_error(source, rows_path))?;
            check_meta(&*view, &keys.store(), rows_path)?;
            let found = Found::read(&keys)?;
            found.settle(&keys, &*view, rows_path)?
        };
        Ok(Self { keys, backend, vaults: RwLock::new(vaults), writer: Mutex::new(writer), disk })
    }

    fn vaults(&self) -> RwLockReadGuard<'_, BTreeMap<UserId, Vault>> {
        self.vaults.read().expect(NO_PANIC)
    }

    fn vaults_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<UserId, Vault>> {
        self.vaults.write().expect(NO_PANIC)
    }

    /// The right to write, unless an earlier write left the key file in a state that is not known.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let writer = self.writer.lock().expect(NO_PANIC);
        if writer.stopped {
            return Err(StoreError::Stopped);
        }
        Ok(writer)
    }

    fn key_error(&self, source: io::Error) -> StoreError {
        StoreError::Io { source, path: self.keys.path().into() }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("keys", &self.keys.path()).finish_non_exhaustive()
    }
}

/// What the key file holds, before the rows were asked what it means.
struct Found {
    vaults: BTreeMap<UserId, Vault>,
    free: BTreeMap<u32, u32>,
    /// Erased slots and how often they were taken; the flag says that the erasure was torn.
    erased: Vec<(u32, u32, bool)>,
    damaged: Vec<u32>,
    end: u32,
}

impl Found {
    fn read(keys: &KeyFile) -> Result<Self, OpenError> {
        let mut found =
            Self { vaults: BTreeMap::new(), free: BTreeMap::new(), erased: Vec::new(), damaged: Vec::new(), end: 0 };
        let mut twice = None;
        let read = keys.for_each(|slot, state, _| {
            found.end = slot + 1;
            match state {
                SlotState::Free => {
                    found.free.insert(slot, FIRST_INCARNATION);
                }
                SlotState::Active(vault, user_keys) => {
                    if found.vaults.insert(user_keys.user(), vault).is_some() {
                        twice = twice.or(Some(slot));
                    }
                }
                SlotState::Erased { incarnation, clean } => found.erased.push((slot, incarnation, !clean)),
                SlotState::Damaged => found.damaged.push(slot),
            }
        });
        read.map_err(|error| io_error(error, keys.path()))?;
        match twice {
            // Two keys for one user: one of them was copied in from an older key file.
            Some(slot) => Err(OpenError::DamagedKey { slot, path: keys.path().into() }),
            None => Ok(found),
        }
    }

    /// Tells torn first writes from damage, and finishes erasures that were torn: they were asked for.
    fn settle(
        mut self,
        keys: &KeyFile,
        view: &dyn BackendView,
        rows_path: &Path,
    ) -> Result<(BTreeMap<UserId, Vault>, Writer), OpenError> {
        let has_rows = |from: u32, to: u64| {
            let (from, to) = table::ledgers_of_slots(from, to);
            let mut any = false;
            let scanned = view.scan(&from, &to, &mut |_, _| {
                any = true;
                std::ops::ControlFlow::Break(())
            });
            scanned.map(|()| any).map_err(|source| backend_error(source, rows_path))
        };
        if has_rows(self.end, SLOTS_MAX)? {
            return Err(OpenError::Truncated { path: keys.path().into() });
        }
        for slot in self.damaged {
            if has_rows(slot, u64::from(slot) + 1)? {
                return Err(OpenError::DamagedKey { slot, path: keys.path().into() });
            }
            self.free.insert(slot, FIRST_INCARNATION);
        }
        let mut unswept = BTreeMap::new();
        for (slot, incarnation, torn) in self.erased {
            if torn {
                keys.erase(Vault { slot, incarnation }).map_err(|error| io_error(error, keys.path()))?;
            }
            if has_rows(slot, u64::from(slot) + 1)? {
                unswept.insert(slot, incarnation);
            } else if let Some(next) = incarnation.checked_add(1) {
                self.free.insert(slot, next);
            }
        }
        let writer = Writer { free: self.free, end: self.end, unswept, stopped: false };
        Ok((self.vaults, writer))
    }
}

fn new_store_id() -> Result<StoreId, OpenError> {
    let mut store: StoreId = Default::default();
    seal::fill_random(&mut store).map_err(OpenError::Random)?;
    Ok(store)
}

/// Opens the key file in `folder` and locks it: who has it may use the rows, wherever those lie.
fn open_keys(disk: &dyn Disk, folder: &Path, key: &StoreKey) -> Result<KeyFile, OpenError> {
    let path = folder.join(KEYS_FILE);
    let file = disk.open(&path).map_err(|error| io_error(error, &path))?;
    if !file.lock().map_err(|error| io_error(error, &path))? {
        return Err(OpenError::AlreadyOpen { path: folder.into() });
    }
    KeyFile::open(file, &path, key)
}

/// What the rows say about themselves: magic, version, store, checksum.
fn meta(store: &StoreId) -> Vec<u8> {
    let mut meta = [META_MAGIC, &ROWS_VERSION.to_le_bytes(), store].concat();
    let check = Sha256::digest(&meta);
    meta.extend_from_slice(&check);
    meta
}

fn check_meta(view: &dyn BackendView, store: &StoreId, path: &Path) -> Result<(), OpenError> {
    let path_buf = || path.to_path_buf();
    let found = view.get_many(&[table::META_ROW]).map_err(|source| backend_error(source, path))?.pop().flatten();
    let Some(found) = found.filter(|found| found.starts_with(META_MAGIC)) else {
        return Err(OpenError::NotAStore { path: path_buf() });
    };
    let (text, check) = found.split_last_chunk::<32>().ok_or_else(|| OpenError::Damaged { path: path_buf() })?;
    if Sha256::digest(text)[..] != check[..] || text.len() < META_MAGIC.len() + 4 {
        return Err(OpenError::Damaged { path: path_buf() });
    }
    let (version, found_store) = text[META_MAGIC.len()..].split_at(4);
    let version = u32::from_le_bytes(version.try_into().expect("4 bytes"));
    if version != ROWS_VERSION {
        return Err(OpenError::NewerFormat { found: version, supported: ROWS_VERSION, path: path_buf() });
    }
    if found_store != store {
        return Err(OpenError::ForeignRows { path: path_buf() });
    }
    Ok(())
}

fn io_error(source: io::Error, path: &Path) -> OpenError {
    OpenError::Io { source, path: path.into() }
}

fn backend_error(source: BackendError, path: &Path) -> OpenError {
    OpenError::Backend { source, path: path.into() }
}

const KEYS_FILE: &str = "keys";
const ROWS_FILE: &str = "rows.redb";
const META_MAGIC: &[u8] = b"HYDRAROW";
const ROWS_VERSION: u32 = 1;
const FIRST_INCARNATION: u32 = 1;
/// Behind the last slot that has a number.
const SLOTS_MAX: u64 = 1 << 32;
const NO_PANIC: &str = "nothing panics with the lock held";

#[cfg(test)]
mod tests;
