//! Snapshots: a store's files, copied while it serves.

use std::collections::BTreeSet;
use std::mem;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use redb::StorageBackend;

use super::{KEYS_FILE, ROWS_FILE, Store, StoreOptions, backend_error, folder, io_error};
use crate::backend::{Backend, BackendError, BackendView, Change, RedbBackend};
use crate::disk::{Disk, DiskFile, RealDisk};
use crate::key_file::{KeyFile, SlotState, Vault, erased};
use crate::{OpenError, StoreError, StoreKey, table};

impl Store {
    /// Writes the store as it is now into a new folder, while reads and writes go on. The folder appears whole or not
    /// at all.
    ///
    /// It holds the values of one moment, and the keys of those users who were not forgotten while it was made. It is
    /// sealed with the same store key. **Forgetting a user does not reach snapshots made earlier**: let snapshots
    /// expire, and forget again, after a restore, those who were forgotten since.
    ///
    /// # Errors
    /// [`StoreError::Snapshot`] if the folder exists or could not be written.
    pub fn snapshot(&self, folder: &Path) -> Result<(), StoreError> {
        folder::create_whole(&*self.disk, folder, |partial| {
            let rows_path = partial.join(ROWS_FILE);
            let view = self.backend.view().map_err(|source| backend_error(source, &rows_path))?;
            self.copy_rows(&*view, &rows_path)?;
            self.copy_keys(&*view, &partial.join(KEYS_FILE))
        })
        .map_err(|error| StoreError::Snapshot(Box::new(error)))
    }

    /// Makes a new store in `folder` from a snapshot, after checking all of it, and opens it.
    ///
    /// # Errors
    /// [`OpenError::BrokenSnapshot`] if the snapshot is not whole, and all that [`Store::open`] can say about it.
    pub fn restore(snapshot: &Path, folder: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        restore_on(Arc::new(RealDisk), snapshot, folder, key)
    }

    pub(super) fn copy_rows(&self, view: &dyn BackendView, path: &Path) -> Result<(), OpenError> {
        let file = self.disk.create(path).map_err(|error| io_error(error, path))?;
        let copy = || -> Result<(), BackendError> {
            let to = RedbBackend::create(file, COPY.redb())?;
            let (mut changes, mut bytes) = (Vec::new(), 0);
            let mut failed = Ok(());
            view.scan(&[], &table::all_values().1, &mut |key, value| {
                bytes += key.len() + value.len();
                let (key, value) = (key.to_vec(), value.to_vec());
                changes.push(Change::Put { key, value });
                if bytes > COMMIT_BYTES {
                    bytes = 0;
                    failed = to.apply(&mem::take(&mut changes));
                }
                if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            failed?;
            to.apply(&changes)
        };
        copy().map_err(|source| backend_error(source, path))
    }

    /// Copies the keys after the rows: who was forgotten meanwhile has no key in the snapshot.
    pub(super) fn copy_keys(&self, view: &dyn BackendView, path: &Path) -> Result<(), OpenError> {
        let mut in_view = BTreeSet::new();
        let (from, to) = table::all_ledgers();
        view.scan(&from, &to, &mut |row, _| {
            in_view.extend(table::vault_of(row));
            ControlFlow::Continue(())
        })
        .map_err(|source| backend_error(source, path))?;
        let file = self.disk.create(path).map_err(|error| io_error(error, path))?;
        // Nobody writes to the key file meanwhile.
        let _writer = self.writer.lock().expect(super::NO_PANIC);
        let mut failed = self.keys.copy_header(&file);
        self.keys
            .for_each(|slot, state, bytes| {
                let kept = match state {
                    SlotState::Active(vault, _) if in_view.contains(&vault) => Some(*bytes),
                    _ => {
                        // Rows of an earlier user of the slot are in the view: they stay unreadable, and say why.
                        let of_slot = |incarnation| Vault { slot, incarnation };
                        let mut gone = in_view.range(of_slot(0)..=of_slot(u32::MAX));
                        gone.next_back().map(|gone| erased(gone.incarnation))
                    }
                };
                if failed.is_ok() {
                    failed = self.keys.write_slot_to(&file, slot, &kept.unwrap_or([0; _]));
                }
            })
            .and(failed)
            .and_then(|()| file.sync_data())
            .map_err(|error| io_error(error, path))
    }
}

pub(crate) fn restore_on(
    disk: Arc<dyn Disk>,
    snapshot: &Path,
    folder: &Path,
    key: &StoreKey,
) -> Result<Store, OpenError> {
    if !folder::exists(&*disk, snapshot)? {
        return Err(OpenError::NotFound { path: snapshot.into() });
    }
    folder::create_whole(&*disk, folder, |partial| {
        for name in [KEYS_FILE, ROWS_FILE] {
            let (from, to) = (snapshot.join(name), partial.join(name));
            if !folder::exists(&*disk, &from)? {
                let path = from;
                return Err(OpenError::MissingFile { path });
            }
            let from_file = disk.open_to_read(&from).map_err(|error| io_error(error, &from))?;
            if !from_file.lock_shared().map_err(|error| io_error(error, &from))? {
                return Err(OpenError::AlreadyOpen { path: snapshot.into() });
            }
            if name == KEYS_FILE {
                // A wrong key is told before anything is copied.
                KeyFile::open(from_file.clone(), &from, key)?;
            }
            let to_file = disk.create(&to).map_err(|error| io_error(error, &to))?;
            copy(&from_file, &to_file).map_err(|error| io_error(error, &to))?;
        }
        let store = COPY.open_on(Arc::clone(&disk), partial, key)?;
        let report = store.check().map_err(|source| match source {
            StoreError::Backend(source) => backend_error(source, snapshot),
            source => io_error(std::io::Error::other(source), snapshot),
        })?;
        if report.is_whole() {
            Ok(())
        } else {
            Err(OpenError::BrokenSnapshot { report: Box::new(report), path: snapshot.into() })
        }
    })?;
    StoreOptions::new().open_on(disk, folder, key)
}

fn copy(from: &DiskFile, to: &DiskFile) -> std::io::Result<()> {
    let len = from.len()?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
        from.read(at, &mut buffer[..count])?;
        to.write(at, &buffer[..count])?;
        at += count as u64;
    }
    to.sync_data()
}

/// Copies are written once and read once: a small cache, and every page verified.
const COPY: StoreOptions = StoreOptions::new().cache_bytes(16 << 20).verify_up_to_bytes(u64::MAX);
/// How much of a snapshot is written before it is synced.
const COMMIT_BYTES: usize = 8 << 20;
