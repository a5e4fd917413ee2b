//! Matrix products in 8-bit integers, with scales found while the model runs.

use std::collections::{BTreeMap, HashMap};

use super::PassError;
use super::rewrite::Rewrite;
use crate::element::DataType;
use crate::model::{Attribute, Model, Node};
use crate::op::axes_are_an_input;

/// How the activations that go into a product get their scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationScale {
    /// One scale and zero point for the whole tensor, from its range: the form that ONNX Runtime fuses into one kernel.
    ///
    /// The scale depends on every row, so the features of a text depend a little on its batch companions and on the
    /// padding. Rows of two users must not share a batch where exact isolation is promised.
    PerTensor,
    /// One scale a row, from the row's greatest absolute value: a row's result depends on nothing but the row.
    PerRow,
}

/// The range of the quantised weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightRange {
    /// -127 to 127.
    Full,
    /// -63 to 63, for CPUs with AVX2 and without VNNI: there two products of an 8-bit activation and an 8-bit weight
    /// are added in 16 bits, which saturates, and seven bits do not.
    Reduced,
}

/// Replaces matrix products by 8-bit ones: `MatMul` and `Gemm` whose right matrix is a constant of `f32`.
///
/// Weights are symmetric, one scale for each output channel; activations are quantised while the model runs, so no
/// calibration texts are needed. Everything else stays in `f32`.
///
/// # Source
/// Jacob et al., *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*,
/// arXiv:1712.05877, equations 1 to 4.
/// **Differs:** weights have no zero point and a scale for each output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// Scales of activations.
    pub activations: ActivationScale,
    /// Range of weights.
    pub weights: WeightRange,
}

impl Quantization {
    /// The model with every product quantised whose node name is `selected`, and the names of these nodes.
    ///
    /// A `Gemm` is left as it is when its left matrix is transposed or its `beta` is not 1.
    ///
    /// # Errors
    /// [`PassError::NothingSelected`], [`PassError::NotFinite`]; [`PassError::Graph`] when `model` is not valid.
    pub fn apply<'a>(
        &self,
        model: Model<'a>,
        selected: impl Fn(&str) -> bool,
    ) -> Result<(Model<'a>, Vec<String>), PassError> {
        model.check()?;
        let (rewrite, nodes) = Rewrite::start(model);
        let mut pass = Pass { options: *self, rewrite, inputs: HashMap::new(), weights: HashMap::new() };
        let mut quantized = Vec::new();
        for node in nodes {
            match pass.product(&node).filter(|_| selected(&node.name)) {
                Some(product) => {
                    pass.replace(&node, &product)?;
                    quantized.push(node.name);
                }
                None => pass.rewrite.model.nodes.push(node),
            }
        }
        if quantized.is_empty() {
            return Err(PassError::NothingSelected);
        }
        let model = pass.rewrite.finish();
        model.check()?;
        Ok((model, quantized))
    }
}

struct Pass<'a> {
    options: Quantization,
    rewrite: Rewrite<'a>,
    /// Activations that are quantised already: the three products of attention read one value.
    inputs: HashMap<String, Activations>,
    weights: HashMap<(String, bool, u32), Weights>,
}

/// A product that can be quantised: `alpha · left · matrix + bias`.
struct Product {
    left: String,
    weight: String,
    transposed: bool,
    alpha: f32,
    bias: Option<String>,
}

/// Names of a quantised left matrix, of its zero point and of its scales.
#[derive(Clone)]
struct Activations {
    numbers: String,
    zero_point: String,
    scale: String,
}

/// Names of a quantised right matrix and of its scales, one a column.
#[derive(Clone)]
struct Weights {
    numbers: String,
    scale: String,
}

