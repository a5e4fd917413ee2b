//! Folder in, bundle out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use hydra_graph::{
    ActivationScale, ExternalData, HalfPrecision, Model, PassError, Quantization, SaveError, Smoothing, WeightRange,
};
use hydra_onnx::{Bundle, BundleError, CheckError, Description, Kind, Manifest, Parity, Pooling};

use crate::calibration;
use crate::folder::{Folder, PoolingKind, Task};
use crate::gate::{self, GateError};
use crate::graph::{self, BuildError, is_in_layer, is_in_prior};

/// The numbers that an exported graph computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    Fp32,
    /// 16-bit floats inside, 32-bit at the edges: half the size, and slower than `Fp32` on a CPU.
    Fp16,
    /// 8-bit weights and products; all rows of a batch share the scale of their activations, which ONNX Runtime fuses:
    /// the fastest, but a row's features depend a little on the batch it is in.
    Int8,
    /// 8-bit weights and products, a scale for each token: a row's features depend on nothing but the row.
    Int8PerRow,
}

impl Precision {
    /// All of them, by the names that the command line uses.
    pub const ALL: [(&str, Self); 4] =
        [("fp32", Self::Fp32), ("fp16", Self::Fp16), ("int8", Self::Int8), ("int8-per-row", Self::Int8PerRow)];

    fn in_manifest(self) -> hydra_onnx::Precision {
        match self {
            Self::Fp32 => hydra_onnx::Precision::Fp32,
            Self::Fp16 => hydra_onnx::Precision::Fp16,
            Self::Int8 => hydra_onnx::Precision::Int8PerTensor,
            Self::Int8PerRow => hydra_onnx::Precision::Int8PerRow,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = Self::ALL.iter().find(|(_, precision)| precision == self).expect("all are listed");
        f.pad(name)
    }
}

impl FromStr for Precision {
    type Err = ParsePrecisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find_map(|(name, precision)| (*name == text).then_some(*precision)).ok_or(ParsePrecisionError)
    }
}

/// A text that is not a [`Precision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a precision: use fp32, fp16, int8 or int8-per-row")]
pub struct ParsePrecisionError;

/// Where the weights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Weights {
    /// Into the model file below 1 GiB, beside it from there on: a model file ends at 2 GiB.
    #[default]
    BySize,
    /// Beside the model file, in `model.onnx.data`.
    External,
}

/// How to export. [`ExportOptions::default`] is the place where the defaults live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    precision: Precision,
    opset: u32,
    weights: Weights,
}

impl Default for ExportOptions {
    /// Opset 17 is the first with `LayerNormalization`, and everything reads it.
    fn default() -> Self {
        Self { precision: Precision::Fp32, opset: 17, weights: Weights::BySize }
    }
}

impl ExportOptions {
    /// The numbers that the graph computes with; `fp32` by default.
    #[must_use]
    pub const fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Version of the operators, 17 to 21; 17 by default.
    #[must_use]
    pub const fn opset(mut self, opset: u32) -> Self {
        self.opset = opset;
        self
    }

    /// Where the weights go; by size by default.
    #[must_use]
    pub const fn weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }
}

