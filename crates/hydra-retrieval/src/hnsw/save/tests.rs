use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, Write};

use hydra_types::RecordId;
use proptest::prelude::*;

use super::*;
use crate::hnsw::disk::Real;
use crate::table::Item;
use crate::{Filter, HnswIndex, HnswParams, Scratch};

/// A disk whose operation number `fails_at` fails, and every one after it: a crash.
struct Failing {
    fails_at: usize,
    fails: Fails,
    done: Cell<usize>,
}

/// What the operation that fails has done.
#[derive(Clone, Copy, Debug)]
enum Fails {
    Nothing,
    Half,
    /// All of it; only the answer is lost.
    All,
}

impl Failing {
    fn new(fails_at: usize, fails: Fails) -> Self {
        Self { fails_at, fails, done: Cell::new(0) }
    }

    fn step(&self, half: impl FnOnce() -> io::Result<()>, whole: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let step = self.done.replace(self.done.get() + 1);
        if step < self.fails_at {
            return whole();
        }
        if step == self.fails_at {
            match self.fails {
                Fails::Nothing => {}
                Fails::Half => half()?,
                Fails::All => whole()?,
            }
        }
        Err(io::Error::other("injected"))
    }
}

impl Disk for Failing {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|| Ok(()), || Real.create_folder(folder))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(|| fs::write(path, &bytes[..bytes.len() / 2]), || Real.write(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| Ok(()), || Real.rename(from, to))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|| Ok(()), || Real.sync_folder(folder))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|| Ok(()), || Real.remove(path))
    }
}

fn index(n: u64) -> HnswIndex {
    let vectors: Vec<[f32; 3]> = (0..n).map(|i| [1.0, f32::from(u8::try_from(i).unwrap()), 0.5]).collect();
    let items: Vec<Item<'_>> = (0..).zip(&vectors).map(|(id, vector)| Item::new(RecordId::new(id), vector)).collect();
    HnswIndex::build(3, &items, HnswParams::default()).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn whichever_step_fails_the_old_index_or_the_new_one_is_there() {
    let (old, new) = (encode(&index(4).space), encode(&index(7).space));
    for fails in [Fails::Nothing, Fails::Half, Fails::All] {
        let mut failures = 0;
        for fails_at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            index(4).save(folder.path()).unwrap();
            let disk = Failing::new(fails_at, fails);
            let outcome = save(&disk, folder.path(), &index(7).space);
            let found = encode(&load(folder.path()).unwrap());
            assert!(found == old || found == new, "step {fails_at}, {fails:?}");
            if let Ok(generation) = outcome {
                assert_eq!(generation.get(), 2);
                assert!(found == new);
            } else {
                failures += 1;
            }
            // Whatever was left behind, the next save works and clears it away.
            let generation = index(5).save(folder.path()).unwrap();
            assert_eq!(load(folder.path()).unwrap().table.len(), 5);
            assert_eq!(files(folder.path()), [format!("index-{generation}.hnsw"), "manifest.json".to_owned()]);
            if disk.done.get() <= fails_at {
                break;
            }
        }
        assert_eq!(failures, 6, "a folder, two writes, a rename and two syncs can fail a save");
    }
}

#[test]
fn a_first_save_that_fails_leaves_no_index() {
    for fails_at in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        save(&Failing::new(fails_at, Fails::Half), folder.path(), &index(3).space).unwrap_err();
        assert!(matches!(load(folder.path()), Err(LoadError::Missing { .. })));
        assert_eq!(index(3).save(folder.path()).unwrap(), Generation::FIRST);
    }
}

#[test]
fn folders_that_are_missing_are_made() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("of/the/index");
    index(3).save(&folder).unwrap();
    assert_eq!(load(&folder).unwrap().table.len(), 3);
    let in_the_way = folder.join(MANIFEST);
    assert!(matches!(index(3).save(&in_the_way), Err(SaveError::Io { path, .. }) if path == in_the_way));
}

/// A disk that goes off after `steps` operations. What a file holds is durable when it was written, for that syncs it;
/// its name is only when the folder was synced.
struct GoingOff {
    steps: Cell<usize>,
    durable: RefCell<Names>,
    /// What each operation did to names since; any of it may be lost.
    loose: RefCell<Vec<Vec<Renaming>>>,
}

type Names = BTreeMap<PathBuf, Vec<u8>>;

/// A name, and the bytes that it then stands for; none if it is gone.
type Renaming = (PathBuf, Option<Vec<u8>>);

impl GoingOff {
    fn new(steps: usize, folder: &Path) -> Self {
        let durable = files(folder).into_iter().map(|name| (folder.join(&name), fs::read(folder.join(&name)).unwrap()));
        Self { steps: Cell::new(steps), durable: RefCell::new(durable.collect()), loose: RefCell::default() }
    }

    fn step(&self, names: Vec<Renaming>, whole: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let left = self.steps.get().checked_sub(1).ok_or_else(|| io::Error::other("the machine is off"))?;
        self.steps.set(left);
        self.loose.borrow_mut().push(names);
        whole()
    }

