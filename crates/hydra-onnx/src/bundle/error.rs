//! Why a bundle is refused.

use std::path::PathBuf;

use hydra_types::Fingerprint;

use crate::check::CheckError;

/// Why a bundle cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The file system refused.
    #[error("cannot {doing}: {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no manifest: this is no bundle.
    #[error("no bundle here: write one with `cargo xtask export-onnx --out DIR`: {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The manifest is longer than a manifest can be.
    #[error("the manifest has more than {limit} bytes; export the bundle again")]
    ManifestTooLong {
        /// How many are read.
        limit: u64,
    },
    /// The bundle was written by another version of this crate.
    #[error("the bundle has format {found}, and {supported} is read; export it again with this version")]
    Format {
        /// In the manifest.
        found: u64,
        /// Read by this version.
        supported: u64,
    },
    /// The manifest is not what this format describes.
    #[error("the manifest cannot be read; export the bundle again")]
    Manifest {
        /// Where and why.
        source: serde_json::Error,
    },
    /// The manifest is not the one that was written.
    #[error("the manifest does not have its own checksum: it was damaged or edited; export the bundle again")]
    Checksum,
    /// The fingerprint is not that of the files.
    #[error("the manifest says fingerprint {stated}, its files make {computed}; export the bundle again")]
    Fingerprint {
        /// In the manifest.
        stated: Fingerprint,
        /// Of the files.
        computed: Fingerprint,
    },
    /// A file name that could leave the folder or that bundles do not use.
    #[error("the manifest names a file `{name}`; names are letters, digits, `.`, `-` and `_`")]
    FileName {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// A file that a bundle must have.
    #[error("the bundle has no {name}; export it again")]
    MissingFile {
        /// Its name.
        name: String,
    },
    /// A link, a folder, a device: not the bundle's own bytes.
    #[error("{why}; copy the file itself: {}", path.display())]
    NotOwnFile {
        /// What it is.
        why: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// More bytes than are read.
    #[error("{name} has {found} bytes, and at most {limit} are read")]
    FileTooLong {
        /// Which file.
        name: String,
        /// Its length.
        found: u64,
        /// How many are read.
        limit: u64,
    },
    /// Not as long as the manifest says.
    #[error("{name} has {found} bytes, the manifest says {expected}; export the bundle again")]
    Length {
        /// Which file.
        name: String,
        /// In the manifest.
        expected: u64,
        /// Of the file.
        found: u64,
    },
    /// Not the bytes that the manifest describes.
    #[error("{name} is not the file that the manifest describes (sha-256 differs); export the bundle again")]
    Hash {
        /// Which file.
        name: String,
    },
    /// The graph would not be safe to run.
    #[error("model.onnx is refused")]
    Check {
        /// Why.
        #[from]
        source: CheckError,
    },
    /// The graph does not take or give what the manifest, or a bundle of this kind, does.
    #[error("the graph's {what} are not those of this bundle: expected {expected}, found {found}")]
    Interface {
        /// Inputs, outputs or opset.
        what: &'static str,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A description that contradicts itself.
    #[error("{what}")]
    Description {
        /// What is wrong, and how to fix it.
        what: &'static str,
    },
    /// A parity measure misses its bound.
    #[error("the measure `{name}` is {value}, which misses its own bound: {bound}")]
    ParityFailed {
        /// Which measure.
        name: String,
        /// What was measured.
        value: f64,
        /// What was allowed.
        bound: String,
    },
    /// Something else lies where the bundle should go.
    #[error("will not overwrite what is not a bundle ({why}); choose another folder: {}", path.display())]
    NotABundle {
        /// What it is.
        why: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The file system cannot exchange two folders in one step.
    #[error("the file system cannot replace a bundle in one step; delete the old one first: {}", path.display())]
    CannotReplace {
        /// The old bundle.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
