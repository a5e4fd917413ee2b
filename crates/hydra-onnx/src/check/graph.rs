//! A model, its graph, its nodes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::wire::{Field, Fields};
use super::{
    CheckError, GraphFacts, IR_VERSIONS, MAX_DEPTH, MAX_DIMS, MAX_EDGES, MAX_NAME, MAX_NODES, MAX_TENSORS, OPSETS,
    OTHER_DOMAINS, Weight, tensor,
};
use crate::spec::{Dim, Element, TensorSpec};

/// Checks a `ModelProto`.
pub(super) fn check(model: &[u8], data: &BTreeMap<String, Arc<[u8]>>) -> Result<(GraphFacts, Vec<Weight>), CheckError> {
    let (mut ir_version, mut opset, mut graph) = (None, None, None);
    for field in Fields::new(model) {
        let field = field?;
        match field.number {
            1 => once(&mut ir_version, field.int()?, "the ir version")?,
            7 => once(&mut graph, field.message()?, "the graph")?,
            8 => match operator_set(field.message()?)? {
                ("" | "ai.onnx", version) => once(&mut opset, version, "the default opset")?,
                (domain, _) => known_domain(domain)?,
            },
            20 => return Err(CheckError::Unsupported { what: "training information" }),
            25 => return Err(CheckError::Unsupported { what: "functions" }),
            _ => {}
        }
    }
    let ir_version = ir_version.ok_or(CheckError::Missing { what: "ir version" })?;
    if !IR_VERSIONS.contains(&ir_version) {
        let (min, max) = (*IR_VERSIONS.start(), *IR_VERSIONS.end());
        return Err(CheckError::IrVersion { found: ir_version, min, max });
    }
    let opset = opset.ok_or(CheckError::Missing { what: "default opset" })?;
    if !OPSETS.contains(&opset) {
        let (min, max) = (*OPSETS.start(), *OPSETS.end());
        return Err(CheckError::Opset { found: opset, min, max });
    }
    let mut walk = Walk { data, nodes: 0, tensors: 0, tensor_bytes: 0, weights: Vec::new() };
    let edges = walk.graph(graph.ok_or(CheckError::Missing { what: "graph" })?, 0)?;
    let inputs = edges
        .inputs
        .iter()
        .filter(|input| !edges.initialisers.contains(input.name.unwrap_or("")))
        .map(Edge::spec)
        .collect::<Result<_, _>>()?;
    let outputs = edges.outputs.iter().map(Edge::spec).collect::<Result<_, _>>()?;
    let Walk { nodes, tensor_bytes, weights, .. } = walk;
    let weights = weights.into_iter().filter_map(|tensor| Weight::new(tensor, model)).collect();
    Ok((GraphFacts { ir_version, opset, inputs, outputs, nodes, tensor_bytes }, weights))
}

/// Sets a field that may stand once.
pub(super) fn once<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), CheckError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(CheckError::Repeated { what }),
    }
}

/// A name of bounded length.
pub(super) fn name(field: Field<'_>) -> Result<&str, CheckError> {
    let bytes = field.bytes()?;
    if bytes.len() > MAX_NAME {
        return Err(CheckError::NameTooLong { limit: MAX_NAME });
    }
    std::str::from_utf8(bytes).map_err(|_| CheckError::Name)
}

/// Counts over the whole file, subgraphs included.
struct Walk<'d, 'a> {
    data: &'d BTreeMap<String, Arc<[u8]>>,
    nodes: usize,
    tensors: usize,
    tensor_bytes: u64,
    /// Initialisers of the outermost graph.
    weights: Vec<tensor::CheckedTensor<'a>>,
}

/// What a graph takes and gives.
#[derive(Default)]
struct Edges<'a> {
    inputs: Vec<Edge<'a>>,
    outputs: Vec<Edge<'a>>,
    initialisers: HashSet<&'a str>,
}

