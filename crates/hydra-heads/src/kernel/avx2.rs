//! The kernels for x86-64 with AVX2, FMA and F16C, chosen at run time.
//!
//! # Safety
//! Two obligations, both met in this file: the functions marked with target features are called only after
//! [`available`] said yes, and a pointer is read only for as many numbers as the slice that it came from holds.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Load, available, axpy, block, tanh};

#[cfg(not(target_arch = "x86_64"))]
pub(super) use elsewhere::{Load, available, axpy, block, tanh};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::f16;

    use super::super::{LANES, Picked};

    /// Sixteen numbers as two vectors of `f32`.
    pub(in super::super) trait Load: Copy + Default {
        /// # Safety
        /// `at` points to sixteen numbers, and the processor has AVX2, FMA and F16C.
        unsafe fn load(at: *const Self) -> [__m256; 2];
    }

    impl Load for f32 {
        #[inline]
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn load(at: *const Self) -> [__m256; 2] {
            // SAFETY: the caller's promise.
            unsafe { [_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8))] }
        }
    }

    impl Load for f16 {
        #[inline]
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn load(at: *const Self) -> [__m256; 2] {
            // SAFETY: the caller's promise; `f16` is sixteen bits without padding.
            let halves = unsafe { _mm256_loadu_si256(at.cast()) };
            [_mm256_cvtph_ps(_mm256_castsi256_si128(halves)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(halves))]
        }
    }

    impl Load for i8 {
        #[inline]
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn load(at: *const Self) -> [__m256; 2] {
            // SAFETY: the caller's promise.
            let bytes = unsafe { _mm_loadu_si128(at.cast()) };
            [
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes))),
            ]
        }
    }

    pub(in super::super) fn available() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
    }

    pub(in super::super) fn block<N: Load>(
        numbers: &[N],
        picked: Picked<'_>,
        n_rows: usize,
        stride: usize,
        out: &mut [f32],
    ) {
        // SAFETY: callers asked `available` first.
        unsafe { block_avx2(numbers, picked, n_rows, stride, out) }
    }

    pub(in super::super) fn axpy<N: Load>(row: &[N], factor: f32, out: &mut [f32]) {
        // SAFETY: callers asked `available` first.
        unsafe { axpy_avx2(row, factor, out) }
    }

    pub(in super::super) fn tanh(numbers: &mut [f32]) {
        // SAFETY: callers asked `available` first.
        unsafe { tanh_avx2(numbers) }
    }

    /// Has the processor find out where the page of a number lies, while it works on numbers before it: what it fetches ahead
    /// on its own ends at the end of a page, and a head that was not used lately is in pages that nobody remembers.
    #[inline]
    fn look_up<N>(numbers: &[N], at: usize) {
        if let Some(number) = numbers.get(at) {
            // SAFETY: a prefetch reads nothing, and every processor of this architecture has it.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(number).cast()) };
        }
    }

    /// Bytes between what is worked on and what is looked up: several pages, as looking one up takes longer than reading one.
    const AHEAD: usize = 48 << 10;

    /// Rows of the head that meet one row of features go one after another, in the order in which they lie in memory: that
    /// is what the processor fetches ahead of best. With more rows of features the head's rows go by pairs, and so do they.
    #[target_feature(enable = "avx2,fma,f16c")]
    fn block_avx2<N: Load>(numbers: &[N], picked: Picked<'_>, n_rows: usize, stride: usize, out: &mut [f32]) {
        let width = if picked.len() == 1 { 1 } else { 2 };
        for j in (0..n_rows).step_by(width) {
            look_up(numbers, j * picked.cols + AHEAD / size_of::<N>());
            let last = row(numbers, (j + width - 1).min(n_rows - 1), picked.cols);
            let rows = [row(numbers, j, picked.cols), last];
            let is_pair = width == 2 && j + 1 < n_rows;
            for i in (0..picked.len()).step_by(2) {
                let features = [picked.row(i), picked.row((i + 1).min(picked.len() - 1))];
                let at = i * stride + j;
                match (is_pair, i + 1 < picked.len()) {
                    (true, true) => {
                        let [[a, b], [c, d]] = tile(rows, features);
                        out[at] = a;
                        out[at + stride] = b;
                        out[at + 1] = c;
                        out[at + stride + 1] = d;
                    }
                    (true, false) => {
                        let [[a], [c]] = tile(rows, [features[0]]);
                        out[at] = a;
                        out[at + 1] = c;
                    }
                    (false, true) => {
                        let [[a, b]] = tile([rows[0]], features);
                        out[at] = a;
                        out[at + stride] = b;
                    }
                    (false, false) => [[out[at]]] = tile([rows[0]], [features[0]]),
                }
            }
        }
    }

    fn row<N>(rows: &[N], at: usize, cols: usize) -> &[N] {
        &rows[at * cols..][..cols]
    }

    /// `W` rows of a head by `Z` rows of features.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn tile<N: Load, const W: usize, const Z: usize>(weights: [&[N]; W], features: [&[f32]; Z]) -> [[f32; Z]; W] {
        let cols = features[0].len();
        for row in weights {
            assert_eq!(row.len(), cols, "rows of one width");
        }
        for row in features {
            assert_eq!(row.len(), cols, "rows of one width");
        }
        let mut sums = [[[_mm256_setzero_ps(); 2]; Z]; W];
        let whole = cols - cols % LANES;
        let mut at = 0;
        while at < whole {
            // SAFETY: at + 16 <= cols, the length of every row.
            let loaded = features.map(|row| unsafe { f32::load(row.as_ptr().add(at)) });
            for (sums, row) in sums.iter_mut().zip(weights) {
                // SAFETY: as above.
                let weight = unsafe { N::load(row.as_ptr().add(at)) };
                for (sum, feature) in sums.iter_mut().zip(loaded) {
                    sum[0] = _mm256_fmadd_ps(weight[0], feature[0], sum[0]);
                    sum[1] = _mm256_fmadd_ps(weight[1], feature[1], sum[1]);
                }
            }
            at += LANES;
        }
        if whole < cols {
            let loaded = features.map(|row| load_tail(&row[whole..]));
            for (sums, row) in sums.iter_mut().zip(weights) {
                let weight = load_tail(&row[whole..]);
                for (sum, feature) in sums.iter_mut().zip(loaded) {
                    sum[0] = _mm256_fmadd_ps(weight[0], feature[0], sum[0]);
                    sum[1] = _mm256_fmadd_ps(weight[1], feature[1], sum[1]);
                }
            }
        }
        sums.map(|sums| sums.map(|[low, high]| add_lanes(_mm256_add_ps(low, high))))
    }

    /// Fewer than sixteen numbers, the rest zero.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn load_tail<N: Load>(tail: &[N]) -> [__m256; 2] {
        let mut padded = [N::default(); LANES];
        padded[..tail.len()].copy_from_slice(tail);
        // SAFETY: sixteen numbers.
        unsafe { N::load(padded.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn add_lanes(lanes: __m256) -> f32 {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    fn axpy_avx2<N: Load>(row: &[N], factor: f32, out: &mut [f32]) {
        let factor = _mm256_set1_ps(factor);
        for (row, out) in row.chunks(LANES).zip(out.chunks_mut(LANES)) {
            if row.len() == LANES && out.len() == LANES {
                // SAFETY: both chunks are sixteen numbers long.
                unsafe {
                    let weight = N::load(row.as_ptr());
                    let sum = f32::load(out.as_ptr());
                    _mm256_storeu_ps(out.as_mut_ptr(), _mm256_fmadd_ps(factor, weight[0], sum[0]));
                    _mm256_storeu_ps(out.as_mut_ptr().add(8), _mm256_fmadd_ps(factor, weight[1], sum[1]));
                }
            } else {
                let (weight, sum) = (load_tail(row), load_tail(out));
                let mut padded = [0.0; LANES];
                // SAFETY: sixteen numbers.
                unsafe {
                    _mm256_storeu_ps(padded.as_mut_ptr(), _mm256_fmadd_ps(factor, weight[0], sum[0]));
                    _mm256_storeu_ps(padded.as_mut_ptr().add(8), _mm256_fmadd_ps(factor, weight[1], sum[1]));
                }
                let len = out.len();
                out.copy_from_slice(&padded[..len]);
            }
        }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    fn tanh_avx2(numbers: &mut [f32]) {
        let mut chunks = numbers.chunks_exact_mut(8);
        for chunk in &mut chunks {
            // SAFETY: eight numbers.
            unsafe {
                let x = _mm256_loadu_ps(chunk.as_ptr());
                _mm256_storeu_ps(chunk.as_mut_ptr(), tanh_of(x));
            }
        }
        let tail = chunks.into_remainder();
        let mut padded = [0.0; 8];
        padded[..tail.len()].copy_from_slice(tail);
        // SAFETY: eight numbers.
        unsafe {
            let x = _mm256_loadu_ps(padded.as_ptr());
            _mm256_storeu_ps(padded.as_mut_ptr(), tanh_of(x));
        }
        tail.copy_from_slice(&padded[..tail.len()]);
    }

    /// `tanh|x| = (1 - e) / (1 + e)` with `e = exp(-2|x|)`, and the sign of `x` put back; within 2e-7 of the truth.
    ///
    /// # Source
    /// `exp` by the usual reduction `2^k · exp(r)`, `|r| <= ln 2 / 2`, with the Taylor polynomial of degree 7 for `exp(r)`.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn tanh_of(x: __m256) -> __m256 {
        let sign_bit = _mm256_set1_ps(-0.0);
        let sign = _mm256_and_ps(x, sign_bit);
        // Beyond 10 the result is 1 in f32, and the reduction below stays far from the smallest exponent.
        let size = _mm256_min_ps(_mm256_andnot_ps(sign_bit, x), _mm256_set1_ps(10.0));
        let y = _mm256_mul_ps(size, _mm256_set1_ps(-2.0));
        let k = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm256_mul_ps(
            y,
            _mm256_set1_ps(std::f32::consts::LOG2_E),
        ));
        let r = _mm256_fnmadd_ps(k, _mm256_set1_ps(LN_2_HIGH), y);
        let r = _mm256_fnmadd_ps(k, _mm256_set1_ps(LN_2_LOW), r);
        let mut series = _mm256_set1_ps(EXP_SERIES[0]);
        for &coefficient in &EXP_SERIES[1..] {
            series = _mm256_fmadd_ps(series, r, _mm256_set1_ps(coefficient));
        }
        let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(k), _mm256_set1_epi32(127)));
        let e = _mm256_mul_ps(series, _mm256_castsi256_ps(power));
        let one = _mm256_set1_ps(1.0);
        _mm256_or_ps(_mm256_div_ps(_mm256_sub_ps(one, e), _mm256_add_ps(one, e)), sign)
    }

    /// `ln 2` in two parts: the first has few enough digits that `k` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// `1 / n!` from `n = 7` down to 0.
    const EXP_SERIES: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
}

#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use super::super::Picked;

    pub(in super::super) trait Load: Copy {}

    impl<N: Copy> Load for N {}

    pub(in super::super) fn available() -> bool {
        false
    }

    pub(in super::super) fn block<N: Load>(_: &[N], _: Picked<'_>, _: usize, _: usize, _: &mut [f32]) {
        unreachable!("`available` says no here");
    }

    pub(in super::super) fn axpy<N: Load>(_: &[N], _: f32, _: &mut [f32]) {
        unreachable!("`available` says no here");
    }

    pub(in super::super) fn tanh(_: &mut [f32]) {
        unreachable!("`available` says no here");
    }
}
