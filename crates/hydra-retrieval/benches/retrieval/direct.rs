//! `hnsw_rs` as one calls it directly, with the fastest distance that we can give it.
#![allow(clippy::needless_range_loop, unsafe_code)] // The kernel is called after its features were found.

use hnsw_rs::prelude::{Distance, Hnsw};

pub(crate) type Direct = Hnsw<'static, f32, FastCosine>;

pub(crate) fn build(vectors: &[Vec<f32>]) -> Direct {
    let hnsw = Hnsw::new(16, vectors.len(), 16, 200, FastCosine);
    let items: Vec<(&Vec<f32>, usize)> = vectors.iter().zip(0..).collect();
    hnsw.parallel_insert(&items);
    hnsw
}

/// 1 - dot product of unit vectors: 32 running sums, fused where the machine can.
pub(crate) struct FastCosine;

impl Distance<f32> for FastCosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: both features were found.
            return (1.0 - unsafe { fused(a, b) }).max(0.0);
        }
        (1.0 - a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>()).max(0.0)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fused(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 32];
    for (x, y) in a.as_chunks::<32>().0.iter().zip(b.as_chunks::<32>().0) {
        for lane in 0..32 {
            sums[lane] = x[lane].mul_add(y[lane], sums[lane]);
        }
    }
    sums.iter().sum()
}
