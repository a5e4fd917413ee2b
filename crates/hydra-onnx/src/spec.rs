//! What a graph takes and gives: names, types, shapes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The name that the graph declares.
    pub name: String,
    /// The type of its numbers.
    #[serde(rename = "type")]
    pub element: Element,
    /// Its axes, in order.
    pub shape: Vec<Dim>,
}

impl TensorSpec {
    /// A tensor with these axes.
    #[must_use]
    pub fn new(name: &str, element: Element, shape: impl Into<Vec<Dim>>) -> Self {
        Self { name: name.to_owned(), element, shape: shape.into() }
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [", self.name, self.element)?;
        for (at, dim) in self.shape.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{dim}")?;
        }
        f.write_str("]")
    }
}

/// The type of a tensor's numbers at the edge of a graph.
///
/// Half precision lives inside a graph: an fp16 bundle casts at its edges, so that every precision is called alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 64-bit signed integer: token ids, masks, positions.
    I64,
    /// 32-bit signed integer.
    I32,
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::I64 => "i64",
            Self::I32 => "i32",
        })
    }
}

/// The length of one axis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// Always this long.
    Fixed(u64),
    /// As long as the caller makes it: a name of [`hydra_types::axis`].
    Symbolic(String),
}

impl From<u64> for Dim {
    fn from(len: u64) -> Self {
        Self::Fixed(len)
    }
}

impl From<&str> for Dim {
    fn from(axis: &str) -> Self {
        Self::Symbolic(axis.to_owned())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(len) => len.fmt(f),
            Self::Symbolic(axis) => axis.fmt(f),
        }
    }
}
