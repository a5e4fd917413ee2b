//! Matrix products in 8-bit integers, with scales found while the model runs.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::PassError;
use super::rewrite::{Rewrite, to};
use super::smooth::Smoothing;
use super::weights::{LEAST_SCALE, Matrix};
use crate::element::DataType;
use crate::model::{Attribute, Model, Node};
use crate::op::axes_are_an_input;
use crate::tensor::Tensor;

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
/// Applied twice with different selections, a model has both kinds of products: on all-MiniLM-L6-v2 two products of 36
/// with a scale for each row, `output.dense` of the first two layers, halve the error of one scale for all and cost
/// nothing.
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
        let none = Smoothing::new(BTreeMap::new())?;
        self.apply_smoothed(model, &none, selected)
    }

    /// As [`apply`](Self::apply), with the ranges of outlying channels moved into the weights first.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply), and [`PassError::Channels`].
    pub fn apply_smoothed<'a>(
        &self,
        model: Model<'a>,
        smoothing: &Smoothing,
        selected: impl Fn(&str) -> bool,
    ) -> Result<(Model<'a>, Vec<String>), PassError> {
        model.check()?;
        let products = products(&model, &selected)?;
        if products.is_empty() {
            return Err(PassError::NothingSelected);
        }
        let factors = factors(&products, smoothing)?;
        let (rewrite, nodes) = Rewrite::start(model);
        let mut pass = Pass { options: *self, rewrite, factors, activations: HashMap::new(), weights: HashMap::new() };
        for node in nodes {
            match products.get(&node.name) {
                Some(product) => pass.replace(&node, product),
                None => pass.rewrite.model.nodes.push(node),
            }
        }
        let model = pass.rewrite.finish();
        model.check()?;
        Ok((model, products.into_keys().collect()))
    }

    /// The values that go into the selected products: what [`Smoothing`] wants to know the ranges of. Each appears
    /// once, in the order of the nodes.
    #[must_use]
    pub fn activations(model: &Model<'_>, selected: impl Fn(&str) -> bool) -> Vec<String> {
        let mut seen = HashSet::new();
        let nodes = model.nodes.iter().filter(|node| selected(&node.name));
        let products = nodes.filter_map(|node| Product::of(node, model));
        products.map(|product| product.left).filter(|left| seen.insert(left.clone())).collect()
    }
}

/// A product that can be quantised: `alpha · left · matrix + bias`.
struct Product<'a> {
    left: String,
    weight: String,
    /// The constant, which is no copy; its [`matrix`](Self::matrix) is one, so there is only one at a time.
    tensor: Tensor<'a>,
    transposed: bool,
    alpha: f32,
    bias: Option<String>,
}

impl<'a> Product<'a> {
    fn of(node: &Node, model: &Model<'a>) -> Option<Self> {
        let float = |name: &str| match node.attributes.get(name) {
            Some(Attribute::Float(value)) => *value,
            _ => 1.0,
        };
        let flag = |name: &str| matches!(node.attributes.get(name), Some(Attribute::Int(value)) if *value != 0);
        let (transposed, alpha, bias) = match node.op.as_str() {
            "MatMul" => (false, 1.0, None),
            "Gemm" if !flag("transA") && float("beta").to_bits() == 1.0_f32.to_bits() => {
                (flag("transB"), float("alpha"), node.inputs.get(2).filter(|name| !name.is_empty()).cloned())
            }
            _ => return None,
        };
        let [left, weight] = [0, 1].map(|input| node.inputs.get(input).cloned().unwrap_or_default());
        let tensor = model.initializer(&weight).filter(|tensor| tensor.data_type() == DataType::F32)?;
        (tensor.shape().len() == 2).then(|| Self { left, weight, tensor: tensor.clone(), transposed, alpha, bias })
    }

    fn matrix(&self) -> Matrix {
        Matrix::new(&self.tensor, self.transposed).expect("a product has an f32 matrix")
    }
}

