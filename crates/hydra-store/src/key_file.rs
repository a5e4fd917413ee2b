//! The key file: a header, then one slot of 128 bytes for each user, overwritten in place.
//!
//! A slot is written by one write that does not straddle a sector. Should a write be torn all the same, the first byte
//! is the state: of an erased slot any torn part already says erased, and of a new slot that is torn no row speaks,
//! because rows are committed after their key is synced.

use std::io;
use std::path::{Path, PathBuf};

use hydra_types::UserId;
use redb::StorageBackend;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::disk::DiskFile;
use crate::seal::{self, Cipher, KEY_BYTES, Nonce, SEAL_BYTES, Secret, StoreId, UserKeys};
use crate::{OpenError, StoreKey};

/// The place of one user's data, from the first write to being forgotten.
///
/// A user who comes back after being forgotten gets another one, so who keeps anything of a user in memory sees by the
/// [`Store::vault`](crate::Store::vault) whether it may still be shown. It says nothing about the user and means nothing
/// to another store, or after this one was opened again.
// A key slot, and how often that slot was taken. A slot is taken again by another user later; the rows of a vault are
// named by both numbers, so that no row is ever taken for one of the next user of the slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Vault {
    pub(crate) slot: u32,
    pub(crate) incarnation: u32,
}

/// What a slot holds.
pub(crate) enum SlotState {
    /// Never used.
    Free,
    /// The key of a user.
    Active(Vault, UserKeys),
    /// The key that was here is gone.
    Erased {
        /// How often the slot was taken until then.
        incarnation: u32,
        /// Whether the rest is zero; if not, an erasure was torn.
        clean: bool,
    },
    /// Neither: a torn first write, or damage.
    Damaged,
}

/// An open key file. Slots are read by many and written by one.
pub(crate) struct KeyFile {
    file: DiskFile,
    path: PathBuf,
    store: StoreId,
    key: Secret,
}

impl KeyFile {
    /// Writes the header of a new store.
    pub(crate) fn create(file: DiskFile, path: &Path, store: StoreId, key: &StoreKey) -> Result<Self, OpenError> {
        let nonce = seal::nonces(1).map_err(OpenError::Random)?[0];
        let header = header(key, &nonce, &store);
        let written = file.write(0, &header).and_then(|()| file.sync_data());
        written.map_err(|source| io_error(source, path))?;
        Ok(Self { file, path: path.into(), store, key: key.secret().clone() })
    }

    /// Reads the header.
    pub(crate) fn open(file: DiskFile, path: &Path, key: &StoreKey) -> Result<Self, OpenError> {
        let len = file.len().map_err(|source| io_error(source, path))?;
        let mut header = [0; SLOT_BYTES];
        let header_len = usize::try_from(len).unwrap_or(usize::MAX).min(SLOT_BYTES);
        file.read(0, &mut header[..header_len]).map_err(|source| io_error(source, path))?;
        let path_buf = || path.to_path_buf();
        if !MAGIC.starts_with(&header[..header_len.min(MAGIC.len())]) {
            return Err(OpenError::NotAStore { path: path_buf() });
        }
        if header_len < SLOT_BYTES {
            return Err(OpenError::Truncated { path: path_buf() });
        }
        // Every version keeps the place of the checksum, so that damage is not taken for a newer version.
        if Sha256::digest(&header[..CHECKED_BYTES])[..] != header[CHECKED_BYTES..] {
            return Err(OpenError::Damaged { path: path_buf() });
        }
        let found = u32::from_le_bytes(*header[8..].first_chunk().expect("a header is longer"));
        if found != VERSION {
            return Err(OpenError::NewerFormat { found, supported: VERSION, path: path_buf() });
        }
        let store: StoreId = *header[12..].first_chunk().expect("a header is longer");
        let proof = header[28..28 + SEAL_BYTES].to_vec();
        let opened = Cipher::new(key.secret()).open(&[HEADER_CONTEXT, &store].concat(), proof);
        if opened.is_none() {
            return Err(OpenError::WrongKey { path: path_buf() });
        }
        Ok(Self { file, path: path.into(), store, key: key.secret().clone() })
    }

    pub(crate) fn store(&self) -> StoreId {
        self.store
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many whole slots the file has. A rest behind them is a torn first write.
    pub(crate) fn slots(&self) -> io::Result<u32> {
        let slots = (self.file.len()? / SLOT_BYTES as u64).saturating_sub(1);
        Ok(u32::try_from(slots).unwrap_or(u32::MAX))
    }

    pub(crate) fn read(&self, slot: u32) -> io::Result<SlotState> {
        let mut bytes = [0; SLOT_BYTES];
        self.file.read(offset(slot), &mut bytes)?;
        Ok(self.parse(slot, &bytes))
    }

    /// Calls `each` for every slot in order, reading many at a time.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u32, SlotState, &SlotBytes)) -> io::Result<()> {
        let slots = self.slots()?;
        let mut buffer = vec![0; SLOTS_A_READ as usize * SLOT_BYTES];
        let mut first = 0;
        while first < slots {
            let count = SLOTS_A_READ.min(slots - first);
            let bytes = &mut buffer[..count as usize * SLOT_BYTES];
            self.file.read(offset(first), bytes)?;
            for (slot, bytes) in (first..).zip(bytes.as_chunks::<SLOT_BYTES>().0) {
                each(slot, self.parse(slot, bytes), bytes);
            }
            first += count;
        }
        Ok(())
    }

