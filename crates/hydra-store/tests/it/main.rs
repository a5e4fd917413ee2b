//! What the store promises, on the real file system.
#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a test that fails")]

mod backend;
mod crash;
mod isolation;
mod one_store;
mod processes;

use std::path::{Path, PathBuf};

use hydra_store::{Store, StoreKey, Table};
use hydra_types::{Scope, UserId};

const RECORDS: Table = Table::new("records");
const HEADS: Table = Table::new("heads");

/// A folder that goes away with the value, and where a store can lie in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    (folder, path)
}

fn key() -> StoreKey {
    StoreKey::from_bytes([9; 32])
}

fn open_or_create(path: &Path) -> Store {
    if path.exists() { Store::open(path, &key()).unwrap() } else { Store::create(path, &key()).unwrap() }
}

fn scope(user: u8) -> Scope {
    Scope::acting_for(UserId::new(u128::from(user)))
}
