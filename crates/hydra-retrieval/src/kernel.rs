//! Dot products of rows: of floats, and of codes of one byte.
//!
//! The instructions are chosen at run time, and every choice gives the same bits: floats are summed in 64 lanes with
//! fused multiply-adds and the lanes are folded in halves, codes are summed in integers.
#![allow(clippy::needless_range_loop)] // Lanes are counted: that is the form that compilers turn into vectors.
#![allow(unsafe_code)] // Invariant: a function with `target_feature` is called only where `level` found the feature.

use std::sync::OnceLock;

/// Sixteen floats in one cache line. The last line of a row is filled up with zeros, which change no sum.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Floats(pub(crate) [f32; 16]);

/// Sixty-four codes in one cache line: a number from -127 to 127, plus [`OFFSET`]. Unused places hold [`OFFSET`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Codes(pub(crate) [u8; 64]);

/// Which instructions this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The sum of the products of two rows of floats.
///
/// # Shapes
/// - `a`, `b`: `[lines]`, as many in both
#[inline]
pub(crate) fn dot(a: &[Floats], b: &[Floats]) -> f32 {
    match level() {
        Level::Portable => dot_in_lanes(a, b),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level` found AVX2 and FMA.
        Level::Avx2 => unsafe { dot_avx2(a, b) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level` found AVX-512F.
        Level::Avx512 => unsafe { dot_avx512(a, b) },
    }
}

/// The sums of the products of one row of codes with the rows `range` of a table of codes.
///
/// # Shapes
/// - `query`: `[lines]`
/// - `rows`: `[n_rows * lines]`
/// - `range`: rows, all below `n_rows`
/// - `sums`: overwritten: `[range.len()]`
pub(crate) fn code_dots(query: &CodeRow<'_>, rows: &[Codes], range: impl Iterator<Item = usize>, sums: &mut Vec<i32>) {
    sums.clear();
    match level() {
        Level::Portable => code_dots_portable(query, rows, range, sums),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level` found AVX2.
        Level::Avx2 => unsafe { code_dots_avx2(query, rows, range, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level` found AVX-512F, BW and VNNI.
        Level::Avx512 => unsafe { code_dots_avx512(query, rows, range, sums) },
    }
}

