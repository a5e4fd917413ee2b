//! What one caller sees.

use std::sync::Arc;
use std::thread;

use hydra_store::{Batch, OpenError, Read, Scan, Store, StoreError, StoreKey};
use serde_json::{Value, json};

use super::{HEADS, RECORDS, key, place, scope};

#[test]
fn an_export_has_everything_in_an_open_format() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    store.commit(&Batch::new(&scope(1)).put(RECORDS, [0, 2], "say \"grüezi\"\n")).unwrap();
    store.commit(&Batch::new(&scope(1)).put(HEADS, [9], [0xff, 0x00]).put(RECORDS, [0, 1], " a ")).unwrap();
    store.commit(&Batch::new(&scope(2)).put(RECORDS, [1], "of another")).unwrap();
    let mut bytes = Vec::new();
    store.export(&scope(1), &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let user = "00000000000000000000000000000001";
    let mut expected = vec![
        json!({"format": "hydra-store export", "version": 1, "user": user, "generation": 2, "rows": 3}),
        json!({"table": "heads", "slot": "09", "hex": "ff00"}),
        json!({"table": "records", "slot": "0001", "text": " a "}),
        json!({"table": "records", "slot": "0002", "text": "say \"grüezi\"\n"}),
    ];
    assert_eq!(lines, expected);
    expected.truncate(1);
    expected[0]["rows"] = json!(0);
    expected[0]["generation"] = json!(0);
    expected[0]["user"] = json!("00000000000000000000000000000003");
    let mut bytes = Vec::new();
    store.export(&scope(3), &mut bytes).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected[0]);
}

#[test]
fn a_scan_goes_in_the_order_of_slots_and_stays_in_its_range() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    let own = scope(1);
    let mut batch = Batch::new(&own);
    for slot in [5u64, 300, 1, 70_000] {
        batch = batch.put(RECORDS, slot.to_be_bytes(), slot.to_string());
    }
    store.commit(&batch).unwrap();
    let texts = |scan| {
        let rows = store.scan(scan).unwrap();
        rows.into_iter().map(|(_, value)| String::from_utf8(value).unwrap()).collect::<Vec<_>>()
    };
    let (five, many) = (5u64.to_be_bytes(), 70_000u64.to_be_bytes());
    assert_eq!(texts(Scan::new(&own, RECORDS)), ["1", "5", "300", "70000"]);
    assert_eq!(texts(Scan::new(&own, RECORDS).from(&five)), ["5", "300", "70000"]);
    assert_eq!(texts(Scan::new(&own, RECORDS).from(&five).before(&many)), ["5", "300"]);
    assert!(texts(Scan::new(&own, RECORDS).from(&many).before(&five)).is_empty());
    assert!(texts(Scan::new(&own, HEADS)).is_empty());
}

#[test]
fn bad_batches_write_nothing() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    let good = Batch::new(&scope(1)).put(RECORDS, [1], "one");
    let check = |bad: Batch, expected: &str| {
        let refused = store.commit_many(&[Batch::new(&scope(1)).put(RECORDS, [1], "one"), bad]);
        assert!(format!("{:?}", refused.unwrap_err()).starts_with(expected));
        assert_eq!(store.generation(&scope(1)).unwrap(), None);
    };
    check(Batch::new(&scope(2)), "EmptyBatch");
    check(Batch::new(&scope(2)).put(RECORDS, [], "x"), "SlotLength");
    check(Batch::new(&scope(2)).delete(RECORDS, [0; 129]), "SlotLength");
    check(good.expecting(hydra_types::Generation::new(7)), "Conflict");
    let reads = [Read { scope: &scope(1), table: RECORDS, slot: &[] }];
    assert!(matches!(store.get_many(&reads), Err(StoreError::SlotLength { got: 0, .. })));
}

#[test]
fn many_read_while_one_writes_and_none_sees_half_a_batch() {
    let (_guard, folder) = place();
    let store = Arc::new(Store::create(&folder, &key()).unwrap());
    let both = |text: &str| Batch::new(&scope(1)).put(RECORDS, [1], text).put(HEADS, [1], text);
    store.commit(&both("0")).unwrap();
    thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                let own = scope(1);
                let reads = [RECORDS, HEADS].map(|table| Read { scope: &own, table, slot: &[1] });
                let mut last = 0;
                while last < 40 {
                    let values = store.get_many(&reads).unwrap();
                    assert_eq!(values[0], values[1]);
                    let text = String::from_utf8(values[0].clone().unwrap()).unwrap();
                    let now: u32 = text.parse().unwrap();
                    assert!(now >= last);
                    last = now;
                }
            });
        }
        for round in 1..=40 {
            store.commit(&both(&round.to_string())).unwrap();
            if round % 10 == 0 {
                store.snapshot(&folder.with_file_name(format!("snapshot-{round}"))).unwrap();
                store.compact().unwrap();
            }
        }
    });
    let snapshot = Store::open(&folder.with_file_name("snapshot-20"), &key()).unwrap();
    assert_eq!(snapshot.get(&scope(1), RECORDS, &[1]).unwrap().unwrap(), b"20");
}

