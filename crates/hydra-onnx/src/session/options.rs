//! How a session uses the machine.

use std::num::NonZeroUsize;

use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use super::SessionError;
use crate::device::Device;
use crate::runtime;

/// How a session uses the machine. [`SessionOptions::default`] is the place where the defaults live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SessionOptions {
    pub(super) device: Device,
    threads: Option<NonZeroUsize>,
    arena: Arena,
    spinning: Spinning,
}

/// Whether ONNX Runtime keeps the memory of a run for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Arena {
    /// Faster, and memory grows to what the largest batch needed and stays there.
    #[default]
    On,
    /// Every run asks the system and gives back.
    Off,
}

/// Whether idle threads of a session wait actively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Spinning {
    /// They burn their cores between runs, and start a little sooner.
    On,
    /// They sleep: the default, because a session shares its machine.
    #[default]
    Off,
}

impl SessionOptions {
    /// Where it runs; the processor by default.
    #[must_use]
    pub const fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// How many threads share one operator; by default as many as the machine has cores, as ONNX Runtime counts them.
    #[must_use]
    pub const fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Whether memory is kept between runs; it is by default.
    #[must_use]
    pub const fn arena(mut self, arena: Arena) -> Self {
        self.arena = arena;
        self
    }

    /// Whether idle threads wait actively; they do not by default.
    #[must_use]
    pub const fn spinning(mut self, spinning: Spinning) -> Self {
        self.spinning = spinning;
        self
    }

    pub(super) fn builder(&self) -> Result<SessionBuilder, SessionError> {
        let environment = runtime::environment()?;
        let spin = self.spinning == Spinning::On;
        // ONNX Runtime's own default is chosen by 0.
        let threads = self.threads.map_or(0, NonZeroUsize::get);
        let build = || -> Result<SessionBuilder, ort::Error> {
            Ok(ort::session::Session::builder(environment)?
                .with_optimization_level(GraphOptimizationLevel::All)?
                .with_intra_threads(threads)?
                .with_inter_threads(1)?
                .with_intra_op_spinning(spin)?
                .with_inter_op_spinning(spin)?)
        };
        build().map_err(SessionError::open)
    }

    /// Must come after other devices: ONNX Runtime prefers the one that was named first.
    pub(super) fn memory(&self, builder: SessionBuilder) -> Result<SessionBuilder, SessionError> {
        if self.arena == Arena::On {
            return Ok(builder);
        }
        let build = || -> Result<SessionBuilder, ort::Error> {
            let cpu = ort::ep::CPU::default().with_arena_allocator(false).build().error_on_failure();
            // Memory patterns plan one arena block a shape: without an arena there is nothing to plan.
            Ok(builder.with_memory_pattern(false)?.with_execution_providers([cpu])?)
        };
        build().map_err(SessionError::open)
    }
}
