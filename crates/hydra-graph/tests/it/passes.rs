//! Passes: what they do to the graph, and what that does to the numbers.

use std::collections::BTreeMap;

use hydra_graph::{
    ActivationScale, DataType, Dim, GemmOptions, GraphBuilder, HalfPrecision, Model, PassError, Quantization, Reduced,
    Smoothing, TableQuantization, Tensor, WeightRange,
};
use proptest::prelude::*;

use crate::interpret::{Matrix, run};

const INPUTS: usize = 16;

/// Numbers between -1 and 1 that look like nothing in particular.
fn wave(place: usize) -> f32 {
    f32::from(u16::try_from(place * 7919 % 1009).unwrap()) / 504.5 - 1.0
}

/// `y = 0.5 · (x · first) · secondᵀ + bias`, `z = x · other`.
fn dense() -> Model<'static> {
    let mut graph = GraphBuilder::new("dense");
    let x = graph.input("x", DataType::F32, [Dim::from("rows"), INPUTS.into()]).unwrap();
    let weight = |graph: &mut GraphBuilder<'static>, name: &str, shape: [usize; 2], from: usize| {
        let numbers: Vec<f32> = (from..from + shape[0] * shape[1]).map(wave).collect();
        graph.initializer(name, Tensor::new(&shape, numbers).unwrap()).unwrap()
    };
    let first = weight(&mut graph, "first", [INPUTS, 8], 0);
    let second = weight(&mut graph, "second", [4, 8], 1_000);
    let other = weight(&mut graph, "other", [INPUTS, 3], 2_000);
    let bias = graph.initializer("bias", Tensor::new(&[4], vec![1.0_f32, -1.0, 0.0, 2.0]).unwrap()).unwrap();
    let inner = graph.scope("first", |graph| graph.mat_mul(x, first)).unwrap();
    let options = GemmOptions { alpha: 0.5, transpose_b: true, ..GemmOptions::default() };
    let y = graph.scope("second", |graph| graph.gemm(inner, second, bias, options)).unwrap();
    let z = graph.scope("other", |graph| graph.mat_mul(x, other)).unwrap();
    graph.output("y", y).unwrap();
    graph.output("z", z).unwrap();
    graph.finish().unwrap()
}

fn rows(count: usize) -> Matrix {
    Matrix::new(count, INPUTS, |row, column| f64::from(wave(row * INPUTS + column + 5_000)))
}

/// The greatest difference of two matrices, as a share of the greatest number in the second.
fn difference(got: &Matrix, expected: &Matrix) -> f64 {
    let pairs = || got.numbers.iter().zip(&expected.numbers);
    let greatest = expected.numbers.iter().fold(0.0, |greatest: f64, number| greatest.max(number.abs()));
    pairs().map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max) / greatest
}

fn every_quantization() -> impl Iterator<Item = Quantization> {
    [ActivationScale::PerTensor, ActivationScale::PerRow].into_iter().flat_map(|activations| {
        [WeightRange::Full, WeightRange::Reduced].map(|weights| Quantization { activations, weights })
    })
}

#[test]
fn quantised_products_are_near_the_products() {
    let expected = run(&dense(), &[("x", rows(9))]);
    for quantization in every_quantization() {
        let (model, names) = quantization.apply(dense(), |_| true).unwrap();
        assert_eq!(names, ["first/MatMul", "other/MatMul", "second/Gemm"]);
        let got = run(&model, &[("x", rows(9))]);
        let near = if quantization.weights == WeightRange::Full { 0.015 } else { 0.03 };
        for output in ["y", "z"] {
            let difference = difference(&got[output], &expected[output]);
            assert!(difference > 0.0 && difference < near, "{quantization:?} {output}: {difference}");
        }
    }
}

