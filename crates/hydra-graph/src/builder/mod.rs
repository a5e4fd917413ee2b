//! Builds a graph operator by operator, with every type and shape known at once.

mod compose;
mod contrib;
mod float;
mod integer;
mod shape;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

pub use contrib::{Attended, BlockMatrix, CachedAttention};
pub use float::{GemmOptions, Reduced};
pub use integer::Quantized;

use crate::dim::Dim;
use crate::element::{DataType, Element};
use crate::error::GraphError;
use crate::model::{Attribute, Initializer, Model, Node, ValueInfo};
use crate::op::{self, Fact};
use crate::opset;
use crate::tensor::{Tensor, TensorType};

/// A value in a graph that is being built. Its type and shape: [`GraphBuilder::data_type`], [`GraphBuilder::shape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    graph: u32,
    index: usize,
}

/// Builds a [`Model`] in the order in which it runs.
///
/// Every operator is a method named after it. The method infers the type and the shape of what it makes and returns an
/// error at once if the inputs do not fit. Inputs, initializers and nodes are named after the [scope](Self::scope) they
/// are made in.
///
/// Sizes that are known when the graph runs are [symbolic](Dim::Symbolic), and follow through joins and reshapes.
pub struct GraphBuilder<'a> {
    graph: u32,
    opset: u32,
    name: String,
    scope: Vec<String>,
    values: Vec<ValueEntry>,
    nodes: Vec<NodeEntry>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    initializers: Vec<(usize, Tensor<'a>)>,
    /// Small constants that were asked for before: shapes and scalars repeat in every layer.
    constants: HashMap<(DataType, Vec<usize>, Vec<u8>), usize>,
    value_names: HashSet<String>,
    node_names: HashMap<String, usize>,
    producer: (String, String),
    metadata: BTreeMap<String, String>,
}

struct ValueEntry {
    name: String,
    fact: Fact,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Outside,
    Node,
}

struct NodeEntry {
    node: Node,
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
}

