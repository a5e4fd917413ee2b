//! One use of an operator: its attributes and what is known of its inputs.

use std::fmt;
use std::sync::Arc;

use super::OpError;
use crate::dim::Dim;
use crate::element::DataType;
use crate::model::{Attribute, Node};
use crate::tensor::{Tensor, TensorType};

/// What is known of a value before the graph runs: its type, and its elements if it is a short list of integers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    pub(crate) tensor_type: TensorType,
    /// Elements of an integer tensor of at most one axis: they may become somebody's shape.
    pub(crate) numbers: Option<Vec<Number>>,
}

/// An integer that is known, or known to be the size of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Size(Arc<str>),
}

impl Fact {
    pub(crate) fn new(data_type: DataType, shape: Vec<Dim>) -> Self {
        Self { tensor_type: TensorType { data_type, shape }, numbers: None }
    }

    pub(crate) fn of_type(tensor_type: TensorType) -> Self {
        Self { tensor_type, numbers: None }
    }

    pub(crate) fn of_tensor(tensor: &Tensor<'_>) -> Self {
        let short = tensor.shape().len() <= 1 && tensor.bytes().len() <= LONGEST_SHAPE * size_of::<i64>();
        let numbers = if short { tensor.to_i64() } else { None };
        Self {
            tensor_type: tensor.tensor_type(),
            numbers: numbers.map(|numbers| numbers.into_iter().map(Number::Int).collect()),
        }
    }

    pub(crate) fn with_numbers(mut self, numbers: Option<Vec<Number>>) -> Self {
        self.numbers = numbers.filter(|_| self.tensor_type.shape.len() <= 1);
        self
    }

    pub(crate) fn data_type(&self) -> DataType {
        self.tensor_type.data_type
    }

    pub(crate) fn shape(&self) -> &[Dim] {
        &self.tensor_type.shape
    }

    pub(crate) fn rank(&self) -> usize {
        self.tensor_type.shape.len()
    }
}

impl From<&Dim> for Number {
    fn from(dim: &Dim) -> Self {
        match dim {
            Dim::Fixed(size) => Self::Int(i64::try_from(*size).unwrap_or(i64::MAX)),
            Dim::Symbolic(name) => Self::Size(Arc::clone(name)),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Size(name) => f.write_str(name),
        }
    }
}

/// The kind of value that an attribute holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Int,
    Float,
    Ints,
    Tensor,
}

impl Kind {
    pub(super) fn holds(self, value: &Attribute) -> bool {
        matches!(
            (self, value),
            (Self::Int, Attribute::Int(_))
                | (Self::Float, Attribute::Float(_))
                | (Self::Ints, Attribute::Ints(_))
                | (Self::Tensor, Attribute::Tensor(_))
        )
    }
}

/// A node and what is known of its inputs, in the opset of the model.
pub(super) struct Call<'c> {
    pub(super) node: &'c Node,
    pub(super) opset: u32,
    pub(super) inputs: &'c [Option<&'c Fact>],
}

impl<'c> Call<'c> {
    /// An input that [`Spec`](super::Spec) has seen to be there.
    pub(super) fn input(&self, input: usize) -> &'c Fact {
        self.inputs[input].expect("the table says that this input is not optional")
    }

    pub(super) fn optional(&self, input: usize) -> Option<&'c Fact> {
        self.inputs.get(input).copied().flatten()
    }

    /// All inputs, which have one of the `allowed` element types and all the same.
    pub(super) fn same_type(&self, allowed: &[DataType]) -> Result<DataType, OpError> {
        let expected = self.one_of(0, allowed)?;
        for (input, fact) in self.inputs.iter().enumerate() {
            let Some(fact) = fact else { continue };
            if fact.data_type() != expected {
                return Err(OpError::ElementTypesDiffer { input, expected, got: fact.data_type() });
            }
        }
        Ok(expected)
    }

    /// The element type of an input, if the input is there; one of the `allowed`.
    pub(super) fn one_of(&self, input: usize, allowed: &[DataType]) -> Result<DataType, OpError> {
        let got = self.input(input).data_type();
        if allowed.contains(&got) {
            Ok(got)
        } else {
            Err(OpError::ElementType { input, allowed: allowed.to_vec(), got })
        }
    }

    /// The numbers of an input that decides a shape.
    pub(super) fn numbers(&self, input: usize) -> Result<&'c [Number], OpError> {
        self.input(input).numbers.as_deref().ok_or(OpError::NotConstant { input })
    }

    /// The numbers of an input that must be constants.
    pub(super) fn ints(&self, input: usize) -> Result<Vec<i64>, OpError> {
        let int = |number: &Number| match number {
            Number::Int(int) => Ok(*int),
            Number::Size(_) => Err(OpError::NotConstant { input }),
        };
        self.numbers(input)?.iter().map(int).collect()
    }

    pub(super) fn int(&self, attribute: &str, default: i64) -> i64 {
        match self.node.attributes.get(attribute) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    pub(super) fn required_int(&self, attribute: &str) -> Result<i64, OpError> {
        match self.node.attributes.get(attribute) {
            Some(Attribute::Int(value)) => Ok(*value),
            _ => Err(self.attribute_error(attribute)),
        }
    }

    pub(super) fn attribute_error(&self, attribute: &str) -> OpError {
        OpError::Attribute { attribute: attribute.to_owned(), opset: self.opset }
    }

    /// The size of an axis of the first output about which nothing is known, named after the node.
    pub(super) fn unknown(&self, axis: usize) -> Dim {
        Dim::symbolic(format!("{}.{axis}", self.node.name))
    }
}

/// An axis that may count from the end, as an index below `rank`.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let error = OpError::Axis { axis, rank };
    let from_start = match usize::try_from(axis) {
        Ok(axis) => Some(axis),
        Err(_) => usize::try_from(axis.unsigned_abs()).ok().and_then(|back| rank.checked_sub(back)),
    };
    from_start.filter(|axis| *axis < rank).ok_or(error)
}

/// Several axes, each named once, in rising order.
pub(super) fn axes(named: &[i64], rank: usize) -> Result<Vec<usize>, OpError> {
    let mut indices = named.iter().map(|named| axis(*named, rank)).collect::<Result<Vec<_>, _>>()?;
    indices.sort_unstable();
    if indices.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(OpError::Axes { axes: named.to_vec() });
    }
    Ok(indices)
}

/// The shape of an elementwise operator over two shapes.
pub(super) fn broadcast(left: &[Dim], right: &[Dim]) -> Result<Vec<Dim>, OpError> {
    let rank = left.len().max(right.len());
    let one = Dim::Fixed(1);
    let dim = |shape: &[Dim], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or_else(|| one.clone(), |at| shape[at].clone())
    };
    (0..rank)
        .map(|axis| match (dim(left, axis), dim(right, axis)) {
            (left, right) if left == right || right == one => Ok(left),
            (left, right) if left == one => Ok(right),
            (left_dim, right_dim) => {
                Err(OpError::Broadcast { left: left.to_vec(), right: right.to_vec(), left_dim, right_dim })
            }
        })
        .collect()
}

/// Two sizes that must be one.
pub(super) fn equal_dims(axes: &'static str, left: &Dim, right: &Dim) -> Result<(), OpError> {
    if left == right { Ok(()) } else { Err(OpError::DimsDiffer { axes, left: left.clone(), right: right.clone() }) }
}

/// A list of sizes is never longer than the axes of a tensor; four axes are usual.
const LONGEST_SHAPE: usize = 64;
