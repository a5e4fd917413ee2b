//! What is left in the memory of the process when keys are not in use any more.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::*;

/// Sought bytes, masked so that the search does not find itself.
struct Sought(Vec<u8>);

impl Sought {
    fn new(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| byte ^ MASK).collect())
    }

    /// How often they are in the writable memory of this process.
    fn count(&self) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let regions = maps.lines().filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let bounds = [from, to].map(|bound| u64::from_str_radix(bound, 16).unwrap());
            rest.starts_with("rw").then_some(bounds)
        });
        // One buffer for all, made before the memory is looked at.
        let mut page = vec![0; PAGE + self.0.len()];
        let mut count = 0;
        for [from, to] in regions.collect::<Vec<_>>() {
            for at in (from..to).step_by(PAGE) {
                let len = page.len().min(usize::try_from(to - at).unwrap());
                // Regions come and go while other tests run.
                if memory.read_exact_at(&mut page[..len], at).is_ok() {
                    let found = page[..len].windows(self.0.len());
                    count += found.filter(|found| found.iter().zip(&self.0).all(|(a, b)| a ^ MASK == *b)).count();
                    page.fill(0);
                }
            }
        }
        count
    }
}

const MASK: u8 = 0xa7;
const PAGE: usize = 1 << 16;

#[test]
fn keys_leave_no_copy_in_memory() {
    let mut store_key = [0; 32];
    seal::fill_random(&mut store_key).unwrap();
    let sought_store = Sought::new(&store_key[..16]);
    let key = StoreKey::from_bytes(store_key);
    store_key.fill(0);
    std::hint::black_box(&store_key);

    let disk = SimDisk::default();
    let on = super::disk(&disk);
    let store = StoreOptions::new().create_on(on, folder(), &key).unwrap();
    let batch = put(&scope(1), b"1", b"text").put(HEADS, b"1", b"head");
    store.commit(&batch).unwrap();
    assert_eq!(store.get(&scope(1), RECORDS, b"1").unwrap().unwrap(), b"text");
    let vault = store.vaults()[&UserId::new(1)];
    let keys = store.unlock(UserId::new(1), vault).unwrap();
    let [values, marks] = [0, 32].map(|at| Sought::new(&keys.secret()[at..at + 16]));
    assert!(values.count() > 0 && marks.count() > 0, "the search finds what is there");
    drop(keys);
    store.check().unwrap();
    store.commit(&batch).unwrap();
    assert_eq!((values.count(), marks.count()), (0, 0), "keys of a user whom nobody reads now");
    assert!(sought_store.count() > 0, "the store key is in use");
    drop((store, key));
    assert_eq!(sought_store.count(), 0, "the store key of a store that was closed");
}