    /// Puts the keys of new users into their slots; durable when it returns.
    pub(crate) fn write(&self, new: &[(Vault, &UserKeys)]) -> io::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        for ((vault, keys), nonce) in new.iter().zip(seal::nonces(new.len())?) {
            let mut plain = Zeroizing::new([0; PLAIN_BYTES]);
            plain[..16].copy_from_slice(&keys.user().get().to_be_bytes());
            plain[16..].copy_from_slice(keys.secret());
            let mut bytes = [0; SLOT_BYTES];
            bytes[0] = ACTIVE;
            bytes[4..8].copy_from_slice(&vault.incarnation.to_le_bytes());
            let context = self.slot_context(vault.slot, &bytes);
            bytes[8..].copy_from_slice(&self.cipher().seal(&nonce, &context, &*plain));
            self.file.write(offset(vault.slot), &bytes)?;
        }
        self.file.sync_data()
    }

    /// Overwrites the key of a vault; durable when it returns.
    pub(crate) fn erase(&self, vault: Vault) -> io::Result<()> {
        self.file.write(offset(vault.slot), &erased(vault.incarnation))?;
        self.file.sync_data()
    }

    /// Begins a copy of this file.
    pub(crate) fn copy_header(&self, to: &DiskFile) -> io::Result<()> {
        let mut header = [0; SLOT_BYTES];
        self.file.read(0, &mut header)?;
        to.write(0, &header)
    }

    /// Puts a slot, as it is on disk, into a copy of this file.
    pub(crate) fn write_slot_to(&self, to: &DiskFile, slot: u32, bytes: &SlotBytes) -> io::Result<()> {
        to.write(offset(slot), bytes)
    }

    fn parse(&self, slot: u32, bytes: &SlotBytes) -> SlotState {
        let incarnation = u32::from_le_bytes(*bytes[4..].first_chunk().expect("a slot is longer"));
        match bytes[0] {
            FREE => SlotState::Free,
            ERASED => SlotState::Erased { incarnation, clean: *bytes == erased(incarnation) },
            ACTIVE => {
                let sealed = bytes[8..].to_vec();
                match self.cipher().open(&self.slot_context(slot, bytes), sealed) {
                    Some(plain) => {
                        let plain = Zeroizing::new(plain);
                        let (user, secret) = plain.split_at(16);
                        let user = UserId::new(u128::from_be_bytes(user.try_into().expect("16 bytes")));
                        let keys = UserKeys::new(self.store, user, Zeroizing::new(secret.to_vec()));
                        SlotState::Active(Vault { slot, incarnation }, keys)
                    }
                    None => SlotState::Damaged,
                }
            }
            _ => SlotState::Damaged,
        }
    }

    fn cipher(&self) -> Cipher {
        Cipher::new(&self.key)
    }

    /// Binds a sealed key to its store, its slot and all that stands before it.
    fn slot_context(&self, slot: u32, bytes: &SlotBytes) -> Vec<u8> {
        [SLOT_CONTEXT, &self.store, &slot.to_be_bytes(), &bytes[..8]].concat()
    }
}

/// One slot as it is on disk.
pub(crate) type SlotBytes = [u8; SLOT_BYTES];

/// A slot whose key is gone.
pub(crate) fn erased(incarnation: u32) -> SlotBytes {
    let mut bytes = [0; SLOT_BYTES];
    bytes[0] = ERASED;
    bytes[4..8].copy_from_slice(&incarnation.to_le_bytes());
    bytes
}

fn header(key: &StoreKey, nonce: &Nonce, store: &StoreId) -> SlotBytes {
    let mut header = [0; SLOT_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..28].copy_from_slice(store);
    let proof = Cipher::new(key.secret()).seal(nonce, &[HEADER_CONTEXT, store].concat(), &[]);
    header[28..28 + SEAL_BYTES].copy_from_slice(&proof);
    let check = Sha256::digest(&header[..CHECKED_BYTES]);
    header[CHECKED_BYTES..].copy_from_slice(&check);
    header
}

fn offset(slot: u32) -> u64 {
    (u64::from(slot) + 1) * SLOT_BYTES as u64
}

fn io_error(source: io::Error, path: &Path) -> OpenError {
    OpenError::Io { source, path: path.into() }
}

const MAGIC: &[u8; 8] = b"HYDRAKEY";
const VERSION: u32 = 1;
const HEADER_CONTEXT: &[u8] = b"hydra-store header 1";
const SLOT_CONTEXT: &[u8] = b"hydra-store slot 1";
/// State, three zeros, incarnation (4), nonce (24), sealed user and keys (80), tag (16). The header is as long.
const SLOT_BYTES: usize = 128;
/// The user, the key of the values, the key of the marks.
const PLAIN_BYTES: usize = 16 + 2 * KEY_BYTES;
/// What the checksum at the end of the header covers.
const CHECKED_BYTES: usize = SLOT_BYTES - 32;
const SLOTS_A_READ: u32 = 512;
// Any two of these differ in four bits or more: no flipped bit makes a key an erased one.
const FREE: u8 = 0x00;
const ACTIVE: u8 = 0x5a;
const ERASED: u8 = 0xa5;
