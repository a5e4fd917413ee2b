//! What passes share: adding nodes and constants under names that are free.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crate::element::{DataType, Element};
use crate::model::{Attribute, Initializer, Model, Node};
use crate::tensor::Tensor;

/// A model whose nodes are being replaced one by one.
pub(super) struct Rewrite<'a> {
    pub(super) model: Model<'a>,
    names: HashSet<String>,
}

impl<'a> Rewrite<'a> {
    /// Starts without nodes, which are returned; everything else stays.
    pub(super) fn start(mut model: Model<'a>) -> (Self, Vec<Node>) {
        let nodes = std::mem::take(&mut model.nodes);
        let values = model.inputs.iter().map(|input| &input.name);
        let values = values.chain(model.initializers.iter().map(|initializer| &initializer.name));
        let made = nodes.iter().flat_map(|node| node.outputs.iter().chain([&node.name]));
        let names = values.chain(made).cloned().collect();
        (Self { model, names }, nodes)
    }

    /// The model without the constants that nothing reads any more.
    pub(super) fn finish(mut self) -> Model<'a> {
        let nodes = self.model.nodes.iter().flat_map(|node| &node.inputs);
        let read: HashSet<&String> = nodes.chain(self.model.outputs.iter().map(|output| &output.name)).collect();
        self.model.initializers.retain(|initializer| read.contains(&initializer.name));
        self.model
    }

    /// Adds a node that makes one value, both named after `name`. Returns the value.
    pub(super) fn node<const N: usize>(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
    ) -> String {
        let name = self.free(name);
        self.node_into(&name, &name, op, inputs, attributes);
        name
    }

    /// Adds a node that makes `output`, a name that exists or was [`free`](Self::free).
    pub(super) fn node_into<const N: usize>(
        &mut self,
        name: &str,
        output: &str,
        op: &str,
        inputs: &[&str],
        attributes: [(&str, Attribute); N],
    ) {
        self.model.nodes.push(Node {
            name: name.to_owned(),
            op: op.to_owned(),
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
            outputs: vec![output.to_owned()],
            attributes: BTreeMap::from(attributes.map(|(name, value)| (name.to_owned(), value))),
        });
    }

    /// Adds a constant. Returns its name.
    pub(super) fn constant<T: Element>(&mut self, name: &str, shape: &[usize], numbers: Vec<T>) -> String
    where
        [T]: ToOwned<Owned = Vec<T>>,
    {
        let tensor = Tensor::new(shape, Cow::Owned(numbers)).expect("passes keep shapes");
        let name = self.free(name);
        self.model.initializers.push(Initializer { name: name.clone(), tensor });
        name
    }

    /// The constant without axes that holds `number`, named after `name` when it is new. Returns its name.
    pub(super) fn shared<T: Element>(&mut self, name: &str, number: T) -> String
    where
        [T]: ToOwned<Owned = Vec<T>>,
    {
        let tensor = Tensor::scalar(number);
        let same = |initializer: &&Initializer<'_>| initializer.tensor == tensor;
        match self.model.initializers.iter().find(same) {
            Some(known) => known.name.clone(),
            None => self.constant(name, &[], vec![number]),
        }
    }

    /// `name`, or `name_1`, `name_2`, ... if it is taken.
    pub(super) fn free(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut count = 0_usize;
        while !self.names.insert(free.clone()) {
            count += 1;
            free = format!("{name}_{count}");
        }
        free
    }
}

/// The attribute of a `Cast` to `data_type`.
pub(super) fn to(data_type: DataType) -> (&'static str, Attribute) {
    ("to", Attribute::Int(data_type.code().into()))
}
