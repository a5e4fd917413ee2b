//! A million packed heads, one after the other in a plain file, or sealed in `hydra-store`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use hydra_heads::{Head, HeadSource, Stamp, pack};
use hydra_store::{Batch, Store, StoreError, StoreKey, Table};
use hydra_types::{Generation, Scope, UserId};
use rustix::fs::{Advice, fadvise};

pub(crate) fn user(number: u32) -> UserId {
    UserId::new(number.into())
}

/// Heads of equal length, by number.
pub(crate) struct HeadFile {
    file: File,
    bytes: usize,
    users: u128,
}

impl HeadFile {
    pub(crate) fn write(folder: &Path, heads: impl Iterator<Item = Head>) {
        std::fs::create_dir_all(folder).unwrap();
        let mut file = BufWriter::new(File::create(folder.join("heads")).unwrap());
        let (mut users, mut length) = (0u32, 0);
        for head in heads {
            let bytes = pack(&head, Stamp { user: user(users), generation: Generation::FIRST });
            file.write_all(&bytes).unwrap();
            (users, length) = (users + 1, bytes.len());
        }
        file.into_inner().unwrap().sync_all().unwrap();
        std::fs::write(folder.join("length"), length.to_string()).unwrap();
    }

    pub(crate) fn open(folder: &Path) -> Self {
        let file = File::open(folder.join("heads")).unwrap();
        let bytes: usize = std::fs::read_to_string(folder.join("length")).unwrap().parse().unwrap();
        let users = u128::from(file.metadata().unwrap().len()) / bytes as u128;
        Self { file, bytes, users }
    }
}

impl HeadSource for HeadFile {
    type Error = io::Error;

    fn generation(&self, user: UserId) -> io::Result<Option<Generation>> {
        Ok((user.get() < self.users).then_some(Generation::FIRST))
    }

    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> io::Result<()> {
        bytes.resize(self.bytes, 0);
        self.file.read_exact_at(bytes, u64::try_from(user.get()).unwrap() * self.bytes as u64)
    }
}

const HEADS: Table = Table::new("heads");
const STORE_KEY: [u8; 32] = [7; 32];
const USERS_A_COMMIT: usize = 1_000;

/// Heads as values of their users.
pub(crate) struct HeadStore(Store);

impl HeadStore {
    pub(crate) fn write(folder: &Path, heads: impl Iterator<Item = Head>) {
        let store = Store::create(folder, &StoreKey::from_bytes(STORE_KEY)).unwrap();
        let mut batches = Vec::new();
        for (number, head) in (0u32..).zip(heads) {
            let user = user(number);
            let bytes = pack(&head, Stamp { user, generation: Generation::FIRST });
            batches.push(Batch::new(&Scope::acting_for(user)).put(HEADS, b"linear", bytes));
            if batches.len() == USERS_A_COMMIT {
                store.commit_many(&batches).unwrap();
                batches.clear();
            }
        }
        store.commit_many(&batches).unwrap();
    }

    pub(crate) fn open(folder: &Path) -> Self {
        Self(Store::open(folder, &StoreKey::from_bytes(STORE_KEY)).unwrap())
    }
}

impl HeadSource for HeadStore {
    type Error = StoreError;

    /// A bench writes each user once: their head is of the data that they have.
    fn generation(&self, user: UserId) -> Result<Option<Generation>, StoreError> {
        Ok(self.0.generation(&Scope::acting_for(user))?.map(|_| Generation::FIRST))
    }

    fn read(&self, user: UserId, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        bytes.extend(self.0.get(&Scope::acting_for(user), HEADS, b"linear")?.unwrap_or_default());
        Ok(())
    }
}

/// Makes the next reads of these files reads of the disk.
pub(crate) fn drop_pages(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
}

/// What this process holds in memory.
pub(crate) fn rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
