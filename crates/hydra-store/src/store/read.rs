//! Reading: one value, many, the slots of a table.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use hydra_types::{Generation, Scope, UserId};

use super::Store;
use crate::backend::BackendView;
use crate::batch::check_slot;
use crate::key_file::SlotState;
use crate::ledger::Ledger;
use crate::seal::UserKeys;
use crate::{StoreError, Table, Vault, table};

/// One slot to read, on behalf of one user.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// On whose behalf.
    pub scope: &'a Scope,
    /// Which table.
    pub table: Table,
    /// Which slot.
    pub slot: &'a [u8],
}

/// Slots of one table to read in order, on behalf of one user: all of them, or a range.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Scan<'a> {
    scope: &'a Scope,
    table: Table,
    from: &'a [u8],
    before: Option<&'a [u8]>,
}

impl<'a> Scan<'a> {
    /// All slots of `table`.
    pub const fn new(scope: &'a Scope, table: Table) -> Self {
        Self { scope, table, from: &[], before: None }
    }

    /// Only slots that are `slot` or greater.
    pub const fn from(mut self, slot: &'a [u8]) -> Self {
        self.from = slot;
        self
    }

    /// Only slots that are smaller than `slot`.
    pub const fn before(mut self, slot: &'a [u8]) -> Self {
        self.before = Some(slot);
        self
    }
}

/// A slot and its value.
pub type Row = (Vec<u8>, Vec<u8>);

impl Store {
    /// What is in a slot of the user of `scope`; nothing if it is empty.
    ///
    /// # Errors
    /// [`StoreError::DoesNotOpen`] if what lies there was not put there, [`StoreError::DamagedKey`] if the key is
    /// damaged, or what the backend said.
    pub fn get(&self, scope: &Scope, table: Table, slot: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_many(&[Read { scope, table, slot }])?.pop().flatten())
    }

    /// What is in many slots, of one user or of many, as of one moment.
    ///
    /// # Shapes
    /// - returns: one value for each of `reads`, in their order; nothing where the slot is empty.
    ///
    /// # Errors
    /// As [`get`](Self::get), for the first row that fails.
    pub fn get_many(&self, reads: &[Read<'_>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        reads.iter().try_for_each(|read| check_slot(read.slot))?;
        let vaults = self.vaults();
        let rows: Vec<_> = reads
            .iter()
            .map(|read| {
                let vault = *vaults.get(&read.scope.user())?;
                Some((vault, table::value_row(vault, read.table, read.slot)))
            })
            .collect();
        let known: Vec<_> = rows.iter().flatten().map(|(_, row)| row.as_slice()).collect();
        let mut sealed = self.backend.view()?.get_many(&known)?.into_iter();
        let mut last = None;
        let mut values = Vec::with_capacity(reads.len());
        for (read, row) in reads.iter().zip(rows) {
            let value = match row {
                Some((vault, row)) => match sealed.next().flatten() {
                    Some(sealed) => {
                        let keys = self.keys_of(&mut last, read.scope.user(), vault)?;
                        Some(open_value(keys, read.table, &row, sealed)?)
                    }
                    None => None,
                },
                None => None,
            };
            values.push(value);
        }
        Ok(values)
    }

    /// The slots of one table of one user, in order, with their values.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn scan(&self, scan: Scan<'_>) -> Result<Vec<Row>, StoreError> {
        Ok(self.scan_many(&[scan])?.pop().unwrap_or_default())
    }

    /// The slots of many tables, of one user or of many, as of one moment.
    ///
    /// # Shapes
    /// - returns: for each of `scans`, in their order, its slots in order with their values.
    ///
    /// # Errors
    /// As [`get`](Self::get), for the first row that fails.
    pub fn scan_many(&self, scans: &[Scan<'_>]) -> Result<Vec<Vec<Row>>, StoreError> {
        let vaults = self.vaults();
        let view = self.backend.view()?;
        let mut last = None;
        scans
            .iter()
            .map(|scan| match vaults.get(&scan.scope.user()) {
                Some(&vault) => {
                    let keys = self.keys_of(&mut last, scan.scope.user(), vault)?;
                    scan_vault(&*view, keys, vault, scan)
                }
                None => Ok(Vec::new()),
            })
            .collect()
    }

    /// How often the data of the user of `scope` was changed; nothing for a user without data.
    ///
    /// It begins again at [`Generation::FIRST`] when a user who was forgotten comes back: who keeps anything by
    /// generation drops it when the user is forgotten.
    ///
    /// # Errors
    /// [`StoreError::NotWhole`] if the user's ledger is not the one that was written, or as [`get`](Self::get).
    pub fn generation(&self, scope: &Scope) -> Result<Option<Generation>, StoreError> {
        let vaults = self.vaults();
        let Some(&vault) = vaults.get(&scope.user()) else {
            return Ok(None);
        };
        let keys = self.unlock(scope.user(), vault)?;
        let ledger = read_ledger(&*self.backend.view()?, &keys, vault)?;
        Ok(ledger.map(|ledger| ledger.generation))
    }

    /// Where the data of the user of `scope` lies; nothing for a user without data. Reads nothing from the disk.
    ///
    /// It is another one after the user was forgotten and came back. What was kept in memory of a user may be shown as
    /// long as it is the same; [`Batch::within`](crate::Batch::within) makes a write depend on it.
    #[must_use]
    pub fn vault(&self, scope: &Scope) -> Option<Vault> {
        self.vaults().get(&scope.user()).copied()
    }

    /// The ids of all users who have data, in order. Ids only: for administration.
    ///
    /// # Errors
    /// What the backend said.
    pub fn users(&self) -> Result<Vec<UserId>, StoreError> {
        let by_vault: BTreeMap<Vault, UserId> = self.vaults().iter().map(|(&user, &vault)| (vault, user)).collect();
        let (from, to) = table::all_ledgers();
        let mut users = Vec::new();
        self.backend.view()?.scan(&from, &to, &mut |row, _| {
            users.extend(table::vault_of(row).and_then(|vault| by_vault.get(&vault)));
            ControlFlow::Continue(())
        })?;
        users.sort_unstable();
        Ok(users)
    }

    /// The keys of a user, read from their slot; the caller holds the vaults, so that they cannot be erased meanwhile.
    pub(super) fn unlock(&self, user: UserId, vault: Vault) -> Result<UserKeys, StoreError> {
        match self.keys.read(vault.slot).map_err(|error| self.key_error(error))? {
            SlotState::Active(found, keys) if found == vault && keys.user() == user => Ok(keys),
            _ => Err(StoreError::DamagedKey { slot: vault.slot }),
        }
    }

    /// [`unlock`](Self::unlock), kept for the rows that follow of the same user.
    fn keys_of<'k>(
        &self,
        last: &'k mut Option<UserKeys>,
        user: UserId,
        vault: Vault,
    ) -> Result<&'k UserKeys, StoreError> {
        let keys = match last.take() {
            Some(keys) if keys.user() == user => keys,
            _ => self.unlock(user, vault)?,
        };
        Ok(last.insert(keys))
    }
}

