//! The structural check: what holds of every model that is written.

use std::collections::{HashMap, HashSet};

use crate::dim::Dim;
use crate::error::GraphError;
use crate::model::{Model, Node};
use crate::op::{self, Fact};
use crate::opset;
use crate::tensor::TensorType;

impl Model<'_> {
    /// Checks the finished model, whoever made it.
    ///
    /// - The opset and the file format are known and go together.
    /// - Every value has one definition and is defined before it is used; names are unique.
    /// - Every operator is known and takes its inputs; types and shapes are inferred anew from the inputs on.
    /// - Every output has the type that is declared.
    ///
    /// # Errors
    /// The first violation, in the order of the nodes.
    pub fn check(&self) -> Result<(), GraphError> {
        self.facts().map(drop)
    }

    /// What the check infers about every value.
    pub(crate) fn facts(&self) -> Result<HashMap<&str, Fact>, GraphError> {
        opset::check(self.opset)?;
        opset::check_ir(self.ir_version, self.opset)?;
        let mut facts = HashMap::new();
        for input in &self.inputs {
            define(&mut facts, &input.name, Fact::of_type(input.tensor_type.clone()))?;
        }
        for initializer in &self.initializers {
            define(&mut facts, &initializer.name, Fact::of_tensor(&initializer.tensor))?;
        }
        let mut names = HashSet::new();
        for node in &self.nodes {
            if node.name.is_empty() {
                return Err(GraphError::EmptyName { what: "a node" });
            }
            if !names.insert(node.name.as_str()) {
                return Err(GraphError::DuplicateNode { name: node.name.clone() });
            }
            let inferred = self.infer(node, &facts)?;
            for (output, fact) in node.outputs.iter().zip(inferred) {
                // An output that nobody reads may be left out.
                if !output.is_empty() {
                    define(&mut facts, output, fact)?;
                }
            }
        }
        self.check_outputs(&facts)?;
        Ok(facts)
    }

    fn infer(&self, node: &Node, facts: &HashMap<&str, Fact>) -> Result<Vec<Fact>, GraphError> {
        let input = |name: &String| match facts.get(name.as_str()) {
            Some(fact) => Ok(Some(fact)),
            None if name.is_empty() => Ok(None),
            None => Err(self.undefined(node, name)),
        };
        let inputs = node.inputs.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        let unknown = || GraphError::UnknownOperator { node: node.name.clone(), op: node.op.clone() };
        op::infer(node, self.opset, &inputs).ok_or_else(unknown)?.map_err(|source| GraphError::Op {
            node: node.name.clone(),
            op: node.op.clone(),
            inputs: inputs.iter().map(|fact| fact.map(|fact| fact.tensor_type.clone())).collect(),
            source: Box::new(source),
        })
    }

    /// Why nothing is known about a value that `node` reads.
    fn undefined(&self, node: &Node, input: &str) -> GraphError {
        let (node, later) =
            (node.name.clone(), self.nodes.iter().any(|other| other.outputs.iter().any(|o| o == input)));
        let input = input.to_owned();
        if later { GraphError::UsedBeforeMade { node, input } } else { GraphError::UndefinedInput { node, input } }
    }

    fn check_outputs(&self, facts: &HashMap<&str, Fact>) -> Result<(), GraphError> {
        if self.outputs.is_empty() {
            return Err(GraphError::NoOutputs);
        }
        let symbols: HashSet<&Dim> = self.inputs.iter().flat_map(|input| &input.tensor_type.shape).collect();
        let mut names = HashSet::new();
        for output in &self.outputs {
            let name = output.name.clone();
            let Some(fact) = facts.get(name.as_str()) else { return Err(GraphError::UndefinedOutput { name }) };
            if !names.insert(output.name.as_str()) {
                return Err(GraphError::DuplicateOutput { name });
            }
            let (declared, inferred) = (&output.tensor_type, &fact.tensor_type);
            if !agree(declared, inferred, &symbols) {
                let (declared, inferred) = (declared.clone(), inferred.clone());
                return Err(GraphError::OutputMismatch { name, declared, inferred });
            }
        }
        Ok(())
    }
}

/// Whether an output may be declared so. A size that the inputs do not name may go by any name of its own.
fn agree(declared: &TensorType, inferred: &TensorType, symbols: &HashSet<&Dim>) -> bool {
    let dims_agree = |(declared, inferred): (&Dim, &Dim)| {
        declared == inferred
            || (inferred.fixed().is_none()
                && declared.fixed().is_none()
                && !symbols.contains(inferred)
                && !symbols.contains(declared))
    };
    declared.data_type == inferred.data_type
        && declared.shape.len() == inferred.shape.len()
        && declared.shape.iter().zip(&inferred.shape).all(dims_agree)
}

fn define<'m>(facts: &mut HashMap<&'m str, Fact>, name: &'m str, fact: Fact) -> Result<(), GraphError> {
    if name.is_empty() {
        return Err(GraphError::EmptyName { what: "a value" });
    }
    match facts.insert(name, fact) {
        None => Ok(()),
        Some(_) => Err(GraphError::DuplicateValue { name: name.to_owned() }),
    }
}
