//! What is left on disk of a user, before and after they are forgotten.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::seal::KEY_BYTES;

/// Whether any 12 bytes in a row of `needle` are in any file.
fn on_disk(disk: &SimDisk, needle: &[u8]) -> bool {
    let parts: BTreeSet<_> = needle.windows(12).collect();
    // Nearly everything is told apart by its first two bytes.
    let begin = |part: &[u8]| usize::from(u16::from_le_bytes([part[0], part[1]]));
    let mut begins = vec![false; 1 << 16];
    parts.iter().for_each(|part| begins[begin(part)] = true);
    let files = disk.files();
    files.iter().any(|(_, bytes)| bytes.windows(12).any(|found| begins[begin(found)] && parts.contains(found)))
}

fn export(store: &Store, scope: &Scope) -> Vec<u8> {
    let mut lines = Vec::new();
    store.export(scope, &mut lines).unwrap();
    lines
}

#[test]
fn no_file_has_the_text_or_the_id_and_after_forgetting_none_has_the_key() {
    const CANARY: &[u8] = b"canary of the one who is forgotten";
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    let victim = Scope::acting_for(UserId::new(0x1234_5678_9abc_def0_1122_3344_5566_7788));
    for round in 0..20u8 {
        store.commit(&put(&victim, &[round % 5], CANARY)).unwrap();
        store.commit(&put(&scope(round % 3), b"1", b"of another")).unwrap();
    }
    let vault = store.vaults()[&victim.user()];
    let secret = store.unlock(victim.user(), vault).unwrap().secret().to_vec();
    let keys = disk.bytes(&folder().join(KEYS_FILE));
    let sealed_key = &keys[128 * (vault.slot as usize + 1)..][8..128];
    let others = |store: &Store| (0..3).map(|user| export(store, &scope(user))).collect::<Vec<_>>();
    let before = others(&store);
    let absent = |needle: &[u8], what: &str| assert!(!on_disk(&disk, needle), "{what} is on disk");

    assert!(on_disk(&disk, sealed_key), "the search finds what is there");
    absent(CANARY, "the text");
    absent(&victim.user().get().to_be_bytes(), "the id");
    absent(&victim.user().get().to_le_bytes(), "the id");
    absent(&secret[..KEY_BYTES], "the plain key");

    store.forget(&victim).unwrap();
    absent(sealed_key, "the sealed key");
    absent(&secret, "the plain key");
    absent(CANARY, "the text");
    assert_eq!(others(&store), before);
    assert_eq!(store.get(&victim, RECORDS, &[0]).unwrap(), None);
    assert_eq!(store.generation(&victim).unwrap(), None);
    assert!(!store.users().unwrap().contains(&victim.user()));

    store.compact().unwrap();
    drop(store);
    let store = open(&disk).unwrap();
    absent(sealed_key, "the sealed key");
    absent(CANARY, "the text");
    assert_eq!(others(&store), before);
    let report = store.check().unwrap();
    assert!(report.is_whole() && report.unreadable_rows == 0, "{report:?}");
}

#[test]
fn a_key_that_was_forgotten_does_not_come_back_when_the_power_goes_out() {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    store.commit(&put(&scope(0), b"1", b"text")).unwrap();
    let sealed_key = disk.bytes(&folder().join(KEYS_FILE))[136..256].to_vec();
    store.forget(&scope(0)).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let found = disk.after_crash(crate::disk::sim::Loss::AllUnsynced, &mut rng);
    assert!(!on_disk(&found, &sealed_key));
}

