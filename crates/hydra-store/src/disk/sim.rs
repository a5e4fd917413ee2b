//! A disk in memory that can fail at any operation and lose what was not synced.
//!
//! It proves our order of writes and syncs, not that a real disk keeps its promises: a sync that returned is believed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::{Rng, RngExt};
use redb::StorageBackend;

use super::{Disk, DiskFile};

/// What happens at the operation that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// It reports an error and does nothing; what follows works again.
    Error,
    /// Half of it happens and it reports an error, as on a full disk; what follows works again.
    Short,
    /// Half of it happens, then the machine is off.
    Torn,
    /// Nothing of it happens: the machine is off.
    Off,
}

impl Failure {
    pub(crate) const ALL: [Self; 4] = [Self::Error, Self::Short, Self::Torn, Self::Off];
}

/// A file system in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    /// Names as a process sees them; a folder has no inode.
    names: BTreeMap<PathBuf, Option<usize>>,
    /// Names as they are after the machine went off.
    durable_names: BTreeMap<PathBuf, Option<usize>>,
    /// Operations that change something, so far.
    operations: u64,
    fail_at: Option<(u64, Failure)>,
    off: bool,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

/// What a file holds after the machine went off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Loss {
    /// Everything that was written, as after a process was killed.
    Nothing,
    /// Everything that was not synced.
    AllUnsynced,
    /// Any part of what was not synced, in any order; drawn at random.
    SomeUnsynced,
}

impl SimDisk {
    /// Fails at the `nth` operation that changes something from now on, counted from 1.
    pub(crate) fn fail_at(&self, nth: u64, failure: Failure) {
        let mut state = self.state();
        state.fail_at = Some((state.operations + nth, failure));
    }

    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The disk that is found when the machine is on again.
    pub(crate) fn after_crash(&self, loss: Loss, rng: &mut impl Rng) -> Self {
        let state = self.state();
        let names = match loss {
            Loss::Nothing => state.names.clone(),
            Loss::AllUnsynced => state.durable_names.clone(),
            Loss::SomeUnsynced if rng.random() => state.names.clone(),
            Loss::SomeUnsynced => state.durable_names.clone(),
        };
        let inodes = state
            .inodes
            .iter()
            .map(|inode| {
                let bytes = match loss {
                    Loss::Nothing => inode.now.clone(),
                    Loss::AllUnsynced => inode.durable.clone(),
                    Loss::SomeUnsynced => inode.some_unsynced(rng),
                };
                Inode { now: bytes.clone(), durable: bytes, pending: Vec::new() }
            })
            .collect();
        Self(Arc::new(Mutex::new(State { inodes, durable_names: names.clone(), names, ..State::default() })))
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        let inode = state.names[path].expect("a file");
        state.inodes[inode].now.clone()
    }

    /// A disk of its own on which one file holds other bytes.
    pub(crate) fn with_bytes(&self, path: &Path, bytes: &[u8]) -> Self {
        let state = self.state();
        let mut inodes = state.inodes.clone();
        let inode = state.names[path].expect("a file");
        inodes[inode] = Inode { now: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() };
        Self(Arc::new(Mutex::new(State {
            inodes,
            names: state.names.clone(),
            durable_names: state.names.clone(),
            ..State::default()
        })))
    }

    /// Takes a file away.
    pub(crate) fn without(&self, path: &Path) -> Self {
        let other = self.with_bytes(path, &[]);
        other.state().names.remove(path);
        other
    }

