//! Why a session cannot be opened or run.

use crate::device::CudaError;
use crate::runtime::RuntimeError;

/// Why a session cannot be opened or run. Never holds what was run on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no ONNX Runtime.
    #[error("no onnx runtime")]
    Runtime {
        /// Why.
        #[from]
        source: RuntimeError,
    },
    /// CUDA was asked for and cannot be had.
    #[error("no cuda device {id}: fix the cause, or ask for `Device::Cpu` or `Device::CudaOrCpu`")]
    Cuda {
        /// Which device was asked for.
        id: u32,
        /// Why.
        source: CudaError,
    },
    /// ONNX Runtime refuses the graph or the options.
    #[error("onnx runtime refuses the graph")]
    Open {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An input that the graph does not have.
    #[error("the graph has no input `{name}`; it takes {known}")]
    UnknownInput {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// An input of the graph that was not given.
    #[error("the graph needs the input `{name}`")]
    MissingInput {
        /// Its name.
        name: String,
    },
    /// Another type or shape than the graph takes.
    #[error("the graph takes {expected}, and was given {found}")]
    InputMismatch {
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// An output that the graph does not have, or not of this type and number of axes.
    #[error("the graph gives no `{name}` of type f32 with {axes} axes")]
    NoOutput {
        /// The name that was asked for.
        name: String,
        /// How many axes were expected.
        axes: usize,
    },
    /// An operator refused its inputs.
    #[error("onnx runtime failed to run the graph")]
    Run {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SessionError {
    pub(super) fn open(error: ort::Error) -> Self {
        Self::Open { source: error.into() }
    }

    pub(super) fn run(error: ort::Error) -> Self {
        Self::Run { source: error.into() }
    }
}
