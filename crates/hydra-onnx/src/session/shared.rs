//! Weights that lie in memory once for several sessions.

use std::sync::Arc;

use ort::session::builder::{PrepackedWeights, SessionBuilder};
use ort::value::{DynValue, Tensor};

use super::SessionError;
use crate::check::{Model, WeightType};
use crate::runtime;

/// Weights of one graph for all sessions of it.
///
/// ONNX Runtime shares packed weights only if the weights themselves are handed over by the caller: the container alone
/// changes nothing.
pub(super) struct SharedWeights {
    packed: PrepackedWeights,
    values: Vec<(String, Arc<DynValue>)>,
}

impl SharedWeights {
    pub(super) fn new(model: &Model) -> Result<Self, SessionError> {
        // The container is made by ONNX Runtime: load it first, or ort panics.
        runtime::environment()?;
        let value = |element, dims: &[i64], bytes: &[u8]| -> Result<DynValue, ort::Error> {
            let dims = dims.to_vec();
            Ok(match element {
                WeightType::F32 => Tensor::from_array((dims, floats(bytes)))?.into_dyn(),
                WeightType::I8 => {
                    let signed: Vec<i8> = bytes.iter().map(|byte| byte.cast_signed()).collect();
                    Tensor::from_array((dims, signed))?.into_dyn()
                }
                WeightType::U8 => Tensor::from_array((dims, bytes.to_vec()))?.into_dyn(),
            })
        };
        let values = model
            .weights()
            .map(|(weight, bytes)| Ok((weight.name.clone(), Arc::new(value(weight.element, &weight.dims, bytes)?))))
            .collect::<Result<_, _>>()
            .map_err(SessionError::open)?;
        Ok(Self { packed: PrepackedWeights::new(), values })
    }

    pub(super) fn give(&self, builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        let mut builder = builder.with_prepacked_weights(&self.packed)?;
        for (name, value) in &self.values {
            builder = builder.with_initializer(name, Arc::clone(value))?;
        }
        Ok(builder)
    }
}

/// The file is little-endian, whatever the machine is.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}