/// The selected products by the names of their nodes.
fn products<'a>(
    model: &Model<'a>,
    selected: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Product<'a>>, PassError> {
    let mut products = BTreeMap::new();
    for node in model.nodes.iter().filter(|node| selected(&node.name)) {
        let Some(product) = Product::of(node, model) else { continue };
        if !product.matrix().is_finite() {
            return Err(PassError::NotFinite { name: product.weight });
        }
        products.insert(node.name.clone(), product);
    }
    Ok(products)
}

/// The smoothing factors of each value. Products that read one value share them, and so its quantised form.
fn factors(
    products: &BTreeMap<String, Product<'_>>,
    smoothing: &Smoothing,
) -> Result<BTreeMap<String, Vec<f32>>, PassError> {
    let mut ranges: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for product in products.values() {
        if smoothing.covers(&product.left) {
            let matrix = product.matrix();
            let range = ranges.entry(product.left.clone()).or_insert_with(|| vec![0.0; matrix.inputs]);
            for (known, new) in range.iter_mut().zip(matrix.input_range()) {
                *known = known.max(new);
            }
        }
    }
    let mut factors = BTreeMap::new();
    for (value, range) in ranges {
        let found = smoothing.factors(&value, &range)?;
        factors.insert(value, found);
    }
    Ok(factors)
}

struct Pass<'a> {
    options: Quantization,
    rewrite: Rewrite<'a>,
    /// What the channels of a value are divided by.
    factors: BTreeMap<String, Vec<f32>>,
    /// Values that are quantised already: the three products of attention read one.
    activations: HashMap<String, Activations>,
    /// Weights that are quantised already: by name, transposition, `alpha` and the value that they meet.
    weights: HashMap<(String, bool, u32, String), Weights>,
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
    fn replace(&mut self, node: &Node, product: &Product<'_>) {
        let weights = self.weights(product);
        let activations = self.activations(&product.left);
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
    }

    fn activations(&mut self, value: &str) -> Activations {
        if let Some(known) = self.activations.get(value) {
            return known.clone();
        }
        let smooth = match self.factors.get(value) {
            None => value.to_owned(),
            Some(factors) => {
                let inverse: Vec<f32> = factors.iter().map(|factor| 1.0 / factor).collect();
                let name = format!("{value}/smooth");
                let inverse = self.rewrite.constant(&format!("{name}.factors"), &[inverse.len()], inverse);
                self.rewrite.node(&name, "Mul", &[value, &inverse], [])
            }
        };
        let made = match self.options.activations {
            ActivationScale::PerTensor => self.per_tensor(&smooth),
            ActivationScale::PerRow => self.per_row(&smooth),
        };
        self.activations.insert(value.to_owned(), made.clone());
        made
    }

    fn weights(&mut self, product: &Product<'_>) -> Weights {
        let key = (product.weight.clone(), product.transposed, product.alpha.to_bits(), product.left.clone());
        if let Some(known) = self.weights.get(&key) {
            return known.clone();
        }
        let matrix = product.matrix();
        let bytes = matrix.quantize(self.factors.get(&product.left).map(Vec::as_slice), self.options.weights);
        let scale = bytes.scale.into_iter().map(|scale| scale * product.alpha).collect();
        let (name, shape) = (&product.weight, [matrix.inputs, matrix.outputs]);
        let made = Weights {
            numbers: self.rewrite.constant(&format!("{name}.int8"), &shape, bytes.numbers),
            scale: self.rewrite.constant(&format!("{name}.scale"), &[matrix.outputs], scale),
        };
        self.weights.insert(key, made.clone());
        made
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

    /// `scale = max |row| / 127`, `number = round(row / scale) + 128`. The zero point is a constant, so that numbers
    /// are unsigned: products of unsigned and signed bytes are what CPUs have an instruction for.
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
}

/// The number that stands for 0 among unsigned bytes.
const MIDDLE: u8 = 128;
