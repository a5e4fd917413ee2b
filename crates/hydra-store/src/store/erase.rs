//! Forgetting users, and giving space back.

use hydra_types::Scope;

use super::{Store, Writer};
use crate::backend::Change;
use crate::{StoreError, table};

impl Store {
    /// Forgets the user of `scope`: destroys the key of their data, then deletes what nobody can read any more.
    ///
    /// The key is destroyed first, by one small synced write over its place; from then on no value of the user opens,
    /// wherever copies of the sealed rows may lie. When this returns, no read returns anything of theirs, not even one
    /// that began before. A user without data is forgotten already.
    ///
    /// What it cannot reach: snapshots and file system copies made earlier hold the key, sealed with the store key, and
    /// a disk that writes elsewhere than it says (flash, copy-on-write file systems) may keep the sealed key for a
    /// while. Both are unreadable to whoever lacks the store key.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the key could not be overwritten: open the store again and retry. After
    /// [`StoreError::Backend`] the key is gone and unreadable rows are left; calling again deletes them.
    pub fn forget(&self, scope: &Scope) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        // Waits for the reads in progress and keeps others out until the key is gone.
        let mut vaults = self.vaults_mut();
        if let Some(vault) = vaults.remove(&scope.user()) {
            if let Err(error) = self.keys.erase(vault) {
                writer.stopped = true;
                return Err(self.key_error(error));
            }
            writer.unswept.insert(vault.slot, vault.incarnation);
        }
        drop(vaults);
        self.sweep(&mut writer)
    }

    /// Deletes what forgotten users left, and gives unused space back to the file system. Reads and writes wait.
    ///
    /// # Errors
    /// [`BackendError::Busy`](crate::BackendError::Busy) while a check or a snapshot is running, or what the backend
    /// said.
    pub fn compact(&self) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        self.sweep(&mut writer)?;
        let _no_reads = self.vaults_mut();
        Ok(self.backend.compact()?)
    }

    /// Deletes the rows of slots whose key is gone; only then can another user take the slot, because only rows that
    /// are there tell a key that was lost from one that was never needed.
    fn sweep(&self, writer: &mut Writer) -> Result<(), StoreError> {
        if writer.unswept.is_empty() {
            return Ok(());
        }
        let ranges = writer.unswept.keys().flat_map(|&slot| {
            let next = u64::from(slot) + 1;
            [table::ledgers_of_slots(slot, next), table::values_of_slots(slot, next)]
        });
        let changes: Vec<_> = ranges.map(|(from, to)| Change::DeleteRange { from, to }).collect();
        self.backend.apply(&changes)?;
        for (slot, incarnation) in std::mem::take(&mut writer.unswept) {
            // A slot that was taken 2^32 - 1 times is never taken again.
            if let Some(next) = incarnation.checked_add(1) {
                writer.free.insert(slot, next);
            }
        }
        Ok(())
    }
}
