//! What the file system may do to a store, and what it must not.

mod erasure;
mod faults;
mod flips;
#[cfg(target_os = "linux")]
mod memory;
mod replay;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hydra_types::{Scope, UserId};

use super::*;
use crate::disk::sim::SimDisk;
use crate::{Batch, Scan, Table};

const RECORDS: Table = Table::new("records");
const HEADS: Table = Table::new("heads");

fn folder() -> &'static Path {
    Path::new("store")
}

fn key() -> StoreKey {
    StoreKey::from_bytes([42; 32])
}

fn scope(user: u8) -> Scope {
    Scope::acting_for(UserId::new(u128::from(user)))
}

fn disk(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn create(on: &SimDisk) -> Result<Store, OpenError> {
    StoreOptions::new().create_on(disk(on), folder(), &key())
}

fn open(on: &SimDisk) -> Result<Store, OpenError> {
    StoreOptions::new().open_on(disk(on), folder(), &key())
}

/// What a store should hold: per user the slots of both tables.
type Model = BTreeMap<u8, BTreeMap<(Table, Vec<u8>), Vec<u8>>>;

/// What it does hold, of the users `0..users`.
fn contents(store: &Store, users: u8) -> Result<Model, StoreError> {
    let mut model = Model::new();
    for user in 0..users {
        let scope = scope(user);
        let mut slots = BTreeMap::new();
        for table in [RECORDS, HEADS] {
            let rows = store.scan(Scan::new(&scope, table))?;
            slots.extend(rows.into_iter().map(|(slot, value)| ((table, slot), value)));
        }
        if !slots.is_empty() {
            model.insert(user, slots);
        }
    }
    Ok(model)
}

fn put(scope: &Scope, slot: &[u8], value: &[u8]) -> Batch {
    Batch::new(scope).put(RECORDS, slot, value)
}