    /// All files with their bytes.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state();
        let files = state.names.iter().filter_map(|(path, inode)| Some((path, (*inode)?)));
        files.map(|(path, inode)| (path.clone(), state.inodes[inode].now.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// Counts an operation. `Ok(true)`: do half of it.
    fn operation(&mut self) -> io::Result<bool> {
        if self.off {
            return Err(io::Error::other("the machine is off"));
        }
        self.operations += 1;
        match self.fail_at {
            Some((at, failure)) if at == self.operations => match failure {
                Failure::Error => Err(io::Error::other("this operation fails")),
                Failure::Short => Ok(true),
                Failure::Torn => {
                    self.off = true;
                    Ok(true)
                }
                Failure::Off => {
                    self.off = true;
                    Err(io::Error::other("the machine went off"))
                }
            },
            _ => Ok(false),
        }
    }

    /// An operation that cannot be torn: a torn one did not happen.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation()? {
            false => Ok(()),
            true => Err(io::Error::other("this operation fails")),
        }
    }

    fn change(&mut self, inode: usize, change: Pending) {
        let inode = &mut self.inodes[inode];
        change.apply(&mut inode.now);
        inode.pending.push(change);
    }

    fn read(&self) -> io::Result<()> {
        if self.off {
            return Err(io::Error::other("the machine is off"));
        }
        Ok(())
    }
}

impl Inode {
    fn some_unsynced(&self, rng: &mut impl Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match rng.random_range(0..3) {
                0 => {}
                1 => change.apply(&mut bytes),
                _ => change.torn(rng.random()).apply(&mut bytes),
            }
        }
        bytes
    }
}

impl Pending {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                if bytes.len() < at + data.len() {
                    bytes.resize(at + data.len(), 0);
                }
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::SetLen(len) => bytes.resize(*len, 0),
        }
    }

    /// A first part of a write. A length is set or not.
    fn torn(&self, share: f32) -> Self {
        match self {
            Self::Write(at, data) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let len = (data.len() as f32 * share) as usize;
                Self::Write(*at, data[..len].to_vec())
            }
            Self::SetLen(_) => self.clone(),
        }
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.read()?;
        Ok(state.inodes[self.inode].now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        state.read()?;
        let from = usize::try_from(offset).unwrap();
        let bytes = state.inodes[self.inode].now.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.whole_operation()?;
        state.change(self.inode, Pending::SetLen(usize::try_from(len).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.whole_operation()?;
        let inode = &mut state.inodes[self.inode];
        inode.durable.clone_from(&inode.now);
        inode.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        let torn = state.operation()?;
        let change = Pending::Write(usize::try_from(offset).unwrap(), data.to_vec());
        if torn {
            state.change(self.inode, change.torn(0.5));
            return Err(io::Error::other("this write fails half way"));
        }
        state.change(self.inode, change);
        Ok(())
    }
}

impl Disk for SimDisk {
    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        state.read()?;
        Ok(state.names.contains_key(path))
    }

    fn create(&self, path: &Path) -> io::Result<DiskFile> {
        let mut state = self.state();
        state.whole_operation()?;
        assert!(!state.names.contains_key(path), "the store creates each file once");
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(path.into(), Some(inode));
        Ok(self.file(inode))
    }

    fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let state = self.state();
        state.read()?;
        let inode = state.names.get(path).copied().flatten();
        Ok(self.file(inode.ok_or(io::ErrorKind::NotFound)?))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<DiskFile> {
        self.open(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.whole_operation()?;
        state.names.insert(path.into(), None);
        Ok(())
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.whole_operation()?;
        let renamed = state.names.iter().map(|(path, &inode)| match path.strip_prefix(from) {
            Ok(rest) if rest.as_os_str().is_empty() => (to.to_path_buf(), inode),
            Ok(rest) => (to.join(rest), inode),
            Err(_) => (path.clone(), inode),
        });
        state.names = renamed.collect();
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.whole_operation()?;
        // Coarser than a file system need be: all names become durable together.
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.whole_operation()?;
        state.names.retain(|name, _| !name.starts_with(path));
        Ok(())
    }
}

impl SimDisk {
    fn file(&self, inode: usize) -> DiskFile {
        let disk = self.clone();
        DiskFile(Arc::new(SimFile { disk, inode }))
    }
}
