//! Writes a classifier of two layers to a folder: as it is, with its weights beside it, in int8 and in half precision.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;

use hydra_graph::{
    ActivationScale, DataType, Dim, ExternalData, GraphBuilder, GraphError, HalfPrecision, LengthMismatch, Model,
    Quantization, Tensor, Value, WeightRange,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: two_layers FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    let model = classifier()?;
    model.save(&folder.join("fp32.onnx"))?;
    model.save_external(&folder.join("external.onnx"), ExternalData::default())?;

    let rows = Quantization { activations: ActivationScale::PerRow, weights: WeightRange::Full };
    let (int8, products) = rows.apply(model.clone(), |node| node.starts_with("hidden/"))?;
    int8.save(&folder.join("int8.onnx"))?;
    HalfPrecision.apply(model.clone(), |_| false)?.save(&folder.join("fp16.onnx"))?;

    let (before, after) = (model.initializer_bytes(), int8.initializer_bytes());
    println!("{before} bytes of weights, {after} with {} in int8", products.join(", "));
    Ok(())
}

/// `sigmoid(gelu(features · w1 + b1) · w2 + b2)`, with weights that stand in for trained ones.
fn classifier() -> Result<Model<'static>, Box<dyn Error>> {
    let mut graph = GraphBuilder::new("classifier");
    let features = graph.input("features", DataType::F32, [Dim::from("batch"), FEATURES.into()])?;
    let hidden = dense(&mut graph, "hidden", features, [FEATURES, 2 * FEATURES])?;
    let hidden = graph.gelu(hidden)?;
    let scores = dense(&mut graph, "output", hidden, [2 * FEATURES, 1])?;
    let scores = graph.sigmoid(scores)?;
    graph.output("scores", scores)?;
    Ok(graph.finish()?)
}

fn dense(
    graph: &mut GraphBuilder<'static>,
    name: &str,
    x: Value,
    [inputs, outputs]: [usize; 2],
) -> Result<Value, Box<dyn Error>> {
    let weight = weight(inputs, outputs)?;
    let bias = Tensor::new(&[outputs], vec![0.1_f32; outputs])?;
    let y = graph.scope(name, |graph| -> Result<Value, GraphError> {
        let weight = graph.initializer("weight", weight)?;
        let bias = graph.initializer("bias", bias)?;
        graph.linear(x, weight, bias)
    })?;
    Ok(y)
}

fn weight(inputs: usize, outputs: usize) -> Result<Tensor<'static>, LengthMismatch> {
    let numbers = (0_u16..1009).cycle().map(|number| f32::from(number) / 1e4 - 0.05);
    Tensor::new(&[inputs, outputs], numbers.take(inputs * outputs).collect::<Vec<f32>>())
}

const FEATURES: usize = 384;