impl Pass<'_> {
    fn product(&self, node: &Node) -> Option<Product> {
        let float = |name: &str, default: f32| match node.attributes.get(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        };
        let flag = |name: &str| matches!(node.attributes.get(name), Some(Attribute::Int(value)) if *value != 0);
        let [left, weight] = [0, 1].map(|input| node.inputs.get(input).cloned().unwrap_or_default());
        let tensor = self.rewrite.model.initializer(&weight)?;
        if tensor.data_type() != DataType::F32 || tensor.shape().len() != 2 {
            return None;
        }
        let bias = node.inputs.get(2).filter(|name| !name.is_empty()).cloned();
        match node.op.as_str() {
            "MatMul" => Some(Product { left, weight, transposed: false, alpha: 1.0, bias: None }),
            "Gemm" if !flag("transA") && float("beta", 1.0).to_bits() == 1.0_f32.to_bits() => {
                Some(Product { left, weight, transposed: flag("transB"), alpha: float("alpha", 1.0), bias })
            }
            _ => None,
        }
    }

    fn replace(&mut self, node: &Node, product: &Product) -> Result<(), PassError> {
        let weights = self.weights(product)?;
        let activations = match self.inputs.get(&product.left) {
            Some(known) => known.clone(),
            None => {
                let made = match self.options.activations {
                    ActivationScale::PerTensor => self.per_tensor(&product.left),
                    ActivationScale::PerRow => self.per_row(&product.left),
                };
                self.inputs.insert(product.left.clone(), made.clone());
                made
            }
        };
        let name = &node.name;
        let inputs = [&activations.numbers, &weights.numbers, &activations.zero_point].map(String::as_str);
        let sums = self.rewrite.node(&format!("{name}/MatMulInteger"), "MatMulInteger", &inputs, []);
        let sums = self.rewrite.node(&format!("{name}/Cast"), "Cast", &[&sums], [to(DataType::F32)]);
        let scaled = match self.options.activations {
            ActivationScale::PerTensor => {
                // The two scales are multiplied first: it is the pattern that ONNX Runtime fuses.
                let scale = [activations.scale.as_str(), weights.scale.as_str()];
                let scale = self.rewrite.node(&format!("{name}/scale"), "Mul", &scale, []);
                [sums, scale]
            }
            ActivationScale::PerRow => {
                let columns = self.rewrite.node(&format!("{name}/columns"), "Mul", &[&sums, &weights.scale], []);
                [columns, activations.scale]
            }
        };
        let scaled = scaled.each_ref().map(String::as_str);
        let output = &node.outputs[0];
        match &product.bias {
            None => self.rewrite.node_into(name, output, "Mul", &scaled, []),
            Some(bias) => {
                let product = self.rewrite.node(&format!("{name}/Mul"), "Mul", &scaled, []);
                self.rewrite.node_into(name, output, "Add", &[&product, bias], []);
            }
        }
        Ok(())
    }

    fn per_tensor(&mut self, x: &str) -> Activations {
        let name = self.rewrite.free(&format!("{x}/DynamicQuantizeLinear"));
        let [numbers, scale, zero_point] =
            ["numbers", "scale", "zero_point"].map(|part| self.rewrite.free(&format!("{name}.{part}")));
        self.rewrite.model.nodes.push(Node {
            name,
            op: "DynamicQuantizeLinear".to_owned(),
            inputs: vec![x.to_owned()],
            outputs: vec![numbers.clone(), scale.clone(), zero_point.clone()],
            attributes: BTreeMap::new(),
        });
        Activations { numbers, scale, zero_point }
    }

    /// `scale = max |row| / 127`, `number = round(row / scale) + 128`. The zero point is a constant, so that numbers are
    /// unsigned: products of unsigned and signed bytes are what CPUs have an instruction for.
    fn per_row(&mut self, x: &str) -> Activations {
        let of = |part: &str| format!("{x}/rows/{part}");
        let [seven_bits, least, middle] =
            [1.0 / 127.0, LEAST_SCALE, f32::from(MIDDLE)].map(|number| self.rewrite.shared("rows/constant", number));
        let zero_point = self.rewrite.shared("rows/zero_point", MIDDLE);
        let size = self.rewrite.node(&of("Abs"), "Abs", &[x], []);
        let keep = ("keepdims", Attribute::Int(1));
        let greatest = if axes_are_an_input("ReduceMax", self.rewrite.model.opset) {
            let axes = self.rewrite.constant("rows/axes", &[1], vec![-1_i64]);
            self.rewrite.node(&of("ReduceMax"), "ReduceMax", &[&size, &axes], [keep])
        } else {
            let axes = ("axes", Attribute::Ints(vec![-1]));
            self.rewrite.node(&of("ReduceMax"), "ReduceMax", &[&size], [axes, keep])
        };
        let scale = self.rewrite.node(&of("scale"), "Mul", &[&greatest, &seven_bits], []);
        let scale = self.rewrite.node(&of("Max"), "Max", &[&scale, &least], []);
        let numbers = self.rewrite.node(&of("Div"), "Div", &[x, &scale], []);
        let numbers = self.rewrite.node(&of("Round"), "Round", &[&numbers], []);
        let numbers = self.rewrite.node(&of("Add"), "Add", &[&numbers, &middle], []);
        let numbers = self.rewrite.node(&of("Cast"), "Cast", &[&numbers], [to(DataType::U8)]);
        Activations { numbers, scale, zero_point }
    }

    fn weights(&mut self, product: &Product) -> Result<Weights, PassError> {
        let key = (product.weight.clone(), product.transposed, product.alpha.to_bits());
        if let Some(known) = self.weights.get(&key) {
            return Ok(known.clone());
        }
        let tensor = self.rewrite.model.initializer(&product.weight).expect("the product was found by its weight");
        let (inputs, outputs) = match (tensor.shape(), product.transposed) {
            ([inputs, outputs], false) | ([outputs, inputs], true) => (*inputs, *outputs),
            _ => unreachable!("a product has a matrix"),
        };
        let matrix = tensor.to_f32().expect("a product has an f32 matrix");
        if !matrix.iter().all(|number| number.is_finite()) {
            return Err(PassError::NotFinite { name: product.weight.clone() });
        }
        let at = |input: usize, output: usize| {
            matrix[if product.transposed { output * inputs + input } else { input * outputs + output }]
        };
        let limit: i8 = match self.options.weights {
            WeightRange::Full => 127,
            WeightRange::Reduced => 63,
        };
        let mut greatest = vec![0.0_f32; outputs];
        for input in 0..inputs {
            for (output, greatest) in greatest.iter_mut().enumerate() {
                *greatest = greatest.max(at(input, output).abs());
            }
        }
        let scale: Vec<f32> = greatest.iter().map(|greatest| (greatest / f32::from(limit)).max(LEAST_SCALE)).collect();
        let mut numbers = Vec::with_capacity(inputs * outputs);
        for input in 0..inputs {
            numbers.extend((0..outputs).map(|output| round(at(input, output) / scale[output], limit)));
        }
        let scale = scale.into_iter().map(|scale| scale * product.alpha).collect();
        let name = &product.weight;
        let made = Weights {
            numbers: self.rewrite.constant(&format!("{name}.int8"), &[inputs, outputs], numbers),
            scale: self.rewrite.constant(&format!("{name}.scale"), &[outputs], scale),
        };
        self.weights.insert(key, made.clone());
        Ok(made)
    }
}

fn to(data_type: DataType) -> (&'static str, Attribute) {
    ("to", Attribute::Int(data_type.code().into()))
}

/// The nearest integer, halves to the even one, within `-limit..=limit`.
#[allow(clippy::cast_possible_truncation, reason = "the number was rounded and clamped to the range of i8")]
fn round(number: f32, limit: i8) -> i8 {
    number.round_ties_even().clamp(f32::from(-limit), f32::from(limit)) as i8
}

/// Keeps the scale of a row or a column of zeros from being a divisor of zero.
const LEAST_SCALE: f32 = 1e-30;

/// The number that stands for 0 among unsigned bytes.
const MIDDLE: u8 = 128;
