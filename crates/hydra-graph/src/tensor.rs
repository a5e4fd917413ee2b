//! Tensors: a type, a shape, and bytes that are borrowed until the model is written.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use half::f16;

use crate::dim::Dim;
use crate::element::{DataType, Element, bytes_of};

/// What is known of a value before the graph runs: element type and shape. No dims are a scalar.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub data_type: DataType,
    /// One dim an axis, outermost first.
    pub shape: Vec<Dim>,
}

impl TensorType {
    /// A type of the given element and axes.
    pub fn new(data_type: DataType, shape: impl IntoIterator<Item = impl Into<Dim>>) -> Self {
        Self { data_type, shape: shape.into_iter().map(Into::into).collect() }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.data_type, Shape(&self.shape))
    }
}

/// A shape in messages: `[batch, seq, 384]`.
pub(crate) struct Shape<'d>(pub(crate) &'d [Dim]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", dims.join(", "))
    }
}

/// A constant tensor: the value of an initializer.
///
/// Weights are borrowed (a mapped file, an array elsewhere) or owned, and are not copied until they are written.
/// Cloning is cheap either way. The number of bytes always fits the shape.
#[derive(Clone)]
pub struct Tensor<'a> {
    data_type: DataType,
    shape: Vec<usize>,
    bytes: Bytes<'a>,
}

/// The number of bytes or elements does not fit the shape of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{data_type}{shape:?} takes {expected} bytes, got {got}: give one element for each place of the shape")]
#[non_exhaustive]
pub struct LengthMismatch {
    /// Element type.
    pub data_type: DataType,
    /// Shape that was asked for.
    pub shape: Vec<usize>,
    /// Bytes that the shape takes; `u64::MAX` when it takes more than that.
    pub expected: u64,
    /// Bytes that were given.
    pub got: u64,
}

impl<'a> Tensor<'a> {
    /// A tensor of numbers in row-major order.
    ///
    /// # Errors
    /// [`LengthMismatch`] when `numbers` has more or fewer elements than `shape`.
    pub fn new<T: Element>(shape: &[usize], numbers: impl Into<Cow<'a, [T]>>) -> Result<Self, LengthMismatch>
    where
        [T]: ToOwned<Owned = Vec<T>>,
    {
        let bytes = match numbers.into() {
            Cow::Borrowed(numbers) => Bytes::Borrowed(bytes_of(numbers)),
            Cow::Owned(numbers) => Bytes::Owned(Arc::new(numbers)),
        };
        Self::checked(T::DATA_TYPE, shape, bytes)
    }

    /// A tensor of any element type from its little-endian bytes in row-major order, aligned or not.
    ///
    /// # Errors
    /// [`LengthMismatch`] when `bytes` is longer or shorter than `shape` takes.
    pub fn from_le_bytes(
        data_type: DataType,
        shape: &[usize],
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<Self, LengthMismatch> {
        let bytes = match bytes.into() {
            Cow::Borrowed(bytes) => Bytes::Borrowed(bytes),
            Cow::Owned(bytes) => Bytes::Owned(Arc::new(bytes)),
        };
        Self::checked(data_type, shape, bytes)
    }

    /// A tensor without axes.
    pub fn scalar<T: Element>(number: T) -> Self {
        Self { data_type: T::DATA_TYPE, shape: Vec::new(), bytes: Bytes::Owned(Arc::new(vec![number])) }
    }

    /// Element type.
    #[must_use]
    pub fn data_type(&self) -> DataType {
        self.data_type
    }

    /// Size of each axis, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements as little-endian bytes in row-major order.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Owned(numbers) => numbers.le_bytes(),
        }
    }

    /// Element type and shape.
    #[must_use]
    pub fn tensor_type(&self) -> TensorType {
        TensorType::new(self.data_type, self.shape.iter().copied())
    }

    /// The elements as `f32`, if they are floats.
    #[must_use]
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        match self.data_type {
            DataType::F32 => Some(self.chunks().map(f32::from_le_bytes).collect()),
            DataType::F16 => Some(self.chunks().map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect()),
            _ => None,
        }
    }

    /// The elements as `i64`, if they are integers or truth values.
    #[must_use]
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        match self.data_type {
            DataType::I64 => Some(self.chunks().map(i64::from_le_bytes).collect()),
            DataType::I32 => Some(self.chunks().map(|bytes| i64::from(i32::from_le_bytes(bytes))).collect()),
            DataType::I8 => Some(self.chunks().map(|bytes| i64::from(i8::from_le_bytes(bytes))).collect()),
            DataType::U8 | DataType::Bool => Some(self.bytes().iter().map(|byte| i64::from(*byte)).collect()),
            DataType::F32 | DataType::F16 => None,
        }
    }

    fn checked(data_type: DataType, shape: &[usize], bytes: Bytes<'a>) -> Result<Self, LengthMismatch> {
        let tensor = Self { data_type, shape: shape.to_vec(), bytes };
        let got = tensor.bytes().len() as u64;
        let expected = shape
            .iter()
            .try_fold(data_type.size() as u64, |bytes, size| bytes.checked_mul(*size as u64))
            .unwrap_or(u64::MAX);
        if got == expected {
            Ok(tensor)
        } else {
            Err(LengthMismatch { data_type, shape: shape.to_vec(), expected, got })
        }
    }

    fn chunks<const N: usize>(&self) -> impl Iterator<Item = [u8; N]> + '_ {
        self.bytes().chunks_exact(N).map(|chunk| chunk.try_into().expect("chunks_exact gives N bytes"))
    }
}

impl PartialEq for Tensor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.data_type == other.data_type && self.shape == other.shape && self.bytes() == other.bytes()
    }
}

/// Type and shape only: weights are large.
impl fmt::Debug for Tensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({}{:?})", self.data_type, self.shape)
    }
}

/// Where the elements lie.
#[derive(Clone)]
enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Owned(Arc<dyn Numbers>),
}

/// A vector of any element type, as bytes.
trait Numbers: Send + Sync {
    fn le_bytes(&self) -> &[u8];
}

impl<T: Element> Numbers for Vec<T> {
    fn le_bytes(&self) -> &[u8] {
        bytes_of(self)
    }
}
