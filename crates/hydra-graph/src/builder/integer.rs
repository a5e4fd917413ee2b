//! Methods for operators on 8-bit integers.

use super::{GraphBuilder, Value};
use crate::error::GraphError;

/// What [`GraphBuilder::dynamic_quantize_linear`] makes: `x ≈ scale · (numbers - zero_point)`.
#[derive(Clone, Copy, Debug)]
pub struct Quantized {
    /// `u8`, the shape of `x`.
    pub numbers: Value,
    /// `f32`, no axes.
    pub scale: Value,
    /// `u8`, no axes.
    pub zero_point: Value,
}

impl GraphBuilder<'_> {
    /// `DynamicQuantizeLinear`: 8-bit numbers with one scale and zero point for the whole tensor, from its range.
    ///
    /// # Errors
    /// [`GraphError::Op`] when `x` is not `f32`.
    pub fn dynamic_quantize_linear(&mut self, x: Value) -> Result<Quantized, GraphError> {
        let made = self.node("DynamicQuantizeLinear", &[Some(x)], &[], 3)?;
        Ok(Quantized { numbers: made[0], scale: made[1], zero_point: made[2] })
    }

    /// `MatMulInteger`: product of 8-bit matrices whose zero points are 0, in `i32`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn mat_mul_integer(&mut self, left: Value, right: Value) -> Result<Value, GraphError> {
        self.one("MatMulInteger", &[left, right], &[])
    }

    /// `MatMulInteger` where `zero_point` is taken from `left` first.
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn mat_mul_integer_from(&mut self, left: Value, zero_point: Value, right: Value) -> Result<Value, GraphError> {
        self.one("MatMulInteger", &[left, right, zero_point], &[])
    }
}
