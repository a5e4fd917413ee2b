//! Writing: one user's batch, or many users' at once.

use std::collections::{BTreeMap, BTreeSet};

use hydra_types::{Generation, UserId};

use super::read::open_ledger;
use super::{FIRST_INCARNATION, Store, Writer};
use crate::backend::Change;
use crate::key_file::Vault;
use crate::ledger::Ledger;
use crate::seal::{self, UserKeys};
use crate::{Batch, StoreError, table};

impl Store {
    /// Makes the changes of a batch, all or none; durable when it returns.
    ///
    /// Returns the generation that the user's data has then.
    ///
    /// # Errors
    /// As [`commit_many`](Self::commit_many).
    #[expect(clippy::missing_panics_doc, reason = "what it expects holds by construction")]
    pub fn commit(&self, batch: &Batch) -> Result<Generation, StoreError> {
        let mut generations = self.commit_many(std::slice::from_ref(batch))?;
        Ok(generations.pop().expect("one generation for one batch"))
    }

    /// Makes the changes of many batches with one sync of the disk, which is what bulk loading needs.
    ///
    /// Each batch happens wholly or not at all. In this version all batches of a call do so together; only the batches
    /// of one user are promised to.
    ///
    /// # Shapes
    /// - returns: for each of `batches`, in their order, the generation that it made.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::Forgotten`], [`StoreError::EmptyBatch`], [`StoreError::SlotLength`],
    /// [`StoreError::ValueLength`] and [`StoreError::Full`]: nothing was written. After another error it is not known whether the changes were made:
    /// open the store again and read.
    #[expect(clippy::missing_panics_doc, reason = "what it expects holds by construction")]
    pub fn commit_many(&self, batches: &[Batch]) -> Result<Vec<Generation>, StoreError> {
        batches.iter().try_for_each(Batch::check)?;
        let mut writer = self.writer()?;
        let mut pending = self.pending(batches)?;
        let generations = number(batches, &mut pending)?;
        let mut marks = self.marks(batches, &pending)?;
        let puts = batches.iter().flat_map(|batch| &batch.changes).filter(|change| change.value.is_some());
        let nonces = seal::nonces(puts.count() + pending.len()).map_err(StoreError::Random)?;
        let mut nonces = nonces.iter();
        self.give_keys(&mut writer, &mut pending)?;

        let mut changes = Vec::new();
        for batch in batches {
            let user = batch.scope.user();
            let Some(Pending { vault: Some(vault), keys, ledger }) = pending.get_mut(&user) else {
                unreachable!("every user of a batch has a vault now");
            };
            for change in &batch.changes {
                let key = table::value_row(*vault, change.table, &change.slot);
                if let Some(old) = marks.remove(&key) {
                    ledger.remove(old).ok_or(StoreError::NotWhole { user })?;
                }
                changes.push(match &change.value {
                    Some(value) => {
                        let value = keys.seal(nonces.next().expect("a nonce for each put"), &key, value);
                        let mark = keys.mark(&value).expect("just sealed");
                        ledger.add(mark);
                        marks.insert(key.clone(), mark);
                        Change::Put { key, value }
                    }
                    None => Change::Delete { key },
                });
            }
        }
        for Pending { vault, keys, ledger } in pending.values() {
            let key = table::ledger_row(vault.expect("every user of a batch has a vault now"));
            let nonce = nonces.next().expect("a nonce for each ledger");
            let value = keys.seal(nonce, &key, &ledger.to_bytes());
            changes.push(Change::Put { key, value });
        }
        self.backend.apply(&changes)?;
        Ok(generations)
    }

