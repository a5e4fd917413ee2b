//! Element types, and number slices as the little-endian bytes that ONNX files hold.
#![allow(unsafe_code)]

use std::fmt;

use half::f16;

#[cfg(not(target_endian = "little"))]
compile_error!("hydra-graph writes tensors as they lie in memory, and ONNX files are little-endian");

/// The element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 64-bit signed integer: ids, shapes, axes.
    I64,
    /// 32-bit signed integer: sums of 8-bit products.
    I32,
    /// 8-bit signed integer: quantised weights.
    I8,
    /// 8-bit unsigned integer: quantised activations.
    U8,
    /// One byte, 0 or 1.
    Bool,
}

impl DataType {
    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether it is a floating-point type.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16)
    }

    /// The number that `TensorProto.DataType` gives this type.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
        }
    }

    pub(crate) fn from_code(code: i32) -> Option<Self> {
        [Self::F32, Self::F16, Self::I64, Self::I32, Self::I8, Self::U8, Self::Bool]
            .into_iter()
            .find(|data_type| data_type.code() == code)
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

/// A Rust number that can be the element of a tensor: `f32`, `f16`, `i64`, `i32`, `i8`, `u8`.
pub trait Element: sealed::Sealed + Copy + Send + Sync + 'static {
    /// The element type of a tensor of these numbers.
    const DATA_TYPE: DataType;
}

mod sealed {
    /// # Safety
    /// Every byte of a value must be initialised (no padding).
    pub unsafe trait Sealed {}
}

macro_rules! elements {
    ($($number:ty => $data_type:ident),*) => {$(
        // SAFETY: a primitive number, or a transparent wrapper of one, has no padding.
        unsafe impl sealed::Sealed for $number {}
        impl Element for $number {
            const DATA_TYPE: DataType = DataType::$data_type;
        }
    )*};
}

elements!(f32 => F32, f16 => F16, i64 => I64, i32 => I32, i8 => I8, u8 => U8);

/// The bytes of a slice of numbers, where they lie.
pub(crate) fn bytes_of<T: Element>(numbers: &[T]) -> &[u8] {
    // SAFETY: the pointer is valid for `size_of_val` bytes for as long as `numbers` is borrowed, `u8` needs no
    // alignment, and by `Sealed` no byte is uninitialised.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), std::mem::size_of_val(numbers)) }
}