#[test]
fn weights_are_signed_bytes_with_a_scale_for_each_column() {
    for (weights, limit) in [(WeightRange::Full, 127.0), (WeightRange::Reduced, 63.0)] {
        let quantization = Quantization { activations: ActivationScale::PerTensor, weights };
        let (model, _) = quantization.apply(dense(), |_| true).unwrap();
        assert!(model.initializer("first").is_none());
        let bytes = model.initializer("first.int8").unwrap();
        assert_eq!((bytes.data_type(), bytes.shape()), (DataType::I8, &[INPUTS, 8][..]));
        let (bytes, scale) = (bytes.to_i64().unwrap(), model.initializer("first.scale").unwrap().to_f32().unwrap());
        for column in 0..8 {
            let weights: Vec<f32> = (0..INPUTS).map(|row| wave(row * 8 + column)).collect();
            let greatest = weights.iter().fold(0.0, |greatest: f32, weight| greatest.max(weight.abs()));
            assert!((scale[column] - greatest / limit).abs() < 1e-9);
            for (row, weight) in weights.iter().enumerate() {
                #[allow(clippy::cast_precision_loss, reason = "a byte")]
                let restored = bytes[row * 8 + column] as f32 * scale[column];
                assert!((restored - weight).abs() <= scale[column] * 0.5001);
            }
        }
    }
}

#[test]
fn a_row_depends_on_its_companions_only_with_a_scale_for_the_whole_tensor() {
    for quantization in every_quantization() {
        let (model, _) = quantization.apply(dense(), |_| true).unwrap();
        let alone = run(&model, &[("x", rows(1))]);
        let together = run(&model, &[("x", rows(9))]);
        let same = ["y", "z"].iter().all(|output| {
            let (alone, together) = (&alone[*output], &together[*output]);
            alone.numbers == together.numbers[..alone.columns]
        });
        assert_eq!(same, quantization.activations == ActivationScale::PerRow);
    }
}

/// ONNX Runtime 1.32 fuses this to `DynamicQuantizeMatMul`, or to `MatMulIntegerToFloat` where activations are shared.
#[test]
fn the_form_with_one_scale_is_the_pattern_that_is_fused() {
    let quantization = Quantization { activations: ActivationScale::PerTensor, weights: WeightRange::Full };
    let (model, _) = quantization.apply(dense(), |name| name != "second/Gemm").unwrap();
    let nodes: Vec<(&str, &str)> = model.nodes.iter().map(|node| (node.op.as_str(), node.name.as_str())).collect();
    assert_eq!(
        nodes,
        [
            ("DynamicQuantizeLinear", "x/DynamicQuantizeLinear"),
            ("MatMulInteger", "first/MatMul/MatMulInteger"),
            ("Cast", "first/MatMul/Cast"),
            ("Mul", "first/MatMul/scale"),
            ("Mul", "first/MatMul"),
            ("Gemm", "second/Gemm"),
            ("MatMulInteger", "other/MatMul/MatMulInteger"),
            ("Cast", "other/MatMul/Cast"),
            ("Mul", "other/MatMul/scale"),
            ("Mul", "other/MatMul"),
        ]
    );
}

#[test]
fn two_passes_give_two_kinds_of_products() {
    let apply = |model, activations, name: &'static str| {
        let quantization = Quantization { activations, weights: WeightRange::Full };
        quantization.apply(model, |node| node == name).unwrap()
    };
    let (model, first) = apply(dense(), ActivationScale::PerRow, "first/MatMul");
    let (model, other) = apply(model, ActivationScale::PerTensor, "other/MatMul");
    assert_eq!([first, other], [["first/MatMul"], ["other/MatMul"]]);
    let got = run(&model, &[("x", rows(9))]);
    let expected = run(&dense(), &[("x", rows(9))]);
    assert!(difference(&got["y"], &expected["y"]) < 0.015 && difference(&got["z"], &expected["z"]) < 0.015);
}

#[test]
fn smoothing_takes_the_harm_out_of_an_outlying_channel() {
    let outlying = |row, column| rows(9).at(row, column) * if column == 3 { 60.0 } else { 1.0 };
    let x = Matrix::new(9, INPUTS, outlying);
    let quantization = Quantization { activations: ActivationScale::PerTensor, weights: WeightRange::Full };
    assert_eq!(Quantization::activations(&dense(), |name| name != "second/Gemm"), ["x"]);
    let mut range = vec![1.0_f32; INPUTS];
    range[3] = 60.0;
    let smoothing = Smoothing::new(BTreeMap::from([("x".to_owned(), range)])).unwrap();
    let expected = run(&dense(), &[("x", x.clone())]);
    let error = |smoothing: Option<&Smoothing>| {
        let (model, _) = match smoothing {
            Some(smoothing) => quantization.apply_smoothed(dense(), smoothing, |name| name == "other/MatMul"),
            None => quantization.apply(dense(), |name| name == "other/MatMul"),
        }
        .unwrap();
        let got = run(&model, &[("x", x.clone())]);
        got["z"].numbers.iter().zip(&expected["z"].numbers).map(|(got, expected)| (got - expected).powi(2)).sum::<f64>()
    };
    let (plain, smooth) = (error(None), error(Some(&smoothing)));
    assert!(smooth * 4.0 < plain, "{smooth} {plain}");
}

