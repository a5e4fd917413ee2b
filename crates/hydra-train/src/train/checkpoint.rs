//! A run on disk: one safetensors file that appears whole or not at all.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use hydra_types::UserId;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::heads::Head;
use super::{Best, Curve, CurvePoint, Moments, State, Trainer};
use crate::file;
use crate::model::{Parameter, numbers, to_bytes};

/// A checkpoint that could not be written or does not belong here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file could not be read or written.
    #[error("cannot read or write the checkpoint: check that it exists and who may use it: {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is not a checkpoint, or is damaged.
    #[error("not a checkpoint, or a damaged one: take an older one, or begin anew: {path}")]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// It is of another run.
    #[error("a checkpoint of another run: {what} differ")]
    Foreign {
        /// What is not the same.
        what: &'static str,
    },
}

/// What is in the header, beside the tensors.
#[derive(Serialize, Deserialize)]
struct Header {
    step: u64,
    stale: usize,
    /// How often each head has moved, in order of user.
    head_steps: Vec<u64>,
    identity: Identity,
}

/// What makes a run the same: hashes of what it was made from.
#[derive(PartialEq, Serialize, Deserialize)]
struct Identity {
    options: String,
    rows: String,
    frozen_weights: String,
}

pub(super) fn save(trainer: &Trainer, path: &Path) -> Result<(), CheckpointError> {
    let state = &trainer.state;
    let header = Header {
        step: state.step,
        stale: state.stale,
        head_steps: state.heads.by_user.values().map(|head| head.step).collect(),
        identity: identity(trainer),
    };
    let header = serde_json::to_string(&header).expect("numbers and strings are JSON");
    let mut arrays: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, values, moments: &Moments, best| {
        let mut parts = vec![("value", values), ("first", &moments.first), ("second", &moments.second)];
        parts.extend(best);
        let named =
            parts.into_iter().map(|(part, numbers): (_, &Vec<f32>)| (format!("{part}/{name}"), to_bytes(numbers)));
        arrays.extend(named);
    };
    let best = state.best.as_ref();
    for (at, parameter) in trained(trainer).into_iter().enumerate() {
        add(&parameter.name, &parameter.values, &state.moments[at], best.map(|best| ("best", &best.values[at])));
    }
    for (at, (user, head)) in state.heads.by_user.iter().enumerate() {
        add(&head_name(*user), &head.values, &head.moments, best.map(|best| ("best", &best.heads[at])));
    }
    let curve = to_numbers(&state.curve);
    let best = best.map(|best| best.loss.to_le_bytes());
    let numbers = [(CURVE, curve.as_slice()), (BEST_LOSS, best.as_ref().map_or(&[], <[u8; 8]>::as_slice))];
    let numbers = numbers.map(|(name, bytes)| (name.to_owned(), Dtype::F64, vec![bytes.len() / 8], bytes));
    let arrays = arrays.iter().map(|(name, bytes)| (name.clone(), Dtype::F32, vec![bytes.len() / 4], bytes.as_slice()));
    let views = numbers.into_iter().chain(arrays).map(|(name, dtype, shape, bytes)| {
        (name, TensorView::new(dtype, shape, bytes).expect("each is a list of its numbers"))
    });
    let bytes = safetensors::serialize(views, Some(HashMap::from([(HEADER.to_owned(), header)])))
        .expect("names differ, and shapes fit their bytes");

    let failed = |source| CheckpointError::Io { path: path.to_owned(), source };
    file::beside(path, &bytes).and_then(|file| Ok(file.persist(path)?)).map_err(failed)?;
    Ok(())
}

