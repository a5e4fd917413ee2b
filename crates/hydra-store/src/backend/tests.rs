//! One suite for every backend.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::memory::MemoryBackend;
use super::*;
use crate::disk::Disk;
use crate::disk::sim::SimDisk;

fn redb() -> Box<dyn Backend> {
    let file = SimDisk::default().create(std::path::Path::new("rows")).unwrap();
    let options = RedbOptions { cache_bytes: 1 << 20, verify_up_to_bytes: 0 };
    Box::new(RedbBackend::create(file, options).unwrap())
}

fn all(view: &dyn BackendView) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    view.scan(&[], &[u8::MAX; 9], &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..3, 1..4)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (key(), prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(key, value)| Change::Put { key, value }),
        1 => key().prop_map(|key| Change::Delete { key }),
        1 => (key(), key()).prop_map(|(a, b)| Change::DeleteRange { from: a.clone().min(b.clone()), to: a.max(b) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn redb_does_what_a_map_does(calls in prop::collection::vec(prop::collection::vec(change(), 0..8), 1..8), from in key(), to in key()) {
        let (redb, memory) = (redb(), MemoryBackend::default());
        for changes in &calls {
            let (before_redb, before_memory) = (redb.view().unwrap(), memory.view().unwrap());
            redb.apply(changes).unwrap();
            memory.apply(changes).unwrap();
            // A view does not move.
            prop_assert_eq!(all(&*before_redb), all(&*before_memory));
        }
        redb.compact().unwrap();
        let (redb, memory) = (redb.view().unwrap(), memory.view().unwrap());
        prop_assert_eq!(all(&*redb), all(&*memory));
        prop_assert_eq!(redb.get_many(&[&from, &to, &from]).unwrap(), memory.get_many(&[&from, &to, &from]).unwrap());
        let (from, to) = (from.clone().min(to.clone()), from.max(to));
        let firsts = [&redb, &memory].map(|view| {
            let mut first = None;
            view.scan(&from, &to, &mut |key, _| { first = Some(key.to_vec()); ControlFlow::Break(()) }).unwrap();
            first
        });
        prop_assert_eq!(&firsts[0], &firsts[1]);
    }
}
