//! The forward pass of the papers, in plain arrays: what the graph is judged by. It shares nothing with the graph but the
//! file and its configuration.

use hydra_types::ndarray::{Array1, Array2, ArrayView2, Axis, s};

use super::{DecoderConfig, DecoderError};
use crate::gguf::Gguf;

/// The logits after every token of one sequence.
///
/// # Shapes
/// - `tokens`: `[seq]`
/// - returns: `[seq, vocabulary]`
///
/// # Errors
/// [`DecoderError::Token`] for an id that the model does not have, [`DecoderError::Gguf`], [`DecoderError::Config`].
///
/// # Source
/// Touvron et al., *LLaMA*, arXiv:2302.13971, section 2.2, for the order of the layers; Vaswani et al., *Attention Is All
/// You Need*, arXiv:1706.03762, equation 1; Zhang and Sennrich, arXiv:1910.07467, equation 4; Shazeer, *GLU Variants*,
/// arXiv:2002.05202, equation 6 (SwiGLU); Su et al., *RoFormer*, arXiv:2104.09864, equation 34; Ainslie et al., *GQA*,
/// arXiv:2305.13245. **Differs:** qwen2 adds a bias to queries, keys and values, and rotates halves of a head instead of
/// neighbouring numbers.
pub fn decoder_logits(gguf: &Gguf, tokens: &[u32]) -> Result<Array2<f32>, DecoderError> {
    let config = DecoderConfig::new(gguf)?;
    let table = matrix(gguf, "token_embd.weight")?;
    let mut x = Array2::zeros((tokens.len(), config.hidden));
    for (mut row, &id) in x.rows_mut().into_iter().zip(tokens) {
        let at = usize::try_from(id).ok().filter(|at| *at < config.vocabulary);
        let at = at.ok_or(DecoderError::Token { id, vocabulary: config.vocabulary })?;
        row.assign(&table.row(at));
    }
    for layer in 0..config.layers {
        let part = |name: &str| format!("blk.{layer}.{name}");
        let normed = rms_norm(&x, &vector(gguf, &part("attn_norm.weight"))?, config.epsilon);
        let projected = |letter: &str| -> Result<Array2<f32>, DecoderError> {
            let mut made = normed.dot(&matrix(gguf, &part(&format!("attn_{letter}.weight")))?.t());
            if config.has_bias {
                made += &vector(gguf, &part(&format!("attn_{letter}.bias")))?;
            }
            Ok(made)
        };
        let (mut queries, mut keys, values) = (projected("q")?, projected("k")?, projected("v")?);
        rotate(&mut queries, &config);
        rotate(&mut keys, &config);
        let attended = attend(&queries, &keys, &values, &config);
        x += &attended.dot(&matrix(gguf, &part("attn_output.weight"))?.t());
        let normed = rms_norm(&x, &vector(gguf, &part("ffn_norm.weight"))?, config.epsilon);
        let mut gate = normed.dot(&matrix(gguf, &part("ffn_gate.weight"))?.t());
        gate.mapv_inplace(|number| number / (1.0 + (-number).exp()));
        gate *= &normed.dot(&matrix(gguf, &part("ffn_up.weight"))?.t());
        x += &gate.dot(&matrix(gguf, &part("ffn_down.weight"))?.t());
    }
    let normed = rms_norm(&x, &vector(gguf, "output_norm.weight")?, config.epsilon);
    let head = if config.tied { table } else { matrix(gguf, "output.weight")? };
    Ok(normed.dot(&head.t()))
}

fn rms_norm(x: &Array2<f32>, scale: &Array1<f32>, epsilon: f32) -> Array2<f32> {
    let mut normed = x.clone();
    for mut row in normed.rows_mut() {
        let count = f64::from(u32::try_from(row.len()).expect("a row is short"));
        let mean = row.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>() / count;
        #[allow(clippy::cast_possible_truncation, reason = "back to the numbers of the model")]
        let unit = (1.0 / (mean + f64::from(epsilon)).sqrt()) as f32;
        row.iter_mut().zip(scale).for_each(|(number, scale)| *number *= unit * scale);
    }
    normed
}

/// Turns each pair of numbers of each head by its angle at the token's position.
fn rotate(x: &mut Array2<f32>, config: &DecoderConfig) {
    let half = config.head_size / 2;
    for (position, mut row) in (0_u32..).zip(x.rows_mut()) {
        for head in 0..row.len() / config.head_size {
            for (pair, frequency) in config.frequencies.iter().enumerate() {
                let (first, second) = if config.interleaved { (2 * pair, 2 * pair + 1) } else { (pair, pair + half) };
                let (first, second) = (head * config.head_size + first, head * config.head_size + second);
                let (sine, cosine) = (f64::from(position) * frequency).sin_cos();
                let (a, b) = (f64::from(row[first]), f64::from(row[second]));
                #[allow(clippy::cast_possible_truncation, reason = "back to the numbers of the model")]
                {
                    row[first] = (a * cosine - b * sine) as f32;
                    row[second] = (a * sine + b * cosine) as f32;
                }
            }
        }
    }
}

fn attend(queries: &Array2<f32>, keys: &Array2<f32>, values: &Array2<f32>, config: &DecoderConfig) -> Array2<f32> {
    let size = config.head_size;
    let scale = 1.0 / f32::from(u16::try_from(size).expect("heads are small")).sqrt();
    let mut out = Array2::zeros(queries.raw_dim());
    let of = |x: &Array2<f32>, head: usize| x.slice(s![.., head * size..(head + 1) * size]).to_owned();
    for head in 0..config.heads {
        let shared = head / (config.heads / config.shared);
        let mut weights = of(queries, head).dot(&of(keys, shared).t()) * scale;
        for (token, mut row) in weights.axis_iter_mut(Axis(0)).enumerate() {
            row.slice_mut(s![token + 1..]).fill(f32::NEG_INFINITY);
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.mapv_inplace(|score| (score - most).exp());
            let sum: f32 = row.sum();
            row /= sum;
        }
        out.slice_mut(s![.., head * size..(head + 1) * size]).assign(&weights.dot(&of(values, shared)));
    }
    out
}

fn matrix(gguf: &Gguf, name: &str) -> Result<Array2<f32>, DecoderError> {
    let numbers = gguf.tensor(name)?;
    let shape = &gguf.tensors()[name].shape;
    Ok(ArrayView2::from_shape((shape[0], shape[1]), &numbers).expect("checked with the configuration").to_owned())
}

fn vector(gguf: &Gguf, name: &str) -> Result<Array1<f32>, DecoderError> {
    Ok(Array1::from(gguf.tensor(name)?))
}
