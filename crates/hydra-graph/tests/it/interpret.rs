//! Runs small graphs over matrices, slowly and plainly, from the definitions in ONNX's `Operators.md`: the outside judge
//! of what a pass does to the numbers.

use std::collections::HashMap;

use hydra_graph::{Attribute, Model, Node};

/// A matrix; scalars and vectors are matrices of one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) numbers: Vec<f64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize, number: impl Fn(usize, usize) -> f64) -> Self {
        let numbers = (0..rows * columns).map(|place| number(place / columns, place % columns)).collect();
        Self { rows, columns, numbers }
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.numbers[row * self.columns + column]
    }

    fn map(&self, function: impl Fn(f64) -> f64) -> Self {
        Self { numbers: self.numbers.iter().map(|number| function(*number)).collect(), ..*self }
    }

    fn zip(&self, other: &Self, function: impl Fn(f64, f64) -> f64) -> Self {
        let at = |matrix: &Self, row: usize, column: usize| {
            matrix.at(if matrix.rows == 1 { 0 } else { row }, if matrix.columns == 1 { 0 } else { column })
        };
        Self::new(self.rows.max(other.rows), self.columns.max(other.columns), |row, column| {
            function(at(self, row, column), at(other, row, column))
        })
    }

    fn transposed(&self) -> Self {
        Self::new(self.columns, self.rows, |row, column| self.at(column, row))
    }

    fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows);
        let term = |row, inner, column| self.at(row, inner) * other.at(inner, column);
        Self::new(self.rows, other.columns, |row, column| (0..self.columns).map(|inner| term(row, inner, column)).sum())
    }
}

/// The value of every name, given the inputs.
pub(crate) fn run(model: &Model<'_>, inputs: &[(&str, Matrix)]) -> HashMap<String, Matrix> {
    let mut values: HashMap<String, Matrix> =
        inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for initializer in &model.initializers {
        let (rows, columns) = match *initializer.tensor.shape() {
            [] => (1, 1),
            [columns] => (1, columns),
            [rows, columns] => (rows, columns),
            _ => panic!("only matrices"),
        };
        let numbers: Vec<f64> = match initializer.tensor.to_f32() {
            Some(floats) => floats.into_iter().map(f64::from).collect(),
            #[allow(clippy::cast_precision_loss, reason = "small integers")]
            None => initializer.tensor.to_i64().unwrap().into_iter().map(|int| int as f64).collect(),
        };
        values.insert(initializer.name.clone(), Matrix { rows, columns, numbers });
    }
    for node in &model.nodes {
        let inputs: Vec<Matrix> = node.inputs.iter().map(|input| values[input].clone()).collect();
        for (name, value) in node.outputs.iter().zip(apply(node, &inputs)) {
            values.insert(name.clone(), value);
        }
    }
    values
}

fn apply(node: &Node, inputs: &[Matrix]) -> Vec<Matrix> {
    let x = &inputs[0];
    let flag = |name: &str| matches!(node.attributes.get(name), Some(Attribute::Int(value)) if *value != 0);
    vec![match node.op.as_str() {
        "Add" => x.zip(&inputs[1], |left, right| left + right),
        "Mul" => x.zip(&inputs[1], |left, right| left * right),
        "Div" => x.zip(&inputs[1], |left, right| left / right),
        "Max" => x.zip(&inputs[1], f64::max),
        "Abs" => x.map(f64::abs),
        "Round" => x.map(f64::round_ties_even),
        "ReduceMax" => Matrix::new(x.rows, 1, |row, _| (0..x.columns).map(|at| x.at(row, at)).fold(f64::MIN, f64::max)),
        // To u8 and i8 from numbers that fit them, and to f32, of which f64 is the exact form here.
        "Cast" => {
            assert!(flag("to"));
            x.clone()
        }
        "Gather" => {
            let places: Vec<usize> = inputs[1].numbers.iter().map(|index| position(*index)).collect();
            if flag("axis") {
                Matrix::new(x.rows, places.len(), |row, column| x.at(row, places[column]))
            } else {
                Matrix::new(places.len(), x.columns, |row, column| x.at(places[row], column))
            }
        }
        "MatMul" => x.times(&inputs[1]),
        "Gemm" => {
            let Some(Attribute::Float(alpha)) = node.attributes.get("alpha") else { panic!("alpha is written") };
            let right = if flag("transB") { inputs[1].transposed() } else { inputs[1].clone() };
            x.times(&right).map(|number| f64::from(*alpha) * number).zip(&inputs[2], |left, right| left + right)
        }
        "MatMulInteger" => {
            assert!(x.numbers.iter().all(|number| number.fract() == 0.0 && (0.0..=255.0).contains(number)));
            x.zip(&inputs[2], |number, zero| number - zero).times(&inputs[1])
        }
        "DynamicQuantizeLinear" => return dynamic_quantize(x),
        other => panic!("no rule for {other}"),
    }]
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "indices are small whole numbers")]
fn position(index: f64) -> usize {
    index as usize
}

fn dynamic_quantize(x: &Matrix) -> Vec<Matrix> {
    let least = x.numbers.iter().copied().fold(0.0, f64::min);
    let most = x.numbers.iter().copied().fold(0.0, f64::max);
    let scale = (most - least) / 255.0;
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    let one = |number: f64| Matrix::new(1, 1, |_, _| number);
    vec![x.map(|number| ((number / scale).round_ties_even() + zero).clamp(0.0, 255.0)), one(scale), one(zero)]
}
