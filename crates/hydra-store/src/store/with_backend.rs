//! A store whose rows lie in another backend than the file that comes with this crate.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::{KEYS_FILE, Store, backend_error, folder, io_error, meta, new_store_id, open_keys};
use crate::backend::{Backend, Change};
use crate::disk::{Disk, RealDisk};
use crate::key_file::KeyFile;
use crate::{OpenError, StoreKey, table};

impl Store {
    /// Makes a new store whose keys lie in `folder`, which must not exist or be empty, and whose sealed rows lie in
    /// `backend`, which must hold no rows of users.
    ///
    /// # Errors
    /// [`OpenError::AlreadyExists`] if there is something in the folder or in the backend, or what either said.
    pub fn create_with_backend(folder: &Path, key: &StoreKey, backend: Box<dyn Backend>) -> Result<Self, OpenError> {
        let disk = RealDisk;
        folder::create_whole(&disk, folder, |partial| {
            if has_users(&*backend, folder)? {
                return Err(OpenError::AlreadyExists { path: folder.into() });
            }
            let store = new_store_id()?;
            let path = partial.join(KEYS_FILE);
            let file = disk.create(&path).map_err(|error| io_error(error, &path))?;
            KeyFile::create(file, &path, store, key)?;
            // Before the folder appears: keys without rows would be a store that does not open.
            let meta = Change::Put { key: table::META_ROW.to_vec(), value: meta(&store) };
            backend.apply(&[meta]).map_err(|source| backend_error(source, folder))
        })?;
        Self::open_with_backend(folder, key, backend)
    }

    /// Opens the store whose keys lie in `folder` and whose sealed rows lie in `backend`, for this process alone.
    ///
    /// [`snapshot`](Self::snapshot) and [`restore`](Self::restore) take the rows out of a backend and into a file.
    ///
    /// # Errors
    /// As [`Store::open`]; paths in errors about rows are the folder's.
    pub fn open_with_backend(folder: &Path, key: &StoreKey, backend: Box<dyn Backend>) -> Result<Self, OpenError> {
        let disk = RealDisk;
        if !folder::exists(&disk, &folder.join(KEYS_FILE))? {
            return Err(OpenError::NotFound { path: folder.into() });
        }
        let keys = open_keys(&disk, folder, key)?;
        Store::on(keys, backend, folder, Arc::new(disk))
    }
}

/// Whether there is a ledger or a value of anybody.
fn has_users(backend: &dyn Backend, folder: &Path) -> Result<bool, OpenError> {
    let mut found = false;
    let (from, to) = (table::all_ledgers().0, table::all_values().1);
    let mut look = || {
        backend.view()?.scan(&from, &to, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        })
    };
    look().map_err(|source| backend_error(source, folder))?;
    Ok(found)
}
