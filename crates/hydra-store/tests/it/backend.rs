//! A store over a backend that somebody else wrote.

#[path = "../../src/backend/memory.rs"]
mod memory;

use std::sync::Arc;

use hydra_store::{Backend, BackendError, BackendView, Batch, Change, OnRow, OpenError, Scan, Store, StoreError};
use hydra_types::Generation;
use memory::MemoryBackend;

use super::{RECORDS, key, place, scope};

#[test]
fn a_store_over_another_backend_keeps_the_same_promises() {
    const CANARY: &[u8] = b"canary of user 1";
    let (_guard, folder) = place();
    let rows = Arc::new(MemoryBackend::default());
    let backend = || Box::new(Arc::clone(&rows)) as Box<dyn Backend>;
    let has = |needle: &[u8]| {
        let mut found = false;
        let look = &mut |_: &[u8], value: &[u8]| {
            found |= value.windows(needle.len()).any(|part| part == needle);
            std::ops::ControlFlow::Continue(())
        };
        rows.view().unwrap().scan(&[], &[u8::MAX], look).unwrap();
        found
    };
    let store = Store::create_with_backend(&folder, &key(), backend()).unwrap();
    for user in 1..4 {
        store.commit(&Batch::new(&scope(user)).put(RECORDS, [1], format!("canary of user {user}"))).unwrap();
    }
    assert!(!has(CANARY) && !has(&CANARY[..6]), "a backend sees ciphertext only");
    let stale = Batch::new(&scope(2)).put(RECORDS, [1], "lost").expecting(Generation::new(9));
    assert!(matches!(store.commit(&stale), Err(StoreError::Conflict { .. })));
    let second = Store::open_with_backend(&folder, &key(), backend());
    assert!(matches!(second, Err(OpenError::AlreadyOpen { .. })));

    let snapshot = folder.with_file_name("snapshot");
    store.snapshot(&snapshot).unwrap();
    store.forget(&scope(1)).unwrap();
    drop(store);
    let store = Store::open_with_backend(&folder, &key(), backend()).unwrap();
    assert_eq!(store.get(&scope(1), RECORDS, &[1]).unwrap(), None);
    assert_eq!(store.get(&scope(2), RECORDS, &[1]).unwrap().unwrap(), b"canary of user 2");
    let report = store.check().unwrap();
    assert!(report.is_whole() && report.users == 2, "{report:?}");

    // A snapshot is a store in files, whatever the rows lay in before.
    let restored = Store::restore(&snapshot, &folder.with_file_name("copy"), &key()).unwrap();
    assert_eq!(restored.scan(Scan::new(&scope(1), RECORDS)).unwrap(), [(vec![1], CANARY.to_vec())]);
}

#[test]
fn rows_of_users_are_never_taken_over_by_a_new_store() {
    let (_guard, folder) = place();
    let rows = Arc::new(MemoryBackend::default());
    let backend = || Box::new(Arc::clone(&rows)) as Box<dyn Backend>;
    let other = folder.with_file_name("other");
    assert!(matches!(Store::open_with_backend(&folder, &key(), backend()), Err(OpenError::NotFound { .. })));
    let store = Store::create_with_backend(&folder, &key(), backend()).unwrap();
    store.commit(&Batch::new(&scope(1)).put(RECORDS, [1], "text")).unwrap();
    let refused = Store::create_with_backend(&other, &key(), backend());
    assert!(matches!(refused, Err(OpenError::AlreadyExists { .. })));
    drop(store);

    let empty = Box::new(MemoryBackend::default());
    assert!(matches!(Store::open_with_backend(&folder, &key(), empty), Err(OpenError::NotAStore { .. })));
    let foreign = Box::new(MemoryBackend::default());
    drop(Store::create_with_backend(&other, &key(), foreign).unwrap());
    assert!(matches!(Store::open_with_backend(&other, &key(), backend()), Err(OpenError::ForeignRows { .. })));
    let store = Store::open_with_backend(&folder, &key(), backend()).unwrap();
    assert_eq!(store.get(&scope(1), RECORDS, &[1]).unwrap().unwrap(), b"text");
}
