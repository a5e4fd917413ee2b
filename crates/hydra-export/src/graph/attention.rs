//! Attention.

use hydra_graph::{DataType, Value};

use super::{BuildError, Encoder};
use crate::folder::{Family, LayerModule, Module};

impl Encoder<'_> {
    /// What is added to all scores: a number that no score outweighs where there is padding, and MPNet's relative
    /// positions. `[batch, 1, 1, seq]`, or `[batch, n_heads, seq, seq]` with relative positions. All layers share it.
    pub(super) fn attention_bias(&mut self) -> Result<Value, BuildError> {
        let mask = self.graph.unsqueeze(self.mask, &[1, 2])?;
        let mask = self.graph.cast(mask, DataType::F32)?;
        let [one, closed] = [1.0, CLOSED].map(|number| self.graph.scalar(number));
        let padding = self.graph.sub(one, mask)?;
        let bias = self.graph.mul(padding, closed)?;
        match self.config.family {
            Family::MpNet => {
                let relative = self.relative_positions()?;
                Ok(self.graph.add(relative, bias)?)
            }
            _ => Ok(bias),
        }
    }

    /// What the heads gather, side by side: `[batch * seq, hidden]`.
    pub(super) fn attention(&mut self, layer: usize, x: Value, bias: Value) -> Result<Value, BuildError> {
        let query = self.heads(layer, LayerModule::Query, x, [0, 2, 1, 3])?;
        // Keys are transposed at once: query times key is then a plain product.
        let key = self.heads(layer, LayerModule::Key, x, [0, 2, 3, 1])?;
        let value = self.heads(layer, LayerModule::Value, x, [0, 2, 1, 3])?;
        let (hidden, head_dim) = (self.config.hidden, self.config.head_dim());
        #[allow(clippy::cast_possible_truncation, reason = "the root of a bounded size")]
        let root = (head_dim as f64).sqrt() as f32;
        let hidden = i64::try_from(hidden).expect("sizes are bounded");
        let name = self.folder.name(Module::Layer(layer, LayerModule::Query));
        let scope = name.rsplit_once('.').map_or(name.as_str(), |(attention, _)| attention).to_owned();
        self.graph.scope(&scope, |graph| {
            let scores = graph.mat_mul(query, key)?;
            let root = graph.scalar(root);
            let scores = graph.div(scores, root)?;
            let scores = graph.add(scores, bias)?;
            let weights = graph.softmax(scores, 3)?;
            let gathered = graph.mat_mul(weights, value)?;
            let gathered = graph.transpose(gathered, &[0, 2, 1, 3])?;
            Ok(graph.reshape(gathered, &[-1, hidden])?)
        })
    }

    /// A linear map of the rows of `x`, cut into heads: `[batch, seq, n_heads, head_dim]`, its axes in this order.
    fn heads(&mut self, layer: usize, module: LayerModule, x: Value, order: [i64; 4]) -> Result<Value, BuildError> {
        let (module, hidden) = (Module::Layer(layer, module), self.config.hidden);
        let rows = self.linear(module, x, hidden, hidden)?;
        let shape = self.with_sizes(&[self.config.n_heads, self.config.head_dim()])?;
        let name = self.folder.name(module);
        self.graph.scope(&name, |graph| {
            let heads = graph.reshape_to(rows, shape)?;
            Ok(graph.transpose(heads, &order)?)
        })
    }
}

/// Added to the score of padding: its weight is then 0 in f32, and half precision can hold it.
const CLOSED: f32 = -10_000.0;
