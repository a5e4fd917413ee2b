use half::f16;
use proptest::prelude::*;

use super::*;

fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from(u16::try_from(state >> 48).unwrap()) / 32_768.0 - 1.0
        })
        .collect()
}

proptest! {
    #[test]
    fn products_agree_with_sums_in_double_precision(
        seed: u64, n_rows in 1usize..12, cols in 1usize..70, n_picks in 1usize..9,
    ) {
        let (weights, features) = (numbers(seed, n_rows * cols), numbers(seed ^ 1, 5 * cols));
        let picks: Vec<u32> = (0..n_picks).map(|i| u32::try_from((i * 3) % 5).unwrap()).collect();
        let picked = Picked { features: &features, picks: &picks, cols };
        let halves: Vec<f16> = weights.iter().map(|&w| f16::from_f32(w)).collect();
        let codes: Vec<i8> = (0..weights.len()).map(|i| i8::try_from(i * 37 % 255).unwrap_or(-5)).collect();
        let scales = numbers(seed ^ 2, n_rows);
        let cases: [(Rows<'_>, Vec<f64>); 3] = [
            (Rows::F32(&weights), weights.iter().map(|&w| f64::from(w)).collect()),
            (Rows::F16(&halves, &scales),
             halves.iter().enumerate().map(|(i, w)| w.to_f64() * f64::from(scales[i / cols])).collect()),
            (Rows::Int8(&codes, &scales),
             codes.iter().enumerate().map(|(i, &w)| f64::from(w) * f64::from(scales[i / cols])).collect()),
        ];
        for (rows, exact) in cases {
            let mut out = vec![f32::NAN; n_picks * (n_rows + 2)];
            products(rows, picked, n_rows + 2, &mut out);
            for i in 0..n_picks {
                for j in 0..n_rows {
                    let row = &exact[j * cols..][..cols];
                    let sum: f64 = row.iter().zip(picked.row(i)).map(|(&w, &z)| w * f64::from(z)).sum();
                    let size: f64 = row.iter().map(|w| w.abs()).sum();
                    prop_assert!((f64::from(out[i * (n_rows + 2) + j]) - sum).abs() <= 1e-6 * (size + 1.0));
                }
            }
        }
    }

    #[test]
    fn a_row_among_others_has_the_bits_of_the_row_alone(
        seed: u64, n_rows in 1usize..9, cols in 1usize..70, n_picks in 1usize..9,
    ) {
        let (weights, features) = (numbers(seed, n_rows * cols), numbers(seed ^ 1, n_picks * cols));
        let picks: Vec<u32> = (0..u32::try_from(n_picks).unwrap()).collect();
        let mut together = vec![0.0; n_picks * n_rows];
        products(Rows::F32(&weights), Picked { features: &features, picks: &picks, cols }, n_rows, &mut together);
        for i in 0..n_picks {
            for j in 0..n_rows {
                let alone = dot(&weights[j * cols..][..cols], &features[i * cols..][..cols]);
                prop_assert_eq!(alone.to_bits(), together[i * n_rows + j].to_bits());
            }
        }
    }

    #[test]
    fn the_portable_kernels_agree(seed: u64, n_rows in 1usize..6, cols in 1usize..70) {
        let (weights, features) = (numbers(seed, n_rows * cols), numbers(seed ^ 1, cols));
        let picked = Picked { features: &features, picks: &[0], cols };
        let (mut here, mut there) = (vec![0.0; n_rows], vec![0.0; n_rows]);
        products(Rows::F32(&weights), picked, n_rows, &mut here);
        portable::block(&weights, picked, n_rows, n_rows, &mut there);
        for (a, b) in here.iter().zip(&there) {
            prop_assert!((a - b).abs() < 1e-4);
        }
        let (mut here, mut there) = (features.clone(), features.clone());
        add_scaled(Rows::F32(&weights[..cols]), 0.5, &mut here);
        portable::axpy(&weights[..cols], 0.5, &mut there);
        for (a, b) in here.iter().zip(&there) {
            prop_assert!((a - b).abs() < 1e-6);
        }
    }
}

#[test]
fn tanh_is_within_its_bound() {
    let mut inputs: Vec<f32> = (-30_000i16..=30_000).map(|i| f32::from(i) / 2_500.0).collect();
    inputs.extend([0.0, -0.0, 1e-30, -1e-8, 88.0, -1e30, f32::MAX, f32::MIN]);
    let mut outputs = inputs.clone();
    tanh(&mut outputs);
    for (&x, &y) in inputs.iter().zip(&outputs) {
        assert!((f64::from(y) - f64::from(x).tanh()).abs() < 2e-7, "tanh({x}) = {y}");
        assert!(y.abs() <= 1.0);
    }
}
