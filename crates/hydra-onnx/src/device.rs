//! Where a graph runs: chosen at run time, never silently.

use std::fmt;

/// Where a graph shall run. Exists in every build; without the feature `cuda`, asking for CUDA is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A CUDA device, or an error that says why not.
    Cuda {
        /// Which one.
        id: u32,
    },
    /// CUDA device 0 if it can be had; else the processor, with a warning.
    /// [`Session::device`](crate::Session::device) tells which it became.
    CudaOrCpu,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { id } => write!(f, "cuda:{id}"),
            Self::CudaOrCpu => f.write_str("cuda or cpu"),
        }
    }
}

/// Why CUDA cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// This program was built without it.
    #[error("this program was built without cuda: build it with the feature `cuda` of hydra-onnx")]
    NotBuilt,
    /// The library was built without it.
    #[error("this onnx runtime was built without cuda: set ORT_DYLIB_PATH to a gpu build of it")]
    CpuLibrary {
        /// What ONNX Runtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// CUDA's own libraries are not there, or not of the version that ONNX Runtime was built for.
    #[error("a library of cuda or cudnn cannot be loaded: install the version that this onnx runtime was built for")]
    Libraries {
        /// Which one.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The device refused: it is not there, in use, or out of memory.
    #[error("the cuda device cannot be used: check `nvidia-smi`")]
    Device {
        /// What ONNX Runtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CudaError {
    /// Reads the cause out of ONNX Runtime's message, the only place where it stands.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code))]
    pub(crate) fn from_message(source: Box<dyn std::error::Error + Send + Sync>) -> Self {
        let message = source.to_string();
        let says = |part: &str| message.contains(part);
        if says("not enabled in this build") || says("libonnxruntime_providers") || says("not compiled with") {
            Self::CpuLibrary { source }
        } else if says("cannot open shared object file") || says("LoadLibrary") || says("dlopen") {
            Self::Libraries { source }
        } else {
            Self::Device { source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Messages of ONNX Runtime 1.24 to 1.32, as they were seen.
    #[test]
    fn the_cause_is_read_from_the_message() {
        let cause = |message: &str| CudaError::from_message(message.into());
        assert!(matches!(
            cause("CUDA execution provider is not enabled in this build. "),
            CudaError::CpuLibrary { .. }
        ));
        assert!(matches!(
            cause(
                "Failed to load library: libcublasLt.so.13: cannot open shared object file: No such file or directory"
            ),
            CudaError::Libraries { .. }
        ));
        assert!(matches!(cause("CUDA failure 101: invalid device ordinal"), CudaError::Device { .. }));
    }
}