#[test]
fn rows_and_columns_of_zeros_stay_zeros() {
    for quantization in every_quantization() {
        let mut model = dense();
        let zeros = Tensor::new(&[INPUTS, 3], vec![0.0_f32; INPUTS * 3]).unwrap();
        model.initializers.iter_mut().find(|initializer| initializer.name == "other").unwrap().tensor = zeros;
        let (model, _) = quantization.apply(model, |_| true).unwrap();
        let x = Matrix::new(2, INPUTS, |row, column| if row == 0 { 0.0 } else { rows(2).at(row, column) });
        let got = run(&model, &[("x", x)]);
        assert!(got["z"].numbers.iter().all(|number| *number == 0.0));
        assert!(got["y"].numbers.iter().all(|number| number.is_finite()));
    }
}

#[test]
fn a_quantisation_that_cannot_be_made_says_why() {
    let quantization = Quantization { activations: ActivationScale::PerRow, weights: WeightRange::Full };
    assert_eq!(quantization.apply(dense(), |_| false).unwrap_err(), PassError::NothingSelected);
    let mut broken = dense();
    broken.initializers[0].tensor = Tensor::new(&[INPUTS, 8], vec![f32::NAN; INPUTS * 8]).unwrap();
    let name = broken.initializers[0].name.clone();
    assert_eq!(quantization.apply(broken, |_| true).unwrap_err(), PassError::NotFinite { name });
    let ranges = |range: Vec<f32>| BTreeMap::from([("x".to_owned(), range)]);
    let short = Smoothing::new(ranges(vec![1.0; 3])).unwrap();
    assert_eq!(
        quantization.apply_smoothed(dense(), &short, |_| true).unwrap_err(),
        PassError::Channels { value: "x".to_owned(), expected: INPUTS, got: 3 }
    );
    let negative = Smoothing::new(ranges(vec![-1.0]));
    assert_eq!(negative.unwrap_err(), PassError::Range { value: "x".to_owned() });
    assert!(matches!(short.with_strength(1.5).unwrap_err(), PassError::Strength { .. }));
}

#[test]
fn rows_of_a_table_are_bytes_with_a_scale_each() {
    let mut graph = GraphBuilder::new("table");
    let ids = graph.input("ids", DataType::I64, ["count"]).unwrap();
    let numbers: Vec<f32> = (0..12).map(|place| wave(place) * [100.0, 1.0, 0.0][place / 4]).collect();
    let table = graph.initializer("table", Tensor::new(&[3, 4], numbers.clone()).unwrap()).unwrap();
    let rows = graph.gather(table, ids, 0).unwrap();
    let other = graph.gather(table, ids, 1).unwrap();
    graph.output("rows", rows).unwrap();
    graph.output("other", other).unwrap();
    let (model, names) = TableQuantization.apply(graph.finish().unwrap(), |_| true).unwrap();
    // Looking columns up is another thing, and keeps the table.
    assert_eq!(names, ["Gather"]);
    assert!(model.initializer("table").is_some());
    let got = run(&model, &[("ids", Matrix::new(1, 3, |_, column| [2.0, 0.0, 1.0][column]))]);
    for (place, row) in [2, 0, 1].into_iter().enumerate() {
        let row = &numbers[row * 4..][..4];
        let greatest = row.iter().fold(0.0, |greatest: f32, number| greatest.max(number.abs()));
        for (column, number) in row.iter().enumerate() {
            assert!((got["rows"].at(place, column) - f64::from(*number)).abs() <= f64::from(greatest) / 253.0);
        }
    }
    assert_eq!(TableQuantization.apply(dense(), |_| true).unwrap_err(), PassError::NothingSelected);
}

