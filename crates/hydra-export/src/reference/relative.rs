//! MPNet's relative positions.

use hydra_types::ndarray::Array2;

use super::matrix;
use crate::folder::{Family, Folder, FolderError, Module, RELATIVE_BUCKETS};

/// The numbers that are added to the attention scores, by bucket of distance and head.
pub(super) struct RelativePositions {
    /// `[32, n_heads]`
    biases: Array2<f64>,
}

impl RelativePositions {
    /// The table, if the family has one.
    pub(super) fn read(folder: &Folder) -> Result<Option<Self>, FolderError> {
        if folder.config().family != Family::MpNet {
            return Ok(None);
        }
        let biases = matrix(folder, Module::RelativePositions, RELATIVE_BUCKETS, folder.config().n_heads)?;
        Ok(Some(Self { biases }))
    }

    /// What is added to the score of the token at `to`, seen from the token at `from`.
    pub(super) fn bias(&self, from: usize, to: usize, head: usize) -> f64 {
        self.biases[[bucket(from, to), head]]
    }
}

/// The bucket of a distance: 16 for each direction, of which 8 hold one distance and the others grow
/// logarithmically up to 128.
///
/// # Source
/// Song et al. 2020 (arXiv:2004.09297) use the relative positions of T5: Raffel et al. 2020 (arXiv:1910.10683), section
/// 2.1, whose formula is `_relative_position_bucket` in mesh_tensorflow/transformer/transformer_layers.py.
fn bucket(from: usize, to: usize) -> usize {
    let (distance, direction) = (to.abs_diff(from), usize::from(to > from) * RELATIVE_BUCKETS / 2);
    let exact = RELATIVE_BUCKETS / 4;
    if distance < exact {
        return direction + distance;
    }
    let (distance, exact_f) = (distance as f32, exact as f32);
    let share = (distance / exact_f).ln() / (FARTHEST / exact_f).ln();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the formula rounds down a small number"
    )]
    let logarithmic = (share * exact_f) as usize;
    direction + (exact + logarithmic).min(RELATIVE_BUCKETS / 2 - 1)
}

/// Distances from here on share the last bucket.
const FARTHEST: f32 = 128.0;

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    #[test]
    fn buckets_are_those_of_the_published_code() {
        let bytes = std::fs::read(hydra_testkit::fixture("models/mpnet/golden.safetensors")).unwrap();
        let golden = SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name| -> Vec<i64> {
            let view = golden.tensor(name).unwrap();
            view.data().chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
        };
        for (distance, expected) in numbers("distances").into_iter().zip(numbers("buckets")) {
            let from = 200_usize;
            let to = from.checked_add_signed(isize::try_from(distance).unwrap()).unwrap();
            assert_eq!(bucket(from, to), usize::try_from(expected).unwrap(), "distance {distance}");
        }
    }
}
