//! A finished model: nodes in the order in which they run, the constants that they use, inputs and outputs.

use std::collections::BTreeMap;

use crate::error::GraphError;
use crate::tensor::{Tensor, TensorType};

/// An ONNX model.
///
/// Made by [`GraphBuilder::finish`](crate::GraphBuilder::finish) or read from a file, and plain data: nothing about it
/// is known to hold until [`Model::check`] has said so, which every way of writing it calls first.
#[derive(Clone, Debug, PartialEq)]
pub struct Model<'a> {
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of the operators.
    pub opset: u32,
    /// Program that wrote the model, and its version.
    pub producer: (String, String),
    /// Free key-value pairs, written in the order of their keys.
    pub metadata: BTreeMap<String, String>,
    /// Name of the graph.
    pub name: String,
    /// What the caller passes in, in order.
    pub inputs: Vec<ValueInfo>,
    /// What the caller gets back, in order.
    pub outputs: Vec<ValueInfo>,
    /// Constants by name, in the order in which they are written.
    pub initializers: Vec<Initializer<'a>>,
    /// Operators in the order in which they run.
    pub nodes: Vec<Node>,
}

/// A named value with its type.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueInfo {
    /// Name of the value.
    pub name: String,
    /// Element type and shape.
    pub tensor_type: TensorType,
}

/// A named constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Initializer<'a> {
    /// Name of the value.
    pub name: String,
    /// The constant.
    pub tensor: Tensor<'a>,
}

/// One operator with the names of the values that it reads and makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name of the node, such as `encoder.layer.0.attention.query/MatMul`.
    pub name: String,
    /// Operator, such as `MatMul`; one that is not in the default domain has its domain and `::` before it.
    pub op: String,
    /// Values that it reads; an empty name is an optional input that is left out.
    pub inputs: Vec<String>,
    /// Values that it makes.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// One float.
    Float(f32),
    /// A word.
    String(String),
    /// Integers, such as axes.
    Ints(Vec<i64>),
    /// A constant.
    Tensor(Tensor<'static>),
}

impl<'a> Model<'a> {
    /// The constant of this name.
    #[must_use]
    pub fn initializer(&self, name: &str) -> Option<&Tensor<'a>> {
        self.initializers.iter().find(|initializer| initializer.name == name).map(|found| &found.tensor)
    }

    /// The model with more of its values as outputs, behind those that it has: to look at what goes on inside.
    ///
    /// # Errors
    /// [`GraphError::UndefinedOutput`] for a name that nothing makes, [`GraphError::DuplicateOutput`] for one that is an
    /// output already, and what [`check`](Self::check) finds.
    pub fn with_outputs(&self, names: &[String]) -> Result<Self, GraphError> {
        let facts = self.facts()?;
        let mut outputs = self.outputs.clone();
        for name in names {
            let fact = facts.get(name.as_str()).ok_or_else(|| GraphError::UndefinedOutput { name: name.clone() })?;
            outputs.push(ValueInfo { name: name.clone(), tensor_type: fact.tensor_type.clone() });
        }
        let model = Self { outputs, ..self.clone() };
        model.check()?;
        Ok(model)
    }

    /// Bytes of all constants.
    #[must_use]
    pub fn initializer_bytes(&self) -> u64 {
        self.initializers.iter().map(|initializer| initializer.tensor.bytes().len() as u64).sum()
    }
}
