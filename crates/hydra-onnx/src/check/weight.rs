//! Where initialisers lie, so that sessions can share them and their numbers can be read.

use std::ops::Range;

use super::Model;
use super::tensor::{CheckedTensor, Place};

/// An initialiser of the outermost graph.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "runtime"), allow(dead_code))]
pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) element: WeightType,
    pub(crate) dims: Vec<i64>,
    /// The file beside the graph; the graph itself if there is none.
    location: Option<String>,
    range: Range<usize>,
}

/// The types that are worth sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WeightType {
    F32,
    I8,
    U8,
}

impl Weight {
    /// None for a tensor of another type, or not in one piece.
    pub(super) fn new(tensor: CheckedTensor<'_>, graph: &[u8]) -> Option<Self> {
        let element = match tensor.code {
            1 => WeightType::F32,
            2 => WeightType::U8,
            3 => WeightType::I8,
            _ => return None,
        };
        let (location, start) = match tensor.place? {
            Place::Inside(bytes) => (None, bytes.as_ptr().addr() - graph.as_ptr().addr()),
            Place::Beside { location, offset } => (Some(location.to_owned()), usize::try_from(offset).ok()?),
        };
        let range = start..start + usize::try_from(tensor.bytes).ok()?;
        Some(Self { name: tensor.name.to_owned(), element, dims: tensor.dims, location, range })
    }

    pub(super) fn bytes<'m>(&self, model: &'m Model) -> &'m [u8] {
        let file = self.location.as_ref().map_or(model.graph(), |location| &model.data()[location]);
        &file[self.range.clone()]
    }
}
