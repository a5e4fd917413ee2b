//! The families as ONNX graphs: one description of a transformer encoder, in which they are a few options.
//!
//! Hidden states run through the layers as a matrix of `batch * seq` rows. ONNX Runtime then fuses each linear map with
//! its bias into one `Gemm`, and leaves residual sums beside `LayerNormalization`: its fused
//! `SkipLayerNormalization`, which it would put into a graph of three axes, made the whole encoder 10 % slower on a CPU.
//! Its fused `Attention` is out of reach: the pattern that it looks for ends at opset 12, and it gained nothing.

mod attention;
mod embedding;
mod relative;

use hydra_graph::{DataType, GraphBuilder, GraphError, LengthMismatch, Model, Tensor, Value};
use hydra_types::axis;

use crate::folder::{Activation, Config, Family, Folder, FolderError, LayerModule, Module, Part, Task};

/// Why a graph could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A weight could not be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The graph breaks a rule of ONNX, or the opset is not known.
    #[error("the graph is not valid")]
    Graph(#[from] GraphError),
    /// A weight does not fill its shape.
    #[error("a weight does not fit the graph")]
    Length(#[from] LengthMismatch),
}

/// Builds the graph of a folder's model, in `f32`.
///
/// # Shapes
/// - inputs: `input_ids`, `attention_mask`, and `token_type_ids` where the model has more than one token type:
///   `[batch, seq]`, `i64`. The mask is 1 for a token and 0 for padding, which may lie on either side.
/// - output: `last_hidden_state`: `[batch, seq, hidden]`, where vectors at padding mean nothing; of a classifier `logits`:
///   `[batch, classes]`, and `features`: `[batch, hidden]`, the first token's vector, from which they are made.
///
/// # Errors
/// When a weight cannot be read, or `opset` is not one that `hydra-graph` writes.
pub fn build(folder: &Folder, opset: u32) -> Result<Model<'static>, BuildError> {
    let mut graph = GraphBuilder::with_opset("encoder", opset)?;
    graph.set_producer(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Encoder::new(folder, graph)?.build()
}

/// Whether a node belongs to a layer, whose products are what is worth fewer bits: the classifier runs once a text.
pub(crate) fn is_in_layer(node: &str) -> bool {
    node.contains(".layer.")
}

/// Whether a node belongs to the prior head, which stays in 32 bits so that its numbers are those that logits are made with.
pub(crate) fn is_in_prior(node: &str) -> bool {
    node.starts_with(PRIOR)
}

/// A graph on its way.
struct Encoder<'f> {
    folder: &'f Folder,
    config: &'f Config,
    graph: GraphBuilder<'static>,
    ids: Value,
    mask: Value,
    token_types: Option<Value>,
    /// Sizes of batch and sequence, `[2]`.
    sizes: Value,
}

impl<'f> Encoder<'f> {
    fn new(folder: &'f Folder, mut graph: GraphBuilder<'static>) -> Result<Self, BuildError> {
        let config = folder.config();
        let mut input = |name| graph.input(name, DataType::I64, [axis::BATCH, axis::SEQ]);
        let (ids, mask) = (input("input_ids")?, input("attention_mask")?);
        let token_types = (config.token_types > 1).then(|| input("token_type_ids")).transpose()?;
        let sizes = graph.shape_of(ids)?;
        Ok(Self { folder, config, graph, ids, mask, token_types, sizes })
    }

