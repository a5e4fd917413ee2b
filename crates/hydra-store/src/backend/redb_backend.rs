//! Rows in a redb file.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::RwLock;

use redb::{
    CommitError, CompactionError, Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable,
    StorageBackend, StorageError, TableDefinition, TableError, TransactionError,
};

use super::{Backend, BackendError, BackendView, Change, OnRow};
use crate::disk::DiskFile;

/// Rows in one table of a redb file.
#[derive(Debug)]
pub(crate) struct RedbBackend {
    /// Locked for writing only while the file is compacted, which needs it alone.
    database: RwLock<Closing>,
}

/// A database that is closed in `drop`, which on a damaged file that was not verified can panic too.
#[derive(Debug)]
struct Closing(Option<Database>);

impl Closing {
    fn open(&self) -> &Database {
        self.0.as_ref().expect(OPEN)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let database = self.0.take();
        // Whatever was committed is durable already; there is nobody to tell.
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

/// How a file of rows is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RedbOptions {
    /// How much of the file is kept in memory, at most.
    pub(crate) cache_bytes: usize,
    /// Up to which size of the file every page is verified at opening.
    pub(crate) verify_up_to_bytes: u64,
}

impl RedbBackend {
    pub(crate) fn create(file: DiskFile, options: RedbOptions) -> Result<Self, BackendError> {
        guarded(|| {
            let database = builder(options).create_with_backend(file).map_err(database_error)?;
            // The table is there from the start, so that no reader ever has to do without it.
            let transaction = database.begin_write().map_err(transaction_error)?;
            transaction.open_table(ROWS).map_err(table_error)?;
            transaction.commit().map_err(commit_error)?;
            Ok(Self { database: RwLock::new(Closing(Some(database))) })
        })
    }

    pub(crate) fn open(file: DiskFile, options: RedbOptions) -> Result<Self, BackendError> {
        guarded(|| {
            let len = file.len().map_err(|error| BackendError::Io(error.into()))?;
            if len == 0 {
                // redb would make a new database of it.
                return Err(BackendError::Damaged("the file is empty".into()));
            }
            let mut builder = builder(options);
            builder.set_check_integrity_on_open(len <= options.verify_up_to_bytes);
            let database = Closing(Some(builder.create_with_backend(file).map_err(database_error)?));
            let view = database.open().begin_read().map_err(transaction_error)?;
            view.open_table(ROWS).map_err(table_error)?;
            Ok(Self { database: RwLock::new(database) })
        })
    }
}

impl Backend for RedbBackend {
    fn view(&self) -> Result<Box<dyn BackendView + '_>, BackendError> {
        guarded(|| {
            let database = self.database.read().map_err(|_| poisoned())?;
            let rows =
                database.open().begin_read().map_err(transaction_error)?.open_table(ROWS).map_err(table_error)?;
            Ok(Box::new(RedbView { rows }) as Box<dyn BackendView>)
        })
    }

    fn apply(&self, changes: &[Change]) -> Result<(), BackendError> {
        guarded(|| {
            let database = self.database.read().map_err(|_| poisoned())?;
            let transaction = database.open().begin_write().map_err(transaction_error)?;
            {
                let mut rows = transaction.open_table(ROWS).map_err(table_error)?;
                for change in changes {
                    match change {
                        Change::Put { key, value } => {
                            rows.insert(key.as_slice(), value.as_slice()).map_err(storage_error)?;
                        }
                        Change::Delete { key } => {
                            rows.remove(key.as_slice()).map_err(storage_error)?;
                        }
                        Change::DeleteRange { from, to } => {
                            rows.retain_in(from.as_slice()..to.as_slice(), |_, _| false).map_err(storage_error)?;
                        }
                    }
                }
            }
            transaction.commit().map_err(commit_error)
        })
    }

    fn compact(&self) -> Result<(), BackendError> {
        guarded(|| {
            let mut database = self.database.write().map_err(|_| poisoned())?;
            let database = database.0.as_mut().expect(OPEN);
            database.compact().map(|_| ()).map_err(|error| match error {
                CompactionError::TransactionInProgress => BackendError::Busy,
                CompactionError::Storage(error) => storage_error(error),
                error => BackendError::Io(error.into()),
            })
        })
    }
}

struct RedbView {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl BackendView for RedbView {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, BackendError> {
        guarded(|| {
            keys.iter()
                .map(|&key| {
                    let value = ReadableTable::get(&self.rows, key).map_err(storage_error)?;
                    Ok(value.map(|value| value.value().to_vec()))
                })
                .collect()
        })
    }

    fn scan(&self, from: &[u8], to: &[u8], row: OnRow<'_>) -> Result<(), BackendError> {
        guarded(|| {
            for entry in ReadableTable::range(&self.rows, from..to).map_err(storage_error)? {
                let (key, value) = entry.map_err(storage_error)?;
                if row(key.value(), value.value()).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn builder(options: RedbOptions) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// Turns a panic of redb, which a damaged file can cause, into an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, BackendError>) -> Result<T, BackendError> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = message(&*panic).to_owned();
        Err(BackendError::Damaged(message.into()))
    })
}

/// Only a compaction that panicked leaves the lock so.
fn poisoned() -> BackendError {
    BackendError::Damaged("an earlier compaction panicked".into())
}

fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(message) = panic.downcast_ref::<&str>() {
        message
    } else if let Some(message) = panic.downcast_ref::<String>() {
        message
    } else {
        "redb panicked"
    }
}

fn database_error(error: DatabaseError) -> BackendError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => BackendError::AlreadyOpen,
        DatabaseError::UpgradeRequired(_) => BackendError::Format(error.into()),
        DatabaseError::Storage(error) => storage_error(error),
        error => BackendError::Io(error.into()),
    }
}

fn storage_error(error: StorageError) -> BackendError {
    let damaged = match &error {
        StorageError::Corrupted(_) | StorageError::LockPoisoned(_) => true,
        // How redb reports a file that is none of its own, or is shorter than its header.
        StorageError::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    };
    if damaged { BackendError::Damaged(error.into()) } else { BackendError::Io(error.into()) }
}

fn transaction_error(error: TransactionError) -> BackendError {
    match error {
        TransactionError::Storage(error) => storage_error(error),
        error => BackendError::Io(error.into()),
    }
}

fn table_error(error: TableError) -> BackendError {
    match error {
        TableError::Storage(error) => storage_error(error),
        // The table was made with the file, with this type: another answer is damage.
        error => BackendError::Damaged(error.into()),
    }
}

fn commit_error(error: CommitError) -> BackendError {
    match error {
        CommitError::Storage(error) => storage_error(error),
        error => BackendError::Io(error.into()),
    }
}

const ROWS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("rows");
const OPEN: &str = "open until it is dropped";
