//! What can go wrong, by what the caller would do about it.

use std::io;
use std::path::PathBuf;

use hydra_types::{Generation, UserId};

use crate::Table;
use crate::backend::BackendError;

/// Why a store could not be created, opened or restored. Nothing on disk was destroyed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store there.
    #[error("no store here: create one, or correct the path: {}", path.display())]
    NotFound {
        /// Where one was expected.
        path: PathBuf,
    },
    /// There is something already.
    #[error("something is here already: open it, or choose another path: {}", path.display())]
    AlreadyExists {
        /// Where.
        path: PathBuf,
    },
    /// Another process, or another value in this one, has the store open.
    #[error("the store is open elsewhere, and a store has one writer: close it there first: {}", path.display())]
    AlreadyOpen {
        /// The store.
        path: PathBuf,
    },
    /// One of the two files of a store is gone.
    #[error("a file of the store is missing: restore it from a snapshot: {}", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another kind.
    #[error("not a file of a store: correct the path, or restore the file from a snapshot: {}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this crate.
    #[error("format {found} is newer than {supported}: open the store with a newer hydra-store: {}", path.display())]
    NewerFormat {
        /// The version in the file.
        found: u32,
        /// The newest version that this crate reads.
        supported: u32,
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than what it must hold.
    #[error("the file was cut off: restore it from a snapshot: {}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The checksum of the file does not hold.
    #[error("the file is damaged: restore it from a snapshot: {}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The key of a user who has data cannot be read.
    #[error("key slot {slot} of a user with data is damaged: restore the key file from a snapshot: {}", path.display())]
    DamagedKey {
        /// The slot in the key file.
        slot: u32,
        /// The key file.
        path: PathBuf,
    },
    /// The store key that was given is not the one that the store was created with.
    #[error("the store was sealed with another store key: give that one: {}", path.display())]
    WrongKey {
        /// The key file.
        path: PathBuf,
    },
    /// Keys and rows are of two different stores.
    #[error("keys and rows belong to different stores: put the files back that were together: {}", path.display())]
    ForeignRows {
        /// The file with the rows.
        path: PathBuf,
    },
    /// A snapshot opens, but what it holds is not whole.
    #[error("the snapshot is not whole ({report}): restore another one: {}", path.display())]
    BrokenSnapshot {
        /// What is wrong with it.
        report: Box<crate::Report>,
        /// The snapshot.
        path: PathBuf,
    },
    /// The rows could not be read.
    #[error("the rows cannot be read: {}", path.display())]
    Backend {
        /// What the backend said.
        source: BackendError,
        /// Where.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("the file system failed: {}", path.display())]
    Io {
        /// What it said.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random(#[source] io::Error),
}

/// Why a read or a write did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A slot is empty or too long.
    #[error("a slot has 1 to {max} bytes, got {got}")]
    SlotLength {
        /// How long it is.
        got: usize,
        /// How long it may be.
        max: usize,
    },
    /// A value is too long.
    #[error("a value has at most {max} bytes, got {got}: store it in parts")]
    ValueLength {
        /// How long it is.
        got: usize,
        /// How long it may be.
        max: usize,
    },
    /// A batch changes nothing.
    #[error("a batch without changes: put or delete something")]
    EmptyBatch,
    /// The user's data changed since the generation that the batch was made for. Nothing was written.
    #[error("the data of {user} changed: expected generation {expected}, found {found}: read again and retry")]
    Conflict {
        /// Whose.
        user: UserId,
        /// What the batch was made for.
        expected: Generation,
        /// What there is; 0 if the user has no data.
        found: Generation,
    },
    /// The user was forgotten since the batch was made for a vault. Nothing was written.
    #[error("{user} was forgotten since: drop what was kept of them, read again and retry")]
    Forgotten {
        /// Who.
        user: UserId,
    },
    /// A value is not what was put there: it was changed, or it was moved from elsewhere.
    #[error("a value of {user} in table {table} does not open: run `check`, then restore a snapshot")]
    DoesNotOpen {
        /// Whose slot it lies in.
        user: UserId,
        /// In which table.
        table: Table,
    },
    /// The ledger of a user does not open, or contradicts the rows: some are missing, old or too many.
    #[error("the data of {user} is not whole: run `check`, then restore a snapshot")]
    NotWhole {
        /// Whose.
        user: UserId,
    },
    /// The key of a user does not open.
    #[error("key slot {slot} is damaged: restore the key file from a snapshot")]
    DamagedKey {
        /// The slot in the key file.
        slot: u32,
    },
    /// An earlier write failed part way, so what is on disk is not known until the store is opened again.
    #[error("an earlier write failed part way: open the store again")]
    Stopped,
    /// A snapshot could not be made.
    #[error("the snapshot could not be made")]
    Snapshot(#[source] Box<OpenError>),
    /// All 2^32 - 1 key slots are taken.
    #[error("the key file is full: spread users over several stores")]
    Full,
    /// The rows could not be read or written.
    #[error("the rows could not be read or written")]
    Backend(#[from] BackendError),
    /// The key file, or a file that was being made, failed.
    #[error("the file system failed: {}", path.display())]
    Io {
        /// What it said.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// What an export is written to failed.
    #[error("the export could not be written")]
    Export(#[source] io::Error),
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random(#[source] io::Error),
}

/// Why a store key could not be read from or written to its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreKeyError {
    /// There is no such file.
    #[error("no store key here: without it the store cannot be read, so find it or restore it: {}", path.display())]
    NotFound {
        /// Where one was expected.
        path: PathBuf,
    },
    /// There is a file already; a store key is never overwritten.
    #[error("a file is here already, and a store key is never overwritten: {}", path.display())]
    AlreadyExists {
        /// Where.
        path: PathBuf,
    },
    /// Others than the owner may read the file.
    #[error("others may read the store key (mode {mode:o}): run chmod 600 on {}", path.display())]
    Permissions {
        /// The permission bits.
        mode: u32,
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("not a store key: correct the path: {}", path.display())]
    NotAStoreKey {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version of this crate.
    #[error("format {found} is newer than {supported}: use a newer hydra-store: {}", path.display())]
    NewerFormat {
        /// The version in the file.
        found: u32,
        /// The newest version that this crate reads.
        supported: u32,
        /// The file.
        path: PathBuf,
    },
    /// The file is shorter than a store key.
    #[error("the store key was cut off: restore it: {}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// The checksum of the file does not hold.
    #[error("the store key is damaged: restore it: {}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("the file system failed: {}", path.display())]
    Io {
        /// What it said.
        source: io::Error,
        /// Where.
        path: PathBuf,
    },
    /// The operating system gave no random numbers.
    #[error("the operating system gave no random numbers")]
    Random(#[source] io::Error),
}
