//! Changes to one user's data that happen together.

use std::fmt;

use hydra_types::{Generation, Scope};

use crate::table::{MAX_SLOT_BYTES, MAX_VALUE_BYTES};
use crate::{StoreError, Table, Vault};

/// Changes to one user's data: all of them happen, or none.
///
/// `Debug` shows counts, never slots or values.
#[must_use = "a batch does nothing until it is committed"]
pub struct Batch {
    pub(crate) scope: Scope,
    pub(crate) expected: Option<Generation>,
    pub(crate) within: Option<Vault>,
    pub(crate) changes: Vec<SlotChange>,
}

/// What happens to one slot.
pub(crate) struct SlotChange {
    pub(crate) table: Table,
    pub(crate) slot: Vec<u8>,
    /// The new value; none deletes.
    pub(crate) value: Option<Vec<u8>>,
}

impl Batch {
    /// A batch without changes for the user of `scope`.
    pub fn new(scope: &Scope) -> Self {
        Self { scope: scope.clone(), expected: None, within: None, changes: Vec::new() }
    }

    /// Puts `value` into a slot; what was there is gone.
    pub fn put(mut self, table: Table, slot: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.changes.push(SlotChange { table, slot: slot.into(), value: Some(value.into()) });
        self
    }

    /// Empties a slot, if it is not empty already.
    pub fn delete(mut self, table: Table, slot: impl Into<Vec<u8>>) -> Self {
        self.changes.push(SlotChange { table, slot: slot.into(), value: None });
        self
    }

    /// Commits only if the user's data is still of this generation, which is what read-then-write needs.
    ///
    /// `Generation::new(0)` expects a user without data.
    pub const fn expecting(mut self, generation: Generation) -> Self {
        self.expected = Some(generation);
        self
    }

    /// Commits only if the user's data is still in this vault, that is if the user was not forgotten since
    /// [`Store::vault`](crate::Store::vault) named it.
    ///
    /// Generations begin again after that, so a batch that was made from what was read before needs both.
    pub const fn within(mut self, vault: Vault) -> Self {
        self.within = Some(vault);
        self
    }

    /// Checks what can be checked without the store.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            return Err(StoreError::EmptyBatch);
        }
        self.changes.iter().try_for_each(|change| {
            check_slot(&change.slot)?;
            let got = change.value.as_ref().map_or(0, Vec::len);
            if got > MAX_VALUE_BYTES {
                return Err(StoreError::ValueLength { got, max: MAX_VALUE_BYTES });
            }
            Ok(())
        })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("user", &self.scope.user())
            .field("expected", &self.expected)
            .field("within", &self.within)
            .field("changes", &self.changes.len())
            .finish()
    }
}

pub(crate) fn check_slot(slot: &[u8]) -> Result<(), StoreError> {
    match slot.len() {
        1..=MAX_SLOT_BYTES => Ok(()),
        got => Err(StoreError::SlotLength { got, max: MAX_SLOT_BYTES }),
    }
}
