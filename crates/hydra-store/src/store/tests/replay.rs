//! Who can write to the file with the rows but has no key: moves, replays, drops and adds rows.

use std::ops::ControlFlow;

use super::*;
use crate::{Fault, StoreError};

fn rows(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    let view = store.backend.view().unwrap();
    view.scan(&[], &[u8::MAX], &mut |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

fn row_of(store: &Store, user: u8, slot: &[u8]) -> Vec<u8> {
    let vault = store.vaults()[&UserId::new(u128::from(user))];
    table::value_row(vault, RECORDS, slot)
}

fn overwrite(store: &Store, key: Vec<u8>, value: Vec<u8>) {
    store.backend.apply(&[Change::Put { key, value }]).unwrap();
}

fn two_users() -> Store {
    let store = create(&SimDisk::default()).unwrap();
    for user in [0, 1] {
        let batch = put(&scope(user), b"a", b"old").put(RECORDS, b"b", b"other");
        store.commit(&batch).unwrap();
    }
    assert!(store.check().unwrap().is_whole());
    store
}

#[test]
fn a_value_that_was_moved_does_not_open() {
    for (to_user, to_slot) in [(1, &b"a"[..]), (0, b"b"), (1, b"b")] {
        let store = two_users();
        let value = rows(&store)[&row_of(&store, 0, b"a")].clone();
        overwrite(&store, row_of(&store, to_user, to_slot), value);
        let refused = store.get(&scope(to_user), RECORDS, to_slot);
        assert!(matches!(refused, Err(StoreError::DoesNotOpen { .. })));
        let report = store.check().unwrap();
        let user = UserId::new(u128::from(to_user));
        let table = Some("records".to_owned());
        assert_eq!(report.faults, [Fault::DoesNotOpen { user, table }, Fault::NotWhole { user }]);
    }
}

#[test]
fn an_old_value_in_its_own_slot_is_found_by_check_and_export() {
    let store = two_users();
    let row = row_of(&store, 0, b"a");
    let old = rows(&store)[&row].clone();
    store.commit(&put(&scope(0), b"a", b"new")).unwrap();
    overwrite(&store, row, old);
    // A read alone cannot tell: both were put there by this user.
    assert_eq!(store.get(&scope(0), RECORDS, b"a").unwrap().unwrap(), b"old");
    let user = UserId::new(0);
    assert_eq!(store.check().unwrap().faults, [Fault::NotWhole { user }]);
    let refused = store.export(&scope(0), &mut Vec::new());
    assert!(matches!(refused, Err(StoreError::NotWhole { .. })));
    store.export(&scope(1), &mut Vec::new()).unwrap();
}

#[test]
fn a_row_that_was_dropped_or_brought_back_is_found() {
    let store = two_users();
    let row = row_of(&store, 1, b"b");
    let kept = rows(&store)[&row].clone();
    store.backend.apply(&[Change::Delete { key: row.clone() }]).unwrap();
    let user = UserId::new(1);
    assert_eq!(store.check().unwrap().faults, [Fault::NotWhole { user }]);
    overwrite(&store, row.clone(), kept.clone());
    assert!(store.check().unwrap().is_whole());
    store.commit(&Batch::new(&scope(1)).delete(RECORDS, b"b")).unwrap();
    assert!(store.check().unwrap().is_whole());
    overwrite(&store, row, kept);
    assert_eq!(store.check().unwrap().faults, [Fault::NotWhole { user }]);
}

#[test]
fn a_ledger_of_another_user_or_of_an_earlier_time_is_refused() {
    let store = two_users();
    let ledgers: Vec<_> = [0, 1].map(|user| table::ledger_row(store.vaults()[&UserId::new(user)])).into();
    let before = rows(&store);
    store.commit(&put(&scope(0), b"c", b"more")).unwrap();
    for source in [0, 1] {
        overwrite(&store, ledgers[0].clone(), before[&ledgers[source]].clone());
        let user = UserId::new(0);
        assert_eq!(store.check().unwrap().faults, [Fault::NotWhole { user }], "ledger {source}");
    }
}

#[test]
fn keys_do_not_open_in_another_slot_or_store() {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    for user in [0, 1] {
        store.commit(&put(&scope(user), b"a", b"text")).unwrap();
    }
    drop(store);
    let path = folder().join(KEYS_FILE);
    let mut swapped = disk.bytes(&path);
    let (first, second) = swapped[128..384].split_at_mut(128);
    first.swap_with_slice(second);
    let refused = open(&disk.with_bytes(&path, &swapped));
    assert!(matches!(refused, Err(OpenError::DamagedKey { slot: 0, .. })));
}
