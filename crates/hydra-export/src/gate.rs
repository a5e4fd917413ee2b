//! Parity is a gate: what does not compute what the folder's model computes is not written.
//!
//! A graph in `f32` is held to the [reference](crate::forward): on ONNX Runtime, at four shapes with real padding, no
//! number of any output may be farther than 1e-5 from it, but at padding. A graph in fewer bits is held to that graph: over
//! 300 pairs of sentences the order of the similarities (or of the logits) and the direction of the vectors must stay.

mod agreement;
pub(crate) mod batches;
mod sentences;

use hydra_onnx::{
    Bound, Bundle, CrossEncoder, Encoder, EncoderError, EncoderOptions, Kind, Measure, Session, SessionError,
    SessionOptions, TensorView,
};
use hydra_types::ndarray::{Array2, ArrayD, ArrayView1, ArrayViewD, Dimension, IxDyn};

use crate::folder::Folder;
use crate::reference::{self, ReferenceError};
use crate::tokens::{Tokens, TokensError};
use agreement::{cosine, kendall_tau};

/// Why a graph did not pass, or could not be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A number is too far from the reference.
    #[error(
        "{output} of the graph differs from the reference by {difference:.3e} at batch {batch} × length {seq} (row {row}, \
         token {token}, number {number}), at most {most:e} is allowed: the graph does not compute this model, nothing was \
         written"
    )]
    Parity {
        /// Which of the graph's outputs.
        output: &'static str,
        /// Rows of the batch.
        batch: usize,
        /// Tokens of a row, padding included.
        seq: usize,
        /// The row where it differs most.
        row: usize,
        /// The token; 0 where there is one vector a row.
        token: usize,
        /// Which number of the vector, or which class.
        number: usize,
        /// By how much.
        difference: f64,
        /// How much is allowed.
        most: f64,
    },
    /// A figure misses its bound.
    #[error(
        "{measure} is {value}, asked for is {bound}: the precision loses too much on this model, nothing was written"
    )]
    Agreement {
        /// The figure.
        measure: String,
        /// What came out.
        value: f64,
        /// What was asked.
        bound: Bound,
    },
    /// The reference could not run.
    #[error("the reference cannot judge this model")]
    Reference(#[from] ReferenceError),
    /// The graph could not run.
    #[error("onnx runtime cannot run the graph")]
    Session(#[from] SessionError),
    /// The bundle could not encode.
    #[error("the bundle cannot encode the gate's sentences")]
    Encoder(#[from] EncoderError),
    /// The tokenizer could not be read, or did not take the gate's sentences.
    #[error("tokenizer.json is not a tokenizer that can be used: copy the file that was published with the weights")]
    Tokenizer(#[source] tokenizers::Error),
    /// The tokenizer gave no usable batch.
    #[error("the tokenizer does not fit the model")]
    Tokens(#[from] TokensError),
}

/// Compares every output of an `f32` graph on ONNX Runtime with the reference.
pub(crate) fn parity(folder: &Folder, bundle: &Bundle) -> Result<Vec<Measure>, GateError> {
    let batches = batches::shapes(folder)
        .into_iter()
        .map(|shape| batches::batch(folder, shape, 0))
        .collect::<Result<Vec<_>, _>>()?;
    let expected = reference::outputs(folder, &batches)?;
    let mut session = Session::open(bundle.model(), &SessionOptions::default())?;
    let mut measures = Vec::new();
    for (tokens, expected) in batches.iter().zip(&expected) {
        let (batch, seq) = tokens.ids().dim();
        let outputs = session.run(&inputs(folder, tokens))?;
        for (&output, expected) in expected {
            let (difference, at) = worst(&outputs.f32::<IxDyn>(output)?, expected, tokens);
            if difference > MOST_APART || difference.is_nan() {
                let token = if at.len() == 3 { at[1] } else { 0 };
                let (row, number, most) = (at[0], at[at.len() - 1], MOST_APART);
                return Err(GateError::Parity { output, batch, seq, row, token, number, difference, most });
            }
            // A graph has one output of its own; what else it gives is named.
            let named = if output == bundle.manifest().kind().output() { "" } else { "_of_features" };
            measures.push(Measure {
                name: format!("max_abs_difference{named}_{batch}x{seq}"),
                value: difference,
                bound: Bound::AtMost(MOST_APART),
            });
        }
    }
    Ok(measures)
}

/// Where an output is farthest from the reference, and by how much; not at padding.
///
/// # Shapes
/// - `got`, `expected`: `[batch, seq, numbers]` or `[batch, numbers]`
fn worst(got: &ArrayViewD<'_, f32>, expected: &ArrayD<f64>, tokens: &Tokens) -> (f64, Vec<usize>) {
    let mut worst = (0.0, vec![0; got.ndim()]);
    for (at, number) in got.indexed_iter() {
        let difference = (f64::from(*number) - expected[&at]).abs();
        let means_something = at.ndim() == 2 || tokens.mask()[[at[0], at[1]]] == 1;
        // NaN is farther than anything.
        if means_something && (difference > worst.0 || difference.is_nan()) {
            worst = (difference, at.as_array_view().to_vec());
        }
    }
    worst
}

/// Compares a graph in fewer bits with the `f32` one.
pub(crate) fn agreement(full: &Bundle, reduced: &Bundle) -> Result<Vec<Measure>, GateError> {
    let pairs = sentences::pairs(PAIRS);
    let (tau, mean_cosine, of_features) = if full.manifest().kind() == Kind::Encoder {
        let [full, reduced] = [features(full, &pairs)?, features(reduced, &pairs)?];
        let similarities = |features: &Array2<f32>| -> Vec<f64> {
            (0..PAIRS).map(|pair| cosine(&features.row(pair), &features.row(PAIRS + pair))).collect()
        };
        (kendall_tau(&similarities(&full), &similarities(&reduced)), mean_cosine_of_rows(&full, &reduced), None)
    } else {
        let [(full, full_features), (reduced, reduced_features)] = [logits(full, &pairs)?, logits(reduced, &pairs)?];
        let wide = |column: ArrayView1<'_, f32>| column.iter().copied().map(f64::from).collect::<Vec<_>>();
        let classes = || full.columns().into_iter().zip(reduced.columns());
        let least = classes().map(|(full, reduced)| kendall_tau(&wide(full), &wide(reduced))).fold(1.0, f64::min);
        let cosines = classes().map(|(full, reduced)| cosine(&full, &reduced));
        let of_features = mean_cosine_of_rows(&full_features, &reduced_features);
        (least, cosines.sum::<f64>() / full.ncols() as f64, Some(of_features))
    };
    [("kendall_tau", tau, LEAST_TAU), ("mean_cosine", mean_cosine, LEAST_COSINE)]
        .into_iter()
        .chain(of_features.map(|cosine| ("mean_cosine_of_features", cosine, LEAST_COSINE)))
        .map(|(name, value, least)| {
            let (measure, bound) = (name.to_owned(), Bound::AtLeast(least));
            if bound.holds(value) {
                Ok(Measure { name: measure, value, bound })
            } else {
                Err(GateError::Agreement { measure, value, bound })
            }
        })
        .collect()
}

/// What the figures were measured on, for the manifest.
pub(crate) fn cases(reduced: bool) -> String {
    let parity = "batches of sentences from a grammar, padded, as rows x tokens";
    if reduced {
        format!("{parity}; {PAIRS} pairs of such sentences against the fp32 graph")
    } else {
        parity.to_owned()
    }
}

/// Features of all first sentences and then all second ones.
fn features(bundle: &Bundle, pairs: &[(String, String)]) -> Result<Array2<f32>, EncoderError> {
    let texts: Vec<&str> =
        pairs.iter().map(|(first, _)| first.as_str()).chain(pairs.iter().map(|(_, second)| second.as_str())).collect();
    Ok(Encoder::open(bundle, &EncoderOptions::default())?.encode(&texts)?.features)
}

/// Logits of pairs, and the features that they are made from.
fn logits(bundle: &Bundle, pairs: &[(String, String)]) -> Result<(Array2<f32>, Array2<f32>), EncoderError> {
    let (logits, features) = CrossEncoder::open(bundle, &EncoderOptions::default())?.logits_and_features(pairs)?;
    Ok((logits.logits, features))
}

fn mean_cosine_of_rows(full: &Array2<f32>, reduced: &Array2<f32>) -> f64 {
    let cosines = full.rows().into_iter().zip(reduced.rows()).map(|(full, reduced)| cosine(&full, &reduced));
    cosines.sum::<f64>() / full.nrows() as f64
}

/// A batch by the names that the graph gives its inputs.
pub(crate) fn inputs<'t>(folder: &Folder, tokens: &'t Tokens) -> Vec<(&'static str, TensorView<'t>)> {
    let mut inputs = vec![("input_ids", tokens.ids().view().into()), ("attention_mask", tokens.mask().view().into())];
    if folder.config().token_types > 1 {
        inputs.push(("token_type_ids", tokens.types().view().into()));
    }
    inputs
}

/// What `f32` and another order of summation may change.
const MOST_APART: f64 = 1e-5;
const PAIRS: usize = 300;
const LEAST_TAU: f64 = 0.97;
const LEAST_COSINE: f64 = 0.995;
