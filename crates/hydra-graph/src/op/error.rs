//! What can be wrong with one operator, without the name of the node: [`GraphError`](crate::GraphError) adds it.

use crate::dim::Dim;
use crate::element::DataType;
use crate::tensor::Shape;

/// Why an operator cannot take what it was given. Inputs count from 0.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// Too few or too many inputs.
    #[error("takes {least} to {most} inputs, got {got}")]
    InputCount {
        /// Fewest inputs.
        least: usize,
        /// Most inputs.
        most: usize,
        /// Inputs given.
        got: usize,
    },
    /// An input that is not optional was left out.
    #[error("input {input} is left out, but it is not optional")]
    MissingInput {
        /// Which input.
        input: usize,
    },
    /// An input was given that this use of the operator has no place for.
    #[error("input {input} is given, but only the form without it is supported: leave it out")]
    UnexpectedInput {
        /// Which input.
        input: usize,
    },
    /// Too few or too many outputs.
    #[error("makes {expected} outputs, got {got} names for them")]
    OutputCount {
        /// Outputs that it makes.
        expected: usize,
        /// Outputs named.
        got: usize,
    },
    /// The operator is younger than the opset of the model.
    #[error("exists from opset {since}, the model has opset {opset}: choose a higher opset or build it from others")]
    TooNew {
        /// First opset with this operator.
        since: u32,
        /// Opset of the model.
        opset: u32,
    },
    /// The operator has no such attribute in this opset, or it holds another kind of value.
    #[error("attribute {attribute} is unknown, missing or of the wrong kind in opset {opset}")]
    Attribute {
        /// Name of the attribute.
        attribute: String,
        /// Opset of the model.
        opset: u32,
    },
    /// An input has an element type that the operator does not take.
    #[error("input {input} is {got}, it may be {allowed:?}: cast it first")]
    ElementType {
        /// Which input.
        input: usize,
        /// What it may be.
        allowed: Vec<DataType>,
        /// What it is.
        got: DataType,
    },
    /// Two inputs must have one element type.
    #[error("input {input} is {got}, but an input before it is {expected}: cast one of them")]
    ElementTypesDiffer {
        /// Which input.
        input: usize,
        /// Type of the input before it.
        expected: DataType,
        /// Its type.
        got: DataType,
    },
    /// Two shapes do not broadcast.
    #[error("{} and {} do not broadcast: {left_dim} is not {right_dim} and neither is 1", Shape(left), Shape(right))]
    Broadcast {
        /// First shape.
        left: Vec<Dim>,
        /// Second shape.
        right: Vec<Dim>,
        /// The dim of the first that does not fit.
        left_dim: Dim,
        /// The dim of the second that does not fit.
        right_dim: Dim,
    },
    /// Two axes that must have one size do not.
    #[error("{axes} must have one size, got {left} and {right}")]
    DimsDiffer {
        /// Which axes.
        axes: &'static str,
        /// One size.
        left: Dim,
        /// The other.
        right: Dim,
    },
    /// An input has too few or too many axes.
    #[error("input {input} must have {expected}, its shape is {}", Shape(shape))]
    Rank {
        /// Which input.
        input: usize,
        /// Axes that it must have.
        expected: &'static str,
        /// Its shape.
        shape: Vec<Dim>,
    },
    /// An axis outside the shape.
    #[error("axis {axis} is outside -{rank}..{rank}")]
    Axis {
        /// The axis.
        axis: i64,
        /// Axes that there are.
        rank: usize,
    },
    /// The axes are not each named once.
    #[error("axes {axes:?} name one axis twice or leave one out")]
    Axes {
        /// The axes.
        axes: Vec<i64>,
    },
    /// An axis that is taken away has not size 1.
    #[error("axis {axis} has size {dim}, only an axis of size 1 can be squeezed")]
    Squeeze {
        /// The axis.
        axis: usize,
        /// Its size.
        dim: Dim,
    },
    /// An input decides the output's shape and must be a constant.
    #[error("input {input} decides the shape: it must be a constant, or computed from constants and shapes")]
    NotConstant {
        /// Which input.
        input: usize,
    },
    /// A constant that decides the shape cannot be one.
    #[error("input {input} holds {value}, which cannot be a size, a step or an index here")]
    Value {
        /// Which input.
        input: usize,
        /// The value.
        value: i64,
    },
    /// A reshape that changes the number of elements, or cannot be seen to keep it.
    #[error("{} has not surely as many elements as {target}: name each size, and leave at most one to -1", Shape(from))]
    Reshape {
        /// Shape before.
        from: Vec<Dim>,
        /// Shape that was asked for.
        target: String,
    },
    /// Parts that do not add up to the axis that is split.
    #[error("an axis of size {dim} cannot be split into {parts:?}")]
    Split {
        /// Size of the axis.
        dim: Dim,
        /// Sizes of the parts; empty when equal parts were asked for.
        parts: Vec<i64>,
    },
}
