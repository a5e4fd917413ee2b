//! One graph on ONNX Runtime.

mod error;
mod options;
mod shared;
mod state;
mod values;

use std::sync::Arc;

pub use error::SessionError;
pub use options::{Arena, SessionOptions, Spinning};
use ort::session::SessionInputValue;
use ort::session::builder::SessionBuilder;
use shared::SharedWeights;
pub use state::State;
pub use values::{Outputs, TensorView};

use crate::check::Model;
use crate::device::{CudaError, Device};
use crate::spec::TensorSpec;

/// A graph that is ready to run.
///
/// Running takes `&mut self`: a session belongs to one thread at a time, and several threads have several sessions
/// ([`open_many`](Self::open_many)) or one that receives batches.
#[derive(Debug)]
pub struct Session {
    inner: ort::session::Session,
    device: Device,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
}

impl Session {
    /// Makes a checked graph ready to run.
    ///
    /// # Errors
    /// [`SessionError::Runtime`] without ONNX Runtime, [`SessionError::Cuda`] without the CUDA that was asked for,
    /// [`SessionError::Open`] if ONNX Runtime refuses the graph.
    pub fn open(model: &Model, options: &SessionOptions) -> Result<Self, SessionError> {
        Self::open_with(model, options, None)
    }

    /// Makes as many sessions of one graph, for as many threads.
    ///
    /// They share the weights that ONNX Runtime leaves as they are in the file, embedding tables above all, and those
    /// that it packs for its kernels; not those that it merges into new ones. The crate's documentation says how much
    /// memory that saves.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_many(model: &Model, options: &SessionOptions, count: usize) -> Result<Vec<Self>, SessionError> {
        let weights = SharedWeights::new(model)?;
        (0..count).map(|_| Self::open_with(model, options, Some(&weights))).collect()
    }

    fn open_with(
        model: &Model,
        options: &SessionOptions,
        weights: Option<&SharedWeights>,
    ) -> Result<Self, SessionError> {
        let (mut builder, device) = match options.device {
            Device::Cpu => (options.builder()?, Device::Cpu),
            Device::Cuda { id } => (cuda(options.builder()?, id)?, Device::Cuda { id }),
            Device::CudaOrCpu => match options.builder().and_then(|builder| cuda(builder, 0)) {
                Ok(builder) => (builder, Device::Cuda { id: 0 }),
                Err(SessionError::Cuda { id, source }) => {
                    let cause = std::error::Error::source(&source).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(id, reason = %source, cause, "no cuda: the session runs on the cpu");
                    (options.builder()?, Device::Cpu)
                }
                Err(other) => return Err(other),
            },
        };
        builder = options.memory(builder)?;
        for (name, bytes) in model.data() {
            builder = builder
                .with_external_initializer_file_in_memory(name, Arc::clone(bytes))
                .map_err(|error| SessionError::open(error.into()))?;
        }
        if let Some(weights) = weights {
            builder = weights.give(builder).map_err(SessionError::open)?;
        }
        let inner = builder.commit_from_memory(model.graph()).map_err(SessionError::open)?;
        let facts = model.facts();
        Ok(Self { inner, device, inputs: facts.inputs.clone(), outputs: facts.outputs.clone() })
    }

    /// Where it runs: never [`Device::CudaOrCpu`], but what became of it.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// What the graph takes.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.inputs
    }

    /// What the graph gives.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.outputs
    }

    /// Runs the graph once. Inputs are given by name, in any order; an array that is not contiguous is copied.
    ///
    /// # Errors
    /// [`SessionError::UnknownInput`], [`SessionError::MissingInput`] or [`SessionError::InputMismatch`] before anything
    /// runs; [`SessionError::Run`] if an operator refuses.
    pub fn run<'s>(&'s mut self, inputs: &[(&str, TensorView<'_>)]) -> Result<Outputs<'s>, SessionError> {
        for (name, view) in inputs {
            self.fits(name, view)?;
        }
        if let Some(spec) = self.inputs.iter().find(|spec| inputs.iter().all(|(name, _)| *name != spec.name)) {
            return Err(SessionError::MissingInput { name: spec.name.clone() });
        }
        let views: Vec<_> = inputs.iter().map(|(name, view)| (*name, view.contiguous())).collect();
        let values: Vec<(&str, SessionInputValue<'_>)> = views
            .iter()
            .map(|(name, view)| Ok((*name, view.value()?)))
            .collect::<Result<_, ort::Error>>()
            .map_err(SessionError::run)?;
        self.inner.run(values).map(Outputs::new).map_err(SessionError::run)
    }

    /// Whether the graph has an input of this name, and it takes arrays like this one.
    fn fits(&self, name: &str, view: &TensorView<'_>) -> Result<(), SessionError> {
        let spec = self
            .inputs
            .iter()
            .find(|spec| spec.name == name)
            .ok_or_else(|| SessionError::UnknownInput { name: name.to_owned(), known: self.input_names() })?;
        if view.fits(spec) {
            Ok(())
        } else {
            Err(SessionError::InputMismatch { expected: spec.to_string(), found: view.describe() })
        }
    }

    fn input_names(&self) -> String {
        self.inputs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(feature = "cuda")]
fn cuda(builder: SessionBuilder, id: u32) -> Result<SessionBuilder, SessionError> {
    let id_here = i32::try_from(id).unwrap_or(i32::MAX);
    let provider = ort::ep::CUDA::default().with_device_id(id_here).build().error_on_failure();
    builder.with_execution_providers([provider]).map_err(|error| SessionError::Cuda {
        id,
        source: CudaError::from_message(ort::Error::<()>::from(error).into()),
    })
}

#[cfg(not(feature = "cuda"))]
#[allow(clippy::needless_pass_by_value, reason = "the same signature as with the feature")]
fn cuda(_: SessionBuilder, id: u32) -> Result<SessionBuilder, SessionError> {
    Err(SessionError::Cuda { id, source: CudaError::NotBuilt })
}
