//! The types whose blocks have 256 numbers and quantised scales.

use super::tensor_type::half_at;

pub(super) fn q2_k(b: &[u8], y: &mut [f32]) {
    let (scales, qs) = (&b[..16], &b[16..80]);
    let (d, d_min) = (half_at(b, 80), half_at(b, 82));
    for (group, y) in y.chunks_exact_mut(16).enumerate() {
        // 128 numbers share 32 bytes, two bits of each byte for every 32 of them.
        let (half, pair, second) = (group / 8, group / 2 % 4, group % 2);
        let scale = d * f32::from(scales[group] & 15);
        let minimum = d_min * f32::from(scales[group] >> 4);
        for (y, q) in y.iter_mut().zip(&qs[32 * half + 16 * second..]) {
            *y = scale * f32::from(q >> (2 * pair) & 3) - minimum;
        }
    }
}

pub(super) fn q3_k(b: &[u8], y: &mut [f32]) {
    let (high, qs, packed) = (&b[..32], &b[32..96], &b[96..108]);
    let d = half_at(b, 108);
    for (group, y) in y.chunks_exact_mut(16).enumerate() {
        let (half, pair, second) = (group / 8, group / 2 % 4, group % 2);
        let low = packed[group % 8] >> (4 * (group / 8)) & 15;
        let top = packed[8 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = d * (f32::from(low | top << 4) - 32.0);
        let third = 4 * half + pair;
        for (at, y) in y.iter_mut().enumerate() {
            let q = qs[32 * half + 16 * second + at] >> (2 * pair) & 3;
            let below = if high[16 * second + at] >> third & 1 == 1 { 0.0 } else { 4.0 };
            *y = scale * (f32::from(q) - below);
        }
    }
}

pub(super) fn q4_k(b: &[u8], y: &mut [f32]) {
    let (scales, qs) = (&b[4..16], &b[16..144]);
    for (group, y) in y.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(b, scales, group);
        for (y, q) in y.iter_mut().zip(&qs[32 * (group / 2)..]) {
            *y = scale * f32::from(q >> (4 * (group % 2)) & 15) - minimum;
        }
    }
}

pub(super) fn q5_k(b: &[u8], y: &mut [f32]) {
    let (scales, high, qs) = (&b[4..16], &b[16..48], &b[48..176]);
    for (group, y) in y.chunks_exact_mut(32).enumerate() {
        let (scale, minimum) = scale_and_minimum(b, scales, group);
        for ((y, q), high) in y.iter_mut().zip(&qs[32 * (group / 2)..]).zip(high) {
            let q = (q >> (4 * (group % 2)) & 15) | (high >> group & 1) << 4;
            *y = scale * f32::from(q) - minimum;
        }
    }
}

pub(super) fn q6_k(b: &[u8], y: &mut [f32]) {
    let (low, high, scales) = (&b[..128], &b[128..192], &b[192..208]);
    let d = half_at(b, 208);
    for (group, y) in y.chunks_exact_mut(32).enumerate() {
        let (half, quarter) = (group / 4, group % 4);
        for (at, y) in y.iter_mut().enumerate() {
            let q = low[64 * half + 32 * (quarter % 2) + at] >> (4 * (quarter / 2)) & 15;
            let top = high[32 * half + at] >> (2 * quarter) & 3;
            let scale = f32::from(scales[2 * group + at / 16].cast_signed());
            *y = d * scale * (f32::from(q | top << 4) - 32.0);
        }
    }
}

/// Scale and minimum of a group of 32, of six bits each, of which the last four groups' upper two lie apart.
pub(super) fn scale_and_minimum(b: &[u8], s: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = if group < 4 {
        (s[group] & 63, s[group + 4] & 63)
    } else {
        (s[group + 4] & 15 | s[group - 4] >> 6 << 4, s[group + 4] >> 4 | s[group] >> 6 << 4)
    };
    (half_at(b, 0) * f32::from(scale), half_at(b, 2) * f32::from(minimum))
}