/// The ledger of a vault; nothing before its first commit.
pub(super) fn read_ledger(view: &dyn BackendView, keys: &UserKeys, vault: Vault) -> Result<Option<Ledger>, StoreError> {
    let row = table::ledger_row(vault);
    let sealed = view.get_many(&[&row])?.pop().flatten();
    sealed.map(|sealed| open_ledger(keys, &row, sealed)).transpose()
}

pub(super) fn open_ledger(keys: &UserKeys, row: &[u8], sealed: Vec<u8>) -> Result<Ledger, StoreError> {
    keys.open(row, sealed)
        .and_then(|plain| Ledger::from_bytes(&plain))
        .ok_or(StoreError::NotWhole { user: keys.user() })
}

fn open_value(keys: &UserKeys, table: Table, row: &[u8], sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    keys.open(row, sealed).ok_or(StoreError::DoesNotOpen { user: keys.user(), table })
}

fn scan_vault(view: &dyn BackendView, keys: &UserKeys, vault: Vault, scan: &Scan<'_>) -> Result<Vec<Row>, StoreError> {
    let prefix = table::table_rows(vault, scan.table);
    let from = [&prefix, scan.from].concat();
    let to = match scan.before {
        Some(before) => [&prefix, before].concat(),
        None => table::behind(&prefix),
    };
    let mut rows = Vec::new();
    if from >= to {
        return Ok(rows);
    }
    let mut failed = Ok(());
    view.scan(&from, &to, &mut |row, sealed| {
        match open_value(keys, scan.table, row, sealed.to_vec()) {
            Ok(value) => rows.push((row[prefix.len()..].to_vec(), value)),
            Err(error) => failed = Err(error),
        }
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map(|()| rows)
}
