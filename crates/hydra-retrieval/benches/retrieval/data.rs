//! Vectors that are like embeddings: few true dimensions, some noise, topics.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) const DIMENSIONS: usize = 384;
const LATENT: usize = 32;

/// Unit vectors from a latent of 32 dimensions, mixed into 384, plus noise.
pub(crate) struct Source {
    rng: ChaCha8Rng,
    mixing: Vec<f32>,
}

impl Source {
    pub(crate) fn new(seed: u64) -> Self {
        let mut mixing_rng = ChaCha8Rng::seed_from_u64(0);
        let mixing = (0..LATENT * DIMENSIONS).map(|_| normal(&mut mixing_rng)).collect();
        Self { rng: ChaCha8Rng::seed_from_u64(seed), mixing }
    }

    pub(crate) fn latent(&mut self) -> Vec<f32> {
        (0..LATENT).map(|_| normal(&mut self.rng)).collect()
    }

    /// Around `topic`, `spread` away from it.
    pub(crate) fn vector(&mut self, topic: &[f32], spread: f32) -> Vec<f32> {
        let latent: Vec<f32> = topic.iter().map(|t| t + spread * normal(&mut self.rng)).collect();
        let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| 0.3 * normal(&mut self.rng)).collect();
        for (row, l) in self.mixing.chunks(DIMENSIONS).zip(&latent) {
            vector.iter_mut().zip(row).for_each(|(v, m)| *v += l * m);
        }
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|v| *v /= length);
        vector
    }

    pub(crate) fn vectors(&mut self, n: usize) -> Vec<Vec<f32>> {
        (0..n).map(|_| self.vector(&[0.0; LATENT], 1.0)).collect()
    }

    /// `n` numbers below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end)
    }
}

/// The `k` vectors with the highest dot product, summed in double precision.
pub(crate) fn nearest<'a>(query: &[f32], vectors: impl Iterator<Item = (u64, &'a [f32])>, k: usize) -> Vec<u64> {
    let dot = |v: &[f32]| query.iter().zip(v).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let mut all: Vec<(f64, u64)> = vectors.map(|(id, vector)| (dot(vector), id)).collect();
    let k = k.min(all.len());
    let order = |a: &(f64, u64), b: &(f64, u64)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_by(order);
    all.into_iter().map(|(_, id)| id).collect()
}

fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (u, v): (f32, f32) = (1.0 - rng.random::<f32>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}
