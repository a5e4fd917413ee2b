//! Every prefix and every flipped bit of a small store's files: an error of its own, or the data as they were.
//!
//! The file with the rows is mostly free pages, and a test run tries a part of it; where `HYDRA_TORTURE_ROUNDS` is set,
//! everything that is in use.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn small() -> (SimDisk, Model) {
    let disk = SimDisk::default();
    let store = create(&disk).unwrap();
    for user in 0..3 {
        store.commit(&put(&scope(user), b"1", &[user; 40]).put(HEADS, b"h", b"head")).unwrap();
    }
    store.forget(&scope(1)).unwrap();
    let model = contents(&store, 4).unwrap();
    drop(store);
    (disk, model)
}

/// The data as they were, or the name of the error.
fn outcome(disk: &SimDisk, model: &Model) -> String {
    let store = match open(disk) {
        Ok(store) => store,
        Err(error) => return variant(&error),
    };
    match contents(&store, 4) {
        Ok(found) if found == *model => "as it was".into(),
        Ok(_) => "OTHER DATA".into(),
        Err(error) => variant(&error),
    }
}

fn variant(error: &dyn std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(']).next().unwrap().to_owned()
}

#[test]
fn every_flipped_bit_of_the_key_file_is_noticed_or_harmless() {
    let (disk, model) = small();
    let path = folder().join(KEYS_FILE);
    let good = disk.bytes(&path);
    let expected = |bit: usize| match bit / 8 {
        0..8 => "NotAStore",
        8..128 => "Damaged",
        // The first user's slot and the third's; the second was erased and holds nothing.
        128..256 | 384..512 => "DamagedKey",
        _ => "as it was",
    };
    for bit in 0..8 * good.len() {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(outcome(&disk.with_bytes(&path, &bad), &model), expected(bit), "bit {bit}");
    }
}

#[test]
fn every_prefix_of_the_key_file_is_noticed_or_harmless() {
    let (disk, model) = small();
    let path = folder().join(KEYS_FILE);
    let good = disk.bytes(&path);
    assert_eq!(good.len(), 4 * 128);
    for len in 0..good.len() {
        let found = outcome(&disk.with_bytes(&path, &good[..len]), &model);
        assert_eq!(found, "Truncated", "{len} bytes");
    }
}

/// Every one in a torture, every `usually`th else.
fn step(usually: usize) -> usize {
    if std::env::var_os("HYDRA_TORTURE_ROUNDS").is_some() { 1 } else { usually }
}

/// Bits of the bytes that hold something, and some of the rest: one of every `usually`th byte, or all in a torture.
fn bits_to_try(bytes: &[u8], usually: usize) -> Vec<(usize, u8)> {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let used = (0..bytes.len()).filter(|&at| bytes[at] != 0).step_by(step(usually));
    let mut tried: Vec<_> = if step(usually) == 1 {
        used.flat_map(|at| (0..8).map(move |bit| (at, 1 << bit))).collect()
    } else {
        used.map(|at| (at, 1 << rng.random_range(0..8))).collect()
    };
    tried.extend((0..2500 / usually).map(|_| (rng.random_range(0..bytes.len()), 1 << rng.random_range(0..8))));
    tried
}

#[test]
fn the_file_with_the_rows_is_refused_whole_or_read_right() {
    let (disk, model) = small();
    let path = folder().join(ROWS_FILE);
    let good = disk.bytes(&path);
    let mut noticed = 0;
    let bits = bits_to_try(&good, 5);
    for &(at, bit) in &bits {
        let mut bad = good.clone();
        bad[at] ^= bit;
        let found = outcome(&disk.with_bytes(&path, &bad), &model);
        assert!(["as it was", "Backend", "NotAStore"].contains(&found.as_str()), "byte {at}: {found}");
        noticed += usize::from(found != "as it was");
    }
    assert!(noticed > 50, "only {noticed} of {} were noticed: the test tries the wrong bits", bits.len());
    for len in (0..good.len()).step_by(step(997)) {
        let found = outcome(&disk.with_bytes(&path, &good[..len]), &model);
        assert!(["Truncated", "Backend"].contains(&found.as_str()), "{len} bytes: {found}");
    }
}

#[test]
fn a_damaged_snapshot_is_refused_or_restored_right() {
    let (disk, model) = small();
    let (snapshot, restored) = (Path::new("snapshot"), Path::new("restored"));
    open(&disk).unwrap().snapshot(snapshot).unwrap();
    let outcome = |name: &str, bytes: &[u8]| {
        let disk = disk.with_bytes(&snapshot.join(name), bytes);
        let outcome = match snapshot::restore_on(super::disk(&disk), snapshot, restored, &key()) {
            Ok(store) if contents(&store, 4).unwrap() == model => "as it was".into(),
            Ok(_) => "OTHER DATA".into(),
            Err(error) => variant(&error),
        };
        assert_eq!(disk.exists(restored).unwrap(), outcome == "as it was", "a snapshot that is refused leaves nothing");
        assert_eq!(disk.bytes(&snapshot.join(name)), bytes, "restoring does not touch the snapshot");
        outcome
    };
    let flipped = |name: &str, at: usize, bit: u8| {
        let mut bad = disk.bytes(&snapshot.join(name));
        bad[at] ^= bit;
        outcome(name, &bad)
    };

    let keys = disk.bytes(&snapshot.join(KEYS_FILE));
    for bit in (0..8 * keys.len()).step_by(step(3)) {
        let expected = match bit / 8 {
            0..8 => "NotAStore",
            8..128 => "Damaged",
            128..256 | 384..512 => "DamagedKey",
            _ => "as it was",
        };
        assert_eq!(flipped(KEYS_FILE, bit / 8, 1 << (bit % 8)), expected, "bit {bit}");
    }
    for len in (0..keys.len()).step_by(step(3)) {
        assert_eq!(outcome(KEYS_FILE, &keys[..len]), "Truncated", "{len} bytes");
    }

    let rows = disk.bytes(&snapshot.join(ROWS_FILE));
    for (at, bit) in bits_to_try(&rows, 10) {
        let found = flipped(ROWS_FILE, at, bit);
        assert!(["as it was", "Backend", "NotAStore"].contains(&found.as_str()), "byte {at}: {found}");
    }
    for len in (0..rows.len()).step_by(step(997)) {
        let found = outcome(ROWS_FILE, &rows[..len]);
        assert!(["Truncated", "Backend"].contains(&found.as_str()), "{len} bytes: {found}");
    }
}

#[test]
fn large_files_are_not_verified_at_opening_and_still_never_read_wrong() {
    let (disk, model) = small();
    let path = folder().join(ROWS_FILE);
    let good = disk.bytes(&path);
    let options = StoreOptions::new().verify_up_to_bytes(0);
    for at in (0..good.len()).filter(|&at| good[at] != 0).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        let damaged = disk.with_bytes(&path, &bad);
        if let Ok(store) = options.open_on(super::disk(&damaged), folder(), &key())
            && let Ok(found) = contents(&store, 4)
            && found != model
        {
            // A row that redb no longer finds is missing, which the ledger tells.
            let whole = store.check().is_ok_and(|report| report.is_whole());
            assert!(!whole, "byte {at}: other data, and the check sees nothing");
        }
    }
}

