//! Methods for operators that compute: arithmetic, activations, reductions, matrix products.

use super::{GraphBuilder, Value};
use crate::element::DataType;
use crate::error::GraphError;
use crate::model::Attribute;
use crate::op::axes_are_an_input;

/// What a reduction does with the axes that it folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduced {
    /// Keeps them with size 1.
    Keep,
    /// Drops them.
    Drop,
}

/// Factors and transpositions of [`GraphBuilder::gemm`]: `alpha · A · B + beta · C`. The default is `A · B + C`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GemmOptions {
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of `C`.
    pub beta: f32,
    /// Whether the first matrix is transposed first.
    pub transpose_a: bool,
    /// Whether the second matrix is transposed first.
    pub transpose_b: bool,
}

impl Default for GemmOptions {
    fn default() -> Self {
        Self { alpha: 1.0, beta: 1.0, transpose_a: false, transpose_b: false }
    }
}

/// One method an operator that takes values and no attributes.
macro_rules! operators {
    ($($(#[$doc:meta])* $method:ident($($input:ident),+) = $op:literal;)*) => {
        impl GraphBuilder<'_> {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// [`GraphError::Op`] with the node and the shapes when they do not fit.
            pub fn $method(&mut self, $($input: Value),+) -> Result<Value, GraphError> {
                self.one($op, &[$($input),+], &[])
            }
        )*}
    };
}

operators! {
    /// `Add`: elementwise sum, broadcasting.
    add(left, right) = "Add";
    /// `Sub`: elementwise difference, broadcasting.
    sub(left, right) = "Sub";
    /// `Mul`: elementwise product, broadcasting.
    mul(left, right) = "Mul";
    /// `Div`: elementwise quotient, broadcasting.
    div(left, right) = "Div";
    /// `Pow`: elementwise power, broadcasting; the result has the type of `base`.
    pow(base, exponent) = "Pow";
    /// `Min`: elementwise smaller of two, broadcasting.
    min(left, right) = "Min";
    /// `Max`: elementwise greater of two, broadcasting.
    max(left, right) = "Max";
    /// `Equal`: elementwise `left == right`, broadcasting.
    equal(left, right) = "Equal";
    /// `Less`: elementwise `left < right`, broadcasting.
    less(left, right) = "Less";
    /// `LessOrEqual`: elementwise `left <= right`, broadcasting.
    less_or_equal(left, right) = "LessOrEqual";
    /// `Greater`: elementwise `left > right`, broadcasting.
    greater(left, right) = "Greater";
    /// `GreaterOrEqual`: elementwise `left >= right`, broadcasting.
    greater_or_equal(left, right) = "GreaterOrEqual";
    /// `And`: elementwise, broadcasting.
    and(left, right) = "And";
    /// `Or`: elementwise, broadcasting.
    or(left, right) = "Or";
    /// `Not`: elementwise.
    not(x) = "Not";
    /// `Where`: elementwise `if_true` where `condition` holds, else `if_false`; broadcasting.
    where_(condition, if_true, if_false) = "Where";
    /// `Sqrt`: elementwise square root.
    sqrt(x) = "Sqrt";
    /// `Exp`: elementwise exponential.
    exp(x) = "Exp";
    /// `Log`: elementwise natural logarithm.
    log(x) = "Log";
    /// `Reciprocal`: elementwise `1 / x`.
    reciprocal(x) = "Reciprocal";
    /// `Erf`: elementwise error function.
    erf(x) = "Erf";
    /// `Tanh`: elementwise hyperbolic tangent.
    tanh(x) = "Tanh";
    /// `Sigmoid`: elementwise `1 / (1 + exp(-x))`.
    sigmoid(x) = "Sigmoid";
    /// `Relu`: elementwise `max(x, 0)`.
    relu(x) = "Relu";
    /// `Neg`: elementwise `-x`.
    neg(x) = "Neg";
    /// `Abs`: elementwise absolute value.
    abs(x) = "Abs";
    /// `Round`: elementwise nearest integer, halves to the even one.
    round(x) = "Round";
    /// `Floor`: elementwise greatest integer that is not above.
    floor(x) = "Floor";
    /// `Ceil`: elementwise smallest integer that is not below.
    ceil(x) = "Ceil";
    /// `Cos`: elementwise cosine, in radians.
    cos(x) = "Cos";
    /// `Sin`: elementwise sine, in radians.
    sin(x) = "Sin";
    /// `Clip`: elementwise between two scalars.
    clip(x, least, most) = "Clip";
    /// `Identity`: the same value under another name.
    identity(x) = "Identity";
    /// `MatMul`: product of matrices over the last two axes, the leading ones broadcasting.
    ///
    /// # Shapes
    /// - `left`: `[.., rows, inner]`
    /// - `right`: `[.., inner, columns]`
    /// - returns: `[.., rows, columns]`
    mat_mul(left, right) = "MatMul";
}