pub(super) fn load(trainer: &mut Trainer, path: &Path) -> Result<(), CheckpointError> {
    let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io { path: path.to_owned(), source })?;
    let damaged = || CheckpointError::Damaged { path: path.to_owned() };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|_| damaged())?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|_| damaged())?;
    let header = metadata.metadata().as_ref().and_then(|strings| strings.get(HEADER)).ok_or_else(damaged)?;
    let header: Header = serde_json::from_str(header).map_err(|_| damaged())?;
    let ours = identity(trainer);
    for (what, same) in [
        ("options", header.identity.options == ours.options),
        ("rows", header.identity.rows == ours.rows),
        ("frozen weights", header.identity.frozen_weights == ours.frozen_weights),
    ] {
        if !same {
            return Err(CheckpointError::Foreign { what });
        }
    }
    let stored = |name| tensors.tensor(name).ok().filter(|view| view.dtype() == Dtype::F64).ok_or_else(damaged);
    let curve = from_numbers(stored(CURVE)?.data());
    let best_loss = floats(stored(BEST_LOSS)?.data()).next();
    // Value, moments and, if there is one, the best value.
    let read = |name: &str, len: usize| {
        let array = |part: &str| {
            let view = tensors.tensor(&format!("{part}/{name}")).ok()?;
            numbers(&view).filter(|numbers| numbers.len() == len)
        };
        let moments = Moments { first: array("first")?, second: array("second")? };
        let best = if best_loss.is_some() { array("best")? } else { Vec::new() };
        Some((array("value")?, moments, best))
    };
    let (mut body, mut moments, mut best) = (Vec::new(), Vec::new(), Vec::new());
    for parameter in trained(trainer) {
        let (value, of_value, best_value) = read(&parameter.name, parameter.values.len()).ok_or_else(damaged)?;
        body.push(value);
        moments.push(of_value);
        best.push(best_value);
    }
    let (mut heads, mut best_heads) = (trainer.state.heads.clone(), Vec::new());
    if heads.by_user.len() != header.head_steps.len() {
        return Err(damaged());
    }
    for ((user, head), step) in heads.by_user.iter_mut().zip(header.head_steps) {
        let (values, moments, best) = read(&head_name(*user), head.values.len()).ok_or_else(damaged)?;
        *head = Head { values, moments, step };
        best_heads.push(best);
    }
    for (values, read) in trainer.trained_mut().into_iter().zip(body) {
        *values = read;
    }
    let best = best_loss.map(|loss| Best { loss, values: best, heads: best_heads });
    trainer.state = State { step: header.step, moments, heads, curve, best, stale: header.stale };
    Ok(())
}

/// No parameter of a model is called so.
fn head_name(user: UserId) -> String {
    format!("head of {user}")
}

/// Four numbers a point, bits kept; NaN where no held-out loss was computed. Text would lose the last bit.
fn to_numbers(curve: &Curve) -> Vec<u8> {
    let point = |point: &CurvePoint| {
        [point.step as f64, point.loss, point.learning_rate, point.held_out.unwrap_or(f64::NAN)].map(f64::to_le_bytes)
    };
    curve.points().iter().flat_map(point).flatten().collect()
}

fn from_numbers(bytes: &[u8]) -> Curve {
    let mut curve = Curve::default();
    for (step, point) in (1..).zip(bytes.chunks_exact(32)) {
        let mut numbers = floats(&point[8..]);
        let mut next = || numbers.next().expect("a point has four numbers");
        let (loss, learning_rate, held_out) = (next(), next(), next());
        curve.push(CurvePoint { step, loss, learning_rate, held_out: (!held_out.is_nan()).then_some(held_out) });
    }
    curve
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f64> + '_ {
    bytes.chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().expect("chunks of eight")))
}

fn trained(trainer: &Trainer) -> Vec<&Parameter> {
    let parameters = trainer.model.parameters().iter();
    parameters.filter(|parameter| trainer.options.trains(&trainer.model, &parameter.name)).collect()
}

fn identity(trainer: &Trainer) -> Identity {
    let mut rows = Sha256::new();
    for examples in [Some(&trainer.examples), trainer.held_out.as_ref()].into_iter().flatten() {
        rows.update((examples.len() as u64).to_le_bytes());
        for example in examples.rows() {
            rows.update((example.sequence.ids.len() as u64).to_le_bytes());
            let tokens = example.sequence.ids.iter().chain(&example.sequence.types);
            tokens.for_each(|token| rows.update(token.to_le_bytes()));
            rows.update(example.label.to_le_bytes());
            rows.update(example.group.to_le_bytes());
            let user = example.user.map(|user| user.get().to_le_bytes());
            rows.update([u8::from(user.is_some())]);
            rows.update(user.unwrap_or_default());
        }
    }
    let mut frozen = Sha256::new();
    for parameter in trainer.model.parameters() {
        frozen.update(parameter.name.as_bytes());
        if !trainer.options.trains(&trainer.model, &parameter.name) {
            frozen.update(to_bytes(&parameter.values));
        }
    }
    // Every field of the options is in their debug form.
    let options = Sha256::digest(format!("{:?}", trainer.options));
    let [options, rows, frozen_weights] = [options, rows.finalize(), frozen.finalize()].map(hex);
    Identity { options, rows, frozen_weights }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

const CURVE: &str = "curve";
const BEST_LOSS: &str = "best_loss";
const HEADER: &str = "hydra-train checkpoint, version 1";
