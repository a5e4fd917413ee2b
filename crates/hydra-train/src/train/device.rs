//! Where a model is trained: chosen at run time, never silently.

use std::fmt;
use std::panic::catch_unwind;
use std::str::FromStr;

use burn::tensor::{Device as BurnDevice, Tensor};
use rayon::prelude::*;

use crate::model::values;

/// Where a model is trained. Exists in every build; without the feature `cuda`, asking for CUDA is an error.
///
/// ```
/// use hydra_train::Device;
///
/// assert_eq!("cuda:1".parse::<Device>()?, Device::Cuda { id: 1 });
/// assert_eq!("cpu".parse::<Device>()?.to_string(), "cpu");
/// # Ok::<(), hydra_train::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Device {
    /// The processor: a run gives the same bytes whenever it is repeated.
    #[default]
    Cpu,
    /// A CUDA device. Sums come in an order of its own there, so that a run that is repeated is close and not the same.
    Cuda {
        /// Which one.
        id: u32,
    },
}

/// Why a device cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// This program was built without it.
    #[error("this program was built without cuda: build it with the feature `cuda` of hydra-train")]
    NotBuilt,
    /// The driver or one of CUDA's libraries is not there, or the device is not there, in use, or out of memory.
    #[error("{device} cannot be used: check `nvidia-smi`, and that CUDA's libraries are found")]
    Unusable {
        /// Which one.
        device: Device,
    },
    /// A word that names no device.
    #[error("no device is called {name:?}: give cpu, cuda, or cuda:1 and so on")]
    Unknown {
        /// The word.
        name: String,
    },
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { id } => write!(f, "cuda:{id}"),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(name: &str) -> Result<Self, DeviceError> {
        let id = match name {
            "cpu" => return Ok(Self::Cpu),
            "cuda" => Some(0),
            _ => name.strip_prefix("cuda:").and_then(|id| id.parse().ok()),
        };
        id.map(|id| Self::Cuda { id }).ok_or_else(|| DeviceError::Unknown { name: name.to_owned() })
    }
}

impl Device {
    /// The device as Burn has it, once it has shown that it computes.
    pub(super) fn open(self) -> Result<BurnDevice, DeviceError> {
        let device = match self {
            Self::Cpu => return Ok(BurnDevice::flex()),
            Self::Cuda { id } => cuda(id)?,
        };
        // Burn has no other way to say that a driver is missing than to panic at the first computation.
        let sum = catch_unwind(|| values(Tensor::<1>::ones([2], &device).sum()));
        if sum.is_ok_and(|sum| sum == [2.0]) { Ok(device) } else { Err(DeviceError::Unusable { device: self }) }
    }

    /// How many passes run at once: on the processor one for each thread, for what is not a matrix product runs on one
    /// thread in each of them; a GPU is filled by one.
    pub(super) fn passes_at_once(self) -> usize {
        match self {
            Self::Cpu => rayon::current_num_threads(),
            Self::Cuda { .. } => 1,
        }
    }

    /// What `of_pass` gives for every pass, in their order.
    pub(super) fn map<P: Sync, T: Send>(self, passes: &[P], of_pass: impl Fn(&P) -> T + Sync) -> Vec<T> {
        let at_once = passes.chunks(self.passes_at_once());
        at_once.flat_map(|some| some.par_iter().map(&of_pass).collect::<Vec<T>>()).collect()
    }
}

#[cfg(feature = "cuda")]
fn cuda(id: u32) -> Result<BurnDevice, DeviceError> {
    Ok(BurnDevice::cuda(id))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: u32) -> Result<BurnDevice, DeviceError> {
    Err(DeviceError::NotBuilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for device in [Device::Cpu, Device::Cuda { id: 0 }, Device::Cuda { id: 3 }] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda { id: 0 }));
        for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:4294967296", "CPU"] {
            assert_eq!(name.parse::<Device>(), Err(DeviceError::Unknown { name: name.to_owned() }));
        }
    }

    /// Also where there is a device: a number that no machine has.
    #[test]
    fn cuda_is_an_error_where_it_cannot_be_had() {
        let device = Device::Cuda { id: 4_000 };
        let expected = if cfg!(feature = "cuda") { DeviceError::Unusable { device } } else { DeviceError::NotBuilt };
        assert_eq!(device.open().unwrap_err(), expected);
    }
}