/// What an export is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Weights become a graph.
    Building,
    /// The `f32` graph and the reference run on the same batches.
    Comparing,
    /// The graph is rewritten to fewer bits.
    Reducing,
    /// The graph in fewer bits and the `f32` one encode the same sentences.
    Judging,
    /// Files are written and synced.
    Writing,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Building => "building the graph",
            Self::Comparing => "comparing it with the reference",
            Self::Reducing => "rewriting it to fewer bits",
            Self::Judging => "comparing sentences with fp32",
            Self::Writing => "writing the bundle",
        })
    }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The graph could not be built.
    #[error("cannot build the graph")]
    Build(#[from] BuildError),
    /// The graph could not be rewritten to fewer bits.
    #[error("cannot rewrite the graph to fewer bits")]
    Pass(#[from] PassError),
    /// The graph could not be turned into bytes.
    #[error("cannot serialise the graph")]
    Save(#[from] SaveError),
    /// The graph does not pass the check of those who will run it.
    #[error("the graph would be refused by those who run it")]
    Check(#[from] CheckError),
    /// The bundle contradicts itself, or could not be written.
    #[error("cannot make the bundle")]
    Bundle(#[from] BundleError),
    /// The graph does not compute what the model computes.
    #[error("the gate is closed")]
    Gate(#[from] GateError),
    /// A temporary file could not be used.
    #[error("cannot use a temporary file for weights beside the graph")]
    Temporary(#[source] io::Error),
    /// A bundle is not what an export of the folder gives.
    #[error("{file} is not what exporting the folder gives: export it again: {}", bundle.display())]
    Differs {
        /// The first file that differs, is missing or is too much.
        file: String,
        /// The bundle.
        bundle: PathBuf,
    },
}

/// Exports a folder: builds the graph, passes it through the gate, and writes the bundle to `out`, whole or not at all.
/// Exporting again gives the same bytes.
///
/// # Errors
/// [`ExportError`]; nothing is written then, and an older bundle at `out` stays as it is.
pub fn export(
    folder: &Folder,
    options: &ExportOptions,
    out: &Path,
    mut on_stage: impl FnMut(Stage),
) -> Result<Manifest, ExportError> {
    on_stage(Stage::Building);
    let model = graph::build(folder, options.opset)?;
    export_model(folder, model, options, out, on_stage)
}

/// Exports a graph that claims to compute a folder's model: [`build`](crate::build)'s, or one that was changed since, by
/// a pass of the caller's for instance. The gate decides.
///
/// `model` is in `f32`, with the inputs, outputs and node names that `build` gives; the precision is applied to it here,
/// and its opset stays what it is.
///
/// # Errors
/// [`ExportError`]; nothing is written then, and an older bundle at `out` stays as it is.
pub fn export_model(
    folder: &Folder,
    model: Model<'_>,
    options: &ExportOptions,
    out: &Path,
    mut on_stage: impl FnMut(Stage),
) -> Result<Manifest, ExportError> {
    on_stage(Stage::Comparing);
    let full = bundle(folder, &model, Precision::Fp32, options.weights)?;
    let mut measures = gate::parity(folder, &full)?;
    let judged = if options.precision == Precision::Fp32 {
        full
    } else {
        on_stage(Stage::Reducing);
        let model = reduced(folder, model, options.precision)?;
        let reduced = bundle(folder, &model, options.precision, options.weights)?;
        on_stage(Stage::Judging);
        // What holds of the f32 graph is not said of this one.
        measures = gate::agreement(&full, &reduced)?;
        reduced
    };
    let parity = Parity {
        reference: match options.precision {
            Precision::Fp32 => "forward pass of the papers in f64".to_owned(),
            _ => "the fp32 graph, itself within 1e-5 of the forward pass of the papers in f64".to_owned(),
        },
        cases: gate::cases(options.precision != Precision::Fp32),
        measures,
    };
    let judged = judged.with_parity(parity)?;
    on_stage(Stage::Writing);
    judged.save(out)?;
    Ok(judged.manifest().clone())
}

/// Exports a folder to a temporary place and compares every byte with the bundle at `existing`.
///
/// # Errors
/// [`ExportError::Differs`] for the first file that is not the same; else as [`export`].
pub fn check(
    folder: &Folder,
    options: &ExportOptions,
    existing: &Path,
    on_stage: impl FnMut(Stage),
) -> Result<Manifest, ExportError> {
    let temporary = tempfile::tempdir().map_err(ExportError::Temporary)?;
    let fresh = temporary.path().join("bundle");
    let manifest = export(folder, options, &fresh, on_stage)?;
    let names = |folder: &Path| -> BTreeMap<String, PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect()
    };
    let (fresh, found) = (names(&fresh), names(existing));
    for file in fresh.keys().chain(found.keys()) {
        let bytes = |files: &BTreeMap<String, PathBuf>| files.get(file).and_then(|path| fs::read(path).ok());
        if bytes(&fresh).is_none() || bytes(&fresh) != bytes(&found) {
            return Err(ExportError::Differs { file: file.clone(), bundle: existing.to_owned() });
        }
    }
    Ok(manifest)
}

/// The graph as a bundle in memory, not judged yet.
fn bundle(folder: &Folder, model: &Model<'_>, precision: Precision, weights: Weights) -> Result<Bundle, ExportError> {
    let pooling = folder.pooling();
    let (kind, pooling, normalize) = match (folder.task(), pooling.kind) {
        (Task::Classify { .. }, _) => (Kind::CrossEncoder, Pooling::None, false),
        (Task::Encode, PoolingKind::Mean) => (Kind::Encoder, Pooling::Mean, pooling.l2),
        (Task::Encode, PoolingKind::Cls) => (Kind::Encoder, Pooling::Cls, pooling.l2),
    };
    let description = Description {
        kind,
        precision: precision.in_manifest(),
        pooling,
        normalize,
        max_tokens: folder.max_tokens(),
        parity: None,
    };
    Ok(Bundle::new(description, runnable(model, weights)?, folder.tokenizer())?)
}

/// The graph as ONNX Runtime takes it: in one piece, or with its weights beside it.
pub(crate) fn runnable(model: &Model<'_>, weights: Weights) -> Result<hydra_onnx::Model, ExportError> {
    if weights == Weights::BySize && model.initializer_bytes() < EXTERNAL_FROM {
        return Ok(hydra_onnx::Model::new(model.to_bytes()?)?);
    }
    let temporary = tempfile::tempdir().map_err(ExportError::Temporary)?;
    let path = temporary.path().join("model.onnx");
    let data = model.save_external(&path, ExternalData::default())?;
    let read = |path: &Path| fs::read(path).map(Arc::<[u8]>::from).map_err(ExportError::Temporary);
    let name = data.file_name().expect("it was just written").to_string_lossy().into_owned();
    Ok(hydra_onnx::Model::with_data(read(&path)?, [(name, read(&data)?)].into())?)
}

fn reduced<'a>(folder: &Folder, model: Model<'a>, precision: Precision) -> Result<Model<'a>, ExportError> {
    let activations = match precision {
        Precision::Fp32 => return Ok(model),
        Precision::Fp16 => return Ok(HalfPrecision.apply(model, is_in_prior)?),
        Precision::Int8 => ActivationScale::PerTensor,
        Precision::Int8PerRow => ActivationScale::PerRow,
    };
    let smoothing = Smoothing::new(calibration::ranges(folder, &model)?)?;
    // Seven bits, so that the bundle means the same on every processor: with eight, one without VNNI saturates, and whoever
    // exported on one that has it would pass the gate and hand out something else.
    let quantization = Quantization { activations, weights: WeightRange::Reduced };
    let (model, _) = quantization.apply_smoothed(model, &smoothing, is_in_layer)?;
    Ok(model)
}

/// Weights of this many bytes no longer go into the model file.
const EXTERNAL_FROM: u64 = 1 << 30;
