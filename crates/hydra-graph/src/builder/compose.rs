//! Layers of several operators, in the patterns that ONNX Runtime's optimiser replaces by one kernel.

use super::{GraphBuilder, Reduced, Value};
use crate::element::DataType;
use crate::error::GraphError;
use crate::tensor::Tensor;

impl GraphBuilder<'_> {
    /// A dense layer, `x · weight + bias`: `MatMul`, `Add`.
    ///
    /// # Shapes
    /// - `x`: `[.., inputs]`
    /// - `weight`: `[inputs, outputs]`: the transpose of what PyTorch keeps
    /// - `bias`: `[outputs]`
    /// - returns: `[.., outputs]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn linear(&mut self, x: Value, weight: Value, bias: Value) -> Result<Value, GraphError> {
        let product = self.mat_mul(x, weight)?;
        // The bias comes first in PyTorch's exports, and the attention patterns of ONNX Runtime expect it there.
        self.add(bias, product)
    }

    /// `0.5 · x · (1 + erf(x / √2))`: `Div`, `Erf`, `Add`, `Mul`, `Mul`, which ONNX Runtime fuses to `Gelu`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when `x` is not a float.
    ///
    /// # Source
    /// Hendrycks and Gimpel, *Gaussian Error Linear Units*, arXiv:1606.08415, section 2.
    pub fn gelu(&mut self, x: Value) -> Result<Value, GraphError> {
        let [root_two, one, half] = [std::f32::consts::SQRT_2, 1.0, 0.5].map(|number| self.float_like(x, number));
        let scaled = self.div(x, root_two)?;
        let error = self.erf(scaled)?;
        let shifted = self.add(error, one)?;
        let twice = self.mul(x, shifted)?;
        self.mul(twice, half)
    }

    /// `0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))`, which ONNX Runtime fuses to `FastGelu`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when `x` is not a float.
    ///
    /// # Source
    /// Hendrycks and Gimpel, *Gaussian Error Linear Units*, arXiv:1606.08415, section 2.
    pub fn gelu_tanh(&mut self, x: Value) -> Result<Value, GraphError> {
        let [three, cubic, root, one, half] =
            [3.0, 0.044_715, (2.0 / std::f32::consts::PI).sqrt(), 1.0, 0.5].map(|number| self.float_like(x, number));
        let cube = self.pow(x, three)?;
        let small = self.mul(cube, cubic)?;
        let sum = self.add(x, small)?;
        let scaled = self.mul(sum, root)?;
        let bent = self.tanh(scaled)?;
        let shifted = self.add(bent, one)?;
        let halved = self.mul(x, half)?;
        self.mul(halved, shifted)
    }

    /// `x / sqrt(mean(x²) + epsilon) · scale` over the last axis.
    ///
    /// # Shapes
    /// - `x`: `[.., hidden]`
    /// - `scale`: `[hidden]`
    /// - returns: `[.., hidden]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    ///
    /// # Source
    /// Zhang and Sennrich, *Root Mean Square Layer Normalization*, arXiv:1910.07467, equation 4.
    /// **Differs:** epsilon is inside the root, as in every published model.
    pub fn rms_normalization(&mut self, x: Value, scale: Value, epsilon: f32) -> Result<Value, GraphError> {
        let [two, epsilon] = [2.0, epsilon].map(|number| self.float_like(x, number));
        let squares = self.pow(x, two)?;
        let mean = self.reduce_mean(squares, &[-1], Reduced::Keep)?;
        let shifted = self.add(mean, epsilon)?;
        let length = self.sqrt(shifted)?;
        let unit = self.div(x, length)?;
        self.mul(unit, scale)
    }

    /// A float constant without axes, of the element type of `x`.
    fn float_like(&mut self, x: Value, number: f32) -> Value {
        if self.data_type_of(x) == Some(DataType::F16) {
            self.constant(Tensor::scalar(half::f16::from_f32(number)))
        } else {
            self.scalar(number)
        }
    }

    fn data_type_of(&self, x: Value) -> Option<DataType> {
        self.entry(x, "constant").ok().map(|entry| entry.fact.data_type())
    }
}
