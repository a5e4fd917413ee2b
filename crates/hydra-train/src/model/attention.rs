//! What a layer's attention needs besides the hidden states: padding and MPNet's relative positions.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::names::RELATIVE_BUCKETS;
use super::tokens::Tokens;

/// Where there is padding, `[batch, n_heads, seq, seq]`, expanded without copying; none if there is no padding at all.
pub(super) fn padding(tokens: &Tokens, n_heads: usize, device: &Device) -> Option<Tensor<4, Bool>> {
    let (batch, seq) = tokens.dim();
    let is_padding: Vec<bool> = tokens.mask().iter().map(|mark| *mark == 0).collect();
    is_padding.contains(&true).then(|| {
        let marks = Tensor::<4, Bool>::from_data(TensorData::new(is_padding, [batch, 1, 1, seq]), device);
        marks.expand([batch, n_heads, seq, seq])
    })
}

/// The numbers that MPNet adds to the attention scores, `[1, n_heads, seq, seq]`, from its table `[32, n_heads]`.
pub(super) fn relative_positions(table: Tensor<2>, seq: usize, device: &Device) -> Tensor<4> {
    let [_, n_heads] = table.dims();
    let buckets: Vec<i64> = (0..seq).flat_map(|from| (0..seq).map(move |to| bucket(from, to))).collect();
    let buckets: Tensor<1, Int> = Tensor::from_data(TensorData::new(buckets, [seq * seq]), device);
    table.select(0, buckets).reshape([seq, seq, n_heads]).permute([2, 0, 1]).reshape([1, n_heads, seq, seq])
}

/// The bucket of a distance: 16 for each direction, of which 8 hold one distance and the others grow logarithmically
/// up to 128.
///
/// # Source
/// Song et al. 2020 (arXiv:2004.09297) use the relative positions of T5: Raffel et al. 2020 (arXiv:1910.10683), section
/// 2.1, whose formula is `_relative_position_bucket` in mesh_tensorflow/transformer/transformer_layers.py.
fn bucket(from: usize, to: usize) -> i64 {
    let (distance, direction) = (to.abs_diff(from), usize::from(to > from) * RELATIVE_BUCKETS / 2);
    let exact = RELATIVE_BUCKETS / 4;
    let within = if distance < exact {
        distance
    } else {
        let share = (distance as f32 / exact as f32).ln() / (FARTHEST / exact as f32).ln();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the formula rounds down")]
        let logarithmic = (share * exact as f32) as usize;
        (exact + logarithmic).min(RELATIVE_BUCKETS / 2 - 1)
    };
    i64::try_from(direction + within).expect("there are 32 buckets")
}

/// Distances from here on share the last bucket.
const FARTHEST: f32 = 128.0;
