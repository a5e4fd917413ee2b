//! What belongs to a user is readable with that user's key, and gone when the key is.
mod backend;
mod batch;
mod disk;
mod error;
mod key_file;
mod ledger;
mod seal;
mod store;
mod store_key;
mod table;

pub use backend::BackendError;
pub use batch::Batch;
pub use error::{OpenError, StoreError, StoreKeyError};
pub use store::{Fault, Read, Report, Row, Scan, Store, StoreOptions};
pub use store_key::StoreKey;
pub use table::{MAX_SLOT_BYTES, MAX_VALUE_BYTES, Table};