/// The order of forgetting is key first: what is left if the deletion of the rows never happens is unreadable, is said
/// to be, and is deleted later.
#[test]
fn rows_that_outlive_their_key_are_unreadable_and_swept() {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    for user in [0, 1] {
        store.commit(&put(&scope(user), b"1", b"text")).unwrap();
    }
    // The erased key is written and synced; the third operation is the first of the deletion.
    disk.fail_at(3, crate::disk::sim::Failure::Off);
    assert!(store.forget(&scope(0)).is_err());
    drop(store);
    let found = disk.after_crash(crate::disk::sim::Loss::Nothing, &mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
    let store = open(&found).unwrap();
    assert_eq!(store.get(&scope(0), RECORDS, b"1").unwrap(), None);
    let report = store.check().unwrap();
    assert_eq!((report.users, report.rows, report.unreadable_rows), (1, 1, 1));
    assert!(report.is_whole(), "{report:?}");
    // The slot is not taken before it is swept.
    store.commit(&put(&scope(2), b"1", b"new")).unwrap();
    assert_ne!(store.vaults()[&UserId::new(2)].slot, 0);
    store.compact().unwrap();
    assert_eq!(store.check().unwrap().unreadable_rows, 0);
    store.commit(&put(&scope(3), b"1", b"new")).unwrap();
    assert_eq!(store.vaults()[&UserId::new(3)], Vault { slot: 0, incarnation: 2 });
}

#[test]
fn an_erasure_that_was_torn_is_finished_when_the_store_is_opened() {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    store.commit(&put(&scope(0), b"1", b"text")).unwrap();
    let path = folder().join(KEYS_FILE);
    let before = disk.bytes(&path);
    disk.fail_at(1, crate::disk::sim::Failure::Torn);
    assert!(store.forget(&scope(0)).is_err());
    drop(store);
    let found = disk.after_crash(crate::disk::sim::Loss::Nothing, &mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
    let sealed_rest = &before[192..256];
    assert!(on_disk(&found, sealed_rest), "the test tears the write");
    let store = open(&found).unwrap();
    assert!(!on_disk(&found, sealed_rest));
    assert_eq!(store.get(&scope(0), RECORDS, b"1").unwrap(), None);
}

#[test]
fn a_key_file_that_cannot_be_written_stops_the_writer_not_the_readers() {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    store.commit(&put(&scope(0), b"1", b"text")).unwrap();
    disk.fail_at(1, crate::disk::sim::Failure::Error);
    assert!(matches!(store.commit(&put(&scope(1), b"1", b"text")), Err(StoreError::Io { .. })));
    assert!(matches!(store.commit(&put(&scope(0), b"2", b"text")), Err(StoreError::Stopped)));
    assert!(matches!(store.forget(&scope(0)), Err(StoreError::Stopped)));
    assert_eq!(store.get(&scope(0), RECORDS, b"1").unwrap().unwrap(), b"text");
}

#[test]
fn who_was_forgotten_while_a_snapshot_was_made_has_no_key_in_it() {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    for user in 0..3 {
        store.commit(&put(&scope(user), b"1", &[user; 9])).unwrap();
    }
    // The rows are read from here on; the keys are copied after.
    let view = store.backend.view().unwrap();
    store.forget(&scope(1)).unwrap();
    store.commit(&put(&scope(7), b"1", b"took the slot")).unwrap();
    let target = Path::new("snapshot");
    disk.create_dir(target).unwrap();
    store.copy_rows(&*view, &target.join(ROWS_FILE)).unwrap();
    store.copy_keys(&*view, &target.join(KEYS_FILE)).unwrap();
    drop(view);
    let copy = StoreOptions::new().open_on(super::disk(&disk), target, &key()).unwrap();
    let users: Vec<_> = copy.users().unwrap().iter().map(|user| user.get()).collect();
    assert_eq!(users, [0, 2]);
    assert_eq!(copy.get(&scope(1), RECORDS, b"1").unwrap(), None);
    assert_eq!(copy.get(&scope(7), RECORDS, b"1").unwrap(), None);
    let report = copy.check().unwrap();
    assert!(report.is_whole() && report.unreadable_rows == 1, "{report:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Put { slot: u8, bytes: u16 },
    Delete { slot: u8 },
    Forget,
    Compact,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let step = prop_oneof![
        6 => (0u8..4, 0u16..2000).prop_map(|(slot, bytes)| Step::Put { slot, bytes }),
        1 => (0u8..4).prop_map(|slot| Step::Delete { slot }),
        3 => Just(Step::Forget),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec((0u8..4, step), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 100, ..ProptestConfig::default() })]
    /// Whatever was done before and is done after: no file has a text or an id, none has the key of one who was
    /// forgotten, and to everybody else nothing happened.
    #[test]
    fn forgetting_leaves_nothing_and_changes_nothing_else(steps in steps()) {
        let disk = SimDisk::default();
        let mut store = create(&disk).unwrap();
        let id = |user: u8| 0x1234_5678_9abc_def0_1122_3344_5566_7700 + u128::from(user);
        let scope = |user: u8| Scope::acting_for(UserId::new(id(user)));
        let canary = |user: u8| format!("the canary of user {user}, ");
        let mut gone: Vec<Vec<u8>> = Vec::new();
        for (user, step) in steps {
            let own = scope(user);
            match step {
                Step::Put { slot, bytes } => {
                    let value = canary(user).repeat(1 + usize::from(bytes) / 24);
                    store.commit(&put(&own, &[slot], value.as_bytes())).unwrap();
                }
                Step::Delete { slot } => drop(store.commit(&Batch::new(&own).delete(RECORDS, [slot])).unwrap()),
                Step::Forget => {
                    let others = |store: &Store| {
                        let others = (0..4).filter(|&other| other != user);
                        others.map(|other| export(store, &scope(other))).collect::<Vec<_>>()
                    };
                    let before = others(&store);
                    if let Some(vault) = store.vault(&own) {
                        gone.push(store.unlock(own.user(), vault).unwrap().secret().to_vec());
                        let sealed = disk.bytes(&folder().join(KEYS_FILE))[128 * (vault.slot as usize + 1)..][8..128].to_vec();
                        prop_assert!(on_disk(&disk, &sealed), "the search finds what is there");
                        gone.push(sealed);
                    }
                    store.forget(&own).unwrap();
                    prop_assert_eq!(others(&store), before);
                    prop_assert_eq!(store.vault(&own), None);
                    prop_assert_eq!(store.scan(Scan::new(&own, RECORDS)).unwrap(), []);
                    prop_assert!(gone.iter().all(|key| !on_disk(&disk, key)), "a key is on disk");
                }
                Step::Compact => store.compact().unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = open(&disk).unwrap();
                }
            }
        }
        prop_assert!(gone.iter().all(|key| !on_disk(&disk, key)), "a key came back");
        for user in 0..4 {
            let found = [canary(user).into_bytes(), id(user).to_be_bytes().to_vec(), id(user).to_le_bytes().to_vec()];
            prop_assert!(found.iter().all(|found| !on_disk(&disk, found)), "user {} is on disk", user);
        }
        prop_assert!(store.check().unwrap().is_whole());
    }
}