    fn build(mut self) -> Result<Model<'static>, BuildError> {
        let mut hidden = self.embeddings()?;
        let bias = self.attention_bias()?;
        for layer in 0..self.config.n_layers {
            hidden = self.layer(layer, hidden, bias)?;
        }
        let width = self.with_sizes(&[self.config.hidden])?;
        let hidden = self.graph.reshape_to(hidden, width)?;
        match self.folder.task() {
            Task::Encode => self.graph.output("last_hidden_state", hidden)?,
            Task::Classify { classes } => {
                let first = self.graph.scalar(0_i64);
                let features = self.graph.gather(hidden, first, 1)?;
                let logits = self.classifier(features, classes)?;
                self.graph.output("logits", logits)?;
                self.graph.output("features", features)?;
            }
        }
        Ok(self.graph.finish()?)
    }

    /// `[batch * seq, hidden]` to the same.
    fn layer(&mut self, layer: usize, x: Value, bias: Value) -> Result<Value, BuildError> {
        let of = |module| Module::Layer(layer, module);
        let (hidden, wide) = (self.config.hidden, self.config.intermediate);
        let gathered = self.attention(layer, x, bias)?;
        let attended = self.linear(of(LayerModule::AttentionOutput), gathered, hidden, hidden)?;
        let x = self.norm(of(LayerModule::AttentionNorm), attended, x)?;

        let raised = self.linear(of(LayerModule::Intermediate), x, hidden, wide)?;
        let name = self.folder.name(of(LayerModule::Intermediate));
        let activation = self.config.activation;
        let raised = self.graph.scope(&name, |graph| match activation {
            Activation::Gelu => graph.gelu(raised),
            Activation::Relu => graph.relu(raised),
        })?;
        let lowered = self.linear(of(LayerModule::Output), raised, wide, hidden)?;
        self.norm(of(LayerModule::OutputNorm), lowered, x)
    }

    /// `[batch, hidden]` to `[batch, classes]`.
    ///
    /// Where it has the shape of a prior head, it has the names under which `hydra_onnx::PriorHead` is found, whatever the
    /// family calls it.
    fn classifier(&mut self, features: Value, classes: usize) -> Result<Value, BuildError> {
        let width = self.config.hidden;
        let own = |module| self.folder.name(module);
        let (hidden, output) = match self.config.family {
            Family::DistilBert => (own(Module::ClassifierHidden), own(Module::Classifier)),
            _ => (format!("{PRIOR}hidden"), format!("{PRIOR}output")),
        };
        let between = self.linear_named(&hidden, Module::ClassifierHidden, features, (width, width))?;
        let between = self.graph.scope(&hidden, |graph| match self.config.family {
            Family::DistilBert => graph.relu(between),
            _ => graph.tanh(between),
        })?;
        self.linear_named(&output, Module::Classifier, between, (width, classes))
    }

    /// A linear map of the rows of `x`.
    fn linear(&mut self, module: Module, x: Value, into: usize, out: usize) -> Result<Value, BuildError> {
        self.linear_named(&self.folder.name(module), module, x, (into, out))
    }

    fn linear_named(
        &mut self,
        name: &str,
        module: Module,
        x: Value,
        (into, out): (usize, usize),
    ) -> Result<Value, BuildError> {
        let weight = Tensor::new(&[into, out], transposed(&self.folder.read(module, Part::Weight)?, into))?;
        let bias = Tensor::new(&[out], self.folder.read(module, Part::Bias)?)?;
        self.graph.scope(name, |graph| {
            let weight = graph.initializer("weight", weight)?;
            let bias = graph.initializer("bias", bias)?;
            Ok(graph.linear(x, weight, bias)?)
        })
    }

    /// The sum of `x` and what it was made of, normalised.
    fn norm(&mut self, module: Module, x: Value, residual: Value) -> Result<Value, BuildError> {
        let sum = self.graph.scope(&self.folder.name(module), |graph| graph.add(x, residual))?;
        self.normalized(module, sum)
    }

    fn normalized(&mut self, module: Module, x: Value) -> Result<Value, BuildError> {
        let [gain, shift] = [Part::Weight, Part::Bias].map(|part| self.folder.read(module, part));
        let gain = Tensor::new(&[self.config.hidden], gain?)?;
        let shift = Tensor::new(&[self.config.hidden], shift?)?;
        #[allow(clippy::cast_possible_truncation, reason = "ONNX keeps epsilon in f32")]
        let epsilon = self.config.layer_norm_epsilon as f32;
        self.graph.scope(&self.folder.name(module), |graph| {
            let gain = graph.initializer("weight", gain)?;
            let shift = graph.initializer("bias", shift)?;
            Ok(graph.layer_normalization(x, gain, shift, epsilon)?)
        })
    }

    /// The sizes of batch and sequence, and these behind them.
    fn with_sizes(&mut self, more: &[usize]) -> Result<Value, BuildError> {
        let more: Vec<i64> = more.iter().map(|size| i64::try_from(*size).expect("sizes are bounded")).collect();
        let more = self.graph.ints(&more);
        Ok(self.graph.concat(&[self.sizes, more], 0)?)
    }
}

/// `[out, in]`, as checkpoints hold linear maps, to `[in, out]`.
fn transposed(weight: &[f32], into: usize) -> Vec<f32> {
    let out = weight.len() / into;
    let mut result = Vec::with_capacity(weight.len());
    for column in 0..into {
        result.extend((0..out).map(|row| weight[row * into + column]));
    }
    result
}

/// What the names of a prior head's nodes and weights begin with.
const PRIOR: &str = "prior.";
