//! The forward pass, on a graph that remembers it for the gradients.

use std::collections::BTreeMap;

use burn::tensor::activation::{gelu, relu, softmax, tanh};
use burn::tensor::module::layer_norm;
use burn::tensor::{Bool, Device, Gradients, Int, Tensor, TensorData};
use hydra_types::ndarray::Array2;

use super::attention::{padding, relative_positions};
use super::config::{Activation, Config, Family};
use super::dropout::Dropout;
use super::names::{Names, Part};
use super::parameter::Parameter;
use super::tokens::Tokens;
use super::values;

/// The parameters as leaves of a graph.
#[derive(Clone)]
pub(crate) struct Binding {
    leaves: BTreeMap<String, Leaf>,
    device: Device,
}

/// A parameter on the device; only those that are trained get a gradient.
#[derive(Clone)]
enum Leaf {
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
}

/// One forward pass at a time.
pub(crate) struct Network<'a> {
    config: &'a Config,
    names: Names,
    binding: Binding,
    dropout: Option<Dropout>,
}

impl Binding {
    /// Leaves none of which is trained.
    pub(crate) fn frozen(parameters: &[Parameter], device: &Device) -> Self {
        let leaf = |parameter: &Parameter| {
            let data = TensorData::new(parameter.values.clone(), parameter.shape.clone());
            if parameter.shape.len() == 1 {
                Leaf::Vector(Tensor::from_data(data, device))
            } else {
                Leaf::Matrix(Tensor::from_data(data, device))
            }
        };
        let leaves = parameters.iter().map(|parameter| (parameter.name.clone(), leaf(parameter))).collect();
        Self { leaves, device: device.clone() }
    }

    /// The same numbers, not copied, as leaves of a graph of its own with gradients for those that `trains` picks.
    pub(crate) fn tracked(&self, trains: impl Fn(&str) -> bool) -> Self {
        let leaf = |(name, leaf): (&String, &Leaf)| {
            let trained = trains(name);
            let leaf = match leaf.clone() {
                Leaf::Vector(leaf) => Leaf::Vector(leaf.autodiff().set_require_grad(trained)),
                Leaf::Matrix(leaf) => Leaf::Matrix(leaf.autodiff().set_require_grad(trained)),
            };
            (name.clone(), leaf)
        };
        Self { leaves: self.leaves.iter().map(leaf).collect(), device: self.device.clone().autodiff() }
    }

    /// The gradient of a parameter, row-major; none if nothing depends on it.
    pub(crate) fn gradient(&self, name: &str, gradients: &mut Gradients) -> Option<Vec<f32>> {
        match &self.leaves[name] {
            Leaf::Vector(leaf) => leaf.grad_remove(gradients).map(values),
            Leaf::Matrix(leaf) => leaf.grad_remove(gradients).map(values),
        }
    }

    fn matrix(&self, module: &str) -> Tensor<2> {
        match &self.leaves[&format!("{module}.weight")] {
            Leaf::Matrix(leaf) => leaf.clone(),
            Leaf::Vector(_) => unreachable!("the names say which tensors are matrices"),
        }
    }

    fn vector(&self, module: &str, end: &str) -> Tensor<1> {
        match &self.leaves[&format!("{module}{end}")] {
            Leaf::Vector(leaf) => leaf.clone(),
            Leaf::Matrix(_) => unreachable!("the names say which tensors are vectors"),
        }
    }
}

impl<'a> Network<'a> {
    pub(crate) fn new(config: &'a Config, binding: Binding) -> Self {
        Self { config, names: Names::of(config.family), binding, dropout: None }
    }

