//! The forward pass as the papers write it: the judge of exported graphs.
//!
//! Plain `ndarray` in `f64`, one row of the batch at a time, sharing nothing with what builds graphs but the reader of
//! the weights. Against the rounding of `f32` it is exact, so what the gate measures is the graph's error alone. It is
//! itself held to outputs of PyTorch for every family.

mod classifier;
mod embedding;
mod layer;
mod relative;

use std::collections::BTreeMap;

use hydra_types::ndarray::{Array2, ArrayD, Axis, stack};
use rayon::prelude::*;

use crate::folder::{Folder, FolderError, Module, Part, Task};
use crate::tokens::{Tokens, TokensError};
use classifier::Classifier;
use embedding::Embedding;
use layer::Layer;
use relative::RelativePositions;

/// Why the reference could not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// A weight could not be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The tokens do not fit the model.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

/// What the model makes of each batch.
///
/// # Shapes
/// - returns: for each batch `[batch, seq, hidden]`, or `[batch, classes]` of a classifier. Vectors at padding are
///   computed like any other and mean nothing.
///
/// # Errors
/// When a weight cannot be read, an id has no row in its table, or a sequence is longer than the table of positions.
///
/// # Panics
/// Never.
pub fn forward(folder: &Folder, batches: &[Tokens]) -> Result<Vec<ArrayD<f64>>, ReferenceError> {
    let output = match folder.task() {
        Task::Encode => "last_hidden_state",
        Task::Classify { .. } => "logits",
    };
    let own = |mut outputs: Outputs| outputs.remove(output).expect("every model has its own output");
    Ok(outputs(folder, batches)?.into_iter().map(own).collect())
}

/// What a graph gives for one batch, by the name of the output.
pub(crate) type Outputs = BTreeMap<&'static str, ArrayD<f64>>;

/// Everything that a graph of the model gives for each batch: as [`forward`], and of a classifier the `features`,
/// `[batch, hidden]`, that it reads.
///
/// Layers are read one after the other and applied to all batches, so memory holds one layer, not the model.
///
/// # Source
/// Vaswani et al. 2017 (arXiv:1706.03762) for the layer, Devlin et al. 2018 (arXiv:1810.04805) for the encoder around
/// it; what the other families change is said where it is done.
pub(crate) fn outputs(folder: &Folder, batches: &[Tokens]) -> Result<Vec<Outputs>, ReferenceError> {
    let mut rows: Vec<Row> = Vec::new();
    {
        let embedding = Embedding::read(folder)?;
        for tokens in batches {
            embedding.embed(tokens, &mut rows)?;
        }
    }
    let relative = RelativePositions::read(folder)?;
    for layer in 0..folder.config().n_layers {
        let layer = Layer::read(folder, layer)?;
        rows.par_iter_mut().for_each(|row| layer.apply(row, relative.as_ref()));
    }
    let classifier = match folder.task() {
        Task::Encode => None,
        Task::Classify { .. } => Some(Classifier::read(folder)?),
    };
    let mut rows = rows.into_iter();
    Ok(batches
        .iter()
        .map(|tokens| {
            let rows: Vec<Row> = rows.by_ref().take(tokens.ids().nrows()).collect();
            match &classifier {
                None => [("last_hidden_state", stacked(rows.iter().map(|row| row.hidden.view().into_dyn())))].into(),
                Some(classifier) => {
                    let logits: Vec<_> = rows.iter().map(|row| classifier.logits(&row.hidden.row(0))).collect();
                    let logits = stacked(logits.iter().map(|logits| logits.view().into_dyn()));
                    let features = stacked(rows.iter().map(|row| row.hidden.row(0).into_dyn()));
                    [("logits", logits), ("features", features)].into()
                }
            }
        })
        .collect())
}

/// One row of a batch on its way through the layers.
struct Row {
    /// `[seq, hidden]`
    hidden: Array2<f64>,
    /// Whether each place holds a token.
    mask: Vec<bool>,
}

fn stacked<'a>(rows: impl Iterator<Item = hydra_types::ndarray::ArrayViewD<'a, f64>>) -> ArrayD<f64> {
    let rows: Vec<_> = rows.collect();
    stack(Axis(0), &rows).expect("rows of one batch have one shape")
}

/// A weight matrix or table, `[rows, columns]`.
fn matrix(folder: &Folder, module: Module, rows: usize, columns: usize) -> Result<Array2<f64>, FolderError> {
    let numbers = folder.read(module, Part::Weight)?.into_iter().map(f64::from).collect();
    Ok(Array2::from_shape_vec((rows, columns), numbers).expect("the folder holds tensors of the configured shapes"))
}

/// A bias, gain or shift.
fn vector(folder: &Folder, module: Module, part: Part) -> Result<hydra_types::ndarray::Array1<f64>, FolderError> {
    Ok(folder.read(module, part)?.into_iter().map(f64::from).collect())
}
