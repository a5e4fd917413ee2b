//! Computation in half precision.

use std::collections::{HashMap, HashSet};

use half::f16;

use super::PassError;
use super::rewrite::{Rewrite, to};
use crate::element::DataType;
use crate::model::{Attribute, Initializer, Model, Node};
use crate::op::Fact;
use crate::tensor::Tensor;

/// Computes in `f16` what a model computes in `f32`; inputs and outputs of the graph stay `f32` behind `Cast` nodes.
///
/// Integers, truth values and shapes are not touched, nor are nodes that exist in `f32` only (`Range`,
/// `DynamicQuantizeLinear`, and the 32-bit sums of 8-bit products, which half precision cannot hold).
///
/// Constants of one element that half precision cannot hold are brought into its range, because they stand for "very
/// large" and "not zero": a mask bias of -1e9 becomes -60000, an epsilon of 1e-12 the smallest positive number. A larger
/// constant with such an element is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfPrecision;

impl HalfPrecision {
    /// The model in half precision, except for the nodes whose name is `kept` in single precision.
    ///
    /// # Errors
    /// [`PassError::HalfRange`], [`PassError::NotFinite`]; [`PassError::Graph`] when `model` is not valid.
    pub fn apply<'a>(&self, model: Model<'a>, kept: impl Fn(&str) -> bool) -> Result<Model<'a>, PassError> {
        let facts = model.facts()?;
        let floats = facts
            .iter()
            .filter(|(_, fact)| fact.data_type() == DataType::F32)
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let kept = model
            .nodes
            .iter()
            .filter(|node| kept(&node.name) || exists_in_single_only(node, &facts))
            .map(|node| node.name.clone())
            .collect();
        let outputs = model.outputs.iter().map(|output| output.name.clone()).collect();
        drop(facts);
        let (rewrite, nodes) = Rewrite::start(model);
        let mut pass = Pass { rewrite, floats, kept, outputs, single: HashMap::new(), half: HashMap::new() };
        pass.run(nodes)?;
        let model = pass.rewrite.finish();
        model.check()?;
        Ok(model)
    }
}

struct Pass<'a> {
    rewrite: Rewrite<'a>,
    /// Values that are `f32` in the model.
    floats: HashSet<String>,
    /// Nodes that stay in `f32`.
    kept: HashSet<String>,
    outputs: HashSet<String>,
    /// Name of the `f32` form of a value, if there is one.
    single: HashMap<String, String>,
    /// Name of the `f16` form of a value, if there is one.
    half: HashMap<String, String>,
}

