//! ONNX Runtime: one library, one environment a process.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Why ONNX Runtime cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// No library could be loaded from there.
    #[error(
        "cannot load onnx runtime: run `cargo xtask setup`, or set ORT_DYLIB_PATH to libonnxruntime (1.{MINOR_VERSION} or \
         later) for this machine: {}",
        path.display()
    )]
    Load {
        /// Where it was looked for: a path, or a name for the system's loader.
        path: PathBuf,
        /// What the loader said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A library, but another one.
    #[error("the library is not onnx runtime: set ORT_DYLIB_PATH to libonnxruntime: {}", path.display())]
    NotOnnxRuntime {
        /// The library.
        path: PathBuf,
    },
    /// ONNX Runtime, but older than what this crate is built for.
    #[error("onnx runtime {found} is too old: 1.{MINOR_VERSION} or later is needed: {}", path.display())]
    TooOld {
        /// Its version.
        found: String,
        /// The library.
        path: PathBuf,
    },
    /// Another library is in use, and a process can only ever use one.
    #[error(
        "onnx runtime is already loaded from {}: call `load_runtime` once, before anything else; refused: {}",
        loaded.display(),
        asked.display()
    )]
    AlreadyLoaded {
        /// The one in use.
        loaded: PathBuf,
        /// The one that was asked for.
        asked: PathBuf,
    },
    /// The library refused to start.
    #[error("onnx runtime cannot start")]
    Start {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Loads ONNX Runtime from this file, for the whole process and for ever.
///
/// Calling it is not necessary: the first session loads the library that `ORT_DYLIB_PATH` names, else the one that the
/// system's loader finds. Calling it again with the same path does nothing.
///
/// # Errors
/// [`RuntimeError`]. After an error another path may be tried.
pub fn load_runtime(path: &Path) -> Result<(), RuntimeError> {
    let runtime = start(|| path.to_owned())?;
    if runtime.path == path {
        Ok(())
    } else {
        Err(RuntimeError::AlreadyLoaded { loaded: runtime.path.clone(), asked: path.to_owned() })
    }
}

/// The environment that every session lives in.
pub(crate) fn environment() -> Result<&'static ort::environment::Environment, RuntimeError> {
    start(default_path).map(|runtime| &runtime.environment)
}

struct Runtime {
    path: PathBuf,
    environment: ort::environment::Environment,
}

fn start(path: impl FnOnce() -> PathBuf) -> Result<&'static Runtime, RuntimeError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    // ort allows one environment a process: two threads must not both try.
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let path = path();
    let builder = ort::init_from(&path).map_err(|error| translate(error, &path))?;
    let environment = builder
        .with_name("hydra")
        .with_telemetry(false)
        .build()
        .map_err(|error| RuntimeError::Start { source: error.into() })?;
    Ok(RUNTIME.get_or_init(|| Runtime { path, environment }))
}

fn translate(error: ort::LoadDynamicError, asked: &Path) -> RuntimeError {
    use ort::LoadDynamicError as E;
    match error {
        E::MissingApi { path } => RuntimeError::NotOnnxRuntime { path },
        E::BadVersion { version_str, path } => RuntimeError::TooOld { found: version_str, path },
        E::InvalidVersionString => RuntimeError::NotOnnxRuntime { path: asked.to_owned() },
        E::Dlopen { error, path } => RuntimeError::Load { path, source: error.into() },
    }
}

fn default_path() -> PathBuf {
    match env::var_os("ORT_DYLIB_PATH") {
        Some(path) if !path.is_empty() => path.into(),
        _ => format!("{}onnxruntime{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX).into(),
    }
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// ONNX Runtime 1.24 or later.
const MINOR_VERSION: u32 = ort::MINOR_VERSION;
