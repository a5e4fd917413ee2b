//! One transformer layer.

use hydra_types::ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, Axis, s};

use super::relative::RelativePositions;
use super::{Row, matrix, vector};
use crate::folder::{Activation, Folder, FolderError, LayerModule, Module, Part};

/// The weights of one layer.
pub(super) struct Layer {
    n_heads: usize,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: Activation,
    output: Linear,
    output_norm: LayerNorm,
}

impl Layer {
    pub(super) fn read(folder: &Folder, layer: usize) -> Result<Self, FolderError> {
        let config = folder.config();
        let (hidden, wide) = (config.hidden, config.intermediate);
        let linear = |module, out, into| Linear::read(folder, Module::Layer(layer, module), out, into);
        let norm = |module| LayerNorm::read(folder, Module::Layer(layer, module));
        Ok(Self {
            n_heads: config.n_heads,
            query: linear(LayerModule::Query, hidden, hidden)?,
            key: linear(LayerModule::Key, hidden, hidden)?,
            value: linear(LayerModule::Value, hidden, hidden)?,
            attention_output: linear(LayerModule::AttentionOutput, hidden, hidden)?,
            attention_norm: norm(LayerModule::AttentionNorm)?,
            intermediate: linear(LayerModule::Intermediate, wide, hidden)?,
            activation: config.activation,
            output: linear(LayerModule::Output, hidden, wide)?,
            output_norm: norm(LayerModule::OutputNorm)?,
        })
    }

    /// Runs the layer on one row of the batch.
    ///
    /// # Source
    /// Vaswani et al. 2017, section 3.1: `LayerNorm(x + Sublayer(x))` around attention and around the feed-forward
    /// network of equation 2, whose activation BERT changes to GELU.
    pub(super) fn apply(&self, row: &mut Row, relative: Option<&RelativePositions>) {
        let attended = self.attention(row, relative);
        let mut hidden = self.attention_output.apply(&attended.view()) + &row.hidden;
        self.attention_norm.apply_rows(&mut hidden);

        let mut wide = self.intermediate.apply(&hidden.view());
        match self.activation {
            Activation::Gelu => wide.mapv_inplace(gelu),
            Activation::Relu => wide.mapv_inplace(|x| x.max(0.0)),
        }
        row.hidden = self.output.apply(&wide.view()) + hidden;
        self.output_norm.apply_rows(&mut row.hidden);
    }

    /// What the heads gather, side by side: `[seq, hidden]`.
    ///
    /// # Source
    /// Vaswani et al. 2017, equation 1 and section 3.2.2: `softmax(QKᵀ / √head_dim) V` for each head. Padding gets no
    /// weight at all.
    fn attention(&self, row: &Row, relative: Option<&RelativePositions>) -> Array2<f64> {
        let hidden = &row.hidden.view();
        let (query, key, value) = (self.query.apply(hidden), self.key.apply(hidden), self.value.apply(hidden));
        let head_dim = query.ncols() / self.n_heads;
        let mut gathered = Array2::zeros(query.raw_dim());
        for head in 0..self.n_heads {
            let columns = s![.., head * head_dim..(head + 1) * head_dim];
            let mut weights = query.slice(columns).dot(&key.slice(columns).t());
            for ((from, to), score) in weights.indexed_iter_mut() {
                *score /= (head_dim as f64).sqrt();
                if let Some(relative) = relative {
                    *score += relative.bias(from, to, head);
                }
                if !row.mask[to] {
                    *score = f64::NEG_INFINITY;
                }
            }
            for mut scores in weights.axis_iter_mut(Axis(0)) {
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                scores.mapv_inplace(|score| (score - most).exp());
                scores /= scores.sum();
            }
            gathered.slice_mut(columns).assign(&weights.dot(&value.slice(columns)));
        }
        gathered
    }
}

/// `x Wᵀ + b`, the weight as checkpoints hold it: `[out, in]`.
pub(super) struct Linear {
    weight: Array2<f64>,
    bias: Array1<f64>,
}

impl Linear {
    pub(super) fn read(folder: &Folder, module: Module, out: usize, into: usize) -> Result<Self, FolderError> {
        Ok(Self { weight: matrix(folder, module, out, into)?, bias: vector(folder, module, Part::Bias)? })
    }

    /// `[rows, in]` to `[rows, out]`.
    pub(super) fn apply(&self, x: &ArrayView2<'_, f64>) -> Array2<f64> {
        x.dot(&self.weight.t()) + &self.bias
    }
}

/// Layer normalisation over the last axis.
pub(super) struct LayerNorm {
    gain: Array1<f64>,
    shift: Array1<f64>,
    epsilon: f64,
}

impl LayerNorm {
    pub(super) fn read(folder: &Folder, module: Module) -> Result<Self, FolderError> {
        Ok(Self {
            gain: vector(folder, module, Part::Weight)?,
            shift: vector(folder, module, Part::Bias)?,
            epsilon: folder.config().layer_norm_epsilon,
        })
    }

    /// # Source
    /// Ba et al. 2016 (arXiv:1607.06450), equations 3 and 4. **Differs:** epsilon is added to the variance under the
    /// root, as every implementation of these models does.
    pub(super) fn apply(&self, mut x: ArrayViewMut1<'_, f64>) {
        let n = x.len() as f64;
        let mean = x.sum() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for ((x, gain), shift) in x.iter_mut().zip(&self.gain).zip(&self.shift) {
            *x = (*x - mean) * scale * gain + shift;
        }
    }

    fn apply_rows(&self, x: &mut Array2<f64>) {
        x.axis_iter_mut(Axis(0)).for_each(|row| self.apply(row));
    }
}

/// # Source
/// Hendrycks and Gimpel 2016 (arXiv:1606.08415), section 2: `x Φ(x)`, the exact form.
fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))
}