impl<'a> GraphBuilder<'a> {
    /// An empty graph named `name`, in opset 17.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            graph: NEXT_GRAPH.fetch_add(1, Ordering::Relaxed),
            opset: opset::DEFAULT,
            name: name.to_owned(),
            scope: Vec::new(),
            values: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            initializers: Vec::new(),
            constants: HashMap::new(),
            value_names: HashSet::new(),
            node_names: HashMap::new(),
            producer: ("hydra-graph".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            metadata: BTreeMap::new(),
        }
    }

    /// An empty graph named `name`, in another opset.
    ///
    /// # Errors
    /// [`GraphError::Opset`] outside 17 to 21.
    pub fn with_opset(name: &str, opset: u32) -> Result<Self, GraphError> {
        opset::check(opset)?;
        Ok(Self { opset, ..Self::new(name) })
    }

    /// Version of the operators.
    #[must_use]
    pub fn opset(&self) -> u32 {
        self.opset
    }

    /// Names the program that makes the model. `hydra-graph` and its version unless set.
    pub fn set_producer(&mut self, name: &str, version: &str) {
        self.producer = (name.to_owned(), version.to_owned());
    }

    /// Adds a key-value pair to the model's metadata; a key that is already there is replaced.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.to_owned());
    }

    /// Runs `build` with `name` behind the names of everything that it makes.
    ///
    /// ```
    /// # use hydra_graph::{DataType, GraphBuilder, GraphError, Tensor};
    /// let mut graph = GraphBuilder::new("scopes");
    /// let x = graph.input("x", DataType::F32, ["batch"])?;
    /// let y = graph.scope("encoder.layer.0", |graph| {
    ///     graph.scope("output", |graph| {
    ///         let bias = graph.initializer("bias", Tensor::scalar(1.0_f32))?;
    ///         graph.add(x, bias)
    ///     })
    /// })?;
    /// assert_eq!(graph.name(y), "encoder.layer.0.output/Add");
    /// # Ok::<(), GraphError>(())
    /// ```
    pub fn scope<R>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> R) -> R {
        self.scope.push(name.to_owned());
        let result = build(self);
        self.scope.pop();
        result
    }

    /// Declares what the caller passes in. The name is used as it is, outside any scope.
    ///
    /// # Errors
    /// [`GraphError::DuplicateValue`], [`GraphError::EmptyName`].
    pub fn input(
        &mut self,
        name: &str,
        data_type: DataType,
        shape: impl IntoIterator<Item = impl Into<Dim>>,
    ) -> Result<Value, GraphError> {
        let fact = Fact::of_type(TensorType::new(data_type, shape));
        let value = self.define(name.to_owned(), fact, Origin::Outside)?;
        self.inputs.push(value.index);
        Ok(value)
    }

    /// A named constant, such as a weight: its name is the scope's with `name` behind it.
    ///
    /// # Errors
    /// [`GraphError::DuplicateValue`], [`GraphError::EmptyName`].
    pub fn initializer(&mut self, name: &str, tensor: Tensor<'a>) -> Result<Value, GraphError> {
        let name = if name.is_empty() { String::new() } else { self.scoped(name, ".") };
        let value = self.define(name, Fact::of_tensor(&tensor), Origin::Outside)?;
        self.initializers.push((value.index, tensor));
        Ok(value)
    }

    /// A small constant without a name of its own; asked for again, it is the same value.
    ///
    /// # Panics
    /// Never: the names that it gives are not taken.
    pub fn constant(&mut self, tensor: Tensor<'a>) -> Value {
        let key = (tensor.data_type(), tensor.shape().to_vec(), tensor.bytes().to_vec());
        if let Some(index) = self.constants.get(&key) {
            return Value { graph: self.graph, index: *index };
        }
        let mut number = self.constants.len();
        while self.value_names.contains(&format!("constant.{number}")) {
            number += 1;
        }
        let fact = Fact::of_tensor(&tensor);
        let value = self.define(format!("constant.{number}"), fact, Origin::Outside).expect("the name is free");
        self.initializers.push((value.index, tensor));
        self.constants.insert(key, value.index);
        value
    }

    /// A constant without axes.
    pub fn scalar<T: Element>(&mut self, number: T) -> Value {
        self.constant(Tensor::scalar(number))
    }

    /// A constant list of integers: axes, sizes, indices.
    ///
    /// # Panics
    /// Never: the shape is the list's length.
    pub fn ints(&mut self, numbers: &[i64]) -> Value {
        self.constant(Tensor::new(&[numbers.len()], numbers.to_vec()).expect("one element a place"))
    }

    /// Declares a value as what the caller gets back under `name`, outside any scope. Outputs keep the order in which
    /// they are declared.
    ///
    /// # Errors
    /// [`GraphError::DuplicateValue`], [`GraphError::EmptyName`], [`GraphError::ForeignValue`].
    pub fn output(&mut self, name: &str, value: Value) -> Result<(), GraphError> {
        let entry = self.entry(value, "output")?;
        // A value has one name: what already has one that others rely on is passed on under the new one.
        let renamed = if entry.origin == Origin::Node && !self.outputs.contains(&value.index) {
            value
        } else {
            self.identity(value)?
        };
        self.rename(renamed.index, name)?;
        self.outputs.push(renamed.index);
        Ok(())
    }

    /// Element type of a value.
    ///
    /// # Panics
    /// When the value is another builder's.
    #[must_use]
    pub fn data_type(&self, value: Value) -> DataType {
        self.tensor_type(value).data_type
    }

    /// Shape of a value.
    ///
    /// # Panics
    /// When the value is another builder's.
    #[must_use]
    pub fn shape(&self, value: Value) -> &[Dim] {
        &self.tensor_type(value).shape
    }

    /// Element type and shape of a value.
    ///
    /// # Panics
    /// When the value is another builder's.
    #[must_use]
    pub fn tensor_type(&self, value: Value) -> &TensorType {
        &self.entry(value, "tensor_type").expect("the value is this builder's").fact.tensor_type
    }

    /// Name of a value, until it is declared an output.
    ///
    /// # Panics
    /// When the value is another builder's.
    #[must_use]
    pub fn name(&self, value: Value) -> &str {
        &self.entry(value, "name").expect("the value is this builder's").name
    }

    /// The finished model, [checked](Model::check).
    ///
    /// # Errors
    /// What [`Model::check`] finds: a graph that this builder made can lack outputs and nothing else.
    pub fn finish(self) -> Result<Model<'a>, GraphError> {
        let info = |index: &usize| {
            let entry = &self.values[*index];
            ValueInfo { name: entry.name.clone(), tensor_type: entry.fact.tensor_type.clone() }
        };
        let name = |index: &usize| self.values[*index].name.clone();
        let nodes = self.nodes.iter().map(|entry| Node {
            inputs: entry.inputs.iter().map(|input| input.as_ref().map(name).unwrap_or_default()).collect(),
            outputs: entry.outputs.iter().map(name).collect(),
            ..entry.node.clone()
        });
        let model = Model {
            ir_version: opset::ir_version(self.opset),
            opset: self.opset,
            nodes: nodes.collect(),
            inputs: self.inputs.iter().map(info).collect(),
            outputs: self.outputs.iter().map(info).collect(),
            initializers: self
                .initializers
                .iter()
                .map(|(index, tensor)| Initializer { name: name(index), tensor: tensor.clone() })
                .collect(),
            producer: self.producer,
            metadata: self.metadata,
            name: self.name,
        };
        model.check()?;
        Ok(model)
    }

    /// Adds a node with one output.
    fn one(&mut self, op: &str, inputs: &[Value], attributes: &[(&str, Attribute)]) -> Result<Value, GraphError> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        Ok(self.node(op, &inputs, attributes, 1)?[0])
    }

    /// Adds a node: the one place where the builder and the rules of the operators meet.
    fn node(
        &mut self,
        op: &str,
        inputs: &[Option<Value>],
        attributes: &[(&str, Attribute)],
        outputs: usize,
    ) -> Result<Vec<Value>, GraphError> {
        for input in inputs.iter().flatten() {
            self.entry(*input, op)?;
        }
        let base = self.scoped(op, "/");
        let (name, count) = self.free_node_name(&base);
        // Names of values may still change, so a node gets them at the end; inference only counts them.
        let node = Node {
            name,
            op: op.to_owned(),
            inputs: Vec::new(),
            outputs: vec![String::new(); outputs],
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        };
        let facts: Vec<Option<&Fact>> =
            inputs.iter().map(|input| input.map(|input| &self.values[input.index].fact)).collect();
        let inferred = op::infer(&node, self.opset, &facts)
            .expect("a method exists only for operators in the table")
            .map_err(|source| GraphError::Op {
            node: node.name.clone(),
            op: op.to_owned(),
            inputs: facts.iter().map(|fact| fact.map(|fact| fact.tensor_type.clone())).collect(),
            source: Box::new(source),
        })?;
        self.node_names.insert(base, count);
        self.node_names.entry(node.name.clone()).or_insert(1);
        let mut made = Vec::new();
        for (output, fact) in inferred.into_iter().enumerate() {
            let name = if outputs == 1 { node.name.clone() } else { format!("{}.{output}", node.name) };
            let name = self.free_value_name(name);
            made.push(self.define(name, fact, Origin::Node)?);
        }
        self.nodes.push(NodeEntry {
            node,
            inputs: inputs.iter().map(|input| input.map(|input| input.index)).collect(),
            outputs: made.iter().map(|value| value.index).collect(),
        });
        Ok(made)
    }

    fn entry(&self, value: Value, op: &str) -> Result<&ValueEntry, GraphError> {
        if value.graph == self.graph {
            Ok(&self.values[value.index])
        } else {
            Err(GraphError::ForeignValue { op: op.to_owned() })
        }
    }

    fn define(&mut self, name: String, fact: Fact, origin: Origin) -> Result<Value, GraphError> {
        self.take_value_name(&name)?;
        self.values.push(ValueEntry { name, fact, origin });
        Ok(Value { graph: self.graph, index: self.values.len() - 1 })
    }

    fn rename(&mut self, index: usize, name: &str) -> Result<(), GraphError> {
        if self.values[index].name != name {
            self.take_value_name(name)?;
            let before = std::mem::replace(&mut self.values[index].name, name.to_owned());
            self.value_names.remove(&before);
        }
        Ok(())
    }

    fn take_value_name(&mut self, name: &str) -> Result<(), GraphError> {
        if name.is_empty() {
            return Err(GraphError::EmptyName { what: "a value" });
        }
        if self.value_names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(GraphError::DuplicateValue { name: name.to_owned() })
        }
    }

    /// `name` in the current scope.
    fn scoped(&self, name: &str, separator: &str) -> String {
        if self.scope.is_empty() { name.to_owned() } else { format!("{}{separator}{name}", self.scope.join(".")) }
    }

    /// `base`, or `base_1`, `base_2`, and how many nodes of this base there are with it.
    fn free_node_name(&self, base: &str) -> (String, usize) {
        let mut count = self.node_names.get(base).copied().unwrap_or(0);
        loop {
            let name = if count == 0 { base.to_owned() } else { format!("{base}_{count}") };
            count += 1;
            if name == base || !self.node_names.contains_key(&name) {
                return (name, count);
            }
        }
    }

    fn free_value_name(&self, name: String) -> String {
        if !self.value_names.contains(&name) {
            return name;
        }
        (1_usize..)
            .map(|count| format!("{name}_{count}"))
            .find(|name| !self.value_names.contains(name))
            .expect("some number is free")
    }
}

/// Tells the values of two builders apart; never written to a file.
static NEXT_GRAPH: AtomicU32 = AtomicU32::new(0);
