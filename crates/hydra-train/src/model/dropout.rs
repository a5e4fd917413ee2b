//! Dropout whose masks come from a seed that is an argument.

use burn::tensor::{Device, Tensor, TensorData};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// Sets a share of the numbers to 0 and scales the others up.
///
/// # Source
/// Srivastava et al. 2014, section 4, in the inverted form that every framework has: nothing changes at inference.
pub(crate) struct Dropout {
    rng: ChaCha8Rng,
    /// A random 16-bit number below it drops.
    threshold: u16,
    scale: f32,
}

impl Dropout {
    /// Drops about `share` of the numbers; none if nothing is to be dropped.
    ///
    /// # Panics
    /// If the share is not in `0..1`.
    pub(crate) fn new(share: f32, seed: u64) -> Option<Self> {
        assert!((0.0..1.0).contains(&share), "a share of dropout is at least 0 and below 1");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
        let threshold = (share * 65536.0) as u16;
        // What is really dropped is a multiple of 1 / 65536.
        let kept = 1.0 - f32::from(threshold) / 65536.0;
        (threshold > 0).then(|| Self { rng: ChaCha8Rng::seed_from_u64(seed), threshold, scale: 1.0 / kept })
    }

    pub(crate) fn apply<const D: usize>(&mut self, x: Tensor<D>, device: &Device) -> Tensor<D> {
        let shape = x.dims();
        let mut bytes = vec![0; 2 * shape.iter().product::<usize>()];
        self.rng.fill_bytes(&mut bytes);
        let keep = |pair: &[u8]| {
            if u16::from_le_bytes([pair[0], pair[1]]) < self.threshold { 0.0 } else { self.scale }
        };
        let mask: Vec<f32> = bytes.chunks_exact(2).map(keep).collect();
        x * Tensor::from_data(TensorData::new(mask, shape), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::values;

    #[test]
    fn the_share_is_dropped_and_the_mean_stays() {
        let device = Device::flex();
        let ones = || Tensor::<2>::ones([200, 100], &device);
        let drop = |seed| values(Dropout::new(0.25, seed).unwrap().apply(ones(), &device));
        let numbers = drop(1);
        let dropped = numbers.iter().filter(|number| **number == 0.0).count();
        // Four standard deviations of a binomial of 20,000 draws are 245.
        assert!(dropped.abs_diff(5000) < 245, "{dropped}");
        assert!(numbers.iter().all(|number| *number == 0.0 || (number - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(numbers, drop(1));
        assert_ne!(numbers, drop(2));
        assert!(Dropout::new(0.0, 1).is_none());
    }
}