    /// What is there of the users of `batches`.
    fn pending(&self, batches: &[Batch]) -> Result<BTreeMap<UserId, Pending>, StoreError> {
        let users: BTreeSet<_> = batches.iter().map(|batch| batch.scope.user()).collect();
        let vaults = self.vaults();
        let known: Vec<_> = users.iter().filter_map(|user| vaults.get(user)).collect();
        let rows: Vec<_> = known.iter().map(|&&vault| table::ledger_row(vault)).collect();
        let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
        let ledgers = self.backend.view()?.get_many(&rows)?;
        let mut ledgers = rows.into_iter().zip(ledgers);
        let mut pending = BTreeMap::new();
        for user in users {
            let one = match vaults.get(&user) {
                Some(&vault) => {
                    let keys = self.unlock(user, vault)?;
                    let ledger = match ledgers.next().expect("a ledger for each vault") {
                        (row, Some(sealed)) => open_ledger(&keys, row, sealed)?,
                        // The first commit of this user did not happen, after the key was written.
                        (_, None) => Ledger::EMPTY,
                    };
                    Pending { vault: Some(vault), keys, ledger }
                }
                None => Pending {
                    vault: None,
                    keys: UserKeys::random(self.keys.store(), user).map_err(StoreError::Random)?,
                    ledger: Ledger::EMPTY,
                },
            };
            pending.insert(user, one);
        }
        Ok(pending)
    }

    /// The marks of the values that `batches` replace or delete, by row.
    fn marks(
        &self,
        batches: &[Batch],
        pending: &BTreeMap<UserId, Pending>,
    ) -> Result<BTreeMap<Vec<u8>, u128>, StoreError> {
        let mut rows = Vec::new();
        for batch in batches {
            let one = &pending[&batch.scope.user()];
            if let Some(vault) = one.vault {
                let row = |change: &crate::batch::SlotChange| table::value_row(vault, change.table, &change.slot);
                rows.extend(batch.changes.iter().map(|change| (row(change), &one.keys)));
            }
        }
        let keys: Vec<_> = rows.iter().map(|(row, _)| row.as_slice()).collect();
        let old = self.backend.view()?.get_many(&keys)?;
        let mut marks = BTreeMap::new();
        for ((row, keys), old) in rows.into_iter().zip(old) {
            if let Some(old) = old {
                let mark = keys.mark(&old).ok_or(StoreError::NotWhole { user: keys.user() })?;
                marks.insert(row, mark);
            }
        }
        Ok(marks)
    }

    /// Gives each new user a slot with the key in it, before any row of theirs is written: a row whose key a crash
    /// could lose must never be acknowledged.
    fn give_keys(&self, writer: &mut Writer, pending: &mut BTreeMap<UserId, Pending>) -> Result<(), StoreError> {
        let new = pending.values().filter(|one| one.vault.is_none()).count();
        if (u32::MAX - writer.end) as usize + writer.free.len() < new {
            return Err(StoreError::Full);
        }
        let mut given = Vec::with_capacity(new);
        for one in pending.values_mut().filter(|one| one.vault.is_none()) {
            let (slot, incarnation) = writer.free.pop_first().unwrap_or_else(|| {
                writer.end += 1;
                (writer.end - 1, FIRST_INCARNATION)
            });
            let vault = Vault { slot, incarnation };
            one.vault = Some(vault);
            given.push((vault, &one.keys));
        }
        if let Err(error) = self.keys.write(&given) {
            writer.stopped = true;
            return Err(self.key_error(error));
        }
        if !given.is_empty() {
            let given = given.into_iter().map(|(vault, keys)| (keys.user(), vault));
            self.vaults_mut().extend(given);
        }
        Ok(())
    }
}

/// One user of a call to `commit_many`.
struct Pending {
    /// None for a user without data, until the key is written.
    vault: Option<Vault>,
    keys: UserKeys,
    ledger: Ledger,
}

/// Gives each batch its generation, or finds that one was made for another or for a user who was forgotten.
fn number(batches: &[Batch], pending: &mut BTreeMap<UserId, Pending>) -> Result<Vec<Generation>, StoreError> {
    let numbered = batches.iter().map(|batch| {
        let user = batch.scope.user();
        let Pending { vault, ledger, .. } = pending.get_mut(&user).expect("every user is pending");
        if batch.within.is_some() && batch.within != *vault {
            return Err(StoreError::Forgotten { user });
        }
        let found = ledger.generation;
        match batch.expected {
            Some(expected) if expected != found => Err(StoreError::Conflict { user, expected, found }),
            _ => {
                ledger.generation = found.next();
                Ok(ledger.generation)
            }
        }
    });
    numbered.collect()
}
