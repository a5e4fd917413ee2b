//! What belongs to a user is readable with that user's key, and gone when the key is.
//!
//! A [`Store`] keeps values of many users: records, vectors, heads, whatever bytes. Each value is sealed with a key of
//! its user's own, in the name of its user, table and slot, so that it opens nowhere else. Who wants to read or write
//! shows a [`Scope`](hydra_types::Scope), the proof of acting for one user. Forgetting a user is one small synced write over that user's
//! key, after which nothing of theirs can be read, wherever the sealed bytes may still lie.
//!
//! ```
//! use hydra_store::{Batch, Store, StoreKey, Table};
//! use hydra_types::{Scope, UserId};
//!
//! const RECORDS: Table = Table::new("records");
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let key = StoreKey::create_file(&folder.join("store.key"))?;
//! let store = Store::create(&folder.join("store"), &key)?;
//!
//! let ada = Scope::acting_for(UserId::new(1));
//! let bob = Scope::acting_for(UserId::new(2));
//! store.commit(&Batch::new(&ada).put(RECORDS, 7u64.to_be_bytes(), "a rainy day film?"))?;
//!
//! assert_eq!(store.get(&ada, RECORDS, &7u64.to_be_bytes())?.unwrap(), b"a rainy day film?");
//! assert_eq!(store.get(&bob, RECORDS, &7u64.to_be_bytes())?, None);
//!
//! store.forget(&ada)?;
//! assert_eq!(store.get(&ada, RECORDS, &7u64.to_be_bytes())?, None);
//! assert!(store.users()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who should not use it
//! - Who has data that belongs to nobody in particular: a database without keys is simpler.
//! - Who needs several processes that write to one store, or a store on a network file system whose locks do nothing.
//!   A store has one process; users are the natural shard when one is not enough.
//! - Who must protect data from the process that serves it: whoever has the store key and the folder reads everything.
//!
//! # What is promised
//! - **Atomic and durable.** A [`Batch`] happens wholly or not at all, and is on disk when [`Store::commit`] returns.
//!   A crash, a full disk or a failed sync at any point leaves the old or the new state, and it opens.
//! - **Whole.** A value that was moved or changed does not open. An old value that was put back, a row that was dropped
//!   and one that came back are found by [`Store::check`] and [`Store::export`].
//! - **Erasable.** After [`Store::forget`] no file of the store holds the text, the key or the id of the user. Ids are
//!   sealed; tables, slots and lengths are not: slots are names, never text.
//! - **Careful.** Opening destroys nothing, whatever it finds, and each thing that can be wrong has its own
//!   [`OpenError`].
//!
//! What each file holds, byte by byte, and why a crash at any point is harmless: `docs/formats-store.md`.
//!
//! # The contestable decision: keys in a file that is overwritten in place
//! A copy-on-write database never overwrites: a key that is deleted from one stays in its free pages until they happen
//! to be used again, and a log-structured one keeps it longer. Erasure that can be proved needs a place that is known and
//! is overwritten, so keys live in a file of fixed slots beside the database, at the price of two files that must agree.
//! They are kept in step by order alone: a key is synced before the first row that needs it, and overwritten before the
//! rows that needed it are deleted. So a key without rows was never needed, and rows without a key were forgotten.
//!
//! The price on flash and on copy-on-write file systems: an overwritten slot may live on where only forensics reach it,
//! sealed with the store key. Snapshots are copies too: let them expire, and forget again after a restore.
//!
//! # Features
//! None.

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

pub use backend::{Backend, BackendError, BackendView, Change, OnRow};
pub use batch::Batch;
pub use error::{OpenError, StoreError, StoreKeyError};
pub use key_file::Vault;
pub use store::{Fault, Read, Report, Row, Scan, Store, StoreOptions};
pub use store_key::StoreKey;
pub use table::{MAX_SLOT_BYTES, MAX_VALUE_BYTES, Table};