    /// Every folder that may be found when the machine is on again.
    fn found(&self) -> Vec<Names> {
        let loose = self.loose.borrow();
        let found = (0..1u32 << loose.len()).map(|kept| {
            let mut names = self.durable.borrow().clone();
            for (_, changes) in loose.iter().enumerate().filter(|(place, _)| kept >> place & 1 == 1) {
                for (name, bytes) in changes {
                    match bytes {
                        Some(bytes) => names.insert(name.clone(), bytes.clone()),
                        None => names.remove(name),
                    };
                }
            }
            names
        });
        found.collect()
    }
}

impl Disk for GoingOff {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(Vec::new(), || Real.create_folder(folder))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step(vec![(path.into(), Some(bytes.to_vec()))], || Real.write(path, bytes))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(vec![(from.into(), None), (to.into(), Some(fs::read(from)?))], || Real.rename(from, to))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(Vec::new(), || Real.sync_folder(folder))?;
        let all = self.found().pop().expect("the one in which nothing is lost");
        self.durable.replace(all);
        self.loose.borrow_mut().clear();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(vec![(path.into(), None)], || Real.remove(path))
    }
}

#[test]
fn names_that_are_lost_with_the_power_leave_the_old_index_or_the_new_one() {
    let (old, new) = (encode(&index(4).space), encode(&index(7).space));
    let mut ways = 0;
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        index(4).save(folder.path()).unwrap();
        let disk = GoingOff::new(steps, folder.path());
        let saved = save(&disk, folder.path(), &index(7).space).is_ok();
        for names in disk.found() {
            for name in files(folder.path()) {
                fs::remove_file(folder.path().join(name)).unwrap();
            }
            names.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
            let found = encode(&load(folder.path()).unwrap());
            assert!(found == new || !saved && found == old, "off after {steps} steps, saved: {saved}");
            ways += 1;
        }
        if disk.steps.get() > 0 {
            break;
        }
    }
    assert!(ways > 15, "{ways}");
}

#[test]
fn every_prefix_and_every_flipped_bit_is_refused_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(5);
    index.save(folder.path()).unwrap();
    for name in files(folder.path()) {
        let path = folder.path().join(&name);
        let whole = fs::read(&path).unwrap();
        // In place: a file that is cut to nothing and written anew takes a hundred times as long.
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let mut write = |at: usize, bytes: &[u8]| {
            file.seek(io::SeekFrom::Start(at as u64)).unwrap();
            file.write_all(bytes).unwrap();
        };
        for (at, &byte) in whole.iter().enumerate() {
            for bit in 0..8 {
                write(at, &[byte ^ 1 << bit]);
                if let Ok(space) = load(folder.path()) {
                    assert_eq!(encode(&space), encode(&index.space), "{name}, byte {at}, bit {bit}");
                }
            }
            write(at, &[byte]);
        }
        write(whole.len(), b"x");
        assert!(load(folder.path()).is_err());
        for length in (0..whole.len()).rev() {
            file.set_len(length as u64).unwrap();
            assert!(load(folder.path()).is_err(), "{name} cut to {length}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(load(folder.path()).is_ok());
}

#[test]
fn errors_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(load(folder.path()), Err(LoadError::Missing { .. })));
    index(3).save(folder.path()).unwrap();
    let manifest = folder.path().join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();

    fs::write(&manifest, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert!(matches!(load(folder.path()), Err(LoadError::Newer { got: 2, known: 1 })));
    fs::write(&manifest, text.replace("hydra-retrieval/hnsw", "hydra-onnx/bundle")).unwrap();
    assert!(matches!(load(folder.path()), Err(LoadError::Manifest)));
    assert!(matches!(index(3).save(folder.path()), Err(SaveError::Occupied(_))), "a foreign folder is not overwritten");
    fs::write(&manifest, text.replace("\"generation\": 1", "\"generation\": 9")).unwrap();
    assert!(matches!(load(folder.path()), Err(LoadError::Io { .. })));
    fs::write(&manifest, &text).unwrap();
    fs::write(folder.path().join("index-1.hnsw"), b"HYDRAHNS").unwrap();
    assert!(matches!(load(folder.path()), Err(LoadError::Checksum)));
}

proptest! {
    // The checksum is no defence against who can write both files: what is decoded must stand on its own.
    #[test]
    fn a_forged_file_is_refused_or_can_be_searched(
        n in 0u64..40,
        forgeries in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        in_header: bool,
    ) {
        let mut bytes = encode(&index(n).space);
        for (place, byte) in forgeries {
            let end = if in_header { 44.min(bytes.len()) } else { bytes.len() };
            let place = place.index(end);
            bytes[place] = byte;
        }
        if let Ok(space) = decode(&bytes) {
            let query = space.table.vector(&vec![1.0; space.table.rows.dimensions()]).unwrap();
            let found = space.search(&query, 3, &Filter::all(), &mut Scratch::new());
            prop_assert_eq!(found.len(), space.table.len().min(3));
            let graph = space.graph.as_ref().unwrap();
            if space.table.len() > 0 {
                graph.walk(&space.table.rows, &query, 8, &mut Scratch::new());
            }
            let mut space = space.clone();
            let first = space.table.ids.first().copied();
            prop_assert_eq!(space.remove(&first.into_iter().collect::<Vec<_>>()), usize::from(first.is_some()));
        }
    }

    #[test]
    fn any_bytes_are_refused_or_decoded(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let mut with_head = b"HYDRAHNS\x01\0\0\0".to_vec();
        with_head.extend(bytes);
        let _ = decode(&with_head);
    }
}
