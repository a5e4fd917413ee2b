//! Is everything there, and is it what was written?

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use hydra_types::UserId;

use super::Store;
use super::read::open_ledger;
use crate::key_file::{SlotState, Vault};
use crate::ledger::Ledger;
use crate::seal::UserKeys;
use crate::{StoreError, table};

/// What [`Store::check`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Users with data.
    pub users: u64,
    /// Values that opened.
    pub rows: u64,
    /// Their length, sealed, in bytes.
    pub sealed_bytes: u64,
    /// Rows of users who were forgotten, which nobody can read; [`Store::compact`] deletes them.
    pub unreadable_rows: u64,
    /// What is wrong. Empty if nothing is.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, rows, .. } = self;
        write!(f, "{users} users, {rows} rows, {} faults", self.faults.len())
    }
}

/// One thing that is wrong with a store.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The key of a user with data is gone or damaged; whose it was cannot be told.
    LostKey {
        /// The slot in the key file.
        slot: u32,
    },
    /// A value is not what was put there.
    DoesNotOpen {
        /// Whose slot it lies in.
        user: UserId,
        /// In which table; nothing if the row names none.
        table: Option<String>,
    },
    /// Values of this user are missing, old or too many, or the ledger that says so is.
    NotWhole {
        /// Whose.
        user: UserId,
    },
}

impl Store {
    /// Reads everything and compares it with what was written: every value opens where it lies, and every user's
    /// ledger adds up, so that none is missing, old or too many. Changes nothing; reads and writes go on meanwhile.
    ///
    /// One thing it cannot see: files that were all replaced by older copies of themselves are a whole store, of then.
    ///
    /// # Errors
    /// If the rows or the key file cannot be read at all.
    pub fn check(&self) -> Result<Report, StoreError> {
        let view = self.backend.view()?;
        // After the view, so that it has every user of the view who was not forgotten.
        let users: BTreeMap<Vault, UserId> = self.vaults().iter().map(|(&user, &vault)| (vault, user)).collect();
        let mut checker =
            Checker { store: self, users, report: Report::default(), found: BTreeMap::new(), current: None };
        let mut failed = Ok(());
        let (from, to) = table::all_values();
        view.scan(&from, &to, &mut |row, sealed| {
            failed = checker.value(row, sealed);
            break_on_error(&failed)
        })?;
        failed?;
        let mut failed = Ok(());
        let (from, to) = table::all_ledgers();
        view.scan(&from, &to, &mut |row, sealed| {
            failed = checker.ledger(row, sealed);
            break_on_error(&failed)
        })?;
        failed?;
        Ok(checker.finish())
    }

    /// What a key slot holds; a slot behind the end of the file holds no key that opens.
    fn slot(&self, slot: u32) -> Result<SlotState, StoreError> {
        let read = || match slot < self.keys.slots()? {
            true => self.keys.read(slot),
            false => Ok(SlotState::Damaged),
        };
        read().map_err(|error| self.key_error(error))
    }
}

struct Checker<'a> {
    store: &'a Store,
    users: BTreeMap<Vault, UserId>,
    report: Report,
    /// What each vault's ledger should say.
    found: BTreeMap<Vault, Ledger>,
    /// The vault whose rows are read now, and its keys.
    current: Option<(Vault, Option<UserKeys>)>,
}

impl Checker<'_> {
    fn value(&mut self, row: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
        let Some(keys) = self.keys(row)? else {
            self.report.unreadable_rows += 1;
            return Ok(());
        };
        let user = keys.user();
        let mark = keys.mark(sealed);
        let opened = keys.open(row, sealed.to_vec()).is_some();
        match (mark, table::vault_of(row)) {
            (Some(mark), Some(vault)) if opened => {
                self.report.rows += 1;
                self.report.sealed_bytes += sealed.len() as u64;
                self.found.entry(vault).or_insert(Ledger::EMPTY).add(mark);
            }
            _ => {
                let table = table::table_and_slot(row).map(|(table, _)| table.to_owned());
                self.report.faults.push(Fault::DoesNotOpen { user, table });
            }
        }
        Ok(())
    }

    fn ledger(&mut self, row: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
        // Taken out in any case: the user may have been forgotten since the values were read.
        let found = table::vault_of(row).and_then(|vault| self.found.remove(&vault));
        let Some(keys) = self.keys(row)? else {
            return Ok(());
        };
        let user = keys.user();
        let ledger = open_ledger(keys, row, sealed.to_vec());
        self.report.users += 1;
        match ledger {
            Ok(ledger) if ledger.same_rows(&found.unwrap_or(Ledger::EMPTY)) => {}
            _ => self.report.faults.push(Fault::NotWhole { user }),
        }
        Ok(())
    }

    /// The keys of the vault of a row; none if its user was forgotten, or the key was lost, which is a fault.
    fn keys(&mut self, row: &[u8]) -> Result<Option<&UserKeys>, StoreError> {
        let vault = table::vault_of(row).unwrap_or(Vault { slot: u32::MAX, incarnation: 0 });
        if self.current.as_ref().is_none_or(|(current, _)| *current != vault) {
            let keys = self.unlock(vault)?;
            self.current = Some((vault, keys));
        }
        Ok(self.current.as_ref().and_then(|(_, keys)| keys.as_ref()))
    }

    fn unlock(&mut self, vault: Vault) -> Result<Option<UserKeys>, StoreError> {
        let store = self.store;
        let mut state = store.slot(vault.slot)?;
        if matches!(state, SlotState::Damaged) {
            // It may have been read while it was written: once more, with nobody writing.
            let _writer = store.writer.lock().expect(super::NO_PANIC);
            state = store.slot(vault.slot)?;
        }
        match state {
            SlotState::Active(found, keys) if found == vault && self.users.get(&vault) == Some(&keys.user()) => {
                Ok(Some(keys))
            }
            // The slot moved on: the user was forgotten, then or meanwhile.
            SlotState::Active(found, _) if found > vault => Ok(None),
            SlotState::Erased { incarnation, .. } if incarnation >= vault.incarnation => Ok(None),
            _ => {
                let fault = Fault::LostKey { slot: vault.slot };
                if !self.report.faults.contains(&fault) {
                    self.report.faults.push(fault);
                }
                Ok(None)
            }
        }
    }

    /// Rows that no ledger claims are too many.
    fn finish(mut self) -> Report {
        let stray = self.found.keys().filter_map(|vault| self.users.get(vault));
        self.report.faults.extend(stray.map(|&user| Fault::NotWhole { user }));
        self.report
    }
}

fn break_on_error<E>(result: &Result<(), E>) -> ControlFlow<()> {
    if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
