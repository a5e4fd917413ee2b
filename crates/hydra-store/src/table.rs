//! Where a value lies: its table, its slot, and the row that both name in the backend.

use std::fmt;

use crate::key_file::Vault;

/// A kind of value that is kept for every user: `records`, `vectors`, `heads`.
///
/// Names are constants of the program, not data: they are stored in the clear.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(&'static str);

impl Table {
    /// The table with this name: 1 to 32 of `a-z`, `0-9` and `-`.
    ///
    /// ```
    /// const RECORDS: hydra_store::Table = hydra_store::Table::new("records");
    /// ```
    ///
    /// # Panics
    /// If the name is anything else; for a constant, while compiling.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= MAX_TABLE_BYTES, "a table name has 1 to 32 bytes");
        let mut at = 0;
        while at < bytes.len() {
            assert!(matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'-'), "a table name is made of a-z, 0-9 and -");
            at += 1;
        }
        Self(name)
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({self})")
    }
}

/// The longest slot, in bytes. Slots are names inside a table: ids, times, never text of a user.
pub const MAX_SLOT_BYTES: usize = 128;

/// The largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 256 << 20;

/// The row that says which store and which format this is.
pub(crate) const META_ROW: &[u8] = &[META];

/// The row that sums up one vault.
pub(crate) fn ledger_row(vault: Vault) -> Vec<u8> {
    in_vault(LEDGER, vault)
}

/// The row of one value.
pub(crate) fn value_row(vault: Vault, table: Table, slot: &[u8]) -> Vec<u8> {
    let mut row = table_rows(vault, table);
    row.extend_from_slice(slot);
    row
}

/// What all rows of one table of one vault begin with.
pub(crate) fn table_rows(vault: Vault, table: Table) -> Vec<u8> {
    let mut row = in_vault(VALUE, vault);
    row.push(u8::try_from(table.0.len()).expect("at most 32 bytes"));
    row.extend_from_slice(table.0.as_bytes());
    row
}

/// From the first value row of a vault to behind its last.
pub(crate) fn vault_rows(vault: Vault) -> (Vec<u8>, Vec<u8>) {
    let from = in_vault(VALUE, vault);
    let to = behind(&from);
    (from, to)
}

/// All ledgers, whatever the vault.
pub(crate) fn all_ledgers() -> (Vec<u8>, Vec<u8>) {
    (vec![LEDGER], vec![LEDGER + 1])
}

/// All values, whatever the vault.
pub(crate) fn all_values() -> (Vec<u8>, Vec<u8>) {
    (vec![VALUE], vec![VALUE + 1])
}

/// The ledgers of all vaults that ever lay in key slots `from..to`; `to` may be past the last possible slot.
pub(crate) fn ledgers_of_slots(from: u32, to: u64) -> (Vec<u8>, Vec<u8>) {
    of_slots(LEDGER, from, to)
}

/// The values of all vaults that ever lay in key slots `from..to`.
pub(crate) fn values_of_slots(from: u32, to: u64) -> (Vec<u8>, Vec<u8>) {
    of_slots(VALUE, from, to)
}

/// Whose row it is, if it is a ledger or a value.
pub(crate) fn vault_of(row: &[u8]) -> Option<Vault> {
    let (slot, rest) = row.get(1..)?.split_first_chunk()?;
    let (incarnation, _) = rest.split_first_chunk()?;
    Some(Vault { slot: u32::from_be_bytes(*slot), incarnation: u32::from_be_bytes(*incarnation) })
}

/// The name of the table and the slot of a value row.
pub(crate) fn table_and_slot(row: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = row.get(VAULT_BYTES..)?.split_first()?;
    let (name, slot) = rest.split_at_checked(usize::from(*len))?;
    Some((std::str::from_utf8(name).ok()?, slot))
}

/// The smallest row that is greater than every row that begins with `prefix`.
pub(crate) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return end;
        }
        end.pop();
    }
    unreachable!("every row begins with a kind, which is small")
}

fn in_vault(kind: u8, vault: Vault) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    row.push(kind);
    row.extend_from_slice(&vault.slot.to_be_bytes());
    row.extend_from_slice(&vault.incarnation.to_be_bytes());
    row
}

fn of_slots(kind: u8, from: u32, to: u64) -> (Vec<u8>, Vec<u8>) {
    let bound = |slot: u32| [&[kind][..], &slot.to_be_bytes()].concat();
    let to = u32::try_from(to).map_or_else(|_| vec![kind + 1], bound);
    (bound(from), to)
}

const MAX_TABLE_BYTES: usize = 32;
/// Kind, key slot, incarnation.
const VAULT_BYTES: usize = 1 + 4 + 4;
const META: u8 = 0;
const LEDGER: u8 = 1;
const VALUE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whose_and_which_it_is() {
        let vault = Vault { slot: 7, incarnation: u32::MAX };
        let row = value_row(vault, Table::new("records"), b"\x00\xff");
        assert_eq!(vault_of(&row), Some(vault));
        assert_eq!(table_and_slot(&row), Some(("records", &b"\x00\xff"[..])));
        let (from, to) = vault_rows(vault);
        assert!(from <= row && row < to);
        let next = value_row(Vault { slot: 8, incarnation: 0 }, Table::new("a"), b"");
        assert!(to <= next);
        let (from, to) = values_of_slots(7, 8);
        assert!(from <= row && row < to && to <= next);
        assert!(row < values_of_slots(0, u64::from(u32::MAX) + 1).1);
    }

    #[test]
    fn no_table_begins_with_the_rows_of_another() {
        let vault = Vault { slot: 0, incarnation: 1 };
        let (short, long) = (Table::new("a"), Table::new("ab"));
        assert!(!value_row(vault, long, b"x").starts_with(&table_rows(vault, short)));
        assert_ne!(value_row(vault, short, b"bx"), value_row(vault, long, b"x"));
    }

    #[test]
    #[should_panic(expected = "a-z")]
    fn a_table_name_is_plain() {
        let _ = Table::new("Records");
    }
}