impl GraphBuilder<'_> {
    /// `Gemm`: `alpha · A · B + beta · C` over two matrices.
    ///
    /// # Shapes
    /// - `a`: `[rows, inner]`, or transposed
    /// - `b`: `[inner, columns]`, or transposed
    /// - `c`: broadcasts to the result
    /// - returns: `[rows, columns]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn gemm(&mut self, a: Value, b: Value, c: Value, options: GemmOptions) -> Result<Value, GraphError> {
        let GemmOptions { alpha, beta, transpose_a, transpose_b } = options;
        self.one(
            "Gemm",
            &[a, b, c],
            &[
                ("alpha", Attribute::Float(alpha)),
                ("beta", Attribute::Float(beta)),
                ("transA", Attribute::Int(transpose_a.into())),
                ("transB", Attribute::Int(transpose_b.into())),
            ],
        )
    }

    /// `Softmax` over one axis.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there is no such axis.
    pub fn softmax(&mut self, x: Value, axis: i64) -> Result<Value, GraphError> {
        self.one("Softmax", &[x], &[("axis", Attribute::Int(axis))])
    }

    /// `LayerNormalization` over the last axis: `(x - mean) / sqrt(variance + epsilon) · scale + bias`.
    ///
    /// # Shapes
    /// - `x`: `[.., hidden]`
    /// - `scale`, `bias`: `[hidden]`
    /// - returns: `[.., hidden]`
    ///
    /// # Errors
    /// [`GraphError::Op`] when the shapes do not fit.
    pub fn layer_normalization(
        &mut self,
        x: Value,
        scale: Value,
        bias: Value,
        epsilon: f32,
    ) -> Result<Value, GraphError> {
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
        self.one("LayerNormalization", &[x, scale, bias], &attributes)
    }

    /// `CumSum` along one axis: each element and all before it.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there is no such axis.
    pub fn cum_sum(&mut self, x: Value, axis: i64) -> Result<Value, GraphError> {
        let axis = self.scalar(axis);
        self.one("CumSum", &[x, axis], &[])
    }

    /// `ReduceSum` over `axes`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there are no such axes.
    pub fn reduce_sum(&mut self, x: Value, axes: &[i64], reduced: Reduced) -> Result<Value, GraphError> {
        self.reduce("ReduceSum", x, axes, reduced)
    }

    /// `ReduceMean` over `axes`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there are no such axes.
    pub fn reduce_mean(&mut self, x: Value, axes: &[i64], reduced: Reduced) -> Result<Value, GraphError> {
        self.reduce("ReduceMean", x, axes, reduced)
    }

    /// `ReduceMax` over `axes`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there are no such axes.
    pub fn reduce_max(&mut self, x: Value, axes: &[i64], reduced: Reduced) -> Result<Value, GraphError> {
        self.reduce("ReduceMax", x, axes, reduced)
    }

    /// `ReduceMin` over `axes`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there are no such axes.
    pub fn reduce_min(&mut self, x: Value, axes: &[i64], reduced: Reduced) -> Result<Value, GraphError> {
        self.reduce("ReduceMin", x, axes, reduced)
    }

    /// `ReduceL2`: Euclidean length over `axes`.
    ///
    /// # Errors
    /// [`GraphError::Op`] when there are no such axes.
    pub fn reduce_l2(&mut self, x: Value, axes: &[i64], reduced: Reduced) -> Result<Value, GraphError> {
        self.reduce("ReduceL2", x, axes, reduced)
    }

    /// `Cast` to another element type.
    ///
    /// # Errors
    /// [`GraphError::ForeignValue`].
    pub fn cast(&mut self, x: Value, to: DataType) -> Result<Value, GraphError> {
        self.one("Cast", &[x], &[("to", Attribute::Int(to.code().into()))])
    }

    fn reduce(&mut self, op: &str, x: Value, axes: &[i64], reduced: Reduced) -> Result<Value, GraphError> {
        let keep = ("keepdims", Attribute::Int((reduced == Reduced::Keep).into()));
        if axes_are_an_input(op, self.opset) {
            let axes = self.ints(axes);
            self.one(op, &[x, axes], &[keep])
        } else {
            self.one(op, &[x], &[("axes", Attribute::Ints(axes.to_vec())), keep])
        }
    }
}