impl Pass<'_> {
    fn run(&mut self, nodes: Vec<Node>) -> Result<(), PassError> {
        for input in &self.rewrite.model.inputs {
            self.single.insert(input.name.clone(), input.name.clone());
        }
        self.initializers(&nodes)?;
        for mut node in nodes {
            let kept = self.kept.contains(&node.name);
            for input in &mut node.inputs {
                if self.floats.contains(input) {
                    *input = if kept { self.single(input) } else { self.half(input) };
                }
            }
            for output in &mut node.outputs {
                if self.floats.contains(output) {
                    let name = output.clone();
                    if kept {
                        self.single.insert(name.clone(), name);
                    } else {
                        if self.outputs.contains(&name) {
                            *output = self.rewrite.free(&format!("{name}.f16"));
                        }
                        self.half.insert(name, output.clone());
                    }
                }
            }
            if !kept {
                compute_in_half(&mut node)?;
            }
            self.rewrite.model.nodes.push(node);
        }
        let outputs: Vec<String> = self.rewrite.model.outputs.iter().map(|output| output.name.clone()).collect();
        for output in outputs {
            if self.floats.contains(&output) {
                self.single(&output);
            }
        }
        Ok(())
    }

    /// Gives each `f32` constant the form that its readers want, under its own name where there is one form only.
    fn initializers(&mut self, nodes: &[Node]) -> Result<(), PassError> {
        let (kept, other): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| self.kept.contains(&node.name));
        let [mut single, half] = [kept, other]
            .map(|nodes| nodes.into_iter().flat_map(|node| &node.inputs).cloned().collect::<HashSet<String>>());
        single.extend(self.outputs.iter().cloned());
        for Initializer { name, tensor } in std::mem::take(&mut self.rewrite.model.initializers) {
            if tensor.data_type() != DataType::F32 {
                self.rewrite.model.initializers.push(Initializer { name, tensor });
                continue;
            }
            if half.contains(&name) {
                let half_name =
                    if single.contains(&name) { self.rewrite.free(&format!("{name}.f16")) } else { name.clone() };
                let tensor = to_half(&name, &tensor)?;
                self.half.insert(name.clone(), half_name.clone());
                self.rewrite.model.initializers.push(Initializer { name: half_name, tensor });
            }
            if single.contains(&name) {
                self.single.insert(name.clone(), name.clone());
                self.rewrite.model.initializers.push(Initializer { name, tensor });
            }
        }
        Ok(())
    }

    /// The `f32` form of a value; a graph output has it under its own name.
    fn single(&mut self, value: &str) -> String {
        if let Some(known) = self.single.get(value) {
            return known.clone();
        }
        let half = self.half[value].clone();
        let output =
            if self.outputs.contains(value) { value.to_owned() } else { self.rewrite.free(&format!("{value}.f32")) };
        let name = self.rewrite.free(&format!("{value}/Cast.f32"));
        self.rewrite.node_into(&name, &output, "Cast", &[&half], [to(DataType::F32)]);
        self.single.insert(value.to_owned(), output.clone());
        output
    }

    /// The `f16` form of a value.
    fn half(&mut self, value: &str) -> String {
        if let Some(known) = self.half.get(value) {
            return known.clone();
        }
        let single = self.single[value].clone();
        let name = self.rewrite.node(&format!("{value}.f16"), "Cast", &[&single], [to(DataType::F16)]);
        self.half.insert(value.to_owned(), name.clone());
        name
    }
}

fn exists_in_single_only(node: &Node, facts: &HashMap<&str, Fact>) -> bool {
    let reads_sums = || node.inputs.first().and_then(|input| facts.get(input.as_str()));
    match node.op.as_str() {
        "Range" | "DynamicQuantizeLinear" => true,
        "Cast" => reads_sums().is_some_and(|fact| fact.data_type() == DataType::I32),
        _ => false,
    }
}

/// Changes the attributes that make a node's output `f32`.
fn compute_in_half(node: &mut Node) -> Result<(), PassError> {
    for (name, value) in &mut node.attributes {
        match value {
            Attribute::Int(to) if node.op == "Cast" && name == "to" && *to == i64::from(DataType::F32.code()) => {
                *to = DataType::F16.code().into();
            }
            Attribute::Tensor(tensor) if tensor.data_type() == DataType::F32 => {
                *tensor = to_half(&node.name, tensor)?;
            }
            _ => {}
        }
    }
    // Without a value it is zeros in f32.
    if node.op == "ConstantOfShape" && !node.attributes.contains_key("value") {
        let zero = Tensor::new(&[1], vec![f16::ZERO]).expect("one element");
        node.attributes.insert("value".to_owned(), Attribute::Tensor(zero));
    }
    Ok(())
}

fn to_half(name: &str, tensor: &Tensor<'_>) -> Result<Tensor<'static>, PassError> {
    let numbers = tensor.to_f32().expect("only f32 is made half");
    let alone = numbers.len() == 1;
    let convert = |number: f32| {
        let half = f16::from_f32(number);
        if half.is_nan() {
            Err(PassError::NotFinite { name: name.to_owned() })
        } else if half.is_infinite() {
            let bound = f16::from_f32(LARGE.copysign(number));
            if alone { Ok(bound) } else { Err(PassError::HalfRange { name: name.to_owned(), value: number }) }
        } else if half == f16::ZERO && number != 0.0 && alone {
            Ok(f16::MIN_POSITIVE_SUBNORMAL.copysign(half))
        } else {
            Ok(half)
        }
    };
    let halves = numbers.into_iter().map(convert).collect::<Result<Vec<f16>, _>>()?;
    Ok(Tensor::new(tensor.shape(), halves).expect("one element for each"))
}

/// Stands for "very large": near the end of the range, with room for what is added to it.
const LARGE: f32 = 60_000.0;
