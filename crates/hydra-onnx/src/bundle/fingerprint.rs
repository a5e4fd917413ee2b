//! The one place that says which body a bundle is.

use std::collections::BTreeMap;

use hydra_types::Fingerprint;
use sha2::{Digest, Sha256};

use super::description::Description;
use super::manifest::FileEntry;
use super::{MODEL_FILE, TOKENIZER_FILE};

/// Hashes everything that features depend on, and nothing else.
///
/// SHA-256 over these fields, each as its length in eight little-endian bytes and then its bytes:
///
/// 1. `hydra-onnx body fingerprint, version 1`
/// 2. the kind, as the manifest writes it
/// 3. the SHA-256 of `model.onnx`
/// 4. for each other file of the model, in order of its name: the name, its SHA-256
/// 5. the SHA-256 of `tokenizer.json`
/// 6. the pooling, as the manifest writes it
/// 7. `normalized` or `as is`
/// 8. the greatest number of tokens, in eight little-endian bytes
///
/// Parity is not part of it: measuring a body again does not make it another body. Precision is not named because the
/// graph says it. Lengths make the encoding injective, the first field keeps it apart from other hashes.
pub(super) fn of(description: &Description, files: &BTreeMap<String, FileEntry>) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let sha256 = |name: &str| files.get(name).map_or([0; 32], |file| *file.sha256.as_bytes());
    field(b"hydra-onnx body fingerprint, version 1");
    field(description.kind.name().as_bytes());
    field(&sha256(MODEL_FILE));
    for (name, file) in files {
        if name != MODEL_FILE && name != TOKENIZER_FILE {
            field(name.as_bytes());
            field(file.sha256.as_bytes());
        }
    }
    field(&sha256(TOKENIZER_FILE));
    field(description.pooling.name().as_bytes());
    field(if description.normalize { b"normalized" } else { b"as is" });
    field(&(description.max_tokens as u64).to_le_bytes());
    Fingerprint::new(hash.finalize().into())
}

/// SHA-256 of a file's bytes.
pub(super) fn sha256(bytes: &[u8]) -> Fingerprint {
    Fingerprint::new(Sha256::digest(bytes).into())
}
