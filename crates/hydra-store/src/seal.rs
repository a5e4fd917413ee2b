//! Sealing: XChaCha20-Poly1305 under the user's own keys.
//!
//! A sealed value is `nonce (24) | ciphertext | tag (16)`. The associated data are the store, the user and the row, so
//! a value that was moved to another place, another user or another store does not open. A nonce of 24 random bytes
//! never repeats in practice (2^96 values until a collision is likely).

use std::io;

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use hydra_types::UserId;
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 24;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;
/// What sealing adds to a value.
pub(crate) const SEAL_BYTES: usize = NONCE_BYTES + TAG_BYTES;
/// Bytes of one key.
pub(crate) const KEY_BYTES: usize = 32;

/// A random name of a store, in everything that it seals.
pub(crate) type StoreId = [u8; 16];
/// A nonce.
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// Bytes of a key, on the heap: what is moved about is a pointer, so that no copy stays behind. Wiped when dropped.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// One key, ready to seal and open. Made where it is used and never kept. Wiped when dropped.
pub(crate) struct Cipher(XChaCha20Poly1305);

impl Cipher {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(XChaCha20Poly1305::new(<&Key>::try_from(key).expect("a key has 32 bytes")))
    }

    /// `nonce | ciphertext | tag` of `plain`.
    pub(crate) fn seal(&self, nonce: &Nonce, context: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + SEAL_BYTES);
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(plain);
        let tag = self
            .0
            .encrypt_inout_detached(<&XNonce>::from(nonce), context, (&mut sealed[NONCE_BYTES..]).into())
            .expect("shorter than the 256 GiB that one nonce can seal");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// What was sealed, or nothing if one bit of it, or of the context, is another.
    pub(crate) fn open(&self, context: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let tag: [u8; TAG_BYTES] = *sealed.last_chunk()?;
        sealed.truncate(sealed.len() - TAG_BYTES);
        let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_BYTES>()?;
        self.0.decrypt_inout_detached(<&XNonce>::from(&*nonce), context, text.into(), <&Tag>::from(&tag)).ok()?;
        sealed.drain(..NONCE_BYTES);
        Some(sealed)
    }
}

/// The keys of one vault. Wiped when dropped.
pub(crate) struct UserKeys {
    /// The key of the values, then the key of the marks.
    secret: Secret,
    user: UserId,
    store: StoreId,
}

impl UserKeys {
    pub(crate) fn new(store: StoreId, user: UserId, secret: Secret) -> Self {
        assert_eq!(secret.len(), 2 * KEY_BYTES, "two keys");
        Self { secret, user, store }
    }

    pub(crate) fn random(store: StoreId, user: UserId) -> io::Result<Self> {
        let mut secret = Zeroizing::new(vec![0; 2 * KEY_BYTES]);
        fill_random(&mut secret)?;
        Ok(Self::new(store, user, secret))
    }

    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }

    pub(crate) fn seal(&self, nonce: &Nonce, row: &[u8], plain: &[u8]) -> Vec<u8> {
        Cipher::new(&self.secret[..KEY_BYTES]).seal(nonce, &self.context(row), plain)
    }

    pub(crate) fn open(&self, row: &[u8], sealed: Vec<u8>) -> Option<Vec<u8>> {
        Cipher::new(&self.secret[..KEY_BYTES]).open(&self.context(row), sealed)
    }

    /// The mark that a sealed value leaves in the ledger: a keyed function of its nonce and tag, and by the tag of all
    /// that it seals.
    ///
    /// It has a key of its own: under the key of the values, the same nonce would authenticate two messages.
    pub(crate) fn mark(&self, sealed: &[u8]) -> Option<u128> {
        let nonce: &Nonce = sealed.first_chunk()?;
        let tag: &[u8; TAG_BYTES] = sealed.get(NONCE_BYTES..)?.last_chunk()?;
        let mark = Cipher::new(&self.secret[KEY_BYTES..])
            .0
            .encrypt_inout_detached(<&XNonce>::from(nonce), tag, (&mut [][..]).into())
            .expect("an empty text is short enough");
        Some(u128::from_le_bytes(mark.into()))
    }

    fn context(&self, row: &[u8]) -> Vec<u8> {
        [VALUE_CONTEXT, &self.store, &self.user.get().to_be_bytes(), row].concat()
    }
}

/// Random nonces, drawn in one call because each call is a system call.
pub(crate) fn nonces(count: usize) -> io::Result<Vec<Nonce>> {
    let mut nonces = vec![[0; NONCE_BYTES]; count];
    fill_random(nonces.as_flattened_mut())?;
    Ok(nonces)
}

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

const VALUE_CONTEXT: &[u8] = b"hydra-store value 1";

#[cfg(test)]
mod tests;
