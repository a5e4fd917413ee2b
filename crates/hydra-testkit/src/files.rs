//! Where files lie.

use std::path::{Path, PathBuf};

/// The root of the checkout.
///
/// # Panics
/// Never in a checkout of this workspace.
#[must_use]
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies in crates/hydra-testkit")
}

/// A committed file or folder under `fixtures/`.
///
/// # Panics
/// If it does not exist.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    let path = workspace_root().join("fixtures").join(name);
    assert!(path.exists(), "no fixture {name}: see fixtures/README.md");
    path
}

/// A file or folder that `cargo xtask setup` puts under `.hydra/`: `encoder`, `onnxruntime/libonnxruntime.so`.
///
/// # Panics
/// If it is not there yet.
#[must_use]
pub fn fetched(name: &str) -> PathBuf {
    let path = workspace_root().join(".hydra").join(name);
    assert!(path.exists(), "{name} has not been fetched: run `cargo xtask setup`");
    path
}
