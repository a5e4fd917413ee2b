//! The marks around quoted text.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The secret that fences are made from. Not shown, not serialised.
///
/// Take 32 random bytes once a deployment. With another key the same records give another prompt, and cached and
/// recorded answers are no longer found.
#[derive(Clone)]
pub struct FenceKey(Zeroizing<[u8; 32]>);

impl FenceKey {
    /// The key with these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fence whose number depends on the key and on all of `texts`, and occurs in none of them.
    pub(super) fn fence<'a>(&self, texts: &(impl Iterator<Item = &'a str> + Clone)) -> Fence {
        let mut hash = Sha256::new_with_prefix(b"hydra-llm fence");
        hash.update(self.0.as_slice());
        for text in texts.clone() {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        (0u64..)
            .map(|attempt| {
                let digest: [u8; 32] = hash.clone().chain_update(attempt.to_le_bytes()).finalize().into();
                Fence(u64::from_le_bytes(*digest.first_chunk().expect("a digest has 32 bytes")))
            })
            .find(|fence| {
                let number = fence.to_string();
                texts.clone().all(|text| !text.contains(&number))
            })
            .expect("no text holds all numbers")
    }
}

/// The number in a pair of marks. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fence(u64);

impl Fence {
    /// The mark before quoted text.
    pub(super) fn open(self) -> String {
        format!("<data-{self}>")
    }

    /// The mark behind quoted text.
    pub(super) fn close(self) -> String {
        format!("</data-{self}>")
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_depends_on_the_key_and_on_every_text() {
        let key = FenceKey::new([1; 32]);
        let fence = |key: &FenceKey, texts: &[&str]| key.fence(&texts.iter().copied());
        let one = fence(&key, &["a", "b"]);
        assert_eq!(one, fence(&key, &["a", "b"]));
        assert_ne!(one, fence(&key, &["ab", ""]));
        assert_ne!(one, fence(&key, &["a", "c"]));
        assert_ne!(one, fence(&FenceKey::new([2; 32]), &["a", "b"]));
    }
}
