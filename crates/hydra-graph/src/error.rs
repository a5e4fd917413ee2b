//! What can be wrong with a graph.

use crate::op::OpError;
use crate::tensor::TensorType;

/// Why a graph is not one that ONNX Runtime could run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An operator cannot take its inputs or attributes.
    #[error("{op} node {node:?} cannot take ({})", list(inputs))]
    Op {
        /// Name of the node.
        node: String,
        /// Operator.
        op: String,
        /// Types of its inputs; `None` for one that is left out.
        inputs: Vec<Option<TensorType>>,
        /// Which rule it breaks.
        source: Box<OpError>,
    },
    /// An operator that this crate has no rules for.
    #[error("node {node:?} is {op}, which this crate does not know: build it from operators of the default domain")]
    UnknownOperator {
        /// Name of the node.
        node: String,
        /// Operator, with its domain and `::` before it unless that is the default domain.
        op: String,
    },
    /// A node reads a value that nothing makes.
    #[error("node {node:?} reads {input:?}, which is no input, no initializer and no node's output")]
    UndefinedInput {
        /// Name of the node.
        node: String,
        /// Name of the value.
        input: String,
    },
    /// A node reads a value that is made by itself or a later node.
    #[error("node {node:?} reads {input:?} before it is made: order the nodes so that values come before their uses")]
    UsedBeforeMade {
        /// Name of the node.
        node: String,
        /// Name of the value.
        input: String,
    },
    /// Two inputs, initializers or node outputs have one name.
    #[error("the value {name:?} is defined twice: names of values must be unique")]
    DuplicateValue {
        /// Name of the value.
        name: String,
    },
    /// Two nodes have one name.
    #[error("two nodes are named {name:?}: names of nodes must be unique")]
    DuplicateNode {
        /// Name of the node.
        name: String,
    },
    /// A value or node without a name.
    #[error("{what} has no name: everything but a left-out optional input needs one")]
    EmptyName {
        /// What has none.
        what: &'static str,
    },
    /// Two outputs of the graph have one name.
    #[error("the graph lists the output {name:?} twice")]
    DuplicateOutput {
        /// Name of the output.
        name: String,
    },
    /// The graph declares an output that nothing makes.
    #[error("the graph's output {name:?} is made by nothing")]
    UndefinedOutput {
        /// Name of the output.
        name: String,
    },
    /// An output does not have the type that the graph declares.
    #[error("the graph's output {name:?} is declared as {declared}, but it is {inferred}")]
    OutputMismatch {
        /// Name of the output.
        name: String,
        /// Type that the graph declares.
        declared: TensorType,
        /// Type that follows from the nodes.
        inferred: TensorType,
    },
    /// A graph that gives nothing back.
    #[error("the graph has no outputs: declare at least one")]
    NoOutputs,
    /// An opset whose operators this crate does not know.
    #[error("opset {opset} is not among the ones that are known, {first} to {last}")]
    Opset {
        /// Opset of the model.
        opset: u32,
        /// First that is known.
        first: u32,
        /// Last that is known.
        last: u32,
    },
    /// A file format that is older than the opset, or one that is not known.
    #[error("IR version {ir_version} does not go with opset {opset}: it must be {least} to {most}")]
    IrVersion {
        /// IR version of the model.
        ir_version: i64,
        /// Opset of the model.
        opset: u32,
        /// Least IR version that has this opset.
        least: i64,
        /// Last IR version that is known.
        most: i64,
    },
    /// A value of another builder.
    #[error("a value of another graph was given to {op}: build every part of a graph with one builder")]
    ForeignValue {
        /// Operator.
        op: String,
    },
}

fn list(inputs: &[Option<TensorType>]) -> String {
    let name = |input: &Option<TensorType>| input.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    inputs.iter().map(name).collect::<Vec<_>>().join(", ")
}
