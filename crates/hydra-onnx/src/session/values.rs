//! Arrays that go into a graph and come out of it.

use std::fmt;

use hydra_types::ndarray::{ArrayView, ArrayViewD, CowArray, Dimension, IxDyn};
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynTensor, Tensor, TensorRef};

use super::SessionError;
use crate::spec::{Dim, Element, TensorSpec};

/// An array that is given to a graph: made by `array.view().into()`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TensorView<'a> {
    /// 32-bit floats.
    F32(ArrayViewD<'a, f32>),
    /// 64-bit signed integers.
    I64(ArrayViewD<'a, i64>),
    /// 32-bit signed integers.
    I32(ArrayViewD<'a, i32>),
}

impl<'a, D: Dimension> From<ArrayView<'a, f32, D>> for TensorView<'a> {
    fn from(view: ArrayView<'a, f32, D>) -> Self {
        Self::F32(view.into_dyn())
    }
}

impl<'a, D: Dimension> From<ArrayView<'a, i64, D>> for TensorView<'a> {
    fn from(view: ArrayView<'a, i64, D>) -> Self {
        Self::I64(view.into_dyn())
    }
}

impl<'a, D: Dimension> From<ArrayView<'a, i32, D>> for TensorView<'a> {
    fn from(view: ArrayView<'a, i32, D>) -> Self {
        Self::I32(view.into_dyn())
    }
}

impl<'a> TensorView<'a> {
    fn element(&self) -> Element {
        match self {
            Self::F32(_) => Element::F32,
            Self::I64(_) => Element::I64,
            Self::I32(_) => Element::I32,
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::F32(view) => view.shape(),
            Self::I64(view) => view.shape(),
            Self::I32(view) => view.shape(),
        }
    }

    pub(super) fn fits(&self, spec: &TensorSpec) -> bool {
        let fixed = |(dim, &len): (&Dim, &usize)| !matches!(dim, Dim::Fixed(fixed) if *fixed != len as u64);
        self.element() == spec.element
            && self.shape().len() == spec.shape.len()
            && spec.shape.iter().zip(self.shape()).all(fixed)
    }

    pub(super) fn describe(&self) -> String {
        format!("{} {:?}", self.element(), self.shape())
    }

    /// A copy in a value that can be bound and outlives the view.
    pub(super) fn owned(&self) -> Result<DynTensor, ort::Error> {
        let shape = self.shape().to_vec();
        Ok(match self {
            Self::F32(view) => Tensor::from_array((shape, view.iter().copied().collect::<Vec<_>>()))?.upcast(),
            Self::I64(view) => Tensor::from_array((shape, view.iter().copied().collect::<Vec<_>>()))?.upcast(),
            Self::I32(view) => Tensor::from_array((shape, view.iter().copied().collect::<Vec<_>>()))?.upcast(),
        })
    }

    pub(super) fn contiguous(&self) -> Contiguous<'a> {
        match self {
            Self::F32(view) => Contiguous::F32(view.clone().to_standard()),
            Self::I64(view) => Contiguous::I64(view.clone().to_standard()),
            Self::I32(view) => Contiguous::I32(view.clone().to_standard()),
        }
    }
}

/// The same, in row-major order: what the C interface takes.
pub(super) enum Contiguous<'a> {
    F32(CowArray<'a, f32, IxDyn>),
    I64(CowArray<'a, i64, IxDyn>),
    I32(CowArray<'a, i32, IxDyn>),
}

impl Contiguous<'_> {
    pub(super) fn value(&self) -> Result<SessionInputValue<'_>, ort::Error> {
        Ok(match self {
            Self::F32(array) => TensorRef::from_array_view(array)?.into(),
            Self::I64(array) => TensorRef::from_array_view(array)?.into(),
            Self::I32(array) => TensorRef::from_array_view(array)?.into(),
        })
    }
}

trait ToStandard<'a, A> {
    fn to_standard(self) -> CowArray<'a, A, IxDyn>;
}

impl<'a, A: Clone> ToStandard<'a, A> for ArrayViewD<'a, A> {
    fn to_standard(self) -> CowArray<'a, A, IxDyn> {
        if self.is_standard_layout() { self.into() } else { self.as_standard_layout().into_owned().into() }
    }
}

/// What a graph gave: arrays in ONNX Runtime's memory, read in place, until the session runs again.
pub struct Outputs<'s> {
    values: SessionOutputs<'s>,
}

impl<'s> Outputs<'s> {
    pub(super) fn new(values: SessionOutputs<'s>) -> Self {
        Self { values }
    }

    /// An output of 32-bit floats with this many axes (`Ix2` for two).
    ///
    /// # Errors
    /// [`SessionError::NoOutput`] if there is none of that name, type and number of axes.
    pub fn f32<D: Dimension>(&self, name: &str) -> Result<ArrayView<'_, f32, D>, SessionError> {
        let none = || SessionError::NoOutput { name: name.to_owned(), axes: D::NDIM.unwrap_or_default() };
        let value = self.values.get(name).ok_or_else(none)?;
        let view = value.try_extract_array::<f32>().map_err(|_| none())?;
        view.into_dimensionality().map_err(|_| none())
    }
}

impl fmt::Debug for Outputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("names", &self.values.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
