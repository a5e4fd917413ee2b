//! The prior head that a cross-encoder's graph ends in, as numbers.

use hydra_types::ndarray::{Array2, Axis, concatenate};

use super::Bundle;

/// The classifier of a cross-encoder, as a head on the features that its graph gives: its logits are
/// `W₂ tanh(W₁ z + b₁) + b₂`. What `hydra_heads::Weights::two_layer` takes.
///
/// A bundle has one if its graph gives `features` and holds, in 32-bit floats, the initialisers `prior.hidden.weight`
/// `[hidden, inner]`, `prior.hidden.bias` `[inner]`, `prior.output.weight` `[inner, classes]` and `prior.output.bias`
/// `[classes]`, of one class or of two. That these are what the graph computes its logits with is the word of whoever
/// exported it; `hydra-export` does, in every precision.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PriorHead {
    /// `W₁`: `[inner, hidden]`.
    pub w1: Array2<f32>,
    /// `b₁`: `[inner]`.
    pub b1: Vec<f32>,
    /// `W₂`: `[2, inner]`. Of a classifier with one class the first row is 0, so that its logit is the log-odds.
    pub w2: Array2<f32>,
    /// `b₂`: `[2]`.
    pub b2: Vec<f32>,
}

pub(super) fn read(bundle: &Bundle) -> Option<PriorHead> {
    let width = bundle.manifest().features_width()?;
    let linear = |name: &str, from: usize| -> Option<(Array2<f32>, Vec<f32>)> {
        let (shape, weight) = bundle.model.initializer(&format!("{name}.weight"))?;
        let (_, bias) = bundle.model.initializer(&format!("{name}.bias"))?;
        let [into, out] = shape[..] else { return None };
        let weight = Array2::from_shape_vec((into, out), weight).ok()?.t().as_standard_layout().into_owned();
        (into == from && bias.len() == out).then_some((weight, bias))
    };
    let (w1, b1) = linear(HIDDEN, width)?;
    let (mut w2, mut b2) = linear(OUTPUT, b1.len())?;
    match b2.len() {
        1 => {
            w2 = concatenate(Axis(0), &[Array2::zeros(w2.dim()).view(), w2.view()]).ok()?;
            b2.insert(0, 0.0);
        }
        2 => {}
        _ => return None,
    }
    Some(PriorHead { w1, b1, w2, b2 })
}

const HIDDEN: &str = "prior.hidden";
const OUTPUT: &str = "prior.output";
