//! A folder that holds a model: graph, tokenizer, manifest.

mod description;
mod error;
mod fingerprint;
mod manifest;
mod prior;
mod read;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use description::{Bound, Description, Kind, Measure, Parity, Pooling, Precision};
pub use error::BundleError;
use hydra_types::Fingerprint;
#[cfg(feature = "runtime")]
pub(crate) use manifest::{ATTENTION_MASK, FEATURES, INPUT_IDS, POSITION_IDS, TOKEN_TYPE_IDS};
pub use manifest::{FileEntry, Manifest};
pub use prior::PriorHead;

use crate::check::Model;

/// A model with its tokenizer and what is known about it, in memory, checked.
///
/// Every file was read once, its hash compared with the manifest, its protobuf walked; these bytes, and no file that
/// could have changed since, are what ONNX Runtime gets. Keep a bundle only as long as encoders are being opened from
/// it: it holds the weights, and so does every session.
///
/// # Examples
/// ```no_run
/// # fn main() -> Result<(), hydra_onnx::BundleError> {
/// let bundle = hydra_onnx::Bundle::open("target/hydra/all-minilm-l6-v2".as_ref())?;
/// println!("{} reads at most {} tokens", bundle.manifest().fingerprint(), bundle.manifest().max_tokens());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bundle {
    manifest: Manifest,
    model: Model,
    tokenizer: Arc<[u8]>,
}

impl Bundle {
    /// A new bundle, in memory; [`save`](Self::save) writes it.
    ///
    /// # Errors
    /// [`BundleError::Interface`] if the graph does not take and give what a bundle of this kind does,
    /// [`BundleError::Description`] if the description contradicts itself, [`BundleError::ParityFailed`] if a measure
    /// misses its own bound.
    pub fn new(description: Description, model: Model, tokenizer: impl Into<Arc<[u8]>>) -> Result<Self, BundleError> {
        let tokenizer = tokenizer.into();
        let manifest = Manifest::new(description, &model, &tokenizer)?;
        Ok(Self { manifest, model, tokenizer })
    }

    /// The same model, with the parity that was measured on it.
    ///
    /// # Errors
    /// [`BundleError::ParityFailed`] if a measure misses its bound or is not finite.
    pub fn with_parity(mut self, parity: Parity) -> Result<Self, BundleError> {
        self.manifest = self.manifest.with_parity(parity)?;
        Ok(self)
    }

    /// Reads a bundle and checks all of it.
    ///
    /// Files that the manifest does not name are not looked at. Symbolic links and files with several names (hard
    /// links) are refused: their bytes are not the bundle's own.
    ///
    /// # Errors
    /// [`BundleError`], with the first thing that does not hold.
    pub fn open(dir: &Path) -> Result<Self, BundleError> {
        read::open(dir)
    }

    /// Writes the bundle to `dir`, whole or not at all.
    ///
    /// Everything is written and synced in a new folder beside `dir`, which then takes the name. An older bundle there
    /// is exchanged in one step: whenever the machine stops, `dir` is the old bundle or the new one. Equal bundles are
    /// equal bytes. A crash can leave a folder `.hydra-bundle-…` beside it, which may be deleted.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] if something else lies at `dir`, [`BundleError::CannotReplace`] if the file system
    /// cannot exchange two folders, [`BundleError::Io`].
    pub fn save(&self, dir: &Path) -> Result<(), BundleError> {
        write::save(self, dir)
    }

    /// What is known about the model.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which body this is.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.manifest.fingerprint()
    }

    /// The graph.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The prior head that the graph ends in, as numbers; see [`PriorHead`] for who has one.
    #[must_use]
    pub fn prior_head(&self) -> Option<PriorHead> {
        prior::read(self)
    }

    /// The bytes of `tokenizer.json`.
    #[must_use]
    pub fn tokenizer(&self) -> &[u8] {
        &self.tokenizer
    }

    /// The files besides the manifest, by name.
    fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        [(MODEL_FILE, self.model.graph()), (TOKENIZER_FILE, self.tokenizer())]
            .into_iter()
            .chain(self.model.data().iter().map(|(name, bytes)| (name.as_str(), &bytes[..])))
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("manifest", &self.manifest).field("model", &self.model).finish_non_exhaustive()
    }
}

/// Name of the manifest in the folder.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";
/// Name of the graph in the folder.
pub(crate) const MODEL_FILE: &str = "model.onnx";
/// Name of the tokenizer in the folder.
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
