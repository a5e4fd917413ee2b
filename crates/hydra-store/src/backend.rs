//! Where sealed rows lie.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

mod redb_backend;

pub(crate) use redb_backend::{RedbBackend, RedbOptions};

/// Keeps sealed rows: bytes under bytes, in the order of their keys.
///
/// The one that comes with this crate is a file. Another, such as a database that is reached over the network, implements
/// this and is given to [`Store::create_with_backend`](crate::Store::create_with_backend); it lives in the application,
/// for nothing in this crate opens a connection.
///
/// A backend sees no user and no text: it gets sealed values only, so that who runs it cannot read it and it needs no
/// trust. Keys of users never go there: they stay in the store's folder, which also says which process may use the rows.
///
/// Bytes 1 to 8 of a key (byte 0 is the kind of row) are the same in all rows of one user, and a sharded backend can place
/// rows by them: a change needs to be atomic for each such group only. The few rows with shorter keys belong to nobody.
pub trait Backend: fmt::Debug + Send + Sync {
    /// All rows as they are now, whatever is written later.
    ///
    /// # Errors
    /// If the rows cannot be reached.
    fn view(&self) -> Result<Box<dyn BackendView + '_>, BackendError>;

    /// Makes changes in their order. When it returns they are durable; if it fails, or the process or the machine dies
    /// meanwhile, the changes of each user were made either all or not at all.
    ///
    /// # Errors
    /// If they could not be made; then it is not known whether they were.
    fn apply(&self, changes: &[Change]) -> Result<(), BackendError>;

    /// Gives unused space back, if it can.
    ///
    /// # Errors
    /// [`BackendError::Busy`] if views are open, or whatever failed.
    fn compact(&self) -> Result<(), BackendError>;
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn view(&self) -> Result<Box<dyn BackendView + '_>, BackendError> {
        (**self).view()
    }

    fn apply(&self, changes: &[Change]) -> Result<(), BackendError> {
        (**self).apply(changes)
    }

    fn compact(&self) -> Result<(), BackendError> {
        (**self).compact()
    }
}

/// The rows of a backend at one moment.
pub trait BackendView {
    /// The values under `keys`, in their order.
    ///
    /// # Errors
    /// If the rows cannot be read.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, BackendError>;

    /// Calls `row` with each key and value from `from` to before `to`, in the order of the keys, until it breaks.
    ///
    /// # Errors
    /// If the rows cannot be read.
    fn scan(&self, from: &[u8], to: &[u8], row: OnRow<'_>) -> Result<(), BackendError>;
}

/// What is done with each key and value of a scan, and whether there shall be more.
pub type OnRow<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// One change of a backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The value under the key is this from now on.
    Put {
        /// Which row.
        key: Vec<u8>,
        /// What it holds.
        value: Vec<u8>,
    },
    /// There is nothing under the key.
    Delete {
        /// Which row.
        key: Vec<u8>,
    },
    /// There is nothing from `from` to before `to`.
    DeleteRange {
        /// The first key.
        from: Vec<u8>,
        /// The key behind the last.
        to: Vec<u8>,
    },
}

/// Why a backend failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// What is stored is not what was written.
    #[error("the rows are damaged: restore them from a snapshot")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else has the rows open.
    #[error("the rows are open elsewhere: close them there first")]
    AlreadyOpen,
    /// The rows were written by a version that this one does not read.
    #[error("the rows are in a format that this version does not read")]
    Format(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It must be alone for this, and is not.
    #[error("rows are being read: finish exports and snapshots, then retry")]
    Busy,
    /// Reading or writing failed.
    #[error("rows could not be read or written")]
    Io(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
