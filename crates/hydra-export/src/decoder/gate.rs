//! The gate: the graph, run step by step over its cache, against the reference.

use std::num::NonZeroUsize;

use hydra_onnx::{Bound, Measure, Model, Parity, Session, SessionOptions};
use hydra_types::ndarray::{Array0, Array1, Array2, Array4, ArrayView1, Ix2};

use super::{DecoderConfig, DecoderError, DecoderPrecision, decoder_logits};
use crate::gguf::Gguf;

/// What was measured, as data; the bundle refuses to be made if a bound does not hold.
pub(super) fn parity(
    gguf: &Gguf,
    config: &DecoderConfig,
    model: &Model,
    tokenizer: &[u8],
    precision: DecoderPrecision,
) -> Result<Parity, DecoderError> {
    let tokenizer = tokenizers::Tokenizer::from_bytes(tokenizer)
        .map_err(|_| DecoderError::Tokenizer { what: "the tokenizer that was rebuilt cannot be read" })?;
    let mut session = Session::open(model, &SessionOptions::default().threads(NonZeroUsize::MIN))?;
    let (mut worst, mut sum, mut equal, mut steps, mut rows) = (1.0_f64, 0.0_f64, 0_u32, 0_u32, 0_u32);
    for prompt in PROMPTS {
        let prompt = tokenizer
            .encode(prompt, true)
            .map_err(|_| DecoderError::Tokenizer { what: "a prompt of the gate cannot be encoded" })?;
        let prompt = prompt.get_ids();
        let (tokens, logits) = greedy(&mut session, config, prompt)?;
        let expected = decoder_logits(gguf, &tokens)?;
        for (at, (got, expected)) in logits.rows().into_iter().zip(expected.rows()).enumerate() {
            let cosine = cosine(&got, &expected);
            worst = worst.min(cosine);
            sum += cosine;
            rows += 1;
            if at + 1 >= prompt.len() {
                steps += 1;
                equal += u32::from(largest(&got) == largest(&expected));
            }
        }
    }
    let measure = |name: &str, value, bound| Measure { name: name.to_owned(), value, bound: Bound::AtLeast(bound) };
    let (least, mean, share) = match precision {
        DecoderPrecision::Fp32 => (0.9999, 0.9999, 1.0),
        // Neither has weights that are worse than the other's: what differs from the file is how activations round.
        DecoderPrecision::Int8 | DecoderPrecision::Int4 => (0.98, 0.995, 0.8),
    };
    Ok(Parity {
        reference: "forward pass of the papers over the weights of the gguf file, in f32".to_owned(),
        cases: format!("{} prompts, {STEPS} greedy steps each over the cache, {rows} rows of logits", PROMPTS.len()),
        measures: vec![
            measure("least_cosine", worst, least),
            measure("mean_cosine", sum / f64::from(rows), mean),
            measure("equal_greedy_tokens", f64::from(equal) / f64::from(steps), share),
        ],
    })
}

/// The prompt with the tokens that the graph continues it by, and the logits after each but the last.
fn greedy(
    session: &mut Session,
    config: &DecoderConfig,
    prompt: &[u32],
) -> Result<(Vec<u32>, Array2<f32>), DecoderError> {
    let mut tokens = prompt.to_vec();
    let names: Vec<_> = (0..config.layers)
        .flat_map(|layer| {
            ["key", "value"].map(|part| (format!("past.{layer}.{part}"), format!("present.{layer}.{part}")))
        })
        .collect();
    let most = prompt.len() + STEPS;
    let mut state = session.state(&names, [1, config.shared, most, config.head_size])?;
    let mut logits = Array2::zeros((0, config.vocabulary));
    let mut seen = 0;
    while seen < most {
        let ids = Array1::from_iter(tokens[seen..].iter().map(|id| i64::from(*id))).insert_axis(AXIS);
        let count = ids.len();
        let positions = Array1::from_iter((seen..seen + count).map(signed)).insert_axis(AXIS);
        let rows = Array1::from_iter((0..count).map(signed));
        let last = i32::try_from(seen + count - 1).expect("a prompt of the gate is short");
        let bias = Array4::<f32>::zeros((1, 1, count, seen + count));
        let (last_positions, total) = (Array1::from_elem(1, last), Array0::from_elem((), last + 1));
        let inputs = [
            ("input_ids", ids.t().into()),
            ("position_ids", positions.t().into()),
            ("attention_bias", bias.view().into()),
            ("last_positions", last_positions.view().into()),
            ("total_length", total.view().into()),
            ("logit_rows", rows.view().into()),
        ];
        let outputs = session.run_in_place(&inputs, &mut state, &["logits"])?;
        let made = outputs.f32::<Ix2>("logits")?;
        logits.append(hydra_types::ndarray::Axis(0), made).expect("rows of one length");
        seen += count;
        if seen < most {
            tokens.push(u32::try_from(largest(&logits.row(seen - 1))).expect("a vocabulary is small"));
        }
    }
    Ok((tokens, logits))
}

fn largest(row: &ArrayView1<'_, f32>) -> usize {
    let better = |best: (usize, f32), next: (usize, &f32)| if *next.1 > best.1 { (next.0, *next.1) } else { best };
    row.iter().enumerate().fold((0, f32::NEG_INFINITY), better).0
}

fn cosine(a: &ArrayView1<'_, f32>, b: &ArrayView1<'_, f32>) -> f64 {
    let dot = |a: &ArrayView1<'_, f32>, b: &ArrayView1<'_, f32>| -> f64 {
        a.iter().zip(b.iter()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn signed(at: usize) -> i64 {
    i64::try_from(at).expect("a prompt of the gate is short")
}

/// Column vectors, whose transposes are the rows `[1, seq]` that the graph takes.
const AXIS: hydra_types::ndarray::Axis = hydra_types::ndarray::Axis(1);
/// Greedy steps after each prompt.
const STEPS: usize = 12;
/// Written for this gate: prose, a list, code, a conversation.
const PROMPTS: [&str; 4] = [
    "The capital of France is",
    "A rainy evening at home calls for a quiet film. Three films that fit are: 1.",
    "fn main() {\n    let numbers = vec![1, 2, 3];\n    for number in",
    "<|im_start|>user\nName one thing that cats like to do.<|im_end|>\n<|im_start|>assistant\n",
];