/// A mask of ids turned into a bias, a normalisation with its epsilon, and a table of positions.
fn masked() -> Model<'static> {
    let mut graph = GraphBuilder::new("masked");
    let mask = graph.input("mask", DataType::I64, [Dim::from("rows"), INPUTS.into()]).unwrap();
    let x = graph.input("x", DataType::F32, [Dim::from("rows"), INPUTS.into()]).unwrap();
    let (one, far, epsilon) = (graph.scalar(1.0_f32), graph.scalar(-1e9_f32), graph.scalar(1e-12_f32));
    let mask = graph.cast(mask, DataType::F32).unwrap();
    let masked = graph.sub(one, mask).unwrap();
    let bias = graph.mul(masked, far).unwrap();
    let scores = graph.add(x, bias).unwrap();
    let scores = graph.scope("attention", |graph| graph.softmax(scores, -1)).unwrap();
    let length = graph.reduce_l2(scores, &[-1], Reduced::Keep).unwrap();
    let length = graph.max(length, epsilon).unwrap();
    let unit = graph.div(scores, length).unwrap();
    graph.output("scores", scores).unwrap();
    graph.output("unit", unit).unwrap();
    graph.finish().unwrap()
}

#[test]
fn half_precision_keeps_inputs_outputs_and_integers() {
    let before = masked();
    let model = HalfPrecision.apply(before.clone(), |_| false).unwrap();
    assert_eq!((&model.inputs, &model.outputs), (&before.inputs, &before.outputs));
    let everything: Vec<String> = model.nodes.iter().flat_map(|node| node.outputs.clone()).collect();
    let new: Vec<String> = everything.into_iter().filter(|name| name != "scores" && name != "unit").collect();
    let shown = model.with_outputs(&new).unwrap();
    assert!(shown.outputs[2..].iter().all(|output| output.tensor_type.data_type == DataType::F16));
    assert!(model.initializers.iter().all(|initializer| initializer.tensor.data_type() != DataType::F32));
}

#[test]
fn constants_that_mean_very_large_and_not_zero_keep_their_meaning() {
    let model = HalfPrecision.apply(masked(), |_| false).unwrap();
    let mut scalars: Vec<f32> = model
        .initializers
        .iter()
        .filter(|initializer| initializer.tensor.shape().is_empty())
        .filter_map(|initializer| initializer.tensor.to_f32())
        .flatten()
        .collect();
    scalars.sort_by(f32::total_cmp);
    assert_eq!(scalars, [-60_000.0, 2.0_f32.powi(-24), 1.0]);
}

#[test]
fn nodes_that_are_kept_compute_in_single_precision() {
    let model = HalfPrecision.apply(masked(), |name| name.starts_with("attention/")).unwrap();
    let softmax = model.nodes.iter().find(|node| node.op == "Softmax").unwrap();
    let names = [softmax.inputs[0].clone()];
    let shown = model.with_outputs(&names).unwrap();
    assert_eq!(shown.outputs[2].tensor_type.data_type, DataType::F32);
    // The output is what the node makes, without a detour.
    assert_eq!(softmax.outputs, ["scores"]);
}

#[test]
fn a_weight_beyond_half_precision_is_an_error_unless_its_node_is_kept() {
    let mut model = dense();
    let mut numbers = vec![0.5_f32; INPUTS * 8];
    numbers[7] = 70_000.0;
    model.initializers[0].tensor = Tensor::new(&[INPUTS, 8], numbers).unwrap();
    let error = HalfPrecision.apply(model.clone(), |_| false).unwrap_err();
    assert_eq!(error, PassError::HalfRange { name: "first".to_owned(), value: 70_000.0 });
    let kept = HalfPrecision.apply(model, |name| name == "first/MatMul").unwrap();
    assert_eq!(kept.initializer("first").unwrap().data_type(), DataType::F32);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_row_of_a_batch_is_the_row_alone(
        numbers in proptest::collection::vec(-1e3_f64..1e3, INPUTS * 3),
        row in 0_usize..3,
    ) {
        let quantization = Quantization { activations: ActivationScale::PerRow, weights: WeightRange::Full };
        let (model, _) = quantization.apply(dense(), |_| true).unwrap();
        let together = Matrix::new(3, INPUTS, |row, column| numbers[row * INPUTS + column]);
        let alone = Matrix::new(1, INPUTS, |_, column| together.at(row, column));
        let [together, alone] = [together, alone].map(|x| run(&model, &[("x", x)])["y"].clone());
        prop_assert_eq!(&together.numbers[row * 4..row * 4 + 4], &alone.numbers[..]);
    }
}
