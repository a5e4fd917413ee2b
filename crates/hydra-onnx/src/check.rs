//! Hostile ONNX files are refused before ONNX Runtime sees a byte.
//!
//! ONNX Runtime parses in C++, trusts lengths that a file claims, and opens any file that an external tensor names.
//! This module walks the protobuf by hand first, within [limits](self#constants): nothing is allocated in proportion to
//! a claimed number, nothing recurses deeper than the file is allowed to, and external data can only be bytes that were
//! handed in beside the graph. What passes is a [`Model`]: bytes that were checked, held in memory, so that what was
//! checked is what runs.

mod error;
mod graph;
mod tensor;
mod weight;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use error::CheckError;
pub(crate) use tensor::is_file_name;
pub(crate) use weight::Weight;
pub(crate) use weight::WeightType;

use crate::spec::TensorSpec;

/// A graph and its external data, checked.
///
/// Cloning is cheap: the bytes are shared.
#[derive(Clone)]
pub struct Model {
    graph: Arc<[u8]>,
    data: BTreeMap<String, Arc<[u8]>>,
    facts: GraphFacts,
    weights: Arc<[Weight]>,
}

/// What the check read from a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphFacts {
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of the default operator set.
    pub opset: i64,
    /// What it takes, without initialisers.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
    /// Operators, those of subgraphs included.
    pub nodes: usize,
    /// Bytes of all tensors in the file and beside it.
    pub tensor_bytes: u64,
}

impl Model {
    /// Checks a graph that carries its weights itself.
    ///
    /// # Errors
    /// The first reason why ONNX Runtime should not see it.
    pub fn new(graph: impl Into<Arc<[u8]>>) -> Result<Self, CheckError> {
        Self::with_data(graph, BTreeMap::new())
    }

    /// Checks a graph whose tensors may lie in `data`, by the name that they give as their location.
    ///
    /// # Errors
    /// The first reason why ONNX Runtime should not see it.
    pub fn with_data(graph: impl Into<Arc<[u8]>>, data: BTreeMap<String, Arc<[u8]>>) -> Result<Self, CheckError> {
        let graph = graph.into();
        let (facts, weights) = graph::check(&graph, &data)?;
        Ok(Self { graph, data, facts, weights: weights.into() })
    }

    /// The bytes of the graph.
    #[must_use]
    pub fn graph(&self) -> &[u8] {
        &self.graph
    }

    /// The bytes beside the graph, by location.
    #[must_use]
    pub fn data(&self) -> &BTreeMap<String, Arc<[u8]>> {
        &self.data
    }

    /// Large initialisers, with their bytes: what sessions can share.
    #[cfg_attr(not(feature = "runtime"), allow(dead_code))]
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&Weight, &[u8])> {
        self.weights
            .iter()
            .map(|weight| (weight, weight.bytes(self)))
            .filter(|(_, bytes)| bytes.len() >= MIN_SHARED_BYTES)
    }

    /// Shape and numbers of an initialiser in 32-bit floats, if there is one of this name.
    pub(crate) fn initializer(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        let is_it = |weight: &&Weight| weight.name == name && weight.element == WeightType::F32;
        let weight = self.weights.iter().find(is_it)?;
        let shape = weight.dims.iter().map(|len| usize::try_from(*len).ok()).collect::<Option<_>>()?;
        let (numbers, _) = weight.bytes(self).as_chunks();
        Some((shape, numbers.iter().copied().map(f32::from_le_bytes).collect()))
    }

    /// What the check read.
    #[must_use]
    pub fn facts(&self) -> &GraphFacts {
        &self.facts
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("bytes", &self.graph.len()).field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// File format versions that are read: from the first whose initialisers need not be inputs to that of ONNX 1.21.
const IR_VERSIONS: std::ops::RangeInclusive<i64> = 4..=13;
/// Default operator sets that are read: from the one that turned axes into inputs to that of ONNX 1.21.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=26;
/// Operator sets besides the default one: ONNX Runtime's own fused operators, and no custom ones.
const OTHER_DOMAINS: [&str; 2] = ["ai.onnx", "com.microsoft"];
/// Subgraphs in subgraphs. Exported encoders have none.
const MAX_DEPTH: usize = 8;
/// Operators; the largest published encoders have some ten thousand.
const MAX_NODES: usize = 200_000;
/// Tensors with numbers in the file or beside it.
const MAX_TENSORS: usize = 200_000;
/// Inputs or outputs of one operator, of the graph, and attributes of one operator.
const MAX_EDGES: usize = 4_096;
/// Axes of one tensor.
const MAX_DIMS: usize = 16;
/// Smaller initialisers cost more to hand over than they save.
const MIN_SHARED_BYTES: usize = 1024;
/// Bytes of one name.
const MAX_NAME: usize = 1_024;