    pub(crate) fn with_dropout(mut self, dropout: Option<Dropout>) -> Self {
        self.dropout = dropout;
        self
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// All layers: `[batch · seq, hidden]`, rows of one sequence side by side.
    pub(crate) fn hidden_states(&mut self, tokens: &Tokens) -> Tensor<2> {
        let embedded = self.embed(tokens);
        self.layers(embedded, tokens, 0..self.config.n_layers)
    }

    /// The layers from this one on.
    pub(crate) fn upper_layers(&mut self, x: Tensor<2>, tokens: &Tokens, from: usize) -> Tensor<2> {
        self.layers(x, tokens, from..self.config.n_layers)
    }

    /// Numbers of one token's vector.
    pub(crate) fn hidden(&self) -> usize {
        self.config.hidden
    }

    /// The sum of the tables, normalised: `[batch · seq, hidden]`.
    ///
    /// # Source
    /// Devlin et al. 2018, figure 2.
    pub(crate) fn embed(&mut self, tokens: &Tokens) -> Tensor<2> {
        let mut sum =
            self.rows(Names::WORDS, tokens.ids()) + self.rows(Names::POSITIONS, &tokens.positions(self.config));
        if self.config.token_types > 0 {
            sum = sum + self.rows(Names::TOKEN_TYPES, tokens.types());
        }
        let normalised = self.norm(Names::EMBEDDING_NORM, sum);
        self.drop(normalised)
    }

    /// Some of the layers.
    pub(crate) fn layers(&mut self, x: Tensor<2>, tokens: &Tokens, layers: std::ops::Range<usize>) -> Tensor<2> {
        let device = self.binding.device.clone();
        let padding = padding(tokens, self.config.n_heads, &device);
        let relative = (self.config.family == Family::MpNet)
            .then(|| relative_positions(self.binding.matrix(Names::RELATIVE_POSITIONS), tokens.dim().1, &device));
        layers.fold(x, |x, layer| self.layer(x, layer, tokens.dim(), padding.as_ref(), relative.as_ref()))
    }

    /// Logits `[batch, classes]` of each sequence's first place.
    ///
    /// # Source
    /// Devlin et al. 2018, section 4.1, on the pooled first token (`tanh`, google-research/bert `modeling.py`); RoBERTa's
    /// and MPNet's head is the same function under other names. **Differs:** DistilBERT's head has `max(x, 0)` there
    /// (transformers, `modeling_distilbert.py`).
    pub(crate) fn logits(&mut self, hidden: Tensor<2>, tokens: &Tokens) -> Tensor<2> {
        let first = self.first_places(hidden, tokens);
        let first = if self.config.family == Family::Roberta { self.drop(first) } else { first };
        let between = self.linear(self.names.classifier_hidden(), first);
        let between = if self.config.family == Family::DistilBert { relu(between) } else { tanh(between) };
        let between = self.drop(between);
        self.linear(self.names.classifier(), between)
    }

    /// The vector of each sequence's first place: `[batch, hidden]`.
    pub(crate) fn first_places(&self, hidden: Tensor<2>, tokens: &Tokens) -> Tensor<2> {
        let (batch, seq) = tokens.dim();
        let first = (0..batch).map(|row| i64::try_from(row * seq).expect("a batch fits into memory"));
        hidden.select(0, self.indices(first.collect()))
    }

    /// # Source
    /// Vaswani et al. 2017, section 3.1: `LayerNorm(x + Sublayer(x))` around attention and around the feed-forward
    /// network of equation 2, whose activation BERT changes to GELU.
    fn layer(
        &mut self,
        x: Tensor<2>,
        layer: usize,
        dim: (usize, usize),
        padding: Option<&Tensor<4, Bool>>,
        relative: Option<&Tensor<4>>,
    ) -> Tensor<2> {
        let attended = self.attention(&x, layer, dim, padding, relative);
        let attended = self.linear(&self.names.part(layer, Part::AttentionOutput), attended);
        let attended = self.drop(attended) + x;
        let x = self.norm(&self.names.part(layer, Part::AttentionNorm), attended);

        let wide = self.linear(&self.names.part(layer, Part::Intermediate), x.clone());
        let wide = match self.config.activation {
            Activation::Gelu => gelu(wide),
            Activation::Relu => relu(wide),
        };
        let narrow = self.linear(&self.names.part(layer, Part::Output), wide);
        let sum = self.drop(narrow) + x;
        self.norm(&self.names.part(layer, Part::OutputNorm), sum)
    }

    /// What the heads gather, side by side: `[batch · seq, hidden]`.
    ///
    /// # Source
    /// Vaswani et al. 2017, equation 1 and section 3.2.2: `softmax(QKᵀ / √head_dim) V` for each head. Padding gets no
    /// weight at all.
    fn attention(
        &mut self,
        x: &Tensor<2>,
        layer: usize,
        (batch, seq): (usize, usize),
        padding: Option<&Tensor<4, Bool>>,
        relative: Option<&Tensor<4>>,
    ) -> Tensor<2> {
        let (n_heads, head_dim, hidden) = (self.config.n_heads, self.config.head_dim(), self.config.hidden);
        let heads = |network: &Self, part| {
            let mapped = network.linear(&network.names.part(layer, part), x.clone());
            mapped.reshape([batch, seq, n_heads, head_dim]).swap_dims(1, 2)
        };
        let (query, key, value) = (heads(self, Part::Query), heads(self, Part::Key), heads(self, Part::Value));
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut scores = (query * scale).matmul(key.swap_dims(2, 3));
        if let Some(relative) = relative {
            scores = scores + relative.clone();
        }
        if let Some(padding) = padding {
            scores = scores.mask_fill(padding.clone(), f32::NEG_INFINITY);
        }
        let weights = self.drop(softmax(scores, 3));
        weights.matmul(value).swap_dims(1, 2).reshape([batch * seq, hidden])
    }

    /// Rows of a table.
    fn rows(&self, table: &str, ids: &Array2<i64>) -> Tensor<2> {
        self.binding.matrix(table).select(0, self.indices(ids.iter().copied().collect()))
    }

    fn indices(&self, indices: Vec<i64>) -> Tensor<1, Int> {
        let shape = [indices.len()];
        Tensor::from_data(TensorData::new(indices, shape), &self.binding.device)
    }

    /// `x Wᵀ + b`, the weight as checkpoints hold it: `[out, in]`.
    fn linear(&self, module: &str, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.binding.matrix(module).transpose()) + self.binding.vector(module, ".bias").unsqueeze()
    }

    /// # Source
    /// Ba et al. 2016 (arXiv:1607.06450), equations 3 and 4. **Differs:** epsilon is added to the variance under the
    /// root, as every implementation of these models does.
    fn norm(&self, module: &str, x: Tensor<2>) -> Tensor<2> {
        let (gain, shift) = (self.binding.vector(module, ".weight"), self.binding.vector(module, ".bias"));
        layer_norm(x, gain, Some(shift), self.config.layer_norm_epsilon)
    }

    fn drop<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        match &mut self.dropout {
            Some(dropout) => dropout.apply(x, &self.binding.device),
            None => x,
        }
    }
}