/// The sum of the products of two rows of codes.
#[inline]
pub(crate) fn code_dot(a: &CodeRow<'_>, b: &[Codes]) -> i32 {
    match level() {
        Level::Portable => code_dot_in_lanes(a.lines, b),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level` found AVX2.
        Level::Avx2 => unsafe { code_dot_avx2(a.lines, b) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `level` found AVX-512F, BW and VNNI.
        Level::Avx512 => unsafe { code_dot_avx512(a, b) },
    }
}

/// Asks for a row of codes before it is needed.
#[inline]
pub(crate) fn prefetch(row: &[Codes]) {
    #[cfg(target_arch = "x86_64")]
    for line in row {
        // SAFETY: a prefetch reads nothing that the program can see, and SSE is part of x86-64.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

/// A row of codes and the sum of its numbers, which the kernel for unsigned bytes needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CodeRow<'a> {
    pub(crate) lines: &'a [Codes],
    pub(crate) sum: i32,
}

/// What is added to a code so that it is a byte without a sign.
pub(crate) const OFFSET: u8 = 128;

fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let vnni = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni");
            if avx2 && vnni && is_x86_feature_detected!("avx512f") {
                return Level::Avx512;
            }
            if avx2 {
                return Level::Avx2;
            }
        }
        Level::Portable
    })
}

#[inline(always)]
fn dot_in_lanes(a: &[Floats], b: &[Floats]) -> f32 {
    let mut lanes = [[0.0f32; 16]; 4];
    let (a_blocks, a_rest) = a.as_chunks::<4>();
    let (b_blocks, b_rest) = b.as_chunks::<4>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for line in 0..4 {
            for lane in 0..16 {
                lanes[line][lane] = x[line].0[lane].mul_add(y[line].0[lane], lanes[line][lane]);
            }
        }
    }
    for ((x, y), lane_line) in a_rest.iter().zip(b_rest).zip(&mut lanes) {
        for lane in 0..16 {
            lane_line[lane] = x.0[lane].mul_add(y.0[lane], lane_line[lane]);
        }
    }
    let mut sums = [0.0f32; 16];
    for lane in 0..16 {
        sums[lane] = (lanes[0][lane] + lanes[2][lane]) + (lanes[1][lane] + lanes[3][lane]);
    }
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

#[inline(always)]
fn code_dot_in_lanes(a: &[Codes], b: &[Codes]) -> i32 {
    let number = |code: u8| i32::from(i16::from(code) - i16::from(OFFSET));
    let mut sum = 0;
    for (x, y) in a.iter().zip(b) {
        for place in 0..64 {
            sum += number(x.0[place]) * number(y.0[place]);
        }
    }
    sum
}

fn code_dots_portable(query: &CodeRow<'_>, rows: &[Codes], range: impl Iterator<Item = usize>, sums: &mut Vec<i32>) {
    let lines = query.lines.len();
    sums.extend(range.map(|row| code_dot_in_lanes(query.lines, &rows[row * lines..][..lines])));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_avx2(a: &[Floats], b: &[Floats]) -> f32 {
    dot_in_lanes(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn dot_avx512(a: &[Floats], b: &[Floats]) -> f32 {
    use std::arch::x86_64::{_mm512_add_ps, _mm512_fmadd_ps, _mm512_load_ps, _mm512_setzero_ps, _mm512_store_ps};
    // SAFETY: a line is 64 bytes at a multiple of 64.
    let load = |line: &Floats| unsafe { _mm512_load_ps(line.0.as_ptr()) };
    let mut lanes = [_mm512_setzero_ps(); 4];
    let (a_blocks, a_rest) = a.as_chunks::<4>();
    let (b_blocks, b_rest) = b.as_chunks::<4>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for line in 0..4 {
            lanes[line] = _mm512_fmadd_ps(load(&x[line]), load(&y[line]), lanes[line]);
        }
    }
    for ((x, y), lane_line) in a_rest.iter().zip(b_rest).zip(&mut lanes) {
        *lane_line = _mm512_fmadd_ps(load(x), load(y), *lane_line);
    }
    let folded = _mm512_add_ps(_mm512_add_ps(lanes[0], lanes[2]), _mm512_add_ps(lanes[1], lanes[3]));
    let mut line = Floats([0.0; 16]);
    // SAFETY: a line is 64 bytes at a multiple of 64.
    unsafe { _mm512_store_ps(line.0.as_mut_ptr(), folded) };
    let mut sums = line.0;
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn code_dot_avx2(a: &[Codes], b: &[Codes]) -> i32 {
    code_dot_in_lanes(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn code_dots_avx2(query: &CodeRow<'_>, rows: &[Codes], range: impl Iterator<Item = usize>, sums: &mut Vec<i32>) {
    let lines = query.lines.len();
    for row in range {
        sums.push(code_dot_avx2(query.lines, &rows[row * lines..][..lines]));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn code_dot_avx512(a: &CodeRow<'_>, b: &[Codes]) -> i32 {
    use std::arch::x86_64::{
        __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8,
        _mm512_setzero_si512, _mm512_xor_si512,
    };
    // SAFETY: a line is 64 bytes at a multiple of 64.
    let load = |line: &Codes| unsafe { _mm512_load_si512(line.0.as_ptr().cast::<__m512i>()) };
    // Flipping the highest bit of `number + 128` leaves `number` as a signed byte; the instruction multiplies
    // unsigned bytes of one side with signed ones of the other, so 128 times the signed side is too much.
    let sign = _mm512_set1_epi8(i8::MIN);
    let mut sums = [_mm512_setzero_si512(); 2];
    for (place, (x, y)) in a.lines.iter().zip(b).enumerate() {
        let signed = _mm512_xor_si512(load(x), sign);
        sums[place % 2] = _mm512_dpbusd_epi32(sums[place % 2], load(y), signed);
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1])) - i32::from(OFFSET) * a.sum
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn code_dots_avx512(query: &CodeRow<'_>, rows: &[Codes], range: impl Iterator<Item = usize>, sums: &mut Vec<i32>) {
    let lines = query.lines.len();
    for row in range {
        sums.push(code_dot_avx512(query, &rows[row * lines..][..lines]));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(numbers: &[f32]) -> Vec<Floats> {
        numbers.chunks(16).map(|c| Floats(std::array::from_fn(|i| c.get(i).copied().unwrap_or(0.0)))).collect()
    }

    fn code_lines(numbers: &[i8]) -> Vec<Codes> {
        let code = |n: i8| u8::try_from(i16::from(n) + 128).unwrap();
        numbers.chunks(64).map(|c| Codes(std::array::from_fn(|i| code(c.get(i).copied().unwrap_or(0))))).collect()
    }

    proptest! {
        #[test]
        fn every_level_gives_the_same_bits(pairs in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 1..400)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let (a, b) = (lines(&a), lines(&b));
            let portable = dot_in_lanes(&a, &b).to_bits();
            #[cfg(target_arch = "x86_64")]
            {
                if level() != Level::Portable {
                    // SAFETY: any level but the portable one has AVX2 and FMA.
                    prop_assert_eq!(unsafe { dot_avx2(&a, &b) }.to_bits(), portable);
                }
                if level() == Level::Avx512 {
                    // SAFETY: just asked.
                    prop_assert_eq!(unsafe { dot_avx512(&a, &b) }.to_bits(), portable);
                }
            }
            prop_assert_eq!(dot(&a, &b).to_bits(), portable);
        }

        #[test]
        fn a_dot_product_is_near_the_sum_in_double_precision(pairs in prop::collection::vec((-1f32..1.0, -1f32..1.0), 1..400)) {
            let expected: f64 = pairs.iter().map(|&(x, y)| f64::from(x) * f64::from(y)).sum();
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            prop_assert!((f64::from(dot(&lines(&a), &lines(&b))) - expected).abs() < 1e-4);
        }

        #[test]
        fn codes_are_summed_exactly(pairs in prop::collection::vec((-127i8..=127, -127i8..=127), 1..400)) {
            let expected: i32 = pairs.iter().map(|&(x, y)| i32::from(x) * i32::from(y)).sum();
            let (a, b): (Vec<i8>, Vec<i8>) = pairs.into_iter().unzip();
            let (a, sum) = (code_lines(&a), a.iter().map(|&n| i32::from(n)).sum());
            let b = code_lines(&b);
            let row = CodeRow { lines: &a, sum };
            prop_assert_eq!(code_dot_in_lanes(&a, &b), expected);
            prop_assert_eq!(code_dot(&row, &b), expected);
            #[cfg(target_arch = "x86_64")]
            if level() != Level::Portable {
                // SAFETY: any level but the portable one has AVX2 and FMA.
                prop_assert_eq!(unsafe { code_dot_avx2(&a, &b) }, expected);
            }
            let mut sums = Vec::new();
            code_dots(&row, &b, std::iter::once(0), &mut sums);
            prop_assert_eq!(sums, [expected]);
        }
    }
}
