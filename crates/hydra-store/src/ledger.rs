//! The ledger of a vault: how many rows it has, which ones, and how often it changed.
//!
//! Every value proves that it belongs where it lies, but not that it is the newest one that was put there, nor that
//! nothing is missing. The ledger does: it keeps the sum of the marks of all values, sealed like a value. An old value
//! put back into its slot, a row that was dropped and a row that came back all change the sum.

use hydra_types::Generation;

/// What one vault holds, summed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ledger {
    /// How many commits changed it.
    pub(crate) generation: Generation,
    /// How many values it has.
    pub(crate) rows: u64,
    /// The sum of their marks, modulo 2^128.
    ///
    /// A sum can be kept up while rows come and go. Forging it by choosing among old rows would need the marks, and
    /// they are known only to who holds the key.
    sum: u128,
}

impl Ledger {
    /// A vault without a value, before its first commit.
    pub(crate) const EMPTY: Self = Self { generation: Generation::new(0), rows: 0, sum: 0 };

    pub(crate) fn add(&mut self, mark: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(mark);
    }

    /// Takes a value out. Nothing if the ledger has none left: then it is not the ledger of these rows.
    pub(crate) fn remove(&mut self, mark: u128) -> Option<()> {
        self.rows = self.rows.checked_sub(1)?;
        self.sum = self.sum.wrapping_sub(mark);
        Some(())
    }

    /// Whether both speak of the same rows.
    pub(crate) fn same_rows(&self, other: &Self) -> bool {
        (self.rows, self.sum) == (other.rows, other.sum)
    }

    pub(crate) fn to_bytes(self) -> [u8; LEDGER_BYTES] {
        let mut bytes = [0; LEDGER_BYTES];
        bytes[..8].copy_from_slice(&self.generation.get().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.rows.to_le_bytes());
        bytes[16..].copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = bytes.split_first_chunk()?;
        let (rows, sum) = rest.split_first_chunk()?;
        Some(Self {
            generation: Generation::new(u64::from_le_bytes(*generation)),
            rows: u64::from_le_bytes(*rows),
            sum: u128::from_le_bytes(sum.try_into().ok()?),
        })
    }
}

const LEDGER_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_changes_leaves_no_trace() {
        let (mut a, mut b) = (Ledger::EMPTY, Ledger::EMPTY);
        for mark in [u128::MAX, 3, 5] {
            a.add(mark);
        }
        assert_eq!(a.remove(3), Some(()));
        b.add(5);
        b.add(u128::MAX);
        assert!(a.same_rows(&b));
        assert_eq!(Ledger::from_bytes(&a.to_bytes()), Some(a));
        assert_eq!(Ledger::from_bytes(&a.to_bytes()[1..]), None);
        assert_eq!(Ledger::EMPTY.clone().remove(1), None);
    }
}