#[test]
fn each_thing_that_is_wrong_has_its_own_error() {
    let (disk, model) = small();
    let (keys, rows) = (folder().join(KEYS_FILE), folder().join(ROWS_FILE));
    assert_eq!(outcome(&SimDisk::default(), &model), "NotFound");
    assert_eq!(outcome(&disk.without(&keys), &model), "MissingFile");
    assert_eq!(outcome(&disk.without(&rows), &model), "MissingFile");
    let other_key = StoreKey::from_bytes([41; 32]);
    let refused = StoreOptions::new().open_on(super::disk(&disk), folder(), &other_key);
    assert!(matches!(refused, Err(OpenError::WrongKey { .. })));
    let (other, _) = small();
    assert_eq!(outcome(&disk.with_bytes(&rows, &other.bytes(&rows)), &model), "ForeignRows");
    assert!(matches!(create(&disk), Err(OpenError::AlreadyExists { .. })));
    // None of this changed what is there.
    assert_eq!(outcome(&disk, &model), "as it was");
}

#[test]
fn a_newer_format_is_refused_not_guessed() {
    let (disk, model) = small();
    let path = folder().join(KEYS_FILE);
    let mut newer = disk.bytes(&path);
    newer[8] = 2;
    let check = Sha256::digest(&newer[..96]);
    newer[96..128].copy_from_slice(&check);
    assert_eq!(outcome(&disk.with_bytes(&path, &newer), &model), "NewerFormat");

    let store = open(&disk).unwrap();
    let mut meta = [META_MAGIC, &2u32.to_le_bytes(), &store.keys.store()].concat();
    let check = Sha256::digest(&meta);
    meta.extend_from_slice(&check);
    let change = Change::Put { key: table::META_ROW.to_vec(), value: meta };
    store.backend.apply(&[change]).unwrap();
    drop(store);
    assert_eq!(outcome(&disk, &model), "NewerFormat");
}