#[test]
fn a_check_while_users_come_and_go_finds_nothing_wrong() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    let batches: Vec<_> = (0..60).map(|user| Batch::new(&scope(user)).put(RECORDS, [1], [user; 500])).collect();
    store.commit_many(&batches).unwrap();
    thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for user in 0..40 {
                store.forget(&scope(user)).unwrap();
                store.commit(&Batch::new(&scope(user + 100)).put(RECORDS, [1], [user; 500])).unwrap();
            }
        });
        while !writer.is_finished() {
            let report = store.check().unwrap();
            assert!(report.is_whole(), "{report:?}");
        }
    });
    assert_eq!(store.check().unwrap().users, 60);
}

#[test]
fn a_folder_that_holds_something_is_not_overwritten() {
    let (_guard, folder) = place();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("letter.txt"), "dear").unwrap();
    assert!(matches!(Store::create(&folder, &key()), Err(OpenError::AlreadyExists { .. })));
    assert!(matches!(Store::open(&folder, &key()), Err(OpenError::NotFound { .. })));
    assert_eq!(std::fs::read_to_string(folder.join("letter.txt")).unwrap(), "dear");
    assert_eq!(std::fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    std::fs::remove_file(folder.join("letter.txt")).unwrap();
    Store::create(&folder, &key()).unwrap();
}

#[test]
fn a_snapshot_is_restored_with_its_own_key_into_a_new_place_only() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    store.commit(&Batch::new(&scope(1)).put(RECORDS, [1], "one")).unwrap();
    let [snapshot, copy] = ["snapshot", "copy"].map(|name| folder.with_file_name(name));
    let restore = |key: &StoreKey| Store::restore(&snapshot, &copy, key);
    assert!(matches!(restore(&key()), Err(OpenError::NotFound { .. })));
    store.snapshot(&snapshot).unwrap();
    let again = store.snapshot(&snapshot).unwrap_err();
    assert!(matches!(&again, StoreError::Snapshot(source) if matches!(**source, OpenError::AlreadyExists { .. })));
    let refused = restore(&StoreKey::from_bytes([8; 32])).unwrap_err();
    assert!(matches!(refused, OpenError::WrongKey { path } if path.starts_with(&snapshot)));
    let restored = restore(&key()).unwrap();
    store.forget(&scope(1)).unwrap();
    assert_eq!(restored.get(&scope(1), RECORDS, &[1]).unwrap().unwrap(), b"one");
    drop(restored);
    assert!(matches!(restore(&key()), Err(OpenError::AlreadyExists { .. })));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::MetadataExt;
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    store.snapshot(&folder.with_file_name("snapshot")).unwrap();
    for place in [folder.clone(), folder.with_file_name("snapshot")] {
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&place), 0o700);
        assert_eq!(mode(&place.join("keys")), 0o600);
        assert_eq!(mode(&place.join("rows.redb")), 0o600);
    }
}

#[test]
fn a_batch_for_one_who_was_forgotten_does_not_bring_them_back() {
    let (_guard, folder) = place();
    let store = Store::create(&folder, &key()).unwrap();
    let (user, other) = (scope(1), scope(2));
    assert_eq!(store.vault(&user), None);
    for scope in [&user, &other] {
        store.commit(&Batch::new(scope).put(RECORDS, [1], "text")).unwrap();
    }
    let (before, of_other) = (store.vault(&user).unwrap(), store.vault(&other).unwrap());
    assert_ne!(before, of_other);
    store.commit(&Batch::new(&user).put(RECORDS, [2], "more").within(before)).unwrap();
    assert_eq!(store.vault(&user), Some(before));

    let late = || Batch::new(&user).put(RECORDS, [3], "late").within(before);
    store.forget(&user).unwrap();
    assert_eq!(store.vault(&user), None);
    assert!(matches!(store.commit(&late()), Err(StoreError::Forgotten { .. })));
    assert_eq!(store.users().unwrap(), [other.user()]);
    // The one who comes back has the same slot and the same generation, and is another one nevertheless.
    store.commit(&Batch::new(&user).put(RECORDS, [1], "new")).unwrap();
    assert_ne!(store.vault(&user), Some(before));
    assert!(matches!(store.commit(&late()), Err(StoreError::Forgotten { .. })));
    assert_eq!(store.scan(Scan::new(&user, RECORDS)).unwrap(), [(vec![1], b"new".to_vec())]);
    let foreign = Batch::new(&user).put(RECORDS, [3], "late").within(of_other);
    assert!(matches!(store.commit(&foreign), Err(StoreError::Forgotten { .. })));
}
