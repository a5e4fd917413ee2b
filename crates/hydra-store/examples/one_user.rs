//! A user's data from the first write to being forgotten: `cargo run -p hydra-store --example one_user`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use hydra_store::{Batch, Scan, Store, StoreKey, Table};
use hydra_types::{Scope, UserId};

const RECORDS: Table = Table::new("records");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let key = StoreKey::create_file(&place.path().join("store.key"))?;
    let folder = place.path().join("store");
    let store = Store::create(&folder, &key)?;

    // Where the caller was authenticated, once.
    let ada = Scope::acting_for(UserId::new(1));
    let bob = Scope::acting_for(UserId::new(2));

    let records = ["a rainy day film?", "something with trains", "no musicals, please"];
    let mut batch = Batch::new(&ada);
    for (id, text) in (1u64..).zip(records) {
        // Big-endian, so that the order of slots is the order of numbers.
        batch = batch.put(RECORDS, id.to_be_bytes(), text);
    }
    let generation = store.commit(&batch)?;
    store.commit(&Batch::new(&bob).put(RECORDS, 1u64.to_be_bytes(), "only musicals"))?;
    println!("ada has {} records, generation {generation}", records.len());

    for (slot, text) in store.scan(Scan::new(&ada, RECORDS).from(&2u64.to_be_bytes()))? {
        println!("  slot {slot:?}: {}", String::from_utf8_lossy(&text));
    }

    println!("everything of ada's, for ada:");
    store.export(&ada, &mut std::io::stdout())?;

    store.snapshot(&place.path().join("snapshot"))?;
    store.forget(&ada)?;
    println!("ada after being forgotten: {:?}", store.get(&ada, RECORDS, &1u64.to_be_bytes())?);
    println!("the store: {}", store.check()?);
    drop(store);

    let store = Store::open(&folder, &key)?;
    println!("bob still has {} record", store.scan(Scan::new(&bob, RECORDS))?.len());
    Ok(())
}
