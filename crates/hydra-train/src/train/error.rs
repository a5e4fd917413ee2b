//! What cannot be trained.

use super::device::DeviceError;
use crate::model::TokensError;

/// Why a model cannot be trained on some rows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// There is no row.
    #[error("no row to learn from")]
    NoRows,
    /// The model has no logits, or not as many as the loss needs.
    #[error("the model has {got} logits a row, the loss needs {expected}: see Model::with_classifier")]
    Classes {
        /// What the loss takes.
        expected: &'static str,
        /// What the model has.
        got: usize,
    },
    /// A row does not fit the model.
    #[error("row {row} does not fit the model")]
    Row {
        /// Which row, counted in order of group.
        row: usize,
        /// Why.
        source: TokensError,
    },
    /// More layers are to stay as they are than the model has.
    #[error("{asked} layers are to be frozen, the model has {has}: freeze fewer")]
    FrozenLayers {
        /// What the options say.
        asked: usize,
        /// What the model has.
        has: usize,
    },
    /// The device cannot be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A label does not fit the loss.
    #[error("a label at row {row} cannot be learned from: {reason}")]
    Label {
        /// The first row of the group, counted in order of group.
        row: usize,
        /// What the loss asks for.
        reason: &'static str,
    },
    /// Loss or gradient are not finite.
    #[error("the loss or a gradient of step {step} is not finite: lower the learning rate, or clip the gradient")]
    Diverged {
        /// The step.
        step: u64,
    },
}