impl<'a> Walk<'_, 'a> {
    fn graph(&mut self, message: Fields<'a>, depth: usize) -> Result<Edges<'a>, CheckError> {
        if depth > MAX_DEPTH {
            return Err(CheckError::TooDeep { limit: MAX_DEPTH });
        }
        let mut edges = Edges::default();
        for field in message {
            let field = field?;
            match field.number {
                1 => self.node(field.message()?, depth)?,
                5 => {
                    let tensor = self.tensor(field)?;
                    if tensor.name.is_empty() {
                        return Err(CheckError::Missing { what: "name of an initialiser" });
                    }
                    if !edges.initialisers.insert(tensor.name) {
                        return Err(CheckError::Duplicate { name: tensor.name.to_owned() });
                    }
                    if depth == 0 {
                        self.weights.push(tensor);
                    }
                }
                11 => push(&mut edges.inputs, edge(field.message()?)?, "inputs")?,
                12 => push(&mut edges.outputs, edge(field.message()?)?, "outputs")?,
                14 => return Err(CheckError::Unsupported { what: "quantisation annotations" }),
                15 => return Err(CheckError::Unsupported { what: "sparse tensors" }),
                _ => {}
            }
        }
        for list in [&edges.inputs, &edges.outputs] {
            let mut names = HashSet::new();
            for edge in list {
                let name = edge.name.ok_or(CheckError::Missing { what: "name of an input or output" })?;
                if !names.insert(name) {
                    return Err(CheckError::Duplicate { name: name.to_owned() });
                }
            }
        }
        Ok(edges)
    }

    fn node(&mut self, message: Fields<'a>, depth: usize) -> Result<(), CheckError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(CheckError::TooMany { what: "nodes", limit: MAX_NODES });
        }
        let (mut names, mut attributes, mut operator, mut domain) = (0, 0, None, None);
        for field in message {
            let field = field?;
            match field.number {
                1 | 2 => {
                    name(field)?;
                    names += 1;
                }
                3 => drop(name(field)?),
                4 => once(&mut operator, name(field)?, "the operator of a node")?,
                5 => {
                    self.attribute(field.message()?, depth)?;
                    attributes += 1;
                }
                7 => once(&mut domain, name(field)?, "the domain of a node")?,
                _ => {}
            }
            if names > MAX_EDGES || attributes > MAX_EDGES {
                return Err(CheckError::TooMany {
                    what: "inputs, outputs or attributes of one node",
                    limit: MAX_EDGES,
                });
            }
        }
        if operator.is_none_or(str::is_empty) {
            return Err(CheckError::Missing { what: "operator of a node" });
        }
        known_domain(domain.unwrap_or(""))
    }

    fn attribute(&mut self, message: Fields<'a>, depth: usize) -> Result<(), CheckError> {
        let (mut tensor, mut graph) = (None, None);
        for field in message {
            let field = field?;
            match field.number {
                1 => drop(name(field)?),
                5 => {
                    self.tensor(field)?;
                    once(&mut tensor, (), "the tensor of an attribute")?;
                }
                6 => {
                    self.graph(field.message()?, depth + 1)?;
                    once(&mut graph, (), "the graph of an attribute")?;
                }
                10 => drop(self.tensor(field)?),
                11 => drop(self.graph(field.message()?, depth + 1)?),
                22 | 23 => return Err(CheckError::Unsupported { what: "sparse tensors" }),
                _ => {}
            }
        }
        Ok(())
    }

    fn tensor(&mut self, field: Field<'a>) -> Result<tensor::CheckedTensor<'a>, CheckError> {
        self.tensors += 1;
        if self.tensors > MAX_TENSORS {
            return Err(CheckError::TooMany { what: "tensors", limit: MAX_TENSORS });
        }
        let tensor = tensor::check(field.message()?, self.data)?;
        // Tensors may share external bytes, so the sum can exceed the files; it stays a plain count.
        self.tensor_bytes = self.tensor_bytes.saturating_add(tensor.bytes);
        Ok(tensor)
    }
}

/// A `ValueInfoProto`: an input or an output.
#[derive(Default)]
struct Edge<'a> {
    name: Option<&'a str>,
    code: u64,
    shape: Option<Vec<Dim>>,
}

impl Edge<'_> {
    fn spec(&self) -> Result<TensorSpec, CheckError> {
        let name = self.name.unwrap_or("").to_owned();
        let element = match self.code {
            1 => Element::F32,
            6 => Element::I32,
            7 => Element::I64,
            code => return Err(CheckError::EdgeType { name, code }),
        };
        let shape = self.shape.clone().ok_or(CheckError::Missing { what: "shape of an input or output" })?;
        Ok(TensorSpec { name, element, shape })
    }
}

fn edge(message: Fields<'_>) -> Result<Edge<'_>, CheckError> {
    let (mut edge, mut has_type) = (Edge::default(), None);
    for field in message {
        let field = field?;
        match field.number {
            1 => once(&mut edge.name, name(field)?, "the name of an input or output")?,
            2 => {
                once(&mut has_type, (), "the type of an input or output")?;
                let mut tensor = None;
                for field in field.message()? {
                    let field = field?;
                    match field.number {
                        1 => once(&mut tensor, field.message()?, "the tensor type of an input or output")?,
                        4 | 5 | 8 | 9 => {
                            return Err(CheckError::Unsupported { what: "inputs or outputs that are no tensors" });
                        }
                        _ => {}
                    }
                }
                if let Some(tensor) = tensor {
                    (edge.code, edge.shape) = tensor_type(tensor)?;
                }
            }
            _ => {}
        }
    }
    Ok(edge)
}

fn tensor_type(message: Fields<'_>) -> Result<(u64, Option<Vec<Dim>>), CheckError> {
    let (mut code, mut shape) = (None, None);
    for field in message {
        let field = field?;
        match field.number {
            1 => once(&mut code, field.varint()?, "the type of an input or output")?,
            2 => {
                let mut dims = Vec::new();
                for field in field.message()? {
                    let field = field?;
                    if field.number == 1 {
                        if dims.len() == MAX_DIMS {
                            return Err(CheckError::TooMany { what: "dimensions", limit: MAX_DIMS });
                        }
                        dims.push(dim(field.message()?)?);
                    }
                }
                once(&mut shape, dims, "the shape of an input or output")?;
            }
            _ => {}
        }
    }
    Ok((code.unwrap_or(0), shape))
}

fn dim(message: Fields<'_>) -> Result<Dim, CheckError> {
    let mut dim = None;
    for field in message {
        let field = field?;
        match field.number {
            1 => {
                let len = u64::try_from(field.int()?).map_err(|_| CheckError::Missing { what: "length of an axis" })?;
                once(&mut dim, Dim::Fixed(len), "the length of an axis")?;
            }
            2 => once(&mut dim, Dim::from(name(field)?), "the length of an axis")?,
            _ => {}
        }
    }
    dim.ok_or(CheckError::Missing { what: "length of an axis" })
}

fn operator_set(message: Fields<'_>) -> Result<(&str, i64), CheckError> {
    let (mut domain, mut version) = (None, None);
    for field in message {
        let field = field?;
        match field.number {
            1 => once(&mut domain, name(field)?, "the domain of an opset")?,
            2 => once(&mut version, field.int()?, "the version of an opset")?,
            _ => {}
        }
    }
    Ok((domain.unwrap_or(""), version.unwrap_or(0)))
}

fn known_domain(domain: &str) -> Result<(), CheckError> {
    if domain.is_empty() || OTHER_DOMAINS.contains(&domain) {
        Ok(())
    } else {
        Err(CheckError::Domain { domain: domain.to_owned() })
    }
}

fn push<'a>(list: &mut Vec<Edge<'a>>, edge: Edge<'a>, what: &'static str) -> Result<(), CheckError> {
    if list.len() == MAX_EDGES {
        return Err(CheckError::TooMany { what, limit: MAX_EDGES });
    }
    list.push(edge);
    Ok(())
}
